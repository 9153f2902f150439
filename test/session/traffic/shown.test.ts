// What leaves the journal for other tools: the detail as text, the curl command as a real shell and curl take it, the HAR file.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { curlOf } from '../../../src/session/traffic/curl.ts';
import { messageDetail } from '../../../src/session/traffic/detail.ts';
import { harOf } from '../../../src/session/traffic/har.ts';
import { Sample } from '../../../src/session/traffic/sample.ts';
import type {
  InboundRecord,
  MessageDetail,
  OutboundRecord,
  TrafficDetail,
} from '../../../src/session/traffic/types.ts';

const run = promisify(execFile);
let port = 0;
const seen: { method?: string; url?: string; headers: NodeJS.Dict<string | string[]>; body: string }[] = [];
const server = createServer((request, response) => {
  let body = Buffer.alloc(0);
  request.on('data', (chunk: Buffer) => (body = Buffer.concat([body, chunk])));
  request.on('end', () => {
    seen.push({
      method: request.method ?? '',
      url: request.url ?? '',
      headers: request.headers,
      body: body.toString('latin1'),
    });
    response.end();
  });
});
beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});
afterAll(() => server.close().closeAllConnections());

const recordOf = (more: Partial<InboundRecord> = {}): InboundRecord => ({
  id: 1,
  time: '2026-01-01T00:00:00.000Z',
  state: 'done',
  ms: 12.5,
  received: 100,
  sent: 200,
  error: null,
  direction: 'in',
  service: 'orders',
  caller: '198.18.0.7:4711',
  rule: '8080-TCP',
  reason: 'exchange: all requests',
  local: port,
  protocol: 'http/1.1',
  method: 'POST',
  path: '/api?a=1',
  host: 'orders',
  status: 200,
  answerMs: 10,
  upgrade: null,
  ...more,
});

function message(
  line: string,
  headers: readonly (readonly [string, string])[],
  body = Buffer.alloc(0),
  reveal = true,
): MessageDetail {
  const sample = new Sample(64 * 1024);
  sample.push(body);
  return messageDetail({ line, headers, headBytes: 0, body: sample }, reveal);
}

const detailOf = (request: MessageDetail, record = recordOf()): TrafficDetail => ({ record, request, response: null });

/** Runs the command in a shell and gives what the server saw. */
async function sent(detail: TrafficDetail): Promise<(typeof seen)[number] | undefined> {
  const command = curlOf(detail) ?? '';
  await run('sh', ['-c', command.replace('curl ', 'curl -sS ')], { timeout: 10_000 });
  return seen.pop();
}

describe('as curl', () => {
  test('the same request arrives', async () => {
    const headers = [
      ['Host', 'orders'],
      ['X-Lane', "it's"],
      ['Content-Type', 'application/json'],
      ['X-Empty', ''],
      ['Content-Length', '9'],
    ] as const;
    const got = await sent(detailOf(message('POST /api?a=1&b=%20 HTTP/1.1', headers, Buffer.from('{"a":"$"}'))));
    expect(got).toMatchObject({
      method: 'POST',
      url: '/api?a=1&b=%20',
      body: '{"a":"$"}',
      headers: { host: 'orders', 'x-lane': "it's", 'content-type': 'application/json', 'x-empty': '' },
    });
  });

  test('a body that is no text', async () => {
    const body = Buffer.from([0, 255, 10, 13, 39]);
    const got = await sent(detailOf(message('PUT /x HTTP/1.1', [['Host', 'orders']], body)));
    expect(got).toMatchObject({ method: 'PUT', body: body.toString('latin1') });
    expect(got?.headers['content-type']).toBeUndefined();
  });

  test('whatever stands in headers and bodies, the shell runs nothing of it', async () => {
    const value = fc.string({
      unit: fc.constantFrom('a', "'", '"', '$', '`', '\\', ' ', ';', '&', '|', '(', ')', '\t', '!', '{'),
    });
    await fc.assert(
      fc.asyncProperty(value, value, async (header, body) => {
        const got = await sent(
          detailOf(
            message(
              'POST / HTTP/1.1',
              [
                ['X-Value', header.trim()],
                ['Content-Type', 'text/plain'],
              ],
              Buffer.from(body),
            ),
          ),
        );
        expect(got?.headers['x-value']).toBe(header.trim());
        expect(got?.body).toBe(body);
      }),
      { numRuns: 25 },
    );
  });

  test('GET is not said, HEAD is, and a long body says that it is cut', () => {
    expect(curlOf(detailOf(message('GET / HTTP/1.1', [])))).toBe(`curl http://localhost:${port}/`);
    expect(curlOf(detailOf(message('HEAD / HTTP/1.1', [])))).toBe(`curl --head http://localhost:${port}/`);
    expect(curlOf(detailOf(message('POST / HTTP/1.1', [], Buffer.alloc(3_000, 'x'))))).toContain(
      '# the first 1024 of 3000 bytes',
    );
  });

  test('outbound connections and what is not kept have none', () => {
    expect(curlOf({ record: recordOf(), request: null, response: null })).toBeUndefined();
    const out = { ...recordOf(), direction: 'out' } as unknown as OutboundRecord;
    expect(curlOf({ record: out, request: null, response: null })).toBeUndefined();
  });
});

