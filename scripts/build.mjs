// Bundles what runs: the CLI, the agent (one file under 100 KB, it travels in the pod spec) and the shims, into dist/.
// The jar of the JVM shim is prebuilt and only copied (shims/jvm/build.sh makes it).
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { rolldown } from 'rolldown';
import { licenseTexts } from './licenses.mjs';

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const define = { 'process.env.NODE_ENV': '"production"', __KT_VERSION__: JSON.stringify(version) };

/** NAME@VERSION of every library that is in dist/, with its folder: what the SBOM of scripts/sea.mjs lists. */
const bundled = new Map();

async function bundle(input, options, output) {
  const build = await rolldown({ input, platform: 'node', transform: { define }, logLevel: 'warn', ...options });
  const { output: written } = await build.write({ format: 'esm', minify: false, ...output });
  await build.close();
  for (const module of written.flatMap((one) => one.moduleIds ?? [])) {
    const folder = /^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+/.exec(module)?.[0];
    if (folder === undefined) continue;
    const library = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
    bundled.set(`${library.name}@${library.version}`, folder);
  }
}

rmSync('dist', { recursive: true, force: true });
mkdirSync('dist/shims', { recursive: true });

await bundle('src/agent/main.ts', {}, { file: 'dist/agent.mjs', minify: true, codeSplitting: false });
await bundle(
  // The screen is a bundle of its own, loaded by `kt ui` only. Ink's developer tools are not for users.
  { kt: 'src/cli/main.ts', ui: 'src/ui/show.tsx' },
  { resolve: { alias: { 'react-devtools-core': new URL('no-devtools.mjs', import.meta.url).pathname } } },
  {
    dir: 'dist',
    entryFileNames: '[name].mjs',
    chunkFileNames: 'chunks/[name]-[hash].mjs',
    minify: { mangle: false, compress: true },
  },
);
for (const [from, to] of [
  ['shims/jvm/kt-jvm.jar', 'kt-jvm.jar'],
  ['shims/node/kt-node.cjs', 'kt-node.cjs'],
  ['shims/node/kt-node-broker.cjs', 'kt-node-broker.cjs'],
  ['shims/python/sitecustomize.py', 'python/sitecustomize.py'],
  // Optional: shims/any/build.sh makes it, where there is a C compiler.
  ['shims/any/kt-any', 'kt-any'],
]) {
  if (!existsSync(from)) continue;
  mkdirSync(`dist/shims/${to}`.replace(/\/[^/]*$/, ''), { recursive: true });
  copyFileSync(from, `dist/shims/${to}`);
}
// The interpreter of PAC files; its library is bundled, and this is its machine code.
copyFileSync('node_modules/quickjs-wasi/quickjs.wasm', 'dist/quickjs.wasm');
cpSync('src/modes/demo-programs', 'dist/demo', { recursive: true });
cpSync('src/playground/programs', 'dist/playground', { recursive: true });
chmodSync('dist/kt.mjs', 0o755);
writeFileSync('dist/package.json', JSON.stringify({ type: 'module', version }));
const libraries = [...bundled].toSorted(([a], [b]) => a.localeCompare(b));
writeFileSync('dist/bundled.json', JSON.stringify(libraries.map(([id]) => id)));
writeFileSync('dist/THIRD-PARTY-LICENSES.txt', licenseTexts(libraries));
const size = statSync('dist/agent.mjs').size;
if (size > 100_000)
  throw new Error(`dist/agent.mjs is ${size} bytes; the limit is 100,000 (it has to fit into the pod spec)`);
console.error(`built: agent ${size} bytes`);
