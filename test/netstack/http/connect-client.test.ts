// CONNECT through proxies on the loopback interface: HTTP, HTTPS and SOCKS5 ones, with and without a password.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createRequire } from 'node:module';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { KtError } from '../../../src/errors.ts';
import { connectThroughProxy, type ProxyRefusal } from '../../../src/netstack/http/connect-client.ts';
import { corporateDialer } from '../../../src/netstack/http/corporate-dialer.ts';
import { parseProxyUrl, proxyName } from '../../../src/netstack/http/proxy-url.ts';

/** The package has no types. */
const socks = createRequire(import.meta.url)('@mongodb-js/socksv5') as {
  createServer(onRequest: (info: unknown, accept: () => void) => void): Server & { useAuth(auth: unknown): void };
  auth: {
    None(): unknown;
    UserPassword(check: (user: string, password: string, done: (ok: boolean) => void) => void): unknown;
  };
};

const signal = (): AbortSignal => AbortSignal.timeout(15_000);

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** Says `hello` at once, then echoes. */
const destination = (): Promise<number> =>
  listening(
    createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined);
      onTestFinished(() => void socket.destroy());
      socket.write('hello ');
      socket.pipe(socket);
    }),
  );

type OnConnect = (request: IncomingMessage, socket: Duplex) => void;

/** Leads where it is told, for `worker` with the password `se:cret%`. */
const askingForPassword: OnConnect = (request, socket) => {
  const wanted = `Basic ${Buffer.from('worker:se:cret%').toString('base64')}`;
  if (request.headers['proxy-authorization'] === wanted) return lead(request, socket);
  return void socket.end('HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm="corp"\r\nContent-Length: 0\r\n\r\n');
};

const lead: OnConnect = (request, socket) => {
  const [host, port] = (request.url ?? '').split(':');
  const line = connect(Number(port), host);
  line.on('error', () => socket.destroy());
  line.once('data', (first) => {
    // The destination's first bytes come in one piece with the answer.
    socket.write(Buffer.concat([Buffer.from('HTTP/1.1 200 Connection established\r\n\r\n'), first]));
    line.pipe(socket).pipe(line);
  });
};

async function proxy(onConnect: OnConnect): Promise<{ port: number; asked: IncomingMessage[] }> {
  const asked: IncomingMessage[] = [];
  const server = createHttpServer();
  server.on('connect', (request: IncomingMessage, socket: Duplex) => {
    asked.push(request);
    socket.on('error', () => undefined);
    onTestFinished(() => void socket.destroy());
    onConnect(request, socket);
  });
  return { port: await listening(server), asked };
}

const answers =
  (text: string): OnConnect =>
  (_, socket) =>
    void socket.write(text);

async function failed(work: Promise<unknown>): Promise<KtError> {
  const error = await work.then(
    () => undefined,
    (caught: unknown) => caught as KtError,
  );
  expect(error).toBeDefined();
  return error as KtError;
}

async function read(stream: Duplex, length: number): Promise<string> {
  let text = '';
  while (text.length < length) text += String(((await once(stream, 'data')) as [Buffer])[0]);
  return text;
}

const to = (url: string, port: number) =>
  connectThroughProxy({ proxy: new URL(url), target: { host: '127.0.0.1', port }, signal: signal() });

