// How many bytes a link may have in flight towards us: follows the measured bandwidth-delay product, so that a far line is filled and
// a near one is not flooded. Receiver side; one budget per link, shared by its active streams. Pure arithmetic, told of time and bytes.

/** Bytes in flight per bandwidth-delay product: 1 would starve the line while a probe is on its way. */
const GAIN = 2;
/** Never below: a loopback's product is too small to measure, and a program's first burst must fit. */
const FLOOR_BYTES = 512 * 1024;
/** Never above: 32 MiB fill 1 Gbit/s at 250 ms; beyond that memory is the dearer good. */
const CAP_BYTES = 32 * 1024 * 1024;
/** Never below for one stream, however many are active. */
const STREAM_FLOOR_BYTES = 64 * 1024;
/** Milliseconds between probes while bytes arrive. */
export const PROBE_INTERVAL_MS = 100;
/** Milliseconds for which a smallest round trip counts; routes change. */
const RTT_AGE_MS = 30_000;
/** Falls by this much per probe, and rises at once: a pause of the sender is not a slower line. */
const FALL = 0.85;

export class Budget {
  #bytes = FLOOR_BYTES;
  #rttMin = Number.POSITIVE_INFINITY;
  #rttMinAt = 0;
  #lastProbe = Number.NEGATIVE_INFINITY;
  #probing = false;
  #received = 0;
  #receivedAtProbe = 0;

  /** Bytes in flight allowed on the whole link. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Counts arrived bytes; true = send a probe (a ping) now and call `probeAnswered` with its round trip. */
  received(bytes: number, now: number): boolean {
    this.#received += bytes;
    if (this.#probing || now - this.#lastProbe < PROBE_INTERVAL_MS) return false;
    this.#probing = true;
    this.#lastProbe = now;
    this.#receivedAtProbe = this.#received;
    return true;
  }

  /** The probe could not be sent; the next bytes may start another one. */
  probeLost(): void {
    this.#probing = false;
  }

  probeAnswered(rtt: number, now: number): void {
    this.#probing = false;
    if (rtt < this.#rttMin || now - this.#rttMinAt > RTT_AGE_MS) {
      this.#rttMin = rtt;
      this.#rttMinAt = now;
    }
    if (rtt <= 0) return;
    const rate = (this.#received - this.#receivedAtProbe) / rtt;
    const wanted = Math.min(CAP_BYTES, Math.max(FLOOR_BYTES, GAIN * rate * this.#rttMin));
    this.#bytes = Math.max(wanted, this.#bytes * FALL);
  }

  /** One stream's share with `active` streams that carry bulk. */
  streamTarget(active: number): number {
    return Math.max(STREAM_FLOOR_BYTES, Math.floor(this.#bytes / Math.max(1, active)));
  }
}
