// Reads and writes of streams for the compliance suites: exact counts, no timers.
import { createHash } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Connection, DatagramFlow } from '../../src/netstack/dialer.ts';

/** Round trips of another connection that make a barrier: whoever wanted to go on meanwhile could. */
const BARRIER_TRIPS = 50;

export const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** The next `length` bytes; rejects where the stream ends before. Leaves the stream paused. */
export async function read(stream: Duplex, length: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let left = length;
  while (left > 0) {
    const chunk = stream.read(Math.min(left, stream.readableLength || left)) as Buffer | null;
    if (chunk) {
      chunks.push(chunk);
      left -= chunk.length;
      continue;
    }
    if (stream.readableEnded || stream.destroyed) throw new Error(`ended ${left} bytes too early`);
    await changed(stream);
  }
  return Buffer.concat(chunks);
}

export function readAll(stream: Duplex): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => resolve(Buffer.concat(chunks)));
    stream.on('error', reject);
    stream.on('close', () => reject(new Error('closed without an end')));
  });
}

/** Reads and counts until `wanted` bytes have come. */
export function count(stream: Duplex, wanted: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let length = 0;
    stream.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length >= wanted) resolve(length);
    });
    stream.on('end', () => resolve(length));
    stream.on('error', reject);
    // A stream that was paused does not flow by a listener alone.
    stream.resume();
  });
}

/** Round trips to an echo server. */
export async function barrier({ stream }: Connection): Promise<void> {
  for (let trip = 0; trip < BARRIER_TRIPS; trip += 1) {
    stream.write('x');
    await read(stream, 1);
  }
}

/** Closed, or, where the dialer knows no half-close and no reset, at least ended. */
export function closed(stream: Duplex, wholly: boolean): Promise<void> {
  return new Promise((resolve) => {
    if (stream.closed) return resolve();
    stream.once('close', resolve);
    if (!wholly) stream.once('end', resolve);
    return undefined;
  });
}

export function exchange(flow: DatagramFlow, datagram: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    flow.onDatagram = resolve;
    flow.onClose = (error) => reject(error ?? new Error('closed'));
    flow.send(datagram);
  });
}

/** More bytes, the end, or the close. */
function changed(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off('readable', done).off('end', done).off('close', done);
      resolve();
    };
    stream.on('readable', done).on('end', done).on('close', done);
  });
}
