// Taking over and handing back while callers in the cluster never stop asking: the times that a person and her colleagues notice, and what failed.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { KUBECONFIG } from '../support/cluster.mjs';
import { KT, waitFor } from '../support/processes.mjs';
import { NAMES } from './manifests.mjs';

/** The callers of the end-to-end tests: new connections, and a pool. */
const CALLERS = readFileSync(new URL('../../test/e2e/support/callers.cjs', import.meta.url), 'utf8');
const LIMIT_MS = 60_000;

/** Callers in a pod; `lines` has what came with its time. */
async function startCallers(url) {
  const given = `const URL_=${JSON.stringify(url)},HEADERS={},KINDS=['new','kept'],H2=0,TCP=0,TIMEOUT_MS=8000;`;
  const args = [
    '--kubeconfig',
    KUBECONFIG,
    'exec',
    '-i',
    `deploy/${NAMES.caller}`,
    '--',
    'node',
    '-e',
    given + CALLERS,
  ];
  const child = spawn('kubectl', args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = [];
  const waiting = new Set();
  let held = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    const parts = (held + text).split('\n');
    held = parts.pop();
    for (const line of parts) lines.push({ line, at: performance.now() });
    for (const look of waiting) look();
  });
  /** When `line` was seen first, from `from` on. */
  const seen = (line, from) =>
    new Promise((resolve, reject) => {
      const look = () => {
        const found = lines.slice(from).find((one) => one.line === line);
        if (!found) return;
        clearTimeout(timer);
        waiting.delete(look);
        resolve(found.at);
      };
      const timer = setTimeout(() => reject(new Error(`not seen: ${line}`)), LIMIT_MS);
      waiting.add(look);
      look();
    });
  await Promise.all([seen('new pod', 0), seen('kept pod', 0)]);
  return {
    lines,
    seen,
    failed: () => lines.filter(({ line }) => line.includes('!')).length,
    stop: async () => {
      child.stdin.end();
      await once(child, 'close');
    },
  };
}

/** One exchange from its start to its end, in milliseconds. */
export async function exchangeOnce(port) {
  const callers = await startCallers(`http://${NAMES.origin}/`);
  try {
    const started = performance.now();
    const args = [...KT.slice(1), 'exchange', NAMES.origin, '--expose', `${port}:80`, '--output', 'json'];
    const kt = spawn(KT[0], args, { env: { ...process.env, KUBECONFIG }, stdio: ['ignore', 'pipe', 'inherit'] });
    await waitFor(kt, kt.stdout, /"type":"holding"/, 'kt exchange');
    const ready = performance.now() - started;
    const moved = (await callers.seen('new laptop', 0)) - started;
    await callers.seen('new laptop', callers.lines.length);
    const taken = callers.failed();
    const from = callers.lines.length;
    const ending = performance.now();
    kt.kill('SIGINT');
    const [, back] = await Promise.all([once(kt, 'exit'), callers.seen('new pod', from)]);
    const ended = performance.now() - ending;
    await callers.seen('kept pod', callers.lines.length);
    return { ready, moved, back: back - ending, ended, failedTaking: taken, failedBack: callers.failed() - taken };
  } finally {
    await callers.stop();
  }
}