describe('bodies', () => {
  test.each([
    ['text', Buffer.from('häuser'), 'utf8'],
    ['a character that the limit cuts', Buffer.concat([Buffer.alloc(1023, 'x'), Buffer.from('ä')]), 'utf8'],
    ['bytes', Buffer.from([0xff, 0xfe]), 'base64'],
    ['an escape sequence for a terminal', Buffer.from('\x1b[2J'), 'base64'],
  ])('%s', (_, body, encoding) => {
    expect(message('POST / HTTP/1.1', [], body).body).toMatchObject({
      encoding,
      bytes: body.length,
      kept: Math.min(1024, body.length),
    });
  });

  test('compressed: base64', () => {
    expect(message('POST / HTTP/1.1', [['Content-Encoding', 'gzip']], Buffer.from('text')).body.encoding).toBe(
      'base64',
    );
  });
});

test('HAR: an entry for each request, with what a reader of the format needs', () => {
  const request = message(
    'POST /api?a=1&b=c HTTP/1.1',
    [
      ['Host', 'orders'],
      ['Authorization', 'Bearer abc'],
      ['Content-Type', 'application/json'],
    ],
    Buffer.from('{}'),
    false,
  );
  const response = message('HTTP/1.1 301 Moved', [['Location', '/there']], Buffer.from([0, 1]));
  const out = { ...recordOf(), direction: 'out' } as unknown as OutboundRecord;
  const file = JSON.parse(
    harOf(
      [
        { record: recordOf({ path: '/api?a=1&b=c', status: 301 }), request, response },
        { record: out, request: null, response: null },
        { record: recordOf({ host: 'no host at all', path: '*' }), request: null, response: null },
      ],
      '1.0',
    ),
  );
  expect(file.log).toMatchObject({ version: '1.2', creator: { name: 'kt', version: '1.0' } });
  expect(file.log.entries).toHaveLength(2);
  expect(file.log.entries[0]).toMatchObject({
    startedDateTime: '2026-01-01T00:00:00.000Z',
    time: 12.5,
    request: {
      method: 'POST',
      url: 'http://orders/api?a=1&b=c',
      httpVersion: 'HTTP/1.1',
      queryString: [
        { name: 'a', value: '1' },
        { name: 'b', value: 'c' },
      ],
      postData: { mimeType: 'application/json', text: '{}' },
      bodySize: 2,
    },
    response: {
      status: 301,
      statusText: 'Moved',
      redirectURL: '/there',
      content: { size: 2, encoding: 'base64', text: 'AAE=' },
    },
    timings: { send: 0, wait: 10, receive: 2.5 },
  });
  expect(JSON.stringify(file)).not.toContain('abc');
  expect(file.log.entries[1].request.url).toBe('http://unknown/');
});
