// When an ingress agent counts as gone: not for a moment without a ready pod, at once where the kubelet holds it back, and never while one drains.
import type { ServerResponse } from 'node:http';
import { describe, expect, onTestFinished, test } from 'vitest';
import { watchAgent } from '../../../src/cluster/takeover/agent-watch.ts';
import { apiFor, startFakeApi, statusBody } from '../support/fake-api.ts';

const pod = (name: string, ready: boolean, more: { waiting?: string; deleted?: boolean } = {}): object => ({
  metadata: { name, uid: name, resourceVersion: '2', ...(more.deleted ? { deletionTimestamp: 'now' } : {}) },
  status: {
    conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    containerStatuses: [
      { state: more.waiting === undefined ? { running: {} } : { waiting: { reason: more.waiting } } },
    ],
  },
});

/** An agent with one ready pod `a`, and what is said of it. */
async function start(graceMs: number): Promise<{ said: boolean[]; tell: (type: string, object: object) => void }> {
  let watching: ServerResponse | undefined;
  const server = await startFakeApi((request, response) => {
    if (request.url?.includes('watch')) {
      watching = response;
      response.flushHeaders();
    } else response.end(JSON.stringify({ metadata: { resourceVersion: '1' }, items: [pod('a', true)] }));
  });
  const said: boolean[] = [];
  const end = new AbortController();
  onTestFinished(() => end.abort());
  const options = { signal: end.signal, graceMs, onChange: (serves: boolean): void => void said.push(serves) };
  void watchAgent(apiFor(server.url), 'shop', 'orders', options);
  await expect.poll(() => watching).toBeDefined();
  return { said, tell: (type, object) => watching?.write(`${JSON.stringify({ type, object })}\n`) };
}

describe('an ingress agent', () => {
  test('is gone when no pod was ready for a while, and there again with the first one that is', async () => {
    const { said, tell } = await start(20);
    tell('MODIFIED', pod('a', false));
    await expect.poll(() => said).toEqual([false]);
    tell('ADDED', pod('b', true));
    await expect.poll(() => said).toEqual([false, true]);
    tell('DELETED', pod('a', false));
    tell('DELETED', pod('b', true));
    await expect.poll(() => said).toEqual([false, true, false]);
  });

  test('is not gone while it starts again, or one pod takes over from another that drains; it is, at once, when it is held back', async () => {
    const { said, tell } = await start(60_000);
    tell('MODIFIED', pod('a', false));
    tell('MODIFIED', pod('a', true));
    tell('MODIFIED', pod('a', true, { deleted: true }));
    tell('ADDED', pod('b', false));
    tell('MODIFIED', pod('b', true));
    tell('DELETED', pod('a', false));
    tell('MODIFIED', pod('b', false, { waiting: 'CrashLoopBackOff' }));
    await expect.poll(() => said).toEqual([false]);
    tell('MODIFIED', pod('b', true));
    await expect.poll(() => said).toEqual([false, true]);
  });

  test('of which nothing may be known is not said to be gone', async () => {
    const server = await startFakeApi((_, response) =>
      response.writeHead(403).end(statusBody(403, 'Forbidden', 'pods is forbidden')),
    );
    const said: boolean[] = [];
    const { signal } = new AbortController();
    await watchAgent(apiFor(server.url), 'shop', 'orders', { signal, onChange: (serves) => void said.push(serves) });
    expect(said).toEqual([]);
  });
});
