// HTTP/1.x heads and bodies as an intermediary reads them. What counts is that nobody behind it reads another message out of the same bytes
// (request smuggling): nasty requests are given to this reader and to Node's own, and both must see the same ones, or one of them none.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type Server } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  endless,
  headEnd,
  parseRequest,
  parseResponse,
  protocolOf,
  withClose,
  withForwardedFor,
} from '../../../src/netstack/http/http1.codec.ts';
import { BodyCounter, HttpFault, requestBody, responseBody } from '../../../src/netstack/http/http1-body.codec.ts';

interface Message {
  readonly method: string;
  readonly body: string;
}

interface Reading {
  readonly messages: Message[];
  /** raw: not read without a doubt, all that follows goes on as it is. fault: refused. more: the rest did not come. */
  readonly end: 'raw' | 'fault' | 'more';
}

/** As the ingress agent reads a caller's connection. */
function readAll(bytes: Buffer): Reading {
  const messages: Message[] = [];
  let rest = bytes;
  for (;;) {
    while (rest.length >= 2 && rest[0] === 13 && rest[1] === 10) rest = rest.subarray(2);
    const end = headEnd(rest);
    if (end < 0) return { messages, end: endless(rest) ? 'raw' : 'more' };
    const head = parseRequest(rest.subarray(0, end));
    if (head === undefined) return { messages, end: 'raw' };
    try {
      const counter = new BodyCounter(requestBody(head));
      const taken = counter.take(rest, end);
      if (!counter.done) return { messages, end: 'more' };
      const whole = rest.subarray(end, end + taken);
      messages.push({ method: head.method, body: head.field('transfer-encoding') ? dechunked(whole) : String(whole) });
      rest = rest.subarray(end + taken);
      if (!head.persistent) return { messages, end: 'fault' };
    } catch (error) {
      if (!(error instanceof HttpFault)) throw error;
      return { messages, end: 'fault' };
    }
  }
}

function dechunked(bytes: Buffer): string {
  let body = '';
  for (let at = 0; ; ) {
    const line = bytes.indexOf('\r\n', at);
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16);
    if (size === 0) return body;
    body += bytes.toString('latin1', line + 2, line + 2 + size);
    at = line + 2 + size + 2;
  }
}

