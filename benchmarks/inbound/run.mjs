// benchmarks/inbound: what a taken Service costs those who call it. Times of taking over and handing back with callers that never stop, then
// requests through the ingress agent to the origin (unmarked) and to the laptop (marked), beside the origin itself and nginx as a reverse proxy
// in a pod of the same size; in one run, in turn. Prints tables and writes results/inbound.json. Needs the built kt, kubectl, and a kubeconfig
// whose user may create Deployments.   node benchmarks/inbound/run.mjs [--rounds 3] [--seconds 3] [--only times|load]
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { create, KUBECONFIG, kubectl, runInPod } from '../support/cluster.mjs';
import { end, KT, waitFor } from '../support/processes.mjs';
import { NAMES, origins, proxy } from './manifests.mjs';
import { printLoad, printTimes } from './report.mjs';
import { exchangeOnce } from './takeover.mjs';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
    only: { type: 'string' },
  },
});
const rounds = Number(options.rounds);
const ms = Number(options.seconds) * 1000;
const LOAD = readFileSync(new URL('load.mjs', import.meta.url), 'utf8');
const MARK = { VERSION: 'bench' };
const WAYS = {
  direct: { host: NAMES.direct },
  nginx: { host: NAMES.proxy },
  'kt: origin': { host: NAMES.origin },
  'kt: laptop': { host: NAMES.origin, headers: MARK },
};

function deploy() {
  remove();
  create(origins());
  create(proxy());
  for (const name of [NAMES.origin, NAMES.proxy, NAMES.caller])
    kubectl(['rollout', 'status', `deployment/${name}`, '--timeout=60s']);
}

function remove() {
  for (const name of Object.values(NAMES))
    kubectl(['delete', 'deployment,service,configmap', name, '--ignore-not-found', '--now']);
}

async function localApp() {
  const answer = '{"name":"laptop"}';
  const headers = { 'content-type': 'application/json', 'content-length': answer.length };
  const server = createServer((_, response) => response.writeHead(200, headers).end(answer));
  server.keepAliveTimeout = 600_000;
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

async function measureTimes(port) {
  const times = [];
  for (let index = 0; index < rounds; index += 1) {
    times.push(await exchangeOnce(port));
    process.stderr.write(`${JSON.stringify(times.at(-1))}\n`);
  }
  return times;
}

async function measureLoad(port) {
  const args = [...KT.slice(1), 'mesh', NAMES.origin, '--expose', `${port}:80`, '--versionMark', MARK.VERSION];
  const kt = spawn(KT[0], [...args, '--output', 'json'], {
    env: { ...process.env, KUBECONFIG },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const results = {};
  const note = (row, column, value) => {
    results[row] ??= {};
    results[row][column] ??= [];
    results[row][column].push(value);
  };
  try {
    // Named callers: new connections come to the agent by now.
    await waitFor(kt, kt.stdout, /"type":"kept"/, 'kt mesh');
    const ask = (settings) => runInPod(`deploy/${NAMES.caller}`, LOAD, settings);
    for (let index = 0; index < rounds; index += 1) {
      for (const [column, way] of Object.entries(WAYS)) {
        const one = await ask({ ...way, requests: 2_000 });
        const many = await ask({ ...way, connections: 32, ms, warm: 5 });
        if ((one.who === 'laptop') !== (column === 'kt: laptop'))
          throw new Error(`${column} was answered by ${one.who}`);
        note('request p50 (ms)', column, one.p50);
        note('request p99 (ms)', column, one.p99);
        note('requests/s, 1 connection', column, one.perSecond);
        note('requests/s, 32 connections', column, many.perSecond);
        note('p50 of 32 connections (ms)', column, many.p50);
        note('p99 of 32 connections (ms)', column, many.p99);
        note('failed requests', column, one.failed + many.failed);
        process.stderr.write(`${column}: p50 ${one.p50.toFixed(3)} ms, ${many.perSecond.toFixed(0)}/s\n`);
      }
    }
  } finally {
    await end(kt);
  }
  return results;
}

const app = await localApp();
let [times, load] = [[], {}];
try {
  deploy();
  const { port } = app.address();
  if (options.only !== 'load') times = await measureTimes(port);
  if (options.only !== 'times') load = await measureLoad(port);
} finally {
  remove();
  app.closeAllConnections();
  app.close();
}
mkdirSync(new URL('../results/', import.meta.url), { recursive: true });
writeFileSync(new URL('../results/inbound.json', import.meta.url), `${JSON.stringify({ times, load }, null, 1)}\n`);
if (times.length > 0) printTimes(times);
if (Object.keys(load).length > 0) printLoad(load);
