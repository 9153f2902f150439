import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  DEAD_AFTER_MS,
  Liveness,
  type LivenessAction,
  PING_AFTER_MS,
  TICK_MS,
  WAKE_GRACE_MS,
} from '../../../src/netstack/link/liveness.machine.ts';

/** A driver with a clock of its own; writes down what it is told to do, and when. */
class Clock {
  now = 1_000_000;
  readonly told: [number, LivenessAction][] = [];
  readonly #liveness = new Liveness(this.now);
  readonly #start = this.now;

  tick(ms: number = TICK_MS): LivenessAction {
    this.now += ms;
    const action = this.#liveness.tick(this.now);
    if (action !== 'none') this.told.push([this.now - this.#start, action]);
    return action;
  }

  /** Ticks for so long; bytes come before the tick at the times that `bytes` accepts. */
  run(ms: number, bytes: (at: number) => boolean = () => false): void {
    for (const until = this.now + ms; this.now < until; ) {
      if (bytes(this.now + TICK_MS - this.#start)) this.#liveness.received(this.now + TICK_MS);
      if (this.tick() === 'dead') return;
    }
  }

  received(): void {
    this.#liveness.received(this.now);
  }
}

describe('transcripts (milliseconds)', () => {
  test('silence: a ping at 5 s and at 10 s, dead at 15 s', () => {
    const clock = new Clock();
    clock.run(60_000);
    expect(clock.told).toEqual([
      [PING_AFTER_MS, 'ping'],
      [2 * PING_AFTER_MS, 'ping'],
      [DEAD_AFTER_MS, 'dead'],
    ]);
  });

  test('a link that receives is never asked', () => {
    const clock = new Clock();
    clock.run(600_000, (at) => at % 4_500 === 0);
    expect(clock.told).toEqual([]);
  });

  test('an idle link that answers is asked every 5 s, for ever', () => {
    const clock = new Clock();
    for (let left = 30_000 / TICK_MS; left > 0; left -= 1) {
      const asked = clock.told.at(-1)?.[0] === clock.now - 1_000_000;
      if (asked) clock.received();
      clock.tick();
    }
    expect(clock.told).toEqual([5_000, 10_000, 15_000, 20_000, 25_000, 30_000].map((at) => [at, 'ping']));
  });

  test('one byte late is as good as in time', () => {
    const clock = new Clock();
    clock.run(14_500);
    clock.received();
    clock.run(4_500);
    expect(clock.told.at(-1)).toEqual([10_000, 'ping']);
    clock.run(60_000);
    expect(clock.told.at(-1)).toEqual([14_500 + DEAD_AFTER_MS, 'dead']);
  });

  test('the laptop slept: asked at once, dead 3 s later', () => {
    const clock = new Clock();
    clock.run(2_000);
    expect(clock.tick(3_600_000)).toBe('ping');
    clock.run(60_000);
    expect(clock.told).toEqual([
      [3_602_000, 'ping'],
      [3_602_000 + WAKE_GRACE_MS, 'dead'],
    ]);
  });

  test('the laptop slept, and the link still lives', () => {
    const clock = new Clock();
    expect(clock.tick(3_600_000)).toBe('ping');
    clock.tick();
    clock.received();
    clock.run(4_500);
    expect(clock.told).toHaveLength(1);
  });

  test.each([-1_000, -3_600_000])('the clock was set by %d ms: asked at once, and silence is found as ever', (step) => {
    const clock = new Clock();
    clock.run(2_000);
    expect(clock.tick(step)).toBe('ping');
    const at = clock.now;
    clock.run(60_000);
    expect(clock.told.at(-1)?.[1]).toBe('dead');
    expect(clock.now - at).toBe(WAKE_GRACE_MS);
  });

  test('a busy event loop is no sleep', () => {
    const clock = new Clock();
    expect(clock.tick(4_900)).toBe('none');
    expect(clock.tick(4_900)).toBe('ping');
  });
});

test('property: silence of 15 s is found within one tick, whatever came before', () => {
  const past = fc.array(fc.tuple(fc.integer({ min: -5_000, max: 40_000 }), fc.boolean()), { maxLength: 30 });
  fc.assert(
    fc.property(past, (steps) => {
      const clock = new Clock();
      for (const [ms, bytes] of steps) {
        clock.tick(ms);
        if (bytes) clock.received();
      }
      clock.received();
      clock.tick();
      const from = clock.now;
      clock.run(60_000);
      expect(clock.told.at(-1)?.[1]).toBe('dead');
      expect(clock.now - from).toBeLessThanOrEqual(DEAD_AFTER_MS);
    }),
  );
});