describe('connectThroughProxy', () => {
  test('with the name and password of the URL, and the first bytes of the destination', async () => {
    const { port, asked } = await proxy(askingForPassword);
    const target = await destination();
    const socket = await to(`http://worker:se%3Acret%25@127.0.0.1:${port}`, target);
    socket.write('again');
    expect(await read(socket, 11)).toBe('hello again');
    expect(asked[0]).toMatchObject({
      method: 'CONNECT',
      url: `127.0.0.1:${target}`,
      headers: { host: `127.0.0.1:${target}` },
    });
    socket.destroy();
  });

  test('IPv6 destinations have brackets', async () => {
    const { port, asked } = await proxy(answers('HTTP/1.1 502 x\r\n\r\n'));
    await failed(
      connectThroughProxy({
        proxy: new URL(`http://127.0.0.1:${port}`),
        target: { host: '2001:db8::1', port: 443 },
        signal: signal(),
      }),
    );
    expect(asked[0]?.url).toBe('[2001:db8::1]:443');
  });

  test.each([
    ['no password', 'http://127.0.0.1', 'asks for a name and a password', 'HTTPS_PROXY=http://name:password@host:port'],
    [
      'a wrong password',
      'http://worker:s3cret@127.0.0.1',
      'does not accept the name and password of its URL',
      'put them into its URL',
    ],
  ])('%s', async (_, url, message, hint) => {
    const { port } = await proxy(askingForPassword);
    const error = await failed(to(`${url}:${port}`, 1));
    expect(error).toMatchObject({ code: 'CORPORATE_PROXY', message: `the proxy http://127.0.0.1:${port} ${message}` });
    expect(error.hint).toContain(hint);
    expect(`${JSON.stringify(error)} ${error.message} ${error.hint}`).not.toContain('s3cret');
  });

  test('a login that kt does not speak', async () => {
    const { port } = await proxy(
      answers(
        'HTTP/1.1 407 x\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n',
      ),
    );
    const error = await failed(to(`http://127.0.0.1:${port}`, 1));
    expect(error.message).toContain('asks for a login by Negotiate');
    expect(error.hint).toContain('cntlm');
  });

  test('another refusal', async () => {
    const { port } = await proxy(answers('HTTP/1.1 403 Filtered\r\nContent-Length: 6\r\n\r\n<html>'));
    const error = await failed(to(`http://127.0.0.1:${port}`, 443));
    expect(error).toMatchObject({
      code: 'CORPORATE_PROXY',
      message: `the proxy http://127.0.0.1:${port} does not connect to 127.0.0.1:443: it answered 403`,
    });
    expect((error.cause as ProxyRefusal).status).toBe(403);
  });

  test.each([
    ['closes', (socket: Socket) => void socket.end()],
    ['resets', (socket: Socket) => void socket.resetAndDestroy()],
    ['speaks something else', (socket: Socket) => void socket.write('SSH-2.0-x\r\n')],
    ['sends endless fields', (socket: Socket) => void socket.write(`HTTP/1.1 200 x\r\n${'a: b\r\n'.repeat(50_000)}`)],
  ])('a proxy that %s', async (_, serve) => {
    const port = await listening(
      createServer((socket) => {
        socket.on('error', () => undefined);
        onTestFinished(() => void socket.destroy());
        socket.once('data', () => serve(socket));
      }),
    );
    expect((await failed(to(`http://127.0.0.1:${port}`, 1))).code).toBe('CORPORATE_PROXY');
  });

  test('a proxy that is not there', async () => {
    const server = createServer();
    const port = await listening(server);
    server.close();
    await once(server, 'close');
    const error = await failed(to(`http://u:s3cret@127.0.0.1:${port}`, 1));
    expect(error).toMatchObject({
      code: 'CORPORATE_PROXY',
      message: `the proxy http://127.0.0.1:${port} can't be used: ECONNREFUSED`,
    });
  });

  test('silence ends with the signal, and the connection with it', async () => {
    const asked = Promise.withResolvers<Socket>();
    const port = await listening(
      createServer((socket) => socket.on('error', () => undefined).once('data', () => asked.resolve(socket))),
    );
    const stop = new AbortController();
    const work = failed(
      connectThroughProxy({
        proxy: new URL(`http://127.0.0.1:${port}`),
        target: { host: 'x', port: 1 },
        signal: stop.signal,
      }),
    );
    const peer = await asked.promise;
    const closed = once(peer, 'close');
    stop.abort(new Error('enough'));
    expect((await work).message).toBe('enough');
    peer.resume();
    await closed;
  });

  test('the signal counts for the opening only', async () => {
    const { port } = await proxy(lead);
    const stop = new AbortController();
    const target = { host: '127.0.0.1', port: await destination() };
    const socket = await connectThroughProxy({
      proxy: new URL(`http://127.0.0.1:${port}`),
      target,
      signal: stop.signal,
    });
    stop.abort();
    socket.write('again');
    expect(await read(socket, 11)).toBe('hello again');
    socket.destroy();
  });

  test('an https proxy that nobody vouches for', async () => {
    const folder = join(import.meta.dirname, '../../fixtures/tls');
    const port = await listening(
      createHttpsServer({
        cert: readFileSync(join(folder, 'server.pem')),
        key: readFileSync(join(folder, 'server.key')),
      }),
    );
    const error = await failed(to(`https://127.0.0.1:${port}`, 1));
    expect(error.code).toBe('CORPORATE_PROXY');
    expect(error.message).toMatch(/UNABLE_TO|SELF_SIGNED/);
  });
});

