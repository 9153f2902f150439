// Gives the memory of read buffers back early. Node allocates one for every read of a socket; V8 counts them as memory outside of its heap
// and answers 64 MiB of them with a collection of everything, which costs a third of a CPU second or more for each GiB that passes. They die
// young: collecting the young generation more often is enough, and costs a hundredth of that. Called by muxer.ts with what it moves.
import { collector } from '../collector.ts';

/**
 * Bytes between two collections. V8 counts the buffers of reads at several times the bytes that pass: 16 MiB still meet its limit now and then,
 * 4 MiB never do, at 0.3 ms each.
 */
const COLLECT_BYTES = 4 * 1024 * 1024;

let left = COLLECT_BYTES;

/** Counts bytes that were read into buffers of their own. */
export function buffersUsed(bytes: number): void {
  left -= bytes;
  if (left > 0) return;
  left = COLLECT_BYTES;
  collector()({ type: 'minor' });
}
