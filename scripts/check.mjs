// Static checks in one go: types, lint (type-aware), format, unused files. Called by `npm run check` and by scripts/test.mjs.
// The rules of the architecture (arrows, sans-io, file sizes) are tests: test/architecture.test.ts.
import { spawnSync } from 'node:child_process';

const checks = [
  ['tsc', '--noEmit'],
  ['oxlint', '--type-aware', '--deny-warnings'],
  ['biome', 'check', '--error-on-warnings', '.'],
  ['knip', '--no-progress'],
];
let failed = 0;
for (const [command, ...args] of checks) {
  const done = spawnSync(command, args, { stdio: 'inherit' });
  if (done.status !== 0) {
    failed += 1;
    console.error(`check failed: ${command} ${args.join(' ')}`);
  }
}
process.exit(failed === 0 ? 0 : 1);
