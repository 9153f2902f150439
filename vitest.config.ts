import { defineConfig } from 'vitest/config';

// Unit and integration tests need no cluster; test/e2e needs the real one and runs apart, one file at a time.
const e2e = process.env['KT_TEST'] === 'e2e';

export default defineConfig({
  test: {
    include: e2e ? ['test/e2e/**/*.test.ts'] : ['test/**/*.test.ts'],
    exclude: e2e ? ['**/node_modules/**'] : ['**/node_modules/**', 'test/e2e/**', 'test/fixtures/**'],
    fileParallelism: !e2e,
    maxWorkers: 2,
    testTimeout: e2e ? 120_000 : 20_000,
    hookTimeout: e2e ? 180_000 : 60_000,
    teardownTimeout: 20_000,
    reporters: ['default', ['json', { outputFile: process.env['KT_TEST_REPORT'] ?? 'coverage/report.json' }]],
  },
});
