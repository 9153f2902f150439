// The first code of the single executable that scripts/sea.mjs makes: puts kt and a plain Node into a folder of the user's own, once per
// version, and goes over to it. A program of its own for Node, because kt starts Nodes itself (the screen, the janitor, the playground's
// pods), and a single executable can only be itself. No part of dist/; nothing else calls it.
const fs = require('node:fs');
const { homedir, tmpdir } = require('node:os');
const path = require('node:path');
const sea = require('node:sea');

const windows = process.platform === 'win32';
const uid = process.getuid?.() ?? 0;
// In two parts: whole, it may stand in the executable only once.
const FUSE = ['NODE_SEA_FUSE', 'fce680ab2cc467b6e072b8b5df1996b2'].join('_');

/** The user's own folder for it; the temporary one where there is no home that can be written to. */
function base() {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  const cache = windows ? LOCALAPPDATA : XDG_CACHE_HOME || path.join(homedir(), '.cache');
  const wanted = [cache && path.join(cache, 'kt'), path.join(tmpdir(), `kt-program-${uid}`)].filter(Boolean);
  let reason = '';
  for (const folder of wanted) {
    try {
      fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
      const stat = fs.lstatSync(folder);
      if (!stat.isDirectory() || (!windows && stat.uid !== uid)) throw new Error('it belongs to somebody else');
      if (!windows && (stat.mode & 0o077) !== 0) fs.chmodSync(folder, 0o700);
      fs.accessSync(folder, fs.constants.W_OK);
      return folder;
    } catch (error) {
      reason += `\n    ${folder}: ${error.message}`;
    }
  }
  throw new Error(`no folder for the program${reason}\n    set XDG_CACHE_HOME to a folder of your own`);
}

/** This executable without what was put into it. */
function plainNode(to) {
  const bytes = fs.readFileSync(process.execPath);
  const at = bytes.indexOf(`${FUSE}:1`);
  if (at < 0) throw new Error('this is no executable of kt');
  bytes[at + FUSE.length + 1] = 0x30;
  fs.writeFileSync(to, bytes, { mode: 0o700 });
}

function unpacked() {
  const names = sea.getAssetKeys();
  const id = sea.getAsset('id', 'utf8');
  const folder = path.join(base(), id);
  const node = path.join(folder, windows ? 'node.exe' : 'node');
  const entry = path.join(folder, 'dist', 'kt.mjs');
  if (fs.existsSync(folder)) return { node, entry };
  // Made beside it and renamed: it is whole or not there, and two starts at once do not meet.
  const making = fs.mkdtempSync(`${folder}.`);
  try {
    for (const name of names.filter((one) => one !== 'id')) {
      const file = path.join(making, name);
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, Buffer.from(sea.getRawAsset(name)), { mode: name.endsWith('kt-any') ? 0o700 : 0o600 });
    }
    plainNode(path.join(making, windows ? 'node.exe' : 'node'));
    fs.renameSync(making, folder);
  } catch (error) {
    fs.rmSync(making, { recursive: true, force: true });
    if (!fs.existsSync(folder)) throw error;
  }
  return { node, entry };
}

function main() {
  const { node, entry } = unpacked();
  try {
    fs.accessSync(node, fs.constants.X_OK);
  } catch {
    // A folder mounted noexec: execve would only abort.
    throw new Error(`${path.dirname(node)} must not run programs\n    set XDG_CACHE_HOME to a folder that may`);
  }
  const args = [entry, ...process.argv.slice(2)];
  // It is there on Windows as well, and throws.
  if (!windows && process.execve) process.execve(node, [node, ...args], process.env);
  const { spawn } = require('node:child_process');
  const child = spawn(node, args, { stdio: 'inherit' });
  // Windows: Ctrl-C and the like reach both, and kt decides what they mean. Sent by kill() they would end it without a word.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGBREAK'])
    process.on(signal, () => windows || child.kill(signal));
  child.on('error', (error) => fail(error));
  child.on('exit', (code) => process.exit(code ?? 1));
}

function fail(error) {
  console.error(`kt: can't start: ${error.message}`);
  process.exit(1);
}

try {
  main();
} catch (error) {
  fail(error);
}
