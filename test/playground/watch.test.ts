// Watches over the wire: order, selectors, bookmarks, what happens when the version is too old or the time is up.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Playground, startPlayground } from '../../src/playground/start.ts';
import { type Json, PlaygroundClient } from '../support/playground-client.ts';

const MAPS = '/api/v1/namespaces/shop/configmaps';

let playground: Playground;
let client: PlaygroundClient;

beforeAll(async () => {
  playground = await startPlayground({ shop: false });
  client = new PlaygroundClient(playground);
});
afterAll(async () => {
  client.close();
  await playground.close();
});

const map = (name: string, labels: Record<string, string> = {}): Json => ({ metadata: { name, labels }, data: {} });

/** The events until there are enough, each as `TYPE name`. */
async function take(events: AsyncGenerator<Json>, count: number): Promise<string[]> {
  const seen: string[] = [];
  while (seen.length < count) {
    const next = await events.next();
    if (next.done === true) break;
    seen.push(`${next.value.type} ${next.value.object.metadata?.name ?? next.value.object.reason}`);
  }
  return seen;
}

test('without a version: what is there, then what changes, in order', async () => {
  await client.post(MAPS, map('first'));
  const events = client.watch(`${MAPS}?watch=1&fieldSelector=metadata.name%3Dfirst`);
  expect(await take(events, 1)).toEqual(['ADDED first']);
  await client.patch(`${MAPS}/first`, { data: { a: '1' } });
  await client.post(MAPS, map('not-selected'));
  await client.delete(`${MAPS}/first`);
  expect(await take(events, 2)).toEqual(['MODIFIED first', 'DELETED first']);
  await events.return(undefined);
});

test('from a version: everything after it, also what happened before the watch began', async () => {
  const { resourceVersion } = (await client.get(MAPS)).body.metadata;
  await client.post(MAPS, map('later'));
  await client.patch(`${MAPS}/later`, { data: { a: '1' } });
  const events = client.watch(`${MAPS}?watch=1&resourceVersion=${resourceVersion}`);
  expect(await take(events, 2)).toEqual(['ADDED later', 'MODIFIED later']);
  await client.delete(`${MAPS}/later`);
  expect(await take(events, 1)).toEqual(['DELETED later']);
  await events.return(undefined);
});

test('an object that stops to match is DELETED for this watch, one that starts is ADDED', async () => {
  await client.post(MAPS, map('moving', { set: 'a' }));
  const events = client.watch(`${MAPS}?watch=1&labelSelector=set%3Da`);
  expect(await take(events, 1)).toEqual(['ADDED moving']);
  await client.patch(`${MAPS}/moving`, { metadata: { labels: { set: 'b' } } });
  await client.patch(`${MAPS}/moving`, { data: { unseen: '1' } });
  await client.patch(`${MAPS}/moving`, { metadata: { labels: { set: 'a' } } });
  await client.patch(`${MAPS}/moving`, { data: { seen: '1' } });
  expect(await take(events, 3)).toEqual(['DELETED moving', 'ADDED moving', 'MODIFIED moving']);
  await events.return(undefined);
});

test('the time is up: a bookmark with the version to go on from, then the end', async () => {
  const seen: Json[] = [];
  for await (const event of client.watch(
    `${MAPS}?watch=1&allowWatchBookmarks=true&timeoutSeconds=1&fieldSelector=metadata.name%3Dnone`,
  ))
    seen.push(event);
  expect(seen).toEqual([
    {
      type: 'BOOKMARK',
      object: { kind: 'ConfigMap', apiVersion: 'v1', metadata: { resourceVersion: expect.stringMatching(/^\d+$/) } },
    },
  ]);
});

test('a streaming list: what is there, then the bookmark that says so', async () => {
  await client.post(MAPS, map('streamed', { set: 'stream' }));
  const query =
    'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&labelSelector=set%3Dstream';
  const events = client.watch(`${MAPS}?${query}`);
  const first = await events.next();
  const second = await events.next();
  await events.return(undefined);
  expect(first.value).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'streamed' } } });
  expect(second.value).toMatchObject({
    type: 'BOOKMARK',
    object: { metadata: { annotations: { 'k8s.io/initial-events-end': 'true' } } },
  });
});

test('a version that is no longer kept is 410, as an event', async () => {
  const { resourceVersion } = (await client.get(MAPS)).body.metadata;
  await client.post(MAPS, map('busy'));
  for (let round = 0; round < 2_100; round += 50)
    await Promise.all(
      Array.from({ length: 50 }, (_, index) => client.patch(`${MAPS}/busy`, { data: { a: String(round + index) } })),
    );
  const events = client.watch(`${MAPS}?watch=1&resourceVersion=${resourceVersion}`);
  const first = await events.next();
  expect(first.value).toMatchObject({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } });
  expect(first.value.object.message).toMatch(/^too old resource version: \d+ \(\d+\)$/);
  expect((await events.next()).done).toBe(true);
});

test('a version that is no number, and rights', async () => {
  const wrong = await client.get(`${MAPS}?watch=1&resourceVersion=abc`);
  expect(wrong.body).toMatchObject({
    code: 500,
    message: 'resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax',
  });
  const refused = await client.get('/api/v1/namespaces/shop/pods?watch=1', 'forwarder');
  expect(refused.body.message).toBe(
    'pods is forbidden: User "forwarder" cannot watch resource "pods" in API group "" in the namespace "shop"',
  );
});

test('the server ends its watches when it closes', async () => {
  const other = await startPlayground({ shop: false });
  const its = new PlaygroundClient(other);
  const events = its.watch(`${MAPS}?watch=1&allowWatchBookmarks=true`);
  const next = events.next();
  // The watch is open when its first event is there; nothing else is in this namespace.
  await its.post(MAPS, map('sign'));
  expect((await next).value.object.metadata.name).toBe('sign');
  const end = events.next().catch((error: unknown) => ({ done: true, error }));
  await other.close();
  expect((await end).done).toBe(true);
  its.close();
});
