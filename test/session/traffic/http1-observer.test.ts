// The observer of HTTP/1.x against messages that node:http made and cut anywhere: it sees each exchange once, in order, and never throws.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Http1Observer, REQUEST_KEPT, RESPONSE_KEPT } from '../../../src/session/traffic/http1-observer.machine.ts';

interface Seen {
  readonly log: string[];
  readonly observer: Http1Observer;
}

function watched(): Seen {
  const log: string[] = [];
  const observer = new Http1Observer({
    request: ({ request }) => log.push(`> ${request.line}`),
    answer: ({ response, upgrade }) =>
      log.push(`< ${response?.line ?? ''}${upgrade === undefined ? '' : ` = ${upgrade}`}`),
    end: ({ request, response }) =>
      log.push(
        `${request.body.bytes} ${request.body.content.toString()} / ${response?.body.bytes ?? 0} ${response?.body.content.toString() ?? ''}`,
      ),
    lost: () => log.push('lost'),
  });
  return { log, observer };
}

const chunked = (body: string): string => `${body.length.toString(16)};x=y\r\n${body}\r\n0\r\nTrailer: t\r\n\r\n`;

const EXCHANGES: readonly [request: string, answer: string, seen: string[]][] = [
  [
    'GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    ['> GET /a?b=c HTTP/1.1', '< HTTP/1.1 200 OK', '0  / 2 ok'],
  ],
  [
    'POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello',
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n',
    ['> POST / HTTP/1.1', '< HTTP/1.1 201 Created', '5 hello / 0 '],
  ],
  [
    `PUT /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n${chunked('abc')}`,
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunked('answer')}`,
    ['> PUT /p HTTP/1.1', '< HTTP/1.1 200 OK', '3 abc / 6 answer'],
  ],
  [
    'HEAD /h HTTP/1.1\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n',
    ['> HEAD /h HTTP/1.1', '< HTTP/1.1 200 OK', '0  / 0 '],
  ],
  [
    'GET /n HTTP/1.1\r\n\r\n',
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n',
    ['> GET /n HTTP/1.1', '< HTTP/1.1 304 Not Modified', '0  / 0 '],
  ],
];

/** In pieces of the lengths that are given, in turn. */
function* cut(text: string, lengths: readonly number[]): Generator<Buffer> {
  const bytes = Buffer.from(text, 'latin1');
  for (let [at, turn] = [0, 0]; at < bytes.length; turn += 1) {
    const length = lengths[turn % lengths.length] ?? 1;
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

describe('HTTP/1 observer', () => {
  test('any exchanges on one connection, cut anywhere', () => {
    const exchange = fc.constantFrom(...EXCHANGES);
    const lengths = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(fc.array(exchange, { minLength: 1, maxLength: 6 }), lengths, lengths, (exchanges, there, back) => {
        const { log, observer } = watched();
        for (const [request, answer] of exchanges) {
          for (const piece of cut(request, there)) observer.fromCaller(piece);
          for (const piece of cut(answer, back)) observer.fromApp(piece);
        }
        expect(log).toEqual(exchanges.flatMap(([, , seen]) => seen));
      }),
    );
  });

  test('pipelined requests are answered in their order', () => {
    const { log, observer } = watched();
    observer.fromCaller(Buffer.from('GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n'));
    observer.fromApp(
      Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\n2'),
    );
    expect(log).toEqual([
      '> GET /1 HTTP/1.1',
      '> GET /2 HTTP/1.1',
      '< HTTP/1.1 200 OK',
      '0  / 1 1',
      '< HTTP/1.1 404 No',
      '0  / 1 2',
    ]);
  });

  test('an answer without a length ends with the connection', () => {
    const { log, observer } = watched();
    observer.fromCaller(Buffer.from('GET / HTTP/1.0\r\n\r\n'));
    observer.fromApp(Buffer.from('HTTP/1.0 200 OK\r\n\r\nall'));
    observer.fromApp(Buffer.from(' of it'));
    expect(log.at(-1)).toBe('< HTTP/1.0 200 OK');
    observer.appEnded();
    expect(log.at(-1)).toBe('0  / 9 all of it');
  });

  test('a websocket: what it became; the bytes behind are not read', () => {
    const { log, observer } = watched();
    observer.fromCaller(Buffer.from('GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'));
    observer.fromApp(Buffer.from('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x02hi'));
    observer.fromCaller(Buffer.from([0x81, 0x82, 1, 2, 3, 4]));
    expect(log).toEqual(['> GET /ws HTTP/1.1', '< HTTP/1.1 101 Switching Protocols = websocket']);
  });

  test('bodies are counted whole and kept up to the limits', () => {
    const kept: number[] = [];
    const observer = new Http1Observer({
      request: () => undefined,
      answer: () => undefined,
      end: ({ request, response }) =>
        kept.push(request.body.bytes, request.body.kept, response?.body.bytes ?? 0, response?.body.kept ?? 0),
      lost: () => kept.push(-1),
    });
    observer.fromCaller(Buffer.from('POST / HTTP/1.1\r\nContent-Length: 200000\r\n\r\n'));
    for (let sent = 0; sent < 200_000; sent += 50_000) observer.fromCaller(Buffer.alloc(50_000));
    observer.fromApp(Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n'));
    observer.fromApp(Buffer.alloc(100_000));
    expect(kept).toEqual([200_000, REQUEST_KEPT, 100_000, RESPONSE_KEPT]);
  });

  test.each([
    ['both lengths', 'POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', ''],
    ['an answer that nobody asked for', '', 'HTTP/1.1 200 OK\r\n\r\n'],
    ['an answer that is no HTTP', 'GET / HTTP/1.1\r\n\r\n', 'SSH-2.0-x\r\n\r\n'],
    ['lines that end with LF', 'GET / HTTP/1.1\n\n', ''],
  ])('%s: lost, once, and nothing is thrown', (_, request, answer) => {
    const { log, observer } = watched();
    if (request) observer.fromCaller(Buffer.from(request));
    if (answer) observer.fromApp(Buffer.from(answer));
    observer.fromCaller(Buffer.from(request));
    observer.appEnded();
    expect(log.filter((line) => line === 'lost')).toHaveLength(1);
    expect(log.at(-1)).toBe('lost');
  });

  test('garbage on both sides', () => {
    const chunk = fc.uint8Array({ maxLength: 200 });
    const text = fc.string().map((line) => Buffer.from(`GET / HTTP/1.1\r\n${line}\r\n\r\n`));
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.oneof(chunk, text))), (pieces) => {
        const { observer } = watched();
        for (const [fromCaller, bytes] of pieces) {
          if (fromCaller) observer.fromCaller(Buffer.from(bytes));
          else observer.fromApp(Buffer.from(bytes));
        }
        observer.appEnded();
      }),
    );
  });
});
