import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import type { KtError } from '../../../src/errors.ts';
import { Muxer } from '../../../src/netstack/mux/muxer.ts';
import { duplexPair } from '../../support/duplex-pair.ts';
import { muxAndPeer, muxPair, readAll, turns } from '../../support/mux-peers.ts';

const GO_AWAY = 3;
const SYN = 1;
const RST = 8;
const KIB = 1024;

describe('limits', () => {
  test('4,096 streams at once, one more is STREAM_LIMIT, and room is made by an end', async () => {
    const [client, server] = muxPair();
    const first = client.muxer.open();
    for (let count = 1; count < 4_096; count += 1) client.muxer.open();
    expect(client.muxer.full).toBe(true);
    expect(() => client.muxer.open()).toThrow(expect.objectContaining({ code: 'STREAM_LIMIT' }));
    await turns();
    expect(server.muxer.streamCount).toBe(4_096);
    first.destroy();
    expect(client.muxer.full).toBe(false);
    client.muxer.open().write('x');
    await turns();
    expect(server.muxer.streamCount).toBe(4_096);
  });

  test('ids end, and the link says so', () => {
    const [{ muxer }] = muxAndPeer('client', { streamIdMax: 5 });
    expect([muxer.open().id, muxer.open().id, muxer.full, muxer.open().id]).toEqual([1, 3, false, 5]);
    expect(muxer.full).toBe(true);
    expect(() => muxer.open()).toThrow(
      expect.objectContaining({
        code: 'STREAM_LIMIT',
        message: expect.stringContaining('no stream ids left') as string,
      }),
    );
  });

  test('the last id works', async () => {
    const [end, peer] = muxAndPeer('server');
    peer.data(SYN, 0x7fff_ffff, Buffer.from('last'));
    const stream = await end.next();
    expect([stream.id, String(stream.read())]).toEqual([0x7fff_ffff, 'last']);
  });

  test('64 pings wait at most', async () => {
    const [{ muxer }] = muxAndPeer('client');
    const pings = Array.from({ length: 65 }, () => muxer.ping());
    for (const ping of pings) ping.catch(() => undefined);
    await expect(pings[64]).rejects.toMatchObject({ code: 'LINK_LOST' });
    muxer.destroy();
  });
});

describe('going away', () => {
  test('the bytes', async () => {
    const [{ muxer }, peer] = muxAndPeer('server');
    muxer.goAway();
    muxer.goAway();
    await peer.frame(() => true);
    await turns();
    expect(peer.bytes.toString('hex')).toBe('000300000000000000000000');
  });

  test.each(['client', 'server'] as const)('the %s says so: no new streams, open ones go on', async (role) => {
    const [client, server] = muxPair();
    const [going, other] = role === 'client' ? [client, server] : [server, client];
    const open = other.muxer.open();
    open.write('before ');
    const stream = await going.next();
    going.muxer.goAway();
    await turns();
    expect(other.muxer.full).toBe(true);
    expect(() => other.muxer.open()).toThrow(expect.objectContaining({ code: 'LINK_LOST' }));
    open.end('after');
    expect(String(await readAll(stream))).toBe('before after');
    stream.end('and back');
    expect(String(await readAll(open))).toBe('and back');
    // The one that goes may open streams still: the other has not said anything.
    going.muxer.open().end('mine');
    expect(String(await readAll(await other.next()))).toBe('mine');
  });

  test('an opening that crosses the message is reset', async () => {
    const [end, peer] = muxAndPeer('server');
    end.muxer.goAway();
    peer.data(SYN, 1, Buffer.from('crossing'));
    expect(await peer.frame(({ flags }) => (flags & RST) !== 0)).toMatchObject({ id: 1 });
    expect([end.accepted.length, end.muxer.streamCount]).toEqual([0, 0]);
  });

  test('any other code ends the link', async () => {
    const [end, peer] = muxAndPeer('server');
    peer.send(GO_AWAY, 0, 0, 2);
    expect(await end.closed).toMatchObject({ code: 'LINK_PROTOCOL' });
    await peer.hungUp();
  });
});

describe('the transport', () => {
  test('that was dead before: the link says so, later', async () => {
    const [left] = duplexPair();
    left.destroy();
    await once(left, 'close');
    const closed = new Promise<KtError>((resolve) => {
      const muxer = new Muxer(left, { role: 'client', onClose: resolve });
      muxer.open().write('x');
    });
    expect(await closed).toMatchObject({ code: 'LINK_LOST' });
  });

  test('bytes outstanding are those that wait in it and in streams with credit', async () => {
    const [client] = muxPair({ highWaterMark: 1 });
    expect(client.muxer.outstanding).toBe(0);
    client.transport.stalled = true;
    client.muxer.open().write(Buffer.alloc(200 * KIB));
    expect(client.muxer.outstanding).toBe(200 * KIB);
    await turns();
    expect(client.muxer.outstanding).toBeGreaterThanOrEqual(200 * KIB);
    client.transport.resumeLine();
    await turns(100);
    expect(client.muxer.outstanding).toBe(0);
  });

  test('counts', async () => {
    const [client, server] = muxPair();
    client.muxer.open().end('1234');
    await readAll(await server.next());
    await turns();
    expect(server.muxer.stats.bytesReceived).toBe(client.muxer.stats.bytesSent);
    // DATA with SYN, FIN.
    expect(server.muxer.stats).toMatchObject({ bytesReceived: 28, framesReceived: 2 });
  });
});
