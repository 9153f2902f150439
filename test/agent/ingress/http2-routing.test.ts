// A taken Service whose callers speak HTTP/2 without TLS: who gets which request, what a silent laptop and a leaving origin cost, and that
// nothing stays open. Real sockets, real links; only the cluster around it is missing.
import { once } from 'node:events';
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  createServer as createHttp2,
  type ServerHttp2Session,
} from 'node:http2';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { IngressWorld, portOf } from '../../support/ingress-world.ts';

const ANNA = { kind: 'header', name: 'VERSION', value: 'anna' } as const;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

describe('HTTP/2 without TLS', () => {
  interface H2 {
    readonly port: number;
    readonly sessions: ServerHttp2Session[];
    readonly connections: () => Promise<number>;
  }
  const h2 = async (name: string): Promise<H2> => {
    const server = createHttp2();
    const sessions: ServerHttp2Session[] = [];
    server.on('session', (session) => sessions.push(session));
    server.on('stream', (stream, headers) => {
      stream.on('error', () => undefined);
      stream.respond({ ':status': 200, app: name, path: headers[':path'] ?? '' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.pipe(stream);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => server.close());
    const connections = promisify(server.getConnections.bind(server));
    return { port: portOf(server), sessions, connections };
  };
  const caller = (port: number): ClientHttp2Session => {
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    closers.push(() => session.destroy());
    return session;
  };
  const call = async (session: ClientHttp2Session, headers: Record<string, string> = {}): Promise<string> => {
    const stream = session.request({ ':method': 'POST', ':path': '/p', ...headers });
    stream.end('hello');
    const [answer] = (await once(stream, 'response')) as [Record<string, string>];
    let text = '';
    const trailers = once(stream, 'trailers') as Promise<[Record<string, string>]>;
    for await (const chunk of stream) text += String(chunk);
    return `${answer['app']} ${answer['path']} ${text} ${(await trailers)[0]['grpc-status']}`;
  };
  const mark = { version: 'anna' };

  test('each request by its mark, with trailers, on one connection', async () => {
    const meshed = await IngressWorld.start({ originPort: (await h2('origin')).port });
    closers.push(() => meshed.close());
    const laptop = await meshed.laptop({ localPort: (await h2('laptop')).port });
    await laptop.hold(ANNA);
    const session = caller(meshed.port);
    expect(await Promise.all([call(session), call(session, mark), call(session, { version: 'ben' })])).toEqual([
      'origin /p hello 0',
      'laptop /p hello 0',
      'origin /p hello 0',
    ]);
    laptop.cut();
    await expect.poll(() => meshed.registry.holders()[0]?.live).toBe(false);
    expect(await call(session, mark)).toBe('origin /p hello 0');
  });

  test('requests that come together share one connection to the laptop, which ends with the caller’s', async () => {
    const meshed = await IngressWorld.start({ originPort: (await h2('origin')).port });
    closers.push(() => meshed.close());
    const app = await h2('laptop');
    const laptop = await meshed.laptop({ localPort: app.port });
    await laptop.hold(ANNA);
    const session = caller(meshed.port);
    const answers = await Promise.all(Array.from({ length: 20 }, () => call(session, mark)));
    expect(new Set(answers)).toEqual(new Set(['laptop /p hello 0']));
    expect(app.sessions.length).toBe(1);
    session.destroy();
    await expect.poll(() => app.connections()).toBe(0);
  });

  test('the laptop is silent: one request waits for it, later ones do not, what is open goes on, and its word ends the doubt', async () => {
    const limits = { openingMs: 100, proveAfterMs: 0, proveMs: 100 };
    const meshed = await IngressWorld.start({ originPort: (await h2('origin')).port, limits });
    closers.push(() => meshed.close());
    const laptop = await meshed.laptop({ localPort: (await h2('laptop')).port });
    await laptop.hold(ANNA);
    const session = caller(meshed.port);
    const open = session.request({ ':method': 'POST', ':path': '/open', ...mark });
    await once(open, 'response');
    laptop.stall();
    expect(await Promise.all([call(session, mark), call(session, mark)])).toEqual(Array(2).fill('origin /p hello 0'));
    expect(await call(session, mark)).toBe('origin /p hello 0');
    laptop.resume();
    await expect.poll(() => call(session, mark)).toBe('laptop /p hello 0');
    open.end('late');
    let text = '';
    for await (const chunk of open) text += String(chunk);
    expect(text).toBe('late');
  });

  test('the origin says GOAWAY while an answer is on its way: that one goes on, the next request gets another connection', async () => {
    const origin = await h2('origin');
    const meshed = await IngressWorld.start({ originPort: origin.port });
    closers.push(() => meshed.close());
    const session = caller(meshed.port);
    const open = session.request({ ':method': 'POST', ':path': '/open' });
    await once(open, 'response');
    origin.sessions[0]?.close();
    await expect.poll(() => call(session)).toBe('origin /p hello 0');
    await expect.poll(() => origin.sessions.length).toBe(2);
    open.end('late');
    let text = '';
    for await (const chunk of open) text += String(chunk);
    expect(text).toBe('late');
  });
});
