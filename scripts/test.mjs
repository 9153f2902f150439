// `npm test`: static checks, then vitest, then one line `N passed, N failed`. With --e2e only the suite against a real cluster.
// A failed static check counts as a failure. The counts are also written to $KT_TEST_COUNTS, for .ci/run to add up.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

const e2e = process.argv.includes('--e2e');
const files = process.argv.slice(2).filter((argument) => argument !== '--e2e');
const report = `coverage/report-${e2e ? 'e2e' : 'unit'}.json`;
let passed = 0;
let failed = 0;

mkdirSync('coverage', { recursive: true });
rmSync(report, { force: true });
if (!e2e && files.length === 0) {
  const check = spawnSync(process.execPath, ['scripts/check.mjs'], { stdio: 'inherit' });
  if (check.status === 0) passed += 1;
  else failed += 1;
}
const env = { ...process.env, KT_TEST_REPORT: report, ...(e2e ? { KT_TEST: 'e2e' } : {}) };
const run = spawnSync('vitest', ['run', ...files], { stdio: 'inherit', env });
try {
  const result = JSON.parse(readFileSync(report, 'utf8'));
  passed += result.numPassedTests;
  failed += result.numFailedTests;
  // A suite that could not be loaded has no failed test of its own, but it is a failure.
  if (!result.success && result.numFailedTests === 0) failed += Math.max(1, result.numFailedTestSuites);
  if (result.numPendingTests + result.numTodoTests > 0) failed += 1;
} catch (error) {
  console.error(`test: no report from vitest (${error.message})`);
  failed += 1;
}
if (run.status !== 0 && failed === 0) failed += 1;
if (process.env.KT_TEST_COUNTS) writeFileSync(process.env.KT_TEST_COUNTS, `${passed} ${failed}\n`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
