// Must: callers with connection pools (issue: a kept-alive connection never moves). After the switch kt names who keeps connections to the
// original pods; with --drain they move while the pods are replaced one at a time, never below the PodDisruptionBudget; on the way back all
// of them return. No request fails. Callers: new connections, a node:http pool, one that is mostly idle, a bare socket, HTTP/2.
import { spawn } from 'node:child_process';
import type { Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type CallerKind, Callers, closeApp, localApp, removeShop, TestShop } from './support/inbound.ts';
import { kubectl, Laptop, type Running } from './support/kt.ts';

const NAME = 'kt-t-drain';
const H2_PORT = 8090;
const POOLS: readonly CallerKind[] = ['kept', 'idle', 'raw'];
const ALL: readonly CallerKind[] = ['new', ...POOLS, 'h2'];

/** Ends as a service should: it goes on while callers still come, asks those that it has to leave, then closes what is idle. */
const GRACEFUL = `
const answer=JSON.stringify({name:'pod'});let leaving=false;
const one=require('http').createServer((q,r)=>{q.resume();q.on('end',()=>{if(leaving)r.setHeader('Connection','close');r.end(answer)})});
one.keepAliveTimeout=60000;one.listen(8080);
const sessions=new Set();
const two=require('http2').createServer((q,r)=>r.end(answer)).on('session',s=>{sessions.add(s);s.on('close',()=>sessions.delete(s))}).listen(${H2_PORT});
process.on('SIGTERM',()=>{
  leaving=true;for(const s of sessions)s.goaway(0,2**31-1);
  setTimeout(()=>{for(const s of sessions)s.close();two.close(()=>one.close(()=>process.exit()));one.closeIdleConnections()},3000);
});`;

const laptop = new Laptop();
let app: Server & { port: number };
let shop: TestShop;
let callers: Callers;

beforeAll(async () => {
  shop = await TestShop.deploy(NAME, {
    script: GRACEFUL,
    graceSeconds: 10,
    ports: [{ name: 'h2', port: H2_PORT, targetPort: H2_PORT }],
  });
  const spec = { minAvailable: 2, selector: { matchLabels: { app: NAME } } };
  const budget = {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: NAME, namespace: 'shop' },
    spec,
  };
  await kubectl(['create', '-f', '-'], 'admin', JSON.stringify(budget));
  app = await localApp('laptop');
}, 120_000);
afterEach(() => laptop.stopAll());
afterAll(async () => {
  await laptop.close();
  await closeApp(app);
  await kubectl(['-n', 'shop', 'delete', 'pdb', NAME, '--ignore-not-found'], 'admin');
  await removeShop(NAME);
});
beforeEach(async () => {
  callers = await Callers.start(`http://${NAME}/`, { kinds: ALL, h2Port: H2_PORT });
});
afterEach(() => callers.stop());

async function hold(kind: 'exchange' | 'mesh', ...args: string[]): Promise<Running> {
  const running = laptop.start([kind, NAME, '--expose', `${app.port}:80`, '--output', 'json', ...args]);
  await running.event('holding');
  return running;
}

const drainEnds = (kt: Running): Promise<unknown> =>
  kt.event('step', ({ id, state }) => id === `${NAME} drain` && state === 'done');

const field = async (what: string, path: string): Promise<string> =>
  kubectl(['-n', 'shop', 'get', what, NAME, '-o', `jsonpath={${path}}`], 'admin');
const podNames = async (): Promise<string[]> =>
  (await kubectl(['get', 'pods', '-l', `app=${NAME}`, '-o', 'jsonpath={.items[*].metadata.name}'])).split(' ');
const drained = (): Promise<string> => kubectl(['get', 'pods', '-l', 'kt/drained', '-o', 'name']);

/** The budget's own count of healthy pods, each time that it changed. */
function watchBudget(): { readonly healthy: () => number[]; stop(): void } {
  const config = join(process.env['KT_E2E_KUBECONFIGS'] ?? '/var/lib/kcluster/kubeconfigs', 'admin');
  const path = '{.status.currentHealthy} of {.status.desiredHealthy}{"\\n"}';
  const child = spawn('kubectl', [
    '--kubeconfig',
    config,
    '-n',
    'shop',
    'get',
    'pdb',
    NAME,
    '-w',
    '-o',
    `jsonpath=${path}`,
  ]);
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return {
    healthy: () => [...text.matchAll(/^(\d+) of 2$/gm)].map((match) => Number(match[1])),
    stop: () => child.kill(),
  };
}

