// Which way is taken: in order, remembered for the API and on the laptop, with the reasons of the others; and when no other is tried.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WAYS, type Way } from '../../../src/cluster/ways/names.ts';
import { waysOf } from '../../../src/cluster/ways/ways.ts';
import { KtError } from '../../../src/errors.ts';
import { apiFor, failure, startFakeApi, statusBody } from '../support/fake-api.ts';

const AT = { namespace: 'shop', pod: 'agent-0', port: 7070 };
const signal = new AbortController().signal;
let cache: string;

beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'kt-ways-'));
  process.env['XDG_CACHE_HOME'] = cache;
});
afterEach(() => {
  delete process.env['XDG_CACHE_HOME'];
  rmSync(cache, { recursive: true });
});

const wayOf = (url: string, method: string): Way =>
  url.includes('/exec') ? 'exec' : url.includes('/proxy') ? 'podproxy' : method === 'POST' ? 'spdy' : 'portforward';

/** An API server that lets these ways pass; the others get `refusal`. `seen` are the ways that were asked for. */
async function server(
  open: readonly Way[],
  refusal: { status: number; body: string } = { status: 403, body: '<h1>no</h1>' },
) {
  const seen: Way[] = [];
  const { createHash } = await import('node:crypto');
  const fake = await startFakeApi((_, response) => response.end('{}'), {
    upgrade: (request, socket) => {
      const way = wayOf(request.url ?? '', request.method ?? '');
      seen.push(way);
      socket.on('error', () => undefined);
      if (!open.includes(way)) {
        socket.end(`HTTP/1.1 ${refusal.status} No\r\nConnection: close\r\n\r\n${refusal.body}`);
        return;
      }
      const key = request.headers['sec-websocket-key'] ?? '';
      const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
      const protocol = request.headers['sec-websocket-protocol'] ?? '';
      const fields = key === '' ? '' : `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: ${protocol}\r\n`;
      socket.write(
        `HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: ${request.headers.upgrade ?? ''}\r\n${fields}\r\n`,
      );
    },
  });
  return { fake, seen };
}

const take = (api: ReturnType<typeof apiFor>) =>
  waysOf(api).through(AT, (stream) => void stream.on('error', () => undefined).destroy(), { signal });

/** The error itself, not what it says. */
async function rejection(work: Promise<unknown>): Promise<KtError> {
  const error = await work.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (error instanceof KtError) return error;
  throw new Error('it did not reject with a KtError');
}

describe('in order', () => {
  test.each([
    [['portforward', 'exec', 'spdy'], 'portforward', ['portforward']],
    [['exec', 'spdy'], 'spdy', ['portforward', 'spdy']],
    [['exec'], 'exec', ['portforward', 'spdy', 'exec']],
  ] as const)('open: %j', async (open, way, seen) => {
    const world = await server(open);
    const passage = await take(apiFor(world.fake.url));
    expect({ way: passage.way, seen: world.seen }).toEqual({ way, seen });
    expect(passage.refused.map((one) => one.way)).toEqual(seen.slice(0, -1));
  });

  test('what the rights do not allow is not tried', async () => {
    const world = await server(WAYS);
    const api = apiFor(world.fake.url);
    waysOf(api).allow(['spdy']);
    await take(api);
    expect(world.seen).toEqual(['spdy']);
  });

  test('none is open: every reason is told', async () => {
    const world = await server([]);
    const error = await failure(take(apiFor(world.fake.url)));
    expect(error.message).toMatch(
      /no way into the pod is open\. port-forward over a websocket: .*port-forward over SPDY: .*exec over a websocket: /,
    );
  });

  test.each([
    ['a gateway refuses all', 403, '<h1>no</h1>', true],
    ['all without their Upgrade', 400, statusBody(400, 'BadRequest', 'Upgrade request required'), true],
    ['no right to any', 403, statusBody(403, 'Forbidden', 'pods "agent-0" is forbidden'), true],
    [
      'the kubelet does not know the container yet',
      500,
      statusBody(500, 'InternalError', 'container not found ("agent")'),
      false,
    ],
    ['too many requests', 429, '<h1>slowly</h1>', false],
  ])('closed for good: %s', async (_, status, body, forGood) => {
    const world = await server([], { status, body });
    const api = apiFor(world.fake.url);
    expect(waysOf(api).closedForGood(await rejection(take(api)))).toBe(forGood);
  });

  test('closed for good only where all are', async () => {
    const world = await server(['spdy']);
    const api = apiFor(world.fake.url);
    const broken = (stream: { on: Duplex['on']; destroy: Duplex['destroy'] }): never => {
      stream.on('error', () => undefined);
      stream.destroy();
      throw new KtError('LINK_LOST', 'the agent does not listen yet');
    };
    const error = await rejection(waysOf(api).through(AT, broken, { signal }));
    expect(error.message).toContain('port-forward over SPDY: the agent does not listen yet');
    expect(waysOf(api).closedForGood(error)).toBe(false);
  });

  test('a way that opens and then carries nothing is closed too', async () => {
    const world = await server(WAYS);
    const api = apiFor(world.fake.url);
    let first = true;
    const passage = await waysOf(api).through(
      AT,
      (stream) => {
        stream.on('error', () => undefined).destroy();
        if (first) {
          first = false;
          throw new KtError('LINK_LOST', 'it broke');
        }
      },
      { signal },
    );
    expect(passage.way).toBe('spdy');
  });
});