describe.each([false, true])('the same messages as others see (Node, lenient: %s)', (insecureHTTPParser) => {
  let server: Server;
  let port: number;
  let seen: Message[] = [];
  beforeAll(async () => {
    server = createServer({ keepAlive: true, insecureHTTPParser }, (asked, answer) => {
      let body = '';
      asked.setEncoding('latin1').on('data', (chunk: string) => (body += chunk));
      asked
        .on('error', () => undefined)
        .on('end', () => {
          seen.push({ method: asked.method ?? '', body });
          answer.end();
        });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as { port: number }).port;
  });
  afterAll(() => server.close());

  async function nodeReads(bytes: Buffer): Promise<Message[]> {
    seen = [];
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => undefined).resume();
    socket.end(bytes);
    await once(socket, 'close');
    return seen;
  }

  const field = fc.constantFrom(
    'Content-Length: 3',
    'Content-Length: 5',
    'Content-Length: +3',
    'Content-Length: 3, 3',
    'Content-Length: 3, 5',
    'Content-Length: 0x3',
    'Content-Length:',
    'Content-Length : 3',
    'content-length:\t3 ',
    'Transfer-Encoding: chunked',
    'Transfer-Encoding: Chunked',
    'Transfer-Encoding:\tchunked ',
    'Transfer-Encoding : chunked',
    'Transfer-Encoding: chunked, identity',
    'Transfer-Encoding: gzip, chunked',
    'Transfer-Encoding: chunked\u000b',
    'Transfer-Encoding: xchunked',
    'Transfer-Encoding: identity',
    'Transfer-Encoding:',
    'Transfer-Encoding\0: chunked',
    'X: y\n Transfer-Encoding: chunked',
    'X: y\rTransfer-Encoding: chunked',
    'X: y\nTransfer-Encoding: chunked',
    ' folded: chunked',
    'Connection: close',
    'Connection: keep-alive',
    'X-Plain: yes',
  );
  const body = fc.constantFrom(
    '',
    'abc',
    'abcde',
    '0\r\n\r\n',
    '3\r\nabc\r\n0\r\n\r\n',
    '3;x=y\r\nabc\r\n0\r\nTrailer: z\r\n\r\n',
    '3 \r\nabc\r\n0\r\n\r\n',
    '3\nabc\r\n0\r\n\r\n',
    '3\r\nabcd\r\n0\r\n\r\n',
    '03\r\nabc\r\n00\r\n\r\n',
    '-3\r\nabc\r\n0\r\n\r\n',
    '3;\rx\r\nabc\r\n0\r\n\r\n',
    'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n',
  );
  const start = fc.constantFrom(
    'GET / HTTP/1.1',
    'POST / HTTP/1.1',
    'POST / HTTP/1.0',
    'POST /  HTTP/1.1',
    'POST\t/ HTTP/1.1',
    'PUT / HTTP/1.2',
  );
  const message = fc
    .record({ start, fields: fc.array(field, { maxLength: 3 }), body })
    .map((one) => `${[one.start, 'Host: a', ...one.fields].join('\r\n')}\r\n\r\n${one.body}`);

  test('nasty requests, and those behind them', { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 2 }), async (messages) => {
        const bytes = Buffer.from(
          `${messages.join('')}GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
          'latin1',
        );
        const ours = readAll(bytes);
        const theirs = await nodeReads(bytes);
        const both = Math.min(ours.messages.length, theirs.length);
        expect(ours.messages.slice(0, both)).toEqual(theirs.slice(0, both));
        // What this one does not read goes on as it is, or is refused: nothing that others find there was judged by it.
        if (theirs.length > ours.messages.length) expect(ours.end).not.toBe('more');
      }),
      { numRuns: 400 },
    );
  });
});

describe('what others may read differently is not read', () => {
  test.each([
    'Content-Length: 3\r\nTransfer-Encoding: chunked',
    'Transfer-Encoding: chunked\r\nContent-Length: 3',
    'Transfer-Encoding: chunked, identity',
    'Transfer-Encoding: chunked, chunked',
    'Transfer-Encoding: chunked,',
    'Transfer-Encoding: xchunked',
    'Transfer-Encoding: chunked\u000b',
    'Transfer-Encoding:',
    'Transfer-Encoding : chunked',
    'Transfer-Encoding\t: chunked',
    'X: y\r\n Transfer-Encoding: chunked',
    'X: y\nTransfer-Encoding: chunked',
    'X: y\rTransfer-Encoding: chunked',
    'X: \0\r\nTransfer-Encoding: chunked',
    'Content-Length: 3\r\nContent-Length: 5',
    'Content-Length: 3, 5',
    'Content-Length: +3',
    'Content-Length: -3',
    'Content-Length: 3 3',
    'Content-Length: 0x3',
    'Content-Length: ',
    'Content-Length : 3',
    'Content-Length: 9999999999999999',
  ])('%j', (fields) => {
    const bytes = Buffer.from(`POST / HTTP/1.1\r\nHost: a\r\n${fields}\r\n\r\nabc`, 'latin1');
    const { messages, end } = readAll(bytes);
    expect(messages).toEqual([]);
    expect(end).not.toBe('more');
  });

  test.each([
    '3\nabc\r\n0\r\n\r\n',
    '3\r\nabcd\r\n0\r\n\r\n',
    '-3\r\n',
    '3;\rx\r\nabc\r\n',
    '0x3\r\nabc\r\n',
    '\r\n',
    ' 3\r\n',
    '3 3\r\n',
  ])('chunks: %j', (body) => {
    const bytes = Buffer.from(`POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${body}`, 'latin1');
    expect(readAll(bytes)).toEqual({ messages: [], end: 'fault' });
  });
});

describe('heads', () => {
  const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}$/);
  const value = fc.stringMatching(/^[\x21-\x7e\x80-\xff]([\x20-\x7e\x80-\xff]{0,20}[\x21-\x7e\x80-\xff])?$/);
  const fields = fc.array(fc.tuple(token, value), { maxLength: 8 });

  test('whatever comes is read or refused, and never an exception', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.string({ maxLength: 200 }).map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(bytes, (some) => {
        const raw = Buffer.concat([Buffer.from(some), Buffer.from('\r\n\r\n')]);
        parseRequest(raw);
        parseResponse(raw);
        protocolOf(raw);
      }),
    );
  });

  test('fields by name, several joined; the caller’s address is added and every other byte stays', () => {
    fc.assert(
      fc.property(fields, token, (pairs, method) => {
        const text = `${method} /x HTTP/1.1\r\n${pairs.map(([name, one]) => `${name}: ${one}\r\n`).join('')}\r\n`;
        const head = parseRequest(Buffer.from(text, 'latin1'));
        if (head === undefined) throw new Error(`not read: ${text}`);
        for (const [name] of pairs) {
          const all = pairs.filter(([other]) => other.toLowerCase() === name.toLowerCase()).map(([, one]) => one);
          expect(head.field(name.toLowerCase())).toBe(all.join(', '));
        }
        const more = parseRequest(withForwardedFor(head, '10.0.0.1'));
        const before = head.field('x-forwarded-for');
        expect(more?.field('x-forwarded-for')).toBe(before === undefined ? '10.0.0.1' : `${before}, 10.0.0.1`);
        const closing = parseRequest(withClose(head));
        expect(closing?.persistent).toBe(false);
        for (const [name] of pairs) {
          const lower = name.toLowerCase();
          if (lower !== 'x-forwarded-for') expect(more?.field(lower)).toBe(head.field(lower));
          if (lower !== 'connection' && lower !== 'keep-alive') expect(closing?.field(lower)).toBe(head.field(lower));
        }
      }),
    );
  });
});

describe('bodies', () => {
  const chunk = fc.uint8Array({ minLength: 1, maxLength: 40 });
  const cuts = fc.array(fc.nat({ max: 400 }), { maxLength: 6 });

  /** How many bytes are taken of `bytes`, which come in parts. */
  function count(counter: BodyCounter, bytes: Buffer, at: readonly number[]): number {
    const edges = [...new Set([0, ...at.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
    let taken = 0;
    for (const [index, from] of edges.entries()) {
      const part = bytes.subarray(from, edges[index + 1] ?? bytes.length);
      const now = counter.take(part);
      taken += now;
      if (now < part.length) return taken;
    }
    return taken;
  }

  test('chunks, wherever they are cut: exactly the body’s bytes, and not one of what follows', () => {
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 5 }), cuts, fc.boolean(), (chunks, at, trailers) => {
        const parts = chunks.flatMap((one) => [`${one.length.toString(16)}\r\n`, one, '\r\n']);
        const end = trailers ? '0;ext=1\r\nX-Sum: 1\r\n\r\n' : '0\r\n\r\n';
        const body = Buffer.concat([...parts, end].map((part) => Buffer.from(part as string)));
        const counter = new BodyCounter({ kind: 'chunked' });
        expect(count(counter, Buffer.concat([body, Buffer.from('GET / HTTP/1.1\r\n')]), at)).toBe(body.length);
        expect(counter.done).toBe(true);
      }),
    );
  });

  test('a length, wherever it is cut', () => {
    fc.assert(
      fc.property(fc.nat({ max: 300 }), fc.nat({ max: 50 }), cuts, (length, more, at) => {
        const counter = new BodyCounter({ kind: 'length', bytes: length });
        expect(count(counter, Buffer.alloc(length + more), at)).toBe(length);
        expect(counter.done).toBe(true);
      }),
    );
  });

  test('answers without a body, whatever their head says', () => {
    const head = (status: number): ReturnType<typeof parseResponse> =>
      parseResponse(Buffer.from(`HTTP/1.1 ${status} X\r\nContent-Length: 5\r\n\r\n`));
    for (const [status, method] of [
      [200, 'HEAD'],
      [204, 'GET'],
      [304, 'GET'],
      [100, 'POST'],
    ] as const) {
      const read = head(status);
      expect(read && responseBody(read, method)).toEqual({ kind: 'length', bytes: 0 });
    }
    const whole = head(200);
    expect(whole && responseBody(whole, 'GET')).toEqual({ kind: 'length', bytes: 5 });
  });
});
