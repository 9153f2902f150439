// A list that stays true over breaks of the watch, against a server whose lists and watches are scripted.
import type { IncomingMessage, ServerResponse } from 'node:http';
import * as fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { LineSplitter } from '../../src/cluster/lines.codec.ts';
import { ClusterApi } from '../../src/cluster/rest.ts';
import { type Change, watchList } from '../../src/cluster/watch.ts';
import { configFor, failure, startFakeApi, statusBody } from './support/fake-api.ts';

interface Thing {
  readonly metadata: { readonly name: string; readonly uid: string; readonly resourceVersion: string };
}

const thing = (name: string, version: string | number, uid = name): Thing => ({
  metadata: { name, uid, resourceVersion: String(version) },
});
const list = (version: number, ...items: Thing[]): string =>
  JSON.stringify({ metadata: { resourceVersion: String(version) }, items });
const event = (type: string, object: object): string => `${JSON.stringify({ type, object })}\n`;
const short = (change: Change<Thing>): string =>
  change.type === 'synced'
    ? 'synced'
    : `${change.type} ${change.object.metadata.name}@${change.object.metadata.resourceVersion}`;

type Step = (request: IncomingMessage, response: ServerResponse) => unknown;

/** Answers requests with `steps`, one after the other; `asked` notes them as `list` or `watch@version`. */
async function scripted(...steps: Step[]) {
  const asked: string[] = [];
  const server = await startFakeApi((request, response) => {
    const query = new URL(request.url ?? '', 'http://x').searchParams;
    asked.push(query.has('watch') ? `watch@${query.get('resourceVersion')}` : 'list');
    return (steps.shift() ?? ((): void => undefined))(request, response);
  });
  const api = new ClusterApi(configFor(server.url));
  onTestFinished(() => api.close());
  return { api, asked, server };
}

/** The first `count` changes. */
async function take(api: ClusterApi, count: number): Promise<string[]> {
  const seen: string[] = [];
  for await (const change of watchList<Thing>(api, '/things')) {
    seen.push(short(change));
    if (seen.length === count) break;
  }
  return seen;
}

const answers =
  (text: string, code = 200): Step =>
  (_, response) =>
    response.writeHead(code).end(text);
/** Sends and keeps the watch open. */
const sends =
  (...texts: string[]): Step =>
  (_, response) =>
    texts.forEach((text) => response.write(text));

