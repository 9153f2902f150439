// What the agent holds for callers that do not read (and for pods and laptops that do not), bounded over all of them: above the limit those
// that stood still for longest are reset, because an agent that runs out of memory would reset everybody.
// Looks from time to time instead of at every write: between two looks not more can come than the pod's memory has room for.
// Called by listeners.ts; who serves a caller says what it holds besides the sockets' buffers (upstreams.ts).
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { reset } from '../../netstack/stream/reset.ts';

/**
 * Bytes above which those go that stand still. Of the pod's 256 MiB a process at rest takes 60, and 4,096 callers with
 * their origin connections some 65. Measured: 190 with thousands of callers that read nothing, 160 with 6,300 that are idle.
 */
const HELD_BYTES_MAX = 32 * 1024 * 1024;
/** Above so many times as much the fullest ones go, too, that moved: they come faster than looks. */
const HARD = 2;
/** Milliseconds between looks, and new callers that make one look more: those that read nothing fill their buffers at once, 20 MiB of 64. */
const LOOK_MS = 250;
const LOOK_CALLERS = 64;
/** Milliseconds without a byte that mean that somebody stands still: more than the round trips of readers that are far. */
const STILL_MS = 200;
/** After a look that found too much, it is this part of the limit: room until the next one. */
const ROOM = 0.75;

export interface BacklogLimits {
  readonly heldBytesMax?: number;
}

export interface Held {
  /** Connections to the origin and to laptops that serve this caller. */
  readonly upstreams: Set<Duplex>;
  /** Bytes besides those of sockets. */
  also: () => number;
}

interface Caller extends Held {
  readonly socket: Socket;
  progress: number;
  /** By the process's clock. */
  movedAt: number;
}

export class Backlog {
  readonly #callers = new Set<Caller>();
  readonly #max: number;
  readonly #log: (line: string) => void;
  readonly #timer: NodeJS.Timeout;
  #added = 0;

  constructor(log: (line: string) => void, { heldBytesMax = HELD_BYTES_MAX }: BacklogLimits = {}) {
    this.#log = log;
    this.#max = heldBytesMax;
    this.#timer = setInterval(() => this.look(), LOOK_MS);
    this.#timer.unref();
  }

  get size(): number {
    return this.#callers.size;
  }

  /** Until the socket closes. */
  add(socket: Socket): Held {
    const caller = { socket, upstreams: new Set<Duplex>(), also: () => 0, progress: 0, movedAt: performance.now() };
    this.#callers.add(caller);
    this.#added += 1;
    if (this.#added % LOOK_CALLERS === 0) this.look();
    socket.once('close', () => this.#callers.delete(caller));
    return caller;
  }

  /** Bytes that are held now. */
  get bytes(): number {
    let sum = 0;
    for (const caller of this.#callers) sum += bytesOf(caller);
    return sum;
  }

  look(): void {
    const now = performance.now();
    let sum = 0;
    for (const caller of this.#callers) {
      sum += bytesOf(caller);
      const progress = progressOf(caller);
      if (progress === caller.progress) continue;
      caller.progress = progress;
      caller.movedAt = now;
    }
    if (sum <= this.#max) return;
    const still = [...this.#callers]
      .filter(({ movedAt }) => now - movedAt >= STILL_MS)
      .sort((one, other) => one.movedAt - other.movedAt);
    sum = this.#reset(still, sum, this.#max * ROOM);
    if (sum <= this.#max * HARD) return;
    this.#reset(
      [...this.#callers].sort((one, other) => bytesOf(other) - bytesOf(one)),
      sum,
      this.#max,
    );
  }

  /** Resets them one by one until `sum` is as small as wanted; gives what it is then. */
  #reset(callers: readonly Caller[], sum: number, wanted: number): number {
    let left = sum;
    let count = 0;
    for (const caller of callers) {
      if (left <= wanted) break;
      const bytes = bytesOf(caller);
      if (bytes === 0 || caller.socket.destroyed) continue;
      left -= bytes;
      count += 1;
      reset(caller.socket);
    }
    if (count > 0) this.#log(`${count} connections are reset that did not read: ${sum} bytes waited for readers`);
    return left;
  }

  close(): void {
    clearInterval(this.#timer);
    for (const { socket } of this.#callers) socket.destroy();
  }
}

const buffered = ({ readableLength, writableLength }: Duplex): number => readableLength + writableLength;

function bytesOf({ socket, upstreams, also }: Caller): number {
  let sum = buffered(socket) + also();
  for (const upstream of upstreams) sum += buffered(upstream);
  return sum;
}

/** Bytes that went through, as the kernel saw them; what waits in a queue went nowhere. */
const progressOf = ({ socket }: Caller): number => socket.bytesRead + socket.bytesWritten - socket.writableLength;
