// What the screen costs under load: 2,000 Services, 500 requests/s for 60 s, a session that this process plays, the built `kt ui` on a real
// terminal. Measures the time from a key to its answer on the terminal, the CPU and memory of the screen's own process, and what it writes.
//   node benchmarks/ui/run.ts [--seconds 60] [--requests 500] [--services 2000]
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { SCREEN_HEAP } from '../../src/cli/screen.ts';
import { Board } from '../../src/session/board.ts';
import type { ServiceLine } from '../../src/session/overview.ts';
import type { InboundRecord } from '../../src/session/traffic/types.ts';
import { Terminal } from '../../test/support/terminal.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    requests: { type: 'string', default: '500' },
    services: { type: 'string', default: '2000' },
  },
});
const [seconds, perSecond, count] = [Number(values.seconds), Number(values.requests), Number(values.services)];
/** Batches a second, as the journal sends them. */
const BATCHES = 10;
const TICKS = 100;

const name = (at: number): string => `service-${String(at).padStart(4, '0')}`;
const service = (at: number, ready: number): ServiceLine => ({
  name: name(at),
  type: 'ClusterIP',
  ports: [{ port: 80, name: 'http', protocol: 'TCP', targetPort: 8080 }],
  ready,
  originReady: null,
  state: 'normal',
  by: [],
  notes: [],
});

const folder = mkdtempSync(join(tmpdir(), 'kt-bench-'));
process.env['KT_RUNTIME_DIR'] = folder;
const board = new Board(() => undefined);
await board.listen();
const since = new Date().toISOString();
board.emit({
  type: 'opening',
  session: board.id,
  namespace: 'shop',
  context: 'bench',
  as: 'dev',
  server: 'https://x',
  user: 'u',
  host: 'h',
  since,
});
board.emit({
  type: 'ready',
  namespace: 'shop',
  context: 'bench',
  proxy: null,
  dns: null,
  agent: 'a',
  mode: 'agent',
  reduced: [],
});
const { pid, terminal } = await open();

async function open(): Promise<{ pid: number; terminal: Terminal }> {
  const started = new Terminal(process.execPath, [...SCREEN_HEAP, 'dist/kt.mjs', 'ui'], {
    cols: 160,
    rows: 50,
    env: { ...process.env, CI: '', KT_RUNTIME_DIR: folder, LANG: 'C.UTF-8' },
  });
  await started.until('looking at the namespace');
  return { pid: started.pid, terminal: started };
}

/** Milliseconds of CPU until now, and MiB that are resident. */
function usage(): { cpuMs: number; mib: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
  return { cpuMs: ((Number(stat[11]) + Number(stat[12])) / TICKS) * 1_000, mib: (pages * 4_096) / 1_048_576 };
}

let [next, churn] = [1, 0];
let open_: InboundRecord[] = [];
function batch(): void {
  const done = open_.map(
    (record): InboundRecord => ({ ...record, state: 'done', status: 200, ms: 14, answerMs: 9, sent: 1_200 }),
  );
  open_ = Array.from(
    { length: perSecond / BATCHES },
    (): InboundRecord => ({
      id: next++,
      time: new Date().toISOString(),
      state: 'open',
      ms: 0,
      received: 310,
      sent: 0,
      error: null,
      direction: 'in',
      service: name(7),
      caller: '10.0.0.7:41234',
      rule: 'exchange: all requests',
      reason: 'exchange: all requests',
      local: 8080,
      protocol: 'http/1.1',
      method: 'GET',
      path: `/api/orders/${next}?page=2`,
      host: 'orders',
      status: null,
      answerMs: null,
      upgrade: null,
    }),
  );
  board.emit({
    type: 'traffic',
    records: [...done, ...open_],
    fresh: false,
    dropped: Math.max(0, next - 2_000),
    limit: 2_000,
  });
  // A rollout somewhere: some endpoints change all the time.
  const changed = Array.from({ length: 5 }, () => service((churn = (churn + 37) % count), 1 + (churn % 3)));
  board.emit({ type: 'services', fresh: false, changed, gone: [], connected: [], trouble: null });
}

/** Milliseconds from the key until what it leads to is seen. */
async function answer(keys: string, seen: string | RegExp): Promise<number> {
  const started = performance.now();
  terminal.type(keys);
  await terminal.until(seen);
  return performance.now() - started;
}

for (let at = 0; at < count; at += 200)
  board.emit({
    type: 'services',
    fresh: at === 0,
    changed: Array.from({ length: Math.min(200, count - at) }, (_, more) => service(at + more, 2)),
    gone: [],
    connected: [],
    trouble: null,
  });
await terminal.until(`${count} Services`);

const times: number[] = [];
const memory: number[] = [];
const batches = setInterval(batch, 1_000 / BATCHES);
const pulses = setInterval(() => {
  board.emit({
    type: 'pulse',
    apiMs: 3,
    agentMs: 5,
    received: 1e6 * Math.random(),
    sent: 1e5 * Math.random(),
    streams: 9,
    inbound: { [name(7)]: perSecond },
  });
}, 1_000);
await wait(5_000);
const [before, writtenBefore, started] = [usage(), terminal.written, performance.now()];
for (let round = 0; performance.now() - started < seconds * 1_000; round += 1) {
  const index = round % 20;
  terminal.type('1');
  await terminal.until('SERVICE');
  terminal.type('g');
  await terminal.until(`▸ ${name(0)}`);
  times.push(await answer('\u001b[B', `▸ ${name(1)}`));
  times.push(await answer('\u001b[6~', /▸ service-00[2-9]\d/));
  times.push(await answer('/', 'esc shows all'));
  times.push(await answer(String(1_990 + (index % 10)), /▸ service-199\d/));
  terminal.type('\u001b');
  await terminal.until(`   ${count} Services`);
  times.push(await answer('2', 'REQUEST OR CONNECTION'));
  times.push(await answer(' ', 'paused'));
  terminal.type(' ');
  await terminal.until((text) => !text.includes('paused'));
  memory.push(usage().mib);
  await wait(500);
}
const [after, lasted] = [usage(), performance.now() - started];
clearInterval(batches);
clearInterval(pulses);
const sorted = times.toSorted((one, other) => one - other);
const quantile = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
const result = {
  services: count,
  requestsPerSecond: perSecond,
  seconds: Math.round(lasted / 1_000),
  keys: times.length,
  keyMs: { p50: Math.round(quantile(0.5)), p99: Math.round(quantile(0.99)), max: Math.round(quantile(1)) },
  cpuPercent: Math.round(((after.cpuMs - before.cpuMs) / lasted) * 1_000) / 10,
  memoryAllMiB: memory.filter((_, at) => at % Math.ceil(memory.length / 12) === 0).map((one) => Math.round(one)),
  memoryMiB: {
    first: Math.round(memory[0] ?? 0),
    last: Math.round(memory.at(-1) ?? 0),
    max: Math.round(Math.max(...memory)),
  },
  writtenKBPerSecond: Math.round((terminal.written - writtenBefore) / lasted),
};
console.log(JSON.stringify(result, null, 2));
await terminal.close();
board.close();
rmSync(folder, { recursive: true, force: true });
