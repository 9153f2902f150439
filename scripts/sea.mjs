// Makes single executables from dist/ by Node's SEA build: `npm run executables -- [linux-x64 linux-arm64 win-x64 …]`, by default for this
// platform. Into build/ (`--out FOLDER`): the executables, SHA256SUMS, and an SBOM (CycloneDX) of what is in them. Needs a fresh dist/.
// The Node in them is the pinned one (`--node VERSION`: another), for other platforms from npm's package node-PLATFORM.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import postject from 'postject';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { out: { type: 'string', default: 'build' }, node: { type: 'string' } },
});
const OUT = values.out;
const windows = process.platform === 'win32';
const own = `${windows ? 'win' : process.platform}-${process.arch}`;
const platforms = positionals.length > 0 ? positionals : [own];
// What kt unpacks is this executable with one byte changed: macOS wants a signature of its own for that.
if (platforms.some((one) => !/^(linux|win)-(x64|arm64)$/.test(one)))
  throw new Error(
    'executables are made for linux-x64, linux-arm64, win-x64 and win-arm64; elsewhere install the tarball',
  );
const { version, devDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
const nodeVersion = values.node ?? devDependencies.node;

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
const npm = (args, options = {}) =>
  execFileSync('npm', args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024, shell: windows, ...options });

/** Blob of the program and everything in dist/. Without code cache and snapshot it is the same for every platform. */
function blob(folder) {
  const files = readdirSync('dist', { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== '.built')
    .map((entry) => relative('.', join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .toSorted();
  const id = join(folder, 'id');
  const content = sha256(files.map((file) => `${file} ${sha256(readFileSync(file))}\n`).join(''));
  writeFileSync(id, `${version}-${content.slice(0, 12)}`);
  const config = {
    main: 'scripts/sea-main.cjs',
    output: join(folder, 'blob'),
    disableExperimentalSEAWarning: true,
    assets: { id, ...Object.fromEntries(files.map((file) => [file, file])) },
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  // Of the version that will read it.
  const builder = join(folder, 'builder');
  writeFileSync(builder, nodeFor(own, folder), { mode: 0o700 });
  const made = spawnSync(builder, ['--experimental-sea-config', join(folder, 'config.json')], {
    stdio: ['ignore', 2, 2],
  });
  if (made.status !== 0) throw new Error('Node could not make the blob');
  return readFileSync(config.output);
}

/** A Node for that platform. */
function nodeFor(platform, folder) {
  if (platform === own && process.version === `v${nodeVersion}`) return readFileSync(process.execPath);
  const name = `node-${platform}`;
  const [{ filename }] = JSON.parse(npm(['pack', '--json', '--pack-destination', folder, `${name}@${nodeVersion}`]));
  execFileSync('tar', ['xzf', join(folder, filename), '-C', folder]);
  const node = readFileSync(join(folder, 'package', 'bin', platform.startsWith('win') ? 'node.exe' : 'node'));
  rmSync(join(folder, 'package'), { recursive: true });
  return node;
}

/** CycloneDX of what travels: the libraries that are bundled into dist/, and Node. */
function sbom() {
  const bundled = new Set(JSON.parse(readFileSync('dist/bundled.json', 'utf8')));
  const all = JSON.parse(
    npm(['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only', '--sbom-type', 'application']),
  );
  const travels = (one) => bundled.has(`${one.name}@${one.version}`) || one.name === 'node';
  const components = all.components.filter(travels).map((one) => ({ ...one, scope: 'required', properties: [] }));
  const node = components.find((one) => one.name === 'node');
  // Another one than the lock file's: its checksums and addresses do not count.
  if (nodeVersion !== devDependencies.node) {
    Object.assign(node, {
      version: nodeVersion,
      purl: `pkg:npm/node@${nodeVersion}`,
      hashes: [],
      externalReferences: [],
    });
  }
  const refs = new Set([all.metadata.component['bom-ref'], ...components.map((one) => one['bom-ref'])]);
  const dependencies = all.dependencies
    .filter((one) => refs.has(one.ref))
    .map((one) => ({ ...one, dependsOn: one.dependsOn.filter((ref) => refs.has(ref)) }));
  all.metadata.component.name = 'kt';
  return { ...all, components, dependencies };
}

const folder = mkdtempSync(join(tmpdir(), 'kt-sea-'));
try {
  rmSync(OUT, { recursive: true, force: true });
  mkdirSync(OUT);
  const program = blob(folder);
  const sums = [];
  for (const platform of platforms) {
    const name = `kt-${version}-${platform}${platform.startsWith('win') ? '.exe' : ''}`;
    const file = join(OUT, name);
    writeFileSync(file, nodeFor(platform, folder));
    await postject.inject(file, 'NODE_SEA_BLOB', program, {
      sentinelFuse: ['NODE_SEA_FUSE', 'fce680ab2cc467b6e072b8b5df1996b2'].join('_'),
    });
    chmodSync(file, 0o755);
    const bytes = readFileSync(file);
    sums.push(`${sha256(bytes)}  ${name}\n`);
    console.error(`${file}: ${Math.round(bytes.length / 1024 / 1024)} MiB`);
  }
  const bom = `kt-${version}.cdx.json`;
  writeFileSync(join(OUT, bom), `${JSON.stringify(sbom(), null, 2)}\n`);
  sums.push(`${sha256(readFileSync(join(OUT, bom)))}  ${bom}\n`);
  writeFileSync(join(OUT, 'SHA256SUMS'), sums.join(''));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
