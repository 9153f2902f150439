import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ERROR_CODES, KtError } from '../../../src/errors.ts';
import {
  encodeMessage,
  MESSAGE_BYTES_MAX,
  MessageDecoder,
  type OpenHeader,
  parseOpenHeader,
  parseOpenStatus,
} from '../../../src/netstack/stream/header.codec.ts';

const protocolError = expect.objectContaining({ name: 'KtError', code: 'LINK_PROTOCOL' }) as Error;

/** The value, or the error, which must be ours. */
function attempt<T>(work: () => T, codes: readonly string[] = ['LINK_PROTOCOL']): T | KtError {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof KtError)) throw error;
    expect(codes).toContain(error.code);
    expect(error.message.length).toBeLessThan(300);
    return error;
  }
}

describe('messages', () => {
  test('the bytes: length, big endian, and JSON', () => {
    const framed = encodeMessage({ v: 1, kind: 'tcp', host: 'gateway', port: 80 });
    expect(framed.toString('hex')).toBe(
      `002f${Buffer.from('{"v":1,"kind":"tcp","host":"gateway","port":80}').toString('hex')}`,
    );
    expect(encodeMessage({ ok: true }).toString('hex')).toBe('000b7b226f6b223a747275657d');
  });

  test('cut at every byte; what follows is handed back', () => {
    const bytes = Buffer.concat([encodeMessage({ host: 'größe' }), Buffer.from('early data')]);
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const decoder = new MessageDecoder();
      const first = decoder.push(bytes.subarray(0, cut));
      const message = first ?? decoder.push(bytes.subarray(cut));
      expect(message?.value).toEqual({ host: 'größe' });
      expect(Buffer.concat([message?.rest ?? Buffer.alloc(0), first ? bytes.subarray(cut) : Buffer.alloc(0)])).toEqual(
        Buffer.from('early data'),
      );
    }
  });

  test('lengths: the limit and one more', () => {
    const longest = 'x'.repeat(MESSAGE_BYTES_MAX - 2);
    expect(new MessageDecoder().push(encodeMessage(longest))?.value).toBe(longest);
    expect(() => encodeMessage(`${longest}x`)).toThrow(protocolError);
    expect(() => new MessageDecoder().push(Buffer.from([0x10, 0x01]))).toThrow(protocolError);
    expect(() => new MessageDecoder().push(Buffer.from([0xff, 0xff, 1]))).toThrow(protocolError);
  });

  test.each([
    ['nothing', '0000'],
    ['half JSON', '00017b'],
    ['no UTF-8', '0003 22ff22'],
    ['a NUL', '000100'],
  ])('%s is no message, or a harmless one', (_name, hex) => {
    const result = attempt(() => new MessageDecoder().push(Buffer.from(hex.replaceAll(' ', ''), 'hex')));
    if (!(result instanceof KtError)) expect(result?.value).toBe('\ufffd');
  });

  test('property: any bytes at any cuts give a message, nothing yet, or LINK_PROTOCOL', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 }), (chunks) => {
        const decoder = new MessageDecoder();
        for (const chunk of chunks) if (attempt(() => decoder.push(Buffer.from(chunk))) !== undefined) return;
      }),
      { numRuns: 500 },
    );
  });

  test('property: a JSON value survives any cut', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), fc.array(fc.nat(200), { maxLength: 5 }), (value, cuts) => {
        const bytes = encodeMessage(value);
        const decoder = new MessageDecoder();
        const at = [...cuts.filter((cut) => cut < bytes.length), bytes.length].sort((a, b) => a - b);
        const messages = at.map((to, index) => decoder.push(bytes.subarray(at[index - 1] ?? 0, to)));
        expect(messages.find((message) => message !== undefined)?.value).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});

