import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { encodeMessage } from '../../../src/netstack/stream/header.codec.ts';
import { readMessage } from '../../../src/netstack/stream/read-message.ts';
import { duplexPair } from '../../support/duplex-pair.ts';
import { muxPair, readAll, turns } from '../../support/mux-peers.ts';

const LONG_MS = 60_000;
const message = encodeMessage({ hello: 'agent' });

describe('the first message', () => {
  test('cut at every byte; what follows stays in the stream, with the end', async () => {
    const bytes = Buffer.concat([message, Buffer.from('early data')]);
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const [stream, far] = duplexPair();
      far.write(bytes.subarray(0, cut));
      far.end(bytes.subarray(cut));
      expect(await readMessage(stream, LONG_MS)).toEqual({ hello: 'agent' });
      expect(String(await readAll(stream))).toBe('early data');
    }
  });

  test('that came, with its end, before anybody looked', async () => {
    const [client, server] = muxPair();
    client.muxer.open().end(Buffer.concat([message, Buffer.from('rest')]));
    const stream = await server.next();
    await turns();
    expect(await readMessage(stream, LONG_MS)).toEqual({ hello: 'agent' });
    await turns();
    expect(String(await readAll(stream))).toBe('rest');
  });

  test('alone, with the end right behind it', async () => {
    const [stream, far] = duplexPair();
    far.end(message);
    expect(await readMessage(stream, LONG_MS)).toEqual({ hello: 'agent' });
    // The end may be over before the caller can listen for it.
    if (!stream.readableEnded) await once(stream.resume(), 'end');
    expect(stream.readableEnded).toBe(true);
  });

  test('a reader may be attached in the same turn', async () => {
    const [stream, far] = duplexPair();
    far.write(Buffer.concat([message, Buffer.from('one ')]));
    const rest = readMessage(stream, LONG_MS).then(() => readAll(stream));
    await turns();
    far.end(Buffer.from('two'));
    expect(String(await rest)).toBe('one two');
  });

  test('two of them, one after the other', async () => {
    const [stream, far] = duplexPair();
    far.write(Buffer.concat([message, encodeMessage(2)]));
    expect([await readMessage(stream, LONG_MS), await readMessage(stream, LONG_MS)]).toEqual([{ hello: 'agent' }, 2]);
  });
});

describe('no message', () => {
  test('garbage is LINK_PROTOCOL, and the stream is left alone', async () => {
    const [stream, far] = duplexPair();
    far.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    await expect(readMessage(stream, LONG_MS)).rejects.toMatchObject({ code: 'LINK_PROTOCOL' });
    expect(stream.destroyed).toBe(false);
  });

  test('silence is LINK_PROTOCOL after the limit, and so is half a message', async () => {
    const [stream, far] = duplexPair();
    far.write(message.subarray(0, 5));
    await expect(readMessage(stream, 5)).rejects.toMatchObject({
      code: 'LINK_PROTOCOL',
      message: 'no message within 5 ms',
    });
    expect(stream.listenerCount('readable') + stream.listenerCount('close')).toBe(0);
  });

  test.each([0, 1, 5])('an end after %d bytes is LINK_LOST', async (bytes) => {
    const [stream, far] = duplexPair();
    far.end(message.subarray(0, bytes));
    await expect(readMessage(stream, LONG_MS)).rejects.toMatchObject({ code: 'LINK_LOST' });
  });

  test('a failure of the stream is its own error', async () => {
    const [stream] = duplexPair();
    const reading = readMessage(stream, LONG_MS);
    stream.destroy(new Error('why'));
    await expect(reading).rejects.toThrow('why');
  });

  test('a stream that is over already', async () => {
    const [stream] = duplexPair();
    stream.destroy();
    await turns();
    await expect(readMessage(stream, LONG_MS)).rejects.toMatchObject({ code: 'LINK_LOST' });
    const [ended, far] = duplexPair();
    far.end();
    await readAll(ended);
    await expect(readMessage(ended, LONG_MS)).rejects.toMatchObject({ code: 'LINK_LOST' });
  });
});
