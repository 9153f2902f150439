// What every way into a pod has to do (src/cluster/ways/types.ts), as tests to be run against each one: bytes whole and in order, both
// directions at once, back-pressure, ends and refusals that are told, nothing left in the pod. Call `transportCompliance` in a test file with a
// real cluster behind. No time is measured.
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { describe, expect, test } from 'vitest';
import type { WayOptions } from '../../src/cluster/ways/types.ts';
import { KtError } from '../../src/errors.ts';

/** The ports of the pod at the far end. */
export interface TransportFixture {
  /** echo: sends back. banner: `220 hello\r\n` first. sink: never reads. flood: sends without end. close: says `bye` and ends. reset: resets on data. nobody: is not listened on. open: says how many connections the others have, and ends. */
  open(
    port: 'echo' | 'banner' | 'sink' | 'flood' | 'close' | 'reset' | 'nobody' | 'open',
    options?: WayOptions,
  ): Promise<Duplex>;
  /** To a pod that is not there. */
  openGone(): Promise<Duplex>;
}

const TOTAL = 16 * 1024 * 1024;
/** More than all buffers on the way may hold together: kernel, runtime, kubelet, API server, the pod's program. */
const STUCK_MAX = 192 * 1024 * 1024;
/** Whoever reads at all has read in that time. */
const ROUND_TRIPS = 20;
const CHUNK = Buffer.alloc(64 * 1024, 'kt');

async function readAll(stream: Duplex): Promise<string> {
  let text = '';
  for await (const chunk of stream as AsyncIterable<Buffer>) text += chunk.toString('latin1');
  return text;
}

/** The KtError with which a dial ends, whether at its opening or after. */
async function failureOf(opening: Promise<Duplex>): Promise<KtError> {
  try {
    const stream = await opening;
    stream.resume();
    stream.write('x');
    const [error] = (await once(stream, 'error')) as [unknown];
    throw error;
  } catch (error) {
    if (error instanceof KtError) return error;
    throw error;
  }
}

export interface TransportCapabilities {
  /** A reset in the pod arrives as an error. The API server's proxy makes an end of it. */
  readonly reset: boolean;
}

export function transportCompliance(
  name: string,
  fixtureOf: () => TransportFixture,
  capabilities: TransportCapabilities = { reset: true },
): void {
  describe(`${name} as a way into a pod`, () => {
    const open: TransportFixture['open'] = (port, options) => fixtureOf().open(port, options);

    test('bytes of every value come back whole and in order, in both directions at once', async () => {
      const stream = await open('echo');
      const got = { bytes: 0, wrong: 0 };
      stream.on('data', (chunk: Buffer) => {
        for (const byte of chunk) {
          if (byte !== got.bytes % 251) got.wrong += 1;
          got.bytes += 1;
        }
      });
      const block = Buffer.from(Array.from({ length: 251 * 256 }, (_, index) => index % 251));
      let sent = 0;
      while (sent < TOTAL) {
        if (!stream.write(block)) await once(stream, 'drain');
        sent += block.length;
      }
      while (got.bytes < sent) await once(stream, 'data');
      expect(got).toEqual({ bytes: sent, wrong: 0 });
      stream.destroy();
    });

    test('single bytes, and writes that are gathered', async () => {
      const stream = await open('echo');
      stream.cork();
      for (const letter of 'abcdefghij') stream.write(letter);
      stream.uncork();
      let text = '';
      stream.on('data', (piece: Buffer) => {
        text += piece.toString();
      });
      while (text.length < 10) await once(stream, 'data');
      expect(text).toBe('abcdefghij');
      stream.destroy();
    });

    test('a pod that speaks first', async () => {
      const stream = await open('banner');
      expect(String(((await once(stream, 'data')) as [Buffer])[0])).toBe('220 hello\r\n');
      stream.destroy();
    });

    test('the end of the pod is the end of the stream, and nothing before it is lost', async () => {
      expect(await readAll(await open('close'))).toBe('bye');
    });

    test('a pod that does not read stops the writer', async () => {
      const [stream, probe] = await Promise.all([open('sink'), open('echo')]);
      stream.on('error', () => undefined);
      let sent = 0;
      // The write that is never finished: no drain comes while everything on the way is full.
      for (;;) {
        const more = stream.write(CHUNK);
        sent += CHUNK.length;
        expect(sent).toBeLessThan(STUCK_MAX);
        if (more) continue;
        const asked = quiet(probe);
        const drained = await Promise.race([once(stream, 'drain').then(() => true), asked]);
        await asked;
        if (!drained) break;
      }
      expect(stream.writableLength).toBeLessThan(4 * 1024 * 1024);
      stream.destroy();
      probe.destroy();
    });

    test('a reader that does not read stops the pod', async () => {
      const [stream, probe] = await Promise.all([open('flood'), open('echo')]);
      await once(stream, 'readable');
      await quiet(probe);
      probe.destroy();
      expect(stream.readableLength).toBeLessThan(8 * 1024 * 1024);
      stream.destroy();
    });

    test('a port that nobody listens on: refused', async () => {
      expect((await failureOf(open('nobody'))).code).toBe('DIAL_REFUSED');
    });

    test(capabilities.reset ? 'a pod that resets: an error, not an end' : 'a pod that resets: an end', async () => {
      if (capabilities.reset) {
        expect((await failureOf(open('reset'))).code).toMatch(/^(STREAM_RESET|LINK_LOST)$/);
        return;
      }
      const stream = await open('reset');
      stream.write('x');
      expect(await readAll(stream)).toBe('');
    });

    test('a pod that is gone: the 404 of the API server', async () => {
      const error = await failureOf(fixtureOf().openGone());
      expect(error).toMatchObject({ code: 'API_STATUS', cause: { code: 404 } });
    });

    test('a signal ends the opening', async () => {
      expect((await failureOf(open('echo', { signal: AbortSignal.abort() }))).code).toBe('CANCELLED');
    });

    test('what is destroyed here is closed in the pod', async () => {
      const streams = await Promise.all(Array.from({ length: 4 }, () => open('echo')));
      for (const stream of streams) {
        stream.write('x');
        await once(stream, 'data');
        stream.destroy();
      }
      for (;;) if ((await readAll(await open('open'))) === '0') break;
    });
  });
}

/** Some round trips on another connection to the same pod. False, for a race that something else should not win. */
async function quiet(probe: Duplex): Promise<boolean> {
  for (let turn = 0; turn < ROUND_TRIPS; turn += 1) {
    probe.write('x');
    await once(probe, 'data');
  }
  return false;
}
