// The lines between shims and broker: every request and answer, what is refused, and that no bytes whatsoever do harm.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeRequest,
  encodeAnswer,
  LINE_BYTES_MAX,
  LineDecoder,
  ProtocolError,
  splitLine,
} from '../../../src/netstack/broker/protocol.codec.ts';

const request = (line: string): unknown => decodeRequest(line.split(' '));

describe('requests', () => {
  test('RESOLVE takes a name, in lower case and without the trailing dot', () => {
    expect(request('RESOLVE Orders.Shop.')).toEqual({ verb: 'RESOLVE', name: 'orders.shop' });
  });

  test('DIAL without wait answers at once where the target is known', () => {
    expect(request('DIAL 198.19.0.1 80 300')).toEqual({
      verb: 'DIAL',
      host: '198.19.0.1',
      port: 80,
      timeoutMs: 300,
      wait: 'known',
    });
  });

  test('DIAL with wait, with a limit to the wait, with IPv6 and with a name', () => {
    expect(request('DIAL 198.19.0.1 80 0 wait')).toMatchObject({ wait: 'always' });
    expect(request('DIAL 198.19.0.1 80 0 wait=100')).toMatchObject({ wait: 100 });
    expect(request('DIAL fd00::1 80 0')).toMatchObject({ host: 'fd00::1' });
    expect(request('DIAL orders 80 0')).toMatchObject({ host: 'orders' });
  });

  test('UDP and HELLO', () => {
    expect(request('UDP 198.19.0.10 53')).toEqual({ verb: 'UDP', host: '198.19.0.10', port: 53 });
    expect(request('HELLO java 17.0.15 4711')).toEqual({
      verb: 'HELLO',
      runtime: 'java',
      version: '17.0.15',
      pid: 4711,
    });
  });

  test.each([
    'RESOLVE',
    'RESOLVE a b',
    'RESOLVE -a-',
    'RESOLVE 1.2.3',
    'DIAL 198.19.0.1 80',
    'DIAL 198.19.0.1 0 0',
    'DIAL 198.19.0.1 65536 0',
    'DIAL 198.19.0.1 80 -1',
    'DIAL 198.19.0.1 80 1e9',
    'DIAL 198.19.0.1 80 0 wait=x',
    'DIAL 198.19.0.1 80 0 please',
    'DIAL 198.19.0.1 80 0 wait x',
    'UDP 198.19.0.1',
    'HELLO java 17',
    `HELLO ${'j'.repeat(65)} 17 1`,
    'resolve orders',
    'GET / HTTP/1.1',
    '',
  ])('%j is refused', (line) => {
    expect(() => request(line)).toThrow(ProtocolError);
  });

  test('the token is split off before anything else is looked at', () => {
    expect(splitLine('KT1 secret WHAT EVER')).toEqual({ token: 'secret', words: ['WHAT', 'EVER'] });
    for (const line of ['', 'KT1', 'KT1 secret', 'KT2 secret RESOLVE a', 'GET / HTTP/1.1 x']) {
      expect(() => splitLine(line)).toThrow(ProtocolError);
    }
  });
});

describe('lines', () => {
  test('come out the same however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.string({ maxLength: 80 }).map((text) => text.replaceAll(/[^ -~]/g, '')),
          { maxLength: 5 },
        ),
        fc.array(fc.nat(40), { maxLength: 20 }),
        (lines, cuts) => {
          const decoder = new LineDecoder();
          let bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1');
          const found: string[] = [];
          for (const cut of cuts) {
            found.push(...decoder.push(bytes.subarray(0, cut)));
            bytes = bytes.subarray(cut);
          }
          found.push(...decoder.push(bytes));
          expect(found).toEqual(lines);
        },
      ),
    );
  });

  test('CRLF is a line end too', () => {
    expect(new LineDecoder().push(Buffer.from('4b5431200d0a', 'hex'))).toEqual(['KT1 ']);
  });

  test('a line may have 511 bytes and its LF, not one more', () => {
    const longest = 'x'.repeat(LINE_BYTES_MAX - 1);
    expect(new LineDecoder().push(Buffer.from(`${longest}\n`))).toEqual([longest]);
    expect(() => new LineDecoder().push(Buffer.from(`${longest}x\n`))).toThrow(ProtocolError);
    expect(() => new LineDecoder().push(Buffer.from(`${longest}x`))).toThrow(ProtocolError);
  });

  test('any bytes either are requests or a ProtocolError', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 700 }), { maxLength: 4 }), (chunks) => {
        const decoder = new LineDecoder();
        try {
          for (const chunk of chunks) {
            for (const line of decoder.push(Buffer.from(chunk))) decodeRequest(splitLine(line).words);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
        }
      }),
    );
  });

  test('words of the right number, of any content, either are a request or a ProtocolError', () => {
    const words = fc.tuple(fc.constantFrom('RESOLVE', 'DIAL', 'UDP', 'HELLO'), fc.array(fc.string(), { maxLength: 5 }));
    fc.assert(
      fc.property(words, ([verb, rest]) => {
        try {
          decodeRequest([verb, ...rest]);
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
        }
      }),
    );
  });
});

describe('answers', () => {
  test('as bytes', () => {
    expect(encodeAnswer({ kind: 'ok' })).toBe('OK\n');
    expect(encodeAnswer({ kind: 'ok', words: ['198.19.0.1', '198.19.0.2'] })).toBe('OK 198.19.0.1 198.19.0.2\n');
    expect(encodeAnswer({ kind: 'ok', words: [40_123] })).toBe('OK 40123\n');
    expect(encodeAnswer({ kind: 'no' })).toBe('NO\n');
    expect(encodeAnswer({ kind: 'error', errno: 'ECONNREFUSED', text: 'nobody there' })).toBe(
      'ERR ECONNREFUSED nobody there\n',
    );
  });

  test('a list that does not fit is cut between its words', () => {
    const line = encodeAnswer({
      kind: 'ok',
      words: Array.from({ length: 100 }, (_, index) => `198.19.200.${100 + index}`),
    });
    expect(line.length).toBeLessThanOrEqual(LINE_BYTES_MAX);
    expect(line).toMatch(/^OK( 198\.19\.200\.\d{3})+\n$/);
  });

  test('are one line of ASCII whatever the reason says', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 800 }), (text) => {
        const line = encodeAnswer({ kind: 'error', errno: 'EINVAL', text });
        expect(line).toMatch(/^ERR EINVAL [ -~]*\n$/);
        expect(line.length).toBeLessThanOrEqual(LINE_BYTES_MAX);
      }),
    );
  });
});
