// How many bytes a link may have in flight towards us: follows the measured bandwidth-delay product, so that a far line is filled and
// a near one is not flooded. Receiver side; one budget per link, shared by its active streams. Pure arithmetic, told of time and bytes.

/** Bytes in flight per bandwidth-delay product: 1 would starve the line while a probe is on its way; each 0.5 more is half a round trip of queue. */
const GAIN = 1.5;
/**
 * Never below. On a near line the product is too small to measure, and small windows cost more CPU per byte in every hop: 1 MiB is the knee
 * (benchmarks/outbound: half the bytes cost 60 % more CPU, more of them only make requests beside a download wait).
 * On a far one the same would be a queue of hundreds of milliseconds on a slow line.
 */
const NEAR_FLOOR_BYTES = 1024 * 1024;
const FAR_FLOOR_BYTES = 256 * 1024;
/** Milliseconds; below it the far end is in the same building. */
const NEAR_RTT_MS = 5;
/** Never above: 32 MiB fill 1 Gbit/s at 250 ms; beyond that memory is the dearer good. */
const CAP_BYTES = 32 * 1024 * 1024;
/** Never below for one stream, however many are active. */
const STREAM_FLOOR_BYTES = 64 * 1024;
/** Milliseconds between probes while bytes arrive. */
export const PROBE_INTERVAL_MS = 100;
/** Milliseconds for which a smallest round trip counts; routes change. */
const RTT_AGE_MS = 30_000;
/**
 * Then the line's own queue has to be drained before it can be measured again, or the queue would be taken for a longer way and grow
 * for ever (BBR's ProbeRTT has the same reason): so many probes with a quarter of the bytes.
 */
const RENEW_PROBES = 4;
const RENEW_SHARE = 0.25;
/** Falls by this much per probe, and rises at once: a pause of the sender is not a slower line. */
const FALL = 0.85;

export class Budget {
  #bytes = FAR_FLOOR_BYTES * 2;
  #rttMin = Number.POSITIVE_INFINITY;
  #rttMinAt = 0;
  /** Probes left of a renewal, and the smallest round trip that they saw. */
  #renewing = 0;
  #renewed = Number.POSITIVE_INFINITY;
  #lastProbe = Number.NEGATIVE_INFINITY;
  #probing = false;
  #received = 0;
  #receivedAtProbe = 0;

  /** Bytes in flight allowed on the whole link. */
  get bytes(): number {
    return this.#renewing > 0 ? this.#bytes * RENEW_SHARE : this.#bytes;
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

  /** Any round trip that was measured, in milliseconds; those of an idle link are the true ones. */
  sample(rtt: number, now: number): void {
    if (rtt <= 0 || rtt > this.#rttMin) return;
    if (this.#rttMin === Number.POSITIVE_INFINITY) this.#bytes = Math.max(this.#bytes, floorOf(rtt));
    this.#rttMin = rtt;
    this.#rttMinAt = now;
  }

  probeAnswered(rtt: number, now: number): void {
    this.#probing = false;
    if (rtt <= 0) return;
    this.sample(rtt, now);
    if (this.#renewing > 0) {
      this.#renewed = Math.min(this.#renewed, rtt);
      this.#renewing -= 1;
      if (this.#renewing > 0) return;
      this.#rttMin = this.#renewed;
      this.#rttMinAt = now;
      return;
    }
    if (now - this.#rttMinAt > RTT_AGE_MS) {
      this.#renewing = RENEW_PROBES;
      this.#renewed = Number.POSITIVE_INFINITY;
      return;
    }
    const rate = (this.#received - this.#receivedAtProbe) / rtt;
    const wanted = Math.min(CAP_BYTES, Math.max(floorOf(this.#rttMin), GAIN * rate * this.#rttMin));
    this.#bytes = Math.max(wanted, this.#bytes * FALL);
  }

  /** One stream's share with `active` streams that carry bulk. */
  streamTarget(active: number): number {
    return Math.max(STREAM_FLOOR_BYTES, Math.floor(this.bytes / Math.max(1, active)));
  }
}

const floorOf = (rtt: number): number => (rtt < NEAR_RTT_MS ? NEAR_FLOOR_BYTES : FAR_FLOOR_BYTES);
