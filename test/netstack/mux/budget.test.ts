import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Budget } from '../../../src/netstack/mux/budget.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const NEAR_FLOOR = MIB;
const FAR_FLOOR = 256 * KIB;
const CAP = 32 * MIB;

/** A line with `bytesPerMs` and `rtt` for `ms` of the clock, in small steps; probes answered one round trip later. */
class Line {
  now = 0;
  #answerAt: number | undefined;
  readonly budget = new Budget();

  run(ms: number, bytesPerMs: number, rtt: number): number {
    const step = Math.min(10, rtt);
    for (const until = this.now + ms; this.now < until; this.now += step) {
      if (bytesPerMs > 0 && this.budget.received(bytesPerMs * step, this.now)) this.#answerAt = this.now + rtt;
      if (this.#answerAt !== undefined && this.now > this.#answerAt - 1e-6) {
        this.budget.probeAnswered(rtt, this.now);
        this.#answerAt = undefined;
      }
    }
    return this.budget.bytes;
  }
}

/** A line with a queue in front of it: whatever is in flight beyond its product waits. Bulk as fast as budget and line allow. */
class QueuedLine {
  now = 0;
  #asked = false;
  readonly budget = new Budget();

  run(ms: number, bytesPerMs: number, way: number): number {
    for (const until = this.now + ms; this.now < until; ) {
      const rtt = Math.max(way, this.budget.bytes / bytesPerMs);
      const carried = Math.min(bytesPerMs * rtt, this.budget.bytes);
      const probes = this.#asked;
      this.now += rtt;
      this.#asked = this.budget.received(carried, this.now);
      // It left a round trip ago.
      if (probes) this.budget.probeAnswered(rtt, this.now);
    }
    return this.budget.bytes;
  }
}

describe('transcript', () => {
  test('1 Gbit/s at 40 ms: one and a half times the product, within a second', () => {
    const line = new Line();
    const product = 125_000 * 40;
    expect(line.run(1_000, 125_000, 40)).toBeGreaterThanOrEqual(1.5 * product * 0.99);
    expect(line.budget.bytes).toBeLessThanOrEqual(2 * product);
  });

  test('a near line stays at its floor', () => {
    expect(new Line().run(2_000, 500_000, 0.3)).toBe(NEAR_FLOOR);
  });

  test('a line beyond the cap stays at the cap', () => {
    expect(new Line().run(3_000, 1_250_000, 200)).toBe(CAP);
  });

  test('rises at once, falls by 15 % a probe, never under the floor', () => {
    const line = new Line();
    const high = line.run(1_000, 125_000, 40);
    const fallen = line.run(150, 1_000, 40);
    expect(fallen).toBeLessThan(high);
    expect(fallen).toBeGreaterThanOrEqual(high * 0.85 ** 2);
    expect(line.run(10_000, 1_000, 40)).toBe(FAR_FLOOR);
  });

  test('what an idle link measured is believed, not the queue of the first burst', () => {
    const line = new QueuedLine();
    line.budget.sample(50, 0);
    // 50 Mbit/s: a product of 312 kB.
    const bytes = line.run(5_000, 6_250, 50);
    expect(bytes).toBeGreaterThanOrEqual(312_500);
    expect(bytes).toBeLessThanOrEqual(2 * 312_500);
  });

  test('a queue never takes itself for a longer way, in ten minutes of bulk', () => {
    const line = new QueuedLine();
    line.budget.sample(50, 0);
    for (let minute = 0; minute < 10; minute += 1) expect(line.run(60_000, 6_250, 50)).toBeLessThanOrEqual(2 * 312_500);
  });

  test('a longer way is believed after half a minute and some probes', () => {
    const line = new QueuedLine();
    line.budget.sample(10, 0);
    line.run(1_000, 125_000, 10);
    line.run(40_000, 125_000, 100);
    expect(line.run(5_000, 125_000, 100)).toBeGreaterThan(12 * MIB);
  });
});

describe('probes', () => {
  test('one at a time, at most every 100 ms', () => {
    const budget = new Budget();
    expect(budget.received(1, 0)).toBe(true);
    expect(budget.received(1, 500)).toBe(false);
    budget.probeAnswered(600, 600);
    expect(budget.received(1, 600)).toBe(true);
    budget.probeAnswered(1, 601);
    expect(budget.received(1, 699)).toBe(false);
    expect(budget.received(1, 700)).toBe(true);
  });

  test('one that could not be sent does not end the measuring', () => {
    const budget = new Budget();
    expect(budget.received(1, 0)).toBe(true);
    budget.probeLost();
    expect(budget.received(1, 100)).toBe(true);
  });
});

test('shares: the budget by the active streams, at least 64 KiB each', () => {
  const budget = new Budget();
  expect([0, 1, 2, 8, 9, 4_096].map((active) => budget.streamTarget(active) / KIB)).toEqual([
    512, 512, 256, 64, 64, 64,
  ]);
});

test('property: always between floor and cap, whatever the clock and the peer do', () => {
  const step = fc.tuple(fc.nat(10_000_000), fc.double({ min: -10, max: 1e6, noNaN: true }), fc.nat(100_000));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const budget = new Budget();
      let now = 0;
      for (const [bytes, rtt, wait] of steps) {
        now += wait;
        budget.received(bytes, now);
        budget.probeAnswered(rtt, now);
        expect(budget.bytes).toBeGreaterThanOrEqual(FAR_FLOOR * 0.25);
        expect(budget.bytes).toBeLessThanOrEqual(CAP);
      }
    }),
  );
});
