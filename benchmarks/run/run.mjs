// benchmarks/run: what the shims cost a program. Start of a JVM and of Node with and without the shim, in pairs, in turn: time, and the
// processor's time, which other work on the machine hardly changes; for the JVM also an agent that does nothing. And a connect through the
// broker against one to loopback. No cluster: the broker's far end is on loopback too. Prints a table with the targets. Needs bash, `npm run build` and a JDK 17 (JAVA_HOME or PATH).   node benchmarks/run/run.mjs [--pairs 15]
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

/** Milliseconds of one run of the program, and of the processor for it. Bash knows both of a child; Node does not. */
const TIMED = 'TIMEFORMAT="%3R %3U %3S"; time "$@" > /dev/null 2>&1';
function once(command, args, env) {
  const options = { env: { PATH: process.env.PATH, LC_ALL: 'C', ...env }, encoding: 'utf8' };
  const done = spawnSync('bash', ['--norc', '-c', TIMED, 'bash', command, ...args], options);
  if (done.status !== 0) throw new Error(`${command} ended with ${done.status}`);
  const [real, user, system] = done.stderr
    .trim()
    .split(' ')
    .map((seconds) => Number(seconds) * 1000);
  return { time: real, processor: user + system };
}

/** In pairs, so that what else the machine does meets both; the difference of the least runs is what is left when it does little. */
function paired(command, args, shim) {
  const [plain, under] = [[], []];
  for (let index = 0; index < pairs; index += 1) {
    plain.push(once(command, args, {}));
    under.push(once(command, args, shim));
  }
  const compared = (kind) => {
    const [before, after] = [plain, under].map((runs) => runs.map((run) => run[kind]));
    const least = Math.min(...before);
    return {
      plain: least,
      more: Math.min(...after) - least,
      median: median(after.map((one, index) => one - before[index])),
    };
  };
  return { time: compared('time'), processor: compared('processor') };
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
// The least that any agent costs.
writeFileSync(
  join(folder, 'Nothing.java'),
  'public class Nothing { public static void premain(String a, java.lang.instrument.Instrumentation i) {} }',
);
writeFileSync(join(folder, 'manifest'), 'Premain-Class: Nothing\n');
execFileSync(join(java, 'javac'), ['-d', folder, join(folder, 'Nothing.java')]);
execFileSync(join(java, 'jar'), ['cfm', 'nothing.jar', 'manifest', 'Nothing.class'], { cwd: folder });
const nothing = paired(join(java, 'java'), ['-cp', folder, 'Hello'], {
  JAVA_TOOL_OPTIONS: `-javaagent:${join(folder, 'nothing.jar')}`,
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
const line = (name, { plain, more, median: middle }, target) =>
  console.log(`| ${name} | ${figure(plain)} | +${figure(more)} (median of pairs ${figure(middle)}) | ${target} |`);
line('JVM: start of an empty program (ms)', jvm.time, '≤ +60');
line('the same, processor', jvm.processor, '');
line('with an agent that does nothing (ms)', nothing.time, '');
line('the same, processor', nothing.processor, '');
line('Node: start of a program with node:http (ms)', node.time, '≤ +3');
line('the same, processor', node.processor, '');
console.log(
  `| connect through the broker, median (ms) | ${figure(median(direct))} | ${figure(median(through))} | ≤ 1 |`,
);