describe('SOCKS5 proxies', () => {
  const socksProxy = async (password?: string): Promise<number> => {
    const server = socks.createServer((_, accept) => accept());
    server.useAuth(
      password === undefined
        ? socks.auth.None()
        : socks.auth.UserPassword((user, given, done) => done(user === 'worker' && given === password)),
    );
    return listening(server);
  };

  test('without and with a password', async () => {
    const target = await destination();
    for (const [password, user] of [
      [undefined, ''],
      ['secret', 'worker:secret@'],
    ] as const) {
      const socket = await to(`socks5://${user}127.0.0.1:${await socksProxy(password)}`, target);
      socket.write('again');
      expect(await read(socket, 11)).toBe('hello again');
      socket.destroy();
    }
  });

  test('a wrong password, and none', async () => {
    expect((await failed(to(`socks5://worker:s3cret@127.0.0.1:${await socksProxy('secret')}`, 1))).message).toMatch(
      /does not accept the name and password of its URL$/,
    );
    expect((await failed(to(`socks5://127.0.0.1:${await socksProxy('secret')}`, 1))).message).toMatch(
      /asks for a login that its URL does not give$/,
    );
  });

  test('the wire, by name and by address; a refusal; the first bytes of the destination', async () => {
    const seen: string[] = [];
    const serve = (reply: string) =>
      listening(
        createServer((socket) => {
          socket.on('error', () => undefined);
          socket.on('data', (chunk) => {
            seen.push(chunk.toString('hex'));
            if (chunk.length === 3) socket.write(Buffer.from([5, 0]));
            else socket.end(Buffer.from(reply, 'hex'));
          });
        }),
      );
    const at = async (reply: string, host: string): Promise<Socket> =>
      connectThroughProxy({
        proxy: new URL(`socks5h://127.0.0.1:${await serve(reply)}`),
        target: { host, port: 443 },
        signal: signal(),
      });
    expect(await read(await at('05000003026162005068692121', 'api.test'), 4)).toBe('hi!!');
    expect(await read(await at('05000001000000000050686921', '::1'), 3)).toBe('hi!');
    expect(seen).toEqual([
      '050100',
      '050100030861 70692e7465737401bb'.replace(' ', ''),
      '050100',
      '050100040000000000000000000000000000000101bb',
    ]);
    expect((await failed(at('05050001000000000000', '10.0.0.1'))).message).toBe(
      "the SOCKS5 proxy can't be used: it does not connect to 10.0.0.1:443: the connection was refused",
    );
    expect((await failed(at('', '10.0.0.1'))).code).toBe('CORPORATE_PROXY');
  });

  test('what does not speak SOCKS5', async () => {
    const port = await listening(createServer((socket) => socket.end('HTTP/1.1 400 x\r\n\r\n')));
    expect((await failed(to(`socks5://127.0.0.1:${port}`, 1))).message).toMatch(/does not speak SOCKS5$/);
  });
});

