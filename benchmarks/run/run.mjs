// benchmarks/run: what the shims cost a program. Start of a JVM and of Node with and without the shim, in pairs, in turn; and a connect
// through the broker against one to loopback. No cluster: the broker's far end is on loopback too. Prints a table with the targets.
// Needs `npm run build` and a JDK 17 (JAVA_HOME or PATH).   node benchmarks/run/run.mjs [--pairs 15]
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startBroker } from '../../src/netstack/broker/server.ts';
import { DirectDialer } from '../../src/netstack/route/direct-dialer.ts';

const { values: options } = parseArgs({ options: { pairs: { type: 'string', default: '15' } } });
const pairs = Number(options.pairs);
const CONNECTS = 400;
const shims = resolve('dist/shims');
const java = process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin') : '';
const folder = mkdtempSync(join(tmpdir(), 'kt-bench-run-'));
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/** Milliseconds of one run of the program. */
function once(command, args, env) {
  const started = performance.now();
  const done = spawnSync(command, args, { env: { PATH: process.env.PATH, ...env }, stdio: 'ignore' });
  if (done.status !== 0) throw new Error(`${command} ended with ${done.status}`);
  return performance.now() - started;
}

/** In pairs, so that what else the machine does meets both; the difference of the fastest runs is what is left when it does little. */
function paired(command, args, shim) {
  const [plain, under] = [[], []];
  for (let index = 0; index < pairs; index += 1) {
    plain.push(once(command, args, {}));
    under.push(once(command, args, shim));
  }
  const differences = under.map((one, index) => one - plain[index]);
  return { plain: Math.min(...plain), more: Math.min(...under) - Math.min(...plain), median: median(differences) };
}

const KT = { KT_BROKER: '127.0.0.1:9', KT_TOKEN: 'x', KT_CIDRS: '198.18.0.0/15' };
writeFileSync(
  join(folder, 'Hello.java'),
  'public class Hello { public static void main(String[] a) { System.out.println(1); } }',
);
execFileSync(join(java, 'javac'), ['-d', folder, join(folder, 'Hello.java')]);
const jvm = paired(join(java, 'java'), ['-cp', folder, 'Hello'], {
  ...KT,
  JAVA_TOOL_OPTIONS: `-javaagent:${join(shims, 'kt-jvm.jar')}`,
});
// With what every program has that talks to another: node:http loads most of what the shim needs.
const node = paired(process.execPath, ['-e', "require('node:http')"], {
  ...KT,
  NODE_OPTIONS: `--require ${join(shims, 'kt-node.cjs')}`,
});

/** A line, and its answer's first line. */
const ask = (port, line) =>
  new Promise((resolved, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(line));
    socket.once('data', (chunk) => {
      socket.destroy();
      resolved(String(chunk));
    });
    socket.once('error', reject);
  });
const open = (port) =>
  new Promise((resolved, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      resolved();
      socket.destroy();
    });
    socket.once('error', reject);
  });

const target = createServer((socket) => socket.on('error', () => undefined).resume());
await new Promise((resolved) => target.listen(0, '127.0.0.1', resolved));
const { port } = target.address();
const router = {
  isClusterName: () => false,
  suffixes: () => [],
  ipv6: () => false,
  learnAnswer: () => undefined,
  route: () => ({ via: 'cluster' }),
};
const broker = await startBroker({ dialer: new DirectDialer(), router });
const brokerPort = Number(broker.address.split(':')[1]);
const [direct, through] = [[], []];
for (let index = 0; index < CONNECTS; index += 1) {
  let started = performance.now();
  await open(port);
  direct.push(performance.now() - started);
  started = performance.now();
  const answer = await ask(brokerPort, `KT1 ${broker.token} DIAL 127.0.0.1 ${port} 0\n`);
  await open(Number(answer.slice(3)));
  through.push(performance.now() - started);
}
await broker.close();
target.close();
rmSync(folder, { recursive: true });

const figure = (value) => value.toFixed(2);
console.log('| | plain | with kt | target |');
console.log('|---|---:|---:|---|');
console.log(
  `| JVM: start of an empty program (ms) | ${figure(jvm.plain)} | +${figure(jvm.more)} (median of pairs ${figure(jvm.median)}) | ≤ +60 |`,
);
console.log(
  `| Node: start of a program with node:http (ms) | ${figure(node.plain)} | +${figure(node.more)} (median of pairs ${figure(node.median)}) | ≤ +3 |`,
);
console.log(
  `| connect through the broker, median (ms) | ${figure(median(direct))} | ${figure(median(through))} | ≤ 1 |`,
);
