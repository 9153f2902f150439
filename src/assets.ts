// Finds the files that are built beside the CLI: the agent's bundle and the shims. Works from the bundle (dist/, dist/chunks/) and
// from source (tests), by looking upwards from this module. Called by session/ and modes/.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KtError } from './errors.ts';

/** Absolute path of a file or folder of dist/. Throws INTERNAL where the build is missing. */
export function asset(name: string): string {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let folder = start; ; folder = dirname(folder)) {
    for (const candidate of [join(folder, name), join(folder, 'dist', name)])
      if (existsSync(candidate)) return candidate;
    if (dirname(folder) === folder)
      throw new KtError('INTERNAL', `${name} is not beside the program`, { hint: 'in a clone: npm run build' });
  }
}
