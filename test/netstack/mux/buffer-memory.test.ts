import { PerformanceObserver } from 'node:perf_hooks';
import { cachedDataVersionTag } from 'node:v8';
import { expect, test } from 'vitest';
import { buffersUsed } from '../../../src/netstack/mux/buffer-memory.ts';

const MIB = 1024 * 1024;

test('each 4 MiB collect the young generation once, and V8 keeps its flags', async () => {
  const flags = cachedDataVersionTag();
  const kinds: (number | undefined)[] = [];
  const seen = new Promise<void>((resolve) => {
    const observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries())
        kinds.push((entry as unknown as { detail?: { kind?: number } }).detail?.kind);
      // 1 = minor (perf_hooks.constants.NODE_PERFORMANCE_GC_MINOR).
      if (kinds.filter((kind) => kind === 1).length < 3) return;
      observer.disconnect();
      resolve();
    });
    observer.observe({ entryTypes: ['gc'] });
  });
  for (let index = 0; index < 12; index += 1) buffersUsed(MIB);
  await seen;
  expect(cachedDataVersionTag()).toBe(flags);
});