describe('watchList', () => {
  test('the list, `synced`, then changes', async () => {
    const { api, asked } = await scripted(
      answers(list(5, thing('a', 1), thing('b', 2))),
      sends(event('ADDED', thing('c', 6)), event('MODIFIED', thing('a', 7)), event('DELETED', thing('b', 8))),
    );
    expect(await take(api, 6)).toEqual([
      'added a@1',
      'added b@2',
      'synced',
      'added c@6',
      'modified a@7',
      'deleted b@8',
    ]);
    expect(asked).toEqual(['list', 'watch@5']);
  });

  test('an empty collection syncs too, `items: null` included', async () => {
    const { api } = await scripted(answers('{"metadata":{"resourceVersion":"1"},"items":null}'));
    expect(await take(api, 1)).toEqual(['synced']);
  });

  test('what is asked for', async () => {
    const urls: string[] = [];
    const server = await startFakeApi((request, response) => {
      urls.push(request.url ?? '');
      if (urls.length === 1) response.end(list(3));
      else response.write(event('ADDED', thing('a', 4)));
    });
    const api = new ClusterApi(configFor(server.url));
    for await (const change of watchList<Thing>(api, '/things', { query: { fieldSelector: 'metadata.name=a' } }))
      if (change.type === 'added') break;
    api.close();
    expect(urls[0]).toBe('/things?fieldSelector=metadata.name%3Da');
    expect(urls[1]).toMatch(
      /^\/things\?fieldSelector=metadata.name%3Da&watch=1&allowWatchBookmarks=true&resourceVersion=3&timeoutSeconds=2[4-9]\d$/,
    );
  });

  test('events cut anywhere, several in a piece', async () => {
    const text = event('ADDED', thing('a', 6)) + event('ADDED', thing('bü', 7));
    const bytes = Buffer.from(text);
    const { api } = await scripted(answers(list(5)), async (_, response) => {
      for (const byte of bytes)
        await new Promise<void>((resolve) => response.write(Buffer.from([byte]), () => resolve()));
    });
    expect(await take(api, 3)).toEqual(['synced', 'added a@6', 'added bü@7']);
  });

  test('goes on from the last version, which bookmarks move, after a break', async () => {
    const { api, asked } = await scripted(
      answers(list(5)),
      (_, response) => {
        response.write(event('BOOKMARK', thing('', 9)), () => response.destroy());
      },
      sends(event('ADDED', thing('a', 10))),
    );
    expect(await take(api, 2)).toEqual(['synced', 'added a@10']);
    expect(asked).toEqual(['list', 'watch@5', 'watch@9']);
  });

  test('an orderly end of the watch is no break', async () => {
    const { api, asked } = await scripted(
      answers(list(5)),
      answers(event('ADDED', thing('a', 6))),
      sends(event('MODIFIED', thing('a', 7))),
    );
    expect(await take(api, 3)).toEqual(['synced', 'added a@6', 'modified a@7']);
    expect(asked).toEqual(['list', 'watch@5', 'watch@6']);
  });

  test.each([
    ['as an event', answers(event('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' }))],
    ['as an answer', answers(statusBody(410, 'Expired', 'too old'), 410)],
  ])('410 %s: lists anew and gives the differences', async (_, gone) => {
    const { api, asked } = await scripted(
      answers(list(5, thing('same', 1), thing('changed', 1), thing('gone', 1), thing('made-anew', 1, 'u1'))),
      gone,
      answers(list(20, thing('same', 1), thing('changed', 15), thing('made-anew', 16, 'u2'), thing('new', 17))),
    );
    const seen = await take(api, 11);
    expect(seen.slice(0, 5).at(-1)).toBe('synced');
    expect(seen.slice(5)).toEqual([
      'deleted gone@1',
      'deleted made-anew@1',
      'modified changed@15',
      'added made-anew@16',
      'added new@17',
      'synced',
    ]);
    expect(asked).toEqual(['list', 'watch@5', 'list']);
  });

  test.each([
    ['a broken connection', (request: IncomingMessage) => request.socket.destroy()],
    ['500', answers(statusBody(500, 'InternalError', 'etcd is away'), 500)],
    ['a gateway without a backend', answers('<p>no', 502)],
  ])('%s before the first list is waited out', async (_, trouble) => {
    const { api, asked } = await scripted(trouble, answers(list(5, thing('a', 1))));
    expect(await take(api, 2)).toEqual(['added a@1', 'synced']);
    expect(asked).toEqual(['list', 'list']);
  });

  test.each([
    ['no right to list', 403, 'RIGHTS_MISSING'],
    ['refused credentials', 401, 'CREDENTIALS_REJECTED'],
    ['a kind that is not there', 404, 'API_STATUS'],
  ])('%s ends it', async (_, code, wanted) => {
    const { api, asked } = await scripted(answers(statusBody(code, 'x', 'x'), code));
    expect((await failure(take(api, 1))).code).toBe(wanted);
    expect(asked).toEqual(['list']);
  });

  test('no right to watch ends it after the list', async () => {
    const { api } = await scripted(answers(list(5, thing('a', 1))), answers(statusBody(403, 'Forbidden', 'x'), 403));
    const seen: string[] = [];
    const reading = (async () => {
      for await (const change of watchList<Thing>(api, '/things')) seen.push(short(change));
    })();
    expect((await failure(reading)).code).toBe('RIGHTS_MISSING');
    expect(seen).toEqual(['added a@1', 'synced']);
  });

  test('credentials refused later are waited out: somebody renews them', async () => {
    const { api } = await scripted(answers(list(5)), answers('', 401), sends(event('ADDED', thing('a', 6))));
    expect(await take(api, 2)).toEqual(['synced', 'added a@6']);
  });

  test.each([
    ['garbage', 'not json\n'],
    ['an event without an object', '{"type":"ADDED"}\n'],
    ['a line that is too long', 'x'.repeat(17 << 20)],
  ])('%s in a watch: begun anew', async (_, text) => {
    const { api } = await scripted(answers(list(5)), sends(text), sends(event('ADDED', thing('a', 6))));
    expect(await take(api, 2)).toEqual(['synced', 'added a@6']);
  });

  test('a signal ends it without an error, whatever it waits for', async () => {
    for (const steps of [[], [answers(list(5))], [(request: IncomingMessage): unknown => request.socket.destroy()]]) {
      const { api, server } = await scripted(...steps);
      const stop = new AbortController();
      const seen: string[] = [];
      const reading = (async () => {
        for await (const change of watchList<Thing>(api, '/things', { signal: stop.signal })) seen.push(short(change));
      })();
      while (server.connections() === 0) await new Promise((resolve) => setImmediate(resolve));
      stop.abort();
      await reading;
    }
  });

  test('leaving the loop closes the watch', async () => {
    const closed = Promise.withResolvers<void>();
    const { api } = await scripted(answers(list(5)), (_, response) => {
      response.on('close', closed.resolve);
      response.write(event('ADDED', thing('a', 6)));
    });
    await take(api, 2);
    await closed.promise;
  });
});

describe('LineSplitter', () => {
  test('cut anywhere, the lines are the same', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'binary' }).map((line) => line.replaceAll('\n', ''))),
        fc.array(fc.nat(40)),
        (lines, cuts) => {
          const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
          const splitter = new LineSplitter(1000);
          const out: string[] = [];
          let at = 0;
          for (const cut of [...cuts, bytes.length]) {
            out.push(...splitter.push(bytes.subarray(at, at + cut)));
            at += cut;
          }
          expect(out).toEqual(lines.filter((line) => line !== ''));
        },
      ),
    );
  });

  test('the limit is for one line', () => {
    const splitter = new LineSplitter(4);
    expect(splitter.push(Buffer.from('1234\n1234\n12'))).toEqual(['1234', '1234']);
    expect(() => splitter.push(Buffer.from('345'))).toThrow('a line of more than 4 bytes');
  });
});
