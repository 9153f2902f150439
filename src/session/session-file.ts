// The session file: how a program that outlived its kt finds the next one. Shims read it when the broker that they were started with does
// not answer (NAME=VALUE lines, the same names as in their environment). One for each context and namespace, 0600, because it holds the
// broker's token. Written when a session's ports are open, removed when it ends, or by the next command where it was killed. Called by session.ts and control-client.ts.
import { createHash } from 'node:crypto';
import { chmodSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ShimSettings, shimVariables } from '../netstack/broker/settings.codec.ts';
import { isAlive } from './alive.ts';
import { runtimeFolder } from './control-paths.ts';

/** The same for every session of this context and namespace, so that the next one is found where this one was. */
export function sessionFilePath(context: string, namespace: string): string {
  const name = createHash('sha256').update(`${context}\n${namespace}`).digest('hex').slice(0, 16);
  return join(runtimeFolder(), `${name}.session`);
}

/** A session that others can join takes the place of any other's file; a program's own session only that of a dead one. */
export function writeSessionFile(path: string, settings: ShimSettings, shared: boolean): void {
  const other = ownerOf(path);
  if (!shared && other !== undefined && other !== process.pid && isAlive(other)) return;
  const lines = { KT_PID: process.pid, ...shimVariables(settings) };
  const text = Object.entries(lines).map(([name, value]) => `${name}=${value}\n`);
  // In one step: a shim reads all of it or the older one.
  const fresh = `${path}.${process.pid}`;
  writeFileSync(fresh, text.join(''), { mode: 0o600 });
  if (process.platform !== 'win32') chmodSync(fresh, 0o600);
  renameSync(fresh, path);
}

/** Another session's is left alone. */
export function removeSessionFile(path: string): void {
  if (ownerOf(path) === process.pid) rmSync(path, { force: true });
}

/** Files of sessions that were killed. The next session of their context and namespace would write them anew. */
export function deadSessionFiles(): string[] {
  const folder = runtimeFolder();
  return readdirSync(folder)
    .filter((name) => name.endsWith('.session'))
    .map((name) => join(folder, name))
    .filter((path) => {
      const owner = ownerOf(path);
      return owner !== undefined && !isAlive(owner);
    });
}

function ownerOf(path: string): number | undefined {
  try {
    const pid = /^KT_PID=(\d+)$/m.exec(readFileSync(path, 'utf8'))?.[1];
    return pid === undefined ? undefined : Number(pid);
  } catch {
    return undefined;
  }
}
