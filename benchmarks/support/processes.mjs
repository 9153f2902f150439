// Programs that the benchmarks start: their CPU time, their memory, what they say, their end. Linux (/proc).
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

const TICKS_PER_SECOND = 100;
/** The built kt, by the pinned Node. */
export const KT = ['node_modules/node/bin/node', 'dist/kt.mjs'];

/** CPU seconds that a process has used. */
export function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** MiB resident: now, and the most there was. */
export function memory(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const read = (name) => Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)[1]) / 1024);
  return { now: read('VmRSS'), peak: read('VmHWM') };
}

/** Resolves with the match of `pattern` in what the child says. */
export function waitFor(child, stream, pattern, what) {
  return new Promise((resolve, reject) => {
    let text = '';
    const timer = setTimeout(() => reject(new Error(`${what}: not there in 60 s: ${text}`)), 60_000);
    stream.setEncoding('utf8').on('data', (part) => {
      text += part;
      const match = pattern.exec(text);
      if (!match) return;
      clearTimeout(timer);
      resolve(match);
    });
    child.once('exit', (code) => reject(new Error(`${what} ended with ${code}: ${text}`)));
  });
}

export async function end(child) {
  child.kill('SIGTERM');
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}