describe('remembered', () => {
  test('by this API: the next connection begins with it', async () => {
    const world = await server(['spdy']);
    const api = apiFor(world.fake.url);
    await take(api);
    world.seen.length = 0;
    expect(await take(api)).toMatchObject({ way: 'spdy', refused: [] });
    expect(world.seen).toEqual(['spdy']);
  });

  test('on this laptop: the next kt begins with it, and forgets it when the first is open again', async () => {
    const open: Way[] = ['spdy'];
    const world = await server(open);
    await take(apiFor(world.fake.url));
    expect(readdirSync(join(cache, 'kt')).length).toBe(1);
    world.seen.length = 0;
    expect(await take(apiFor(world.fake.url))).toMatchObject({ way: 'spdy', refused: [] });
    expect(world.seen).toEqual(['spdy']);
    open.splice(0, 1, 'portforward');
    expect(await take(apiFor(world.fake.url))).toMatchObject({ way: 'portforward' });
    expect(readdirSync(join(cache, 'kt'))).toEqual([]);
  });

  test('where the first is open nothing is written', async () => {
    await take(apiFor((await server(WAYS)).fake.url));
    expect(readdirSync(cache)).toEqual([]);
  });
});

describe('no other way is tried', () => {
  test('where the pod is gone', async () => {
    const world = await server([], { status: 404, body: statusBody(404, 'NotFound', 'pods "agent-0" not found') });
    expect(await failure(take(apiFor(world.fake.url)))).toMatchObject({ code: 'API_STATUS' });
    expect(world.seen).toEqual(['portforward']);
  });

  test('where credentials are refused', async () => {
    const world = await server([], { status: 401, body: '' });
    expect(await failure(take(apiFor(world.fake.url)))).toMatchObject({ code: 'CREDENTIALS_REJECTED' });
    expect(world.seen).toEqual(['portforward']);
  });

  test('where nobody listens yet', async () => {
    const world = await server(WAYS);
    const refused = waysOf(apiFor(world.fake.url)).through(
      AT,
      (stream) => {
        stream.on('error', () => undefined).destroy();
        throw new KtError('DIAL_REFUSED', 'nothing listens');
      },
      { signal },
    );
    expect(await failure(refused)).toMatchObject({ code: 'DIAL_REFUSED' });
    expect(world.seen).toEqual(['portforward']);
  });

  test('where a way is named', async () => {
    const world = await server(['portforward']);
    expect((await failure(take(apiFor(world.fake.url, { transport: 'exec' })))).code).toBe('UPGRADE_REFUSED');
    expect(world.seen).toEqual(['exec']);
  });

  test('where a way that has carried bytes breaks', async () => {
    const world = await server(WAYS);
    const api = apiFor(world.fake.url);
    await take(api);
    const broken = waysOf(api).through(
      AT,
      (stream) => {
        stream.on('error', () => undefined).destroy();
        throw new KtError('LINK_LOST', 'the line went');
      },
      { signal },
    );
    expect(await failure(broken)).toMatchObject({ code: 'LINK_LOST' });
    expect(world.seen).toEqual(['portforward', 'portforward']);
  });
});