describe('corporateDialer', () => {
  test('none without a proxy', () => {
    expect(corporateDialer({ NO_PROXY: '*', ALL_PROXY: 'http://x' })).toBeUndefined();
  });

  test('dials, with half-close', async () => {
    const { port } = await proxy(lead);
    const dialer = corporateDialer({ https_proxy: `127.0.0.1:${port}` });
    const connection = await dialer?.dial({ host: '127.0.0.1', port: await destination() });
    if (!connection) throw new Error('no connection');
    await connection.opened;
    connection.stream.end('bye');
    let text = '';
    for await (const chunk of connection.stream as AsyncIterable<Buffer>) text += chunk.toString();
    expect(text).toBe('hello bye');
  });

  test('HTTP_PROXY for port 80, HTTPS_PROXY for the rest', async () => {
    const [plain, secure] = [
      await proxy(answers('HTTP/1.1 502 x\r\n\r\n')),
      await proxy(answers('HTTP/1.1 502 x\r\n\r\n')),
    ];
    const dialer = corporateDialer({
      HTTP_PROXY: `http://127.0.0.1:${plain.port}`,
      HTTPS_PROXY: `http://127.0.0.1:${secure.port}`,
    });
    for (const port of [80, 443, 8080]) await failed(dialer?.dial({ host: 'x.test', port }) ?? Promise.resolve());
    expect([plain.asked.map(({ url }) => url), secure.asked.map(({ url }) => url)]).toEqual([
      ['x.test:80'],
      ['x.test:443', 'x.test:8080'],
    ]);
  });

  test.each([
    [403, 'DIAL_DENIED'],
    [502, 'DIAL_FAILED'],
    [503, 'DIAL_FAILED'],
    [504, 'DIAL_TIMEOUT'],
    [407, 'CORPORATE_PROXY'],
    [500, 'CORPORATE_PROXY'],
  ])('%i is %s', async (status, code) => {
    const { port } = await proxy(answers(`HTTP/1.1 ${status} x\r\nContent-Length: 0\r\n\r\n`));
    const dialer = corporateDialer({ HTTPS_PROXY: `http://127.0.0.1:${port}` });
    expect((await failed(dialer?.dial({ host: 'x.test', port: 443 }) ?? Promise.resolve())).code).toBe(code);
  });

  test('time and cancellation', async () => {
    const { port } = await proxy(() => undefined);
    const dialer = corporateDialer({ HTTPS_PROXY: `http://127.0.0.1:${port}` });
    const dial = (options: object) => failed(dialer?.dial({ host: 'x.test', port: 443 }, options) ?? Promise.resolve());
    expect((await dial({ timeoutMs: 30 })).code).toBe('DIAL_TIMEOUT');
    expect((await dial({ signal: AbortSignal.abort() })).code).toBe('CANCELLED');
  });

  test('no names, no UDP', async () => {
    const dialer = corporateDialer({ HTTPS_PROXY: 'http://127.0.0.1:1' });
    expect((await failed(dialer?.resolve('x', 'A') ?? Promise.resolve())).code).toBe('UNSUPPORTED');
    expect((await failed(dialer?.datagrams({ host: 'x', port: 1 }) ?? Promise.resolve())).code).toBe('UNSUPPORTED');
  });
});

describe('proxy URLs', () => {
  test.each(['ftp://u:s3cret@x', 'http://', '://', 'http://u:s3cret@'])(
    '%s is refused without its text',
    async (text) => {
      const error = await failed((async () => parseProxyUrl(text, 'the variable X'))());
      expect(error.message).toBe('the variable X is not the URL of a proxy that kt can speak to');
    },
  );

  test('the name has no password', () => {
    expect(proxyName(parseProxyUrl('u:s3cret@proxy.test:3128', 'x'))).toBe('http://proxy.test:3128');
  });
});