describe('open headers', () => {
  test.each<OpenHeader>([
    { v: 1, kind: 'control', token: 't'.repeat(64), version: '0.1.0', session: 's' },
    { v: 1, kind: 'tcp', host: 'gateway.shop.svc', port: 80 },
    { v: 1, kind: 'tcp', host: 'fd00::1', port: 65_535, timeoutMs: 600_000 },
    { v: 1, kind: 'udp', host: '10.0.0.10', port: 53 },
    { v: 1, kind: 'resolve', host: '_http._tcp.gateway', type: 'SRV' },
  ])('$kind to $host', (header) => {
    expect(parseOpenHeader(JSON.parse(JSON.stringify(header)))).toEqual(header);
  });

  test('fields that a later version adds are dropped', () => {
    expect(parseOpenHeader({ v: 1, kind: 'udp', host: 'a', port: 1, later: true })).toEqual({
      v: 1,
      kind: 'udp',
      host: 'a',
      port: 1,
    });
  });

  const tcp = { v: 1, kind: 'tcp', host: 'a', port: 80 };
  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a list', [tcp]],
    ['text', 'tcp'],
    ['no version', { ...tcp, v: undefined }],
    ['version 0', { ...tcp, v: 0 }],
    ['a version that is an object', { ...tcp, v: { toString: 1 } }],
    ['no kind', { ...tcp, kind: undefined }],
    ['an unknown kind', { ...tcp, kind: 'exec' }],
    ['a kind that is an object', { ...tcp, kind: { toString: 1, valueOf: 1 } }],
    ['a long unknown kind', { ...tcp, kind: 'x'.repeat(4_000) }],
    ['a kind of Object.prototype', { ...tcp, kind: '__proto__' }],
    ['no host', { ...tcp, host: undefined }],
    ['an empty host', { ...tcp, host: '' }],
    ['a host that is too long', { ...tcp, host: 'a'.repeat(256) }],
    ['a host that is a number', { ...tcp, host: 1 }],
    ['port 0', { ...tcp, port: 0 }],
    ['port 65536', { ...tcp, port: 65_536 }],
    ['half a port', { ...tcp, port: 80.5 }],
    ['a port as text', { ...tcp, port: '80' }],
    ['a record type that is not served', { v: 1, kind: 'resolve', host: 'a', type: 'ANY' }],
    ['no token', { v: 1, kind: 'control', version: '1', session: 's' }],
  ])('%s is LINK_PROTOCOL', (_name, value) => {
    expect(attempt(() => parseOpenHeader(value))).toBeInstanceOf(KtError);
  });

  test.each([0, -1, 600_001, Number.NaN, '5', null])('a time limit of %s is none', (timeoutMs) => {
    expect(parseOpenHeader({ ...tcp, timeoutMs })).toEqual(tcp);
  });

  test('version 2 is AGENT_VERSION', () => {
    expect(attempt(() => parseOpenHeader({ ...tcp, v: 2 }), ['AGENT_VERSION'])).toBeInstanceOf(KtError);
  });

  test('property: any JSON gives a header, LINK_PROTOCOL or AGENT_VERSION', () => {
    const field = fc.oneof(
      fc.jsonValue({ maxDepth: 1 }),
      fc.constantFrom<unknown>(1, 80, 'tcp', 'udp', 'resolve', 'A'),
    );
    const near = fc.record({ v: field, kind: field, host: field, port: field, type: field }, { requiredKeys: [] });
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), near), (value) => {
        attempt(() => parseOpenHeader(value), ['LINK_PROTOCOL', 'AGENT_VERSION']);
        attempt(() => parseOpenStatus(value));
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('statuses', () => {
  test('ok, whatever else it says', () => {
    expect(parseOpenStatus({ ok: true, code: 'DIAL_REFUSED', later: 1 })).toEqual({ ok: true });
  });

  test.each(Object.keys(ERROR_CODES))('%s is passed on', (code) => {
    expect(parseOpenStatus({ ok: false, code, message: 'why' })).toEqual({ ok: false, code, message: 'why' });
  });

  test.each([['NEW_CODE'], ['toString'], ['__proto__'], [undefined], [7], [{}]])(
    'code %s of a newer agent is DIAL_FAILED',
    (code) => {
      expect(parseOpenStatus({ ok: false, code })).toEqual({
        ok: false,
        code: 'DIAL_FAILED',
        message: 'no reason given',
      });
    },
  );

  test.each([[null], [[]], [{}], [{ ok: 'true' }], [{ ok: 1 }]])('%j is no status', (value) => {
    expect(() => parseOpenStatus(value)).toThrow(protocolError);
  });
});
