// The JDKs of this machine: JAVA_HOME, the one on PATH, and those installed beside it. Used by shim-jvm.test.ts.
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

export interface Jdk {
  readonly home: string;
  /** 17, 25. */
  readonly feature: number;
}

/** One for each feature version, in their order. */
export function findJdks(): Jdk[] {
  const onPath = (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'javac'))
    .find((file) => existsSync(file));
  const homes = [process.env['JAVA_HOME'], onPath && dirname(dirname(realpathSync(onPath)))].filter(
    (home) => home !== undefined,
  );
  const beside = homes.flatMap((home) => readdirSync(dirname(home)).map((name) => join(dirname(home), name)));
  const found = new Map<number, Jdk>();
  for (const home of [...homes, ...beside]) {
    const feature = featureOf(home);
    if (feature !== undefined && !found.has(feature)) found.set(feature, { home: realpathSync(home), feature });
  }
  return [...found.values()].sort((a, b) => a.feature - b.feature);
}

function featureOf(home: string): number | undefined {
  const release = join(home, 'release');
  if (!existsSync(join(home, 'bin', 'javac')) || !existsSync(release)) return undefined;
  const version = /^JAVA_VERSION="(?:1\.)?(\d+)/m.exec(readFileSync(release, 'utf8'))?.[1];
  return version === undefined ? undefined : Number(version);
}