describe('callers with connection pools', { timeout: 170_000 }, () => {
  test('without --drain: they are named, stay where they are, and nobody loses a request', async () => {
    const kt = await hold('exchange');
    const { callers: found, reason } = await kt.event('kept');
    expect(reason).toBe(null);
    expect(found).toEqual([
      { caller: expect.stringMatching(/^gateway-/) as string, connections: 4, pods: expect.any(Array) as string[] },
    ]);
    const pods = await podNames();
    expect(found[0]?.pods.every((pod) => pods.includes(pod))).toBe(true);
    await callers.answeredBy('laptop', callers.lines.length, ['new']);
    await callers.answeredBy('pod', callers.lines.length, POOLS);
    expect((await kt.stop()).code).toBe(0);
    await callers.answeredBy('pod');
    console.log('not drained:', JSON.stringify(found), callers.counts());
    expect(callers.failures()).toEqual([]);
    await shop.expectUntouched();
  });

  test('--drain: all move, with two healthy pods at every moment; on the way back all return', async () => {
    const before = await podNames();
    const generation = await field('deployment', '.metadata.generation');
    const budget = watchBudget();
    const kt = await hold('exchange', '--drain');
    // Just those to which callers keep connections are replaced: chance may have led all of them to one pod.
    const { callers: found } = await kt.event('kept');
    const left = new Set(found.flatMap(({ pods }) => pods));
    expect(left.size).toBeGreaterThan(0);
    await drainEnds(kt);
    await callers.answeredBy('laptop', callers.lines.length, ['new', ...POOLS]);
    await kt.event('kept', ({ callers: still }) => still.length === 0);
    // The last of the old ones may still be ending.
    const old = async (): Promise<string[]> => (await podNames()).filter((pod) => before.includes(pod));
    const stay = before.filter((pod) => !left.has(pod));
    await expect.poll(old, { timeout: 30_000, interval: 500 }).toEqual(stay);
    expect(await podNames()).toHaveLength(2);
    expect(await field('deployment', '.metadata.generation')).toBe(generation);
    const taken = callers.lines.length;
    console.log('drained:', callers.counts());
    expect((await kt.stop()).code).toBe(0);
    await callers.answeredBy('pod');
    console.log('given back:', callers.counts(taken));
    budget.stop();
    console.log('healthy pods, by the budget:', budget.healthy().join(' '));
    expect(Math.min(...budget.healthy())).toBe(2);
    expect(callers.failures()).toEqual([]);
    await shop.expectUntouched();
    expect(await drained()).toBe('');
  });

  test('mesh --drain: pools that carry the mark move to the laptop, the others stay with the pods; nobody loses a request', async () => {
    const marked = await Callers.start(`http://${NAME}/`, { headers: { VERSION: 'anna' }, kinds: ['new', ...POOLS] });
    try {
      const kt = await hold('mesh', '--drain', '--versionMark', 'anna');
      await drainEnds(kt);
      await marked.answeredBy('laptop');
      await callers.answeredBy('pod');
      await kt.stop();
      await marked.answeredBy('pod');
      await callers.answeredBy('pod');
      console.log('meshed and drained:', marked.counts(), 'without the mark:', callers.counts());
      expect(marked.failures()).toEqual([]);
      expect(callers.counts()['new laptop']).toBe(undefined);
      expect(callers.failures()).toEqual([]);
    } finally {
      await marked.stop();
    }
    await shop.expectUntouched();
  });

  test('kt is killed in the middle: the pods stay or are replaced, nothing is left, and nobody loses more than what was on its way', async () => {
    const kt = await hold('exchange', '--drain');
    await kt.event('step', ({ text }) => text.startsWith('replacing'));
    await expect.poll(drained, { timeout: 10_000 }).not.toBe('');
    const killed = callers.lines.length;
    await kt.stop('SIGKILL');
    await expect
      .poll(() => field('service', '.metadata.annotations.kt/journal'), { timeout: 60_000, interval: 1_000 })
      .toBe('');
    await expect.poll(drained, { timeout: 30_000, interval: 1_000 }).toBe('');
    await callers.answeredBy('pod');
    console.log('killed while draining:', callers.counts(killed));
    expect(callers.failures(killed).length).toBeLessThanOrEqual(3);
    await expect.poll(async () => (await podNames()).length, { timeout: 30_000, interval: 500 }).toBe(2);
    await shop.expectUntouched();
  });

  test('--plan says what it would do; what can’t be drained is refused before anything is changed', async () => {
    const plan = laptop.start(['exchange', NAME, '--skipPortChecking', '--drain', '--plan']);
    expect((await plan.exited).code, plan.stderr).toBe(0);
    expect(plan.stdout).toContain('4. replace the original pods to which callers keep connections, one at a time');
    await kubectl([
      'patch',
      'deployment',
      NAME,
      '-p',
      '{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null}}}',
    ]);
    const refused = laptop.start(['exchange', NAME, '--skipPortChecking', '--drain']);
    expect((await refused.exited).code).toBe(3);
    expect(refused.stderr).toContain(`the Deployment ${NAME} has the strategy Recreate`);
    await shop.expectUntouched();
  });
});
