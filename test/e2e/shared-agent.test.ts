// Must: users who may forward ports and create nothing go through the agent that the platform team runs, once it is there, with all that port-forwards
// alone lack; several at once, none of them disturbed by another's end; it is found again when it is replaced, and nobody deletes it.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { curl, kubectl, Laptop } from './support/kt.ts';

const laptop = new Laptop();
const AGENT = ['-l', 'kt/role=shared', '-o', 'jsonpath={.items[*].metadata.name}'];

/** What kt prints for the platform team, for this namespace. */
async function manifest(namespace: string): Promise<string> {
  const kt = laptop.start(['doctor', '--shared-agent', '--namespace', namespace], { user: 'forwarder' });
  expect((await kt.exited).code, kt.stderr).toBe(0);
  return kt.stdout;
}

const ready = (namespace: string): Promise<string> =>
  kubectl(['-n', namespace, 'rollout', 'status', 'deployment/kt-shared-agent', '--timeout=60s'], 'admin');

beforeAll(async () => {
  await kubectl(['apply', '-f', '-'], 'admin', await manifest('shop'));
  await ready('shop');
}, 90_000);
afterEach(() => laptop.stopAll());
afterAll(async () => {
  await laptop.close();
  await kubectl(['-n', 'shop', 'delete', 'deployment', 'kt-shared-agent', '--ignore-not-found'], 'admin');
});

const status = async (proxy: string, url: string): Promise<string> =>
  (await curl('-o', '/dev/null', '-w', '%{http_code}', '-x', proxy, url)).stdout;

/** Sent until it is answered: a datagram may be lost. */
async function datagram(to: string, text: string): Promise<string> {
  const [host = '', port = ''] = to.split(':');
  const socket = createSocket('udp4');
  const answer = once(socket, 'message') as Promise<[Buffer]>;
  const send = (): void => socket.send(text, Number(port), host);
  const again = setInterval(send, 1_000);
  send();
  try {
    return String((await answer)[0]);
  } finally {
    clearInterval(again);
    socket.close();
  }
}

test('who may create no pods goes through it, UDP included, and leaves it where it is', async () => {
  const before = await kubectl(['get', 'pods', ...AGENT]);
  const own = await kubectl(['get', 'pods', '-l', 'kt/role=egress', '-o', 'name']);
  const kt = await laptop.connect([], { user: 'forwarder' });
  expect(kt.ready).toMatchObject({ mode: 'shared', agent: before, reduced: [] });
  for (const name of ['gateway', 'orders.shop', 'stock:8080', 'db-0.db:8080', 'gateway.shop.svc.cluster.local'])
    expect(`${name} ${await status(`socks5h://${kt.ready.proxy}`, `http://${name}/healthz`)}`).toBe(`${name} 200`);
  const refused = await curl('-x', `socks5h://${kt.ready.proxy}`, 'http://empty/');
  expect(refused.code).toBe(97);
  const forward = laptop.start(['forward', 'echo', '0:7000/udp', '--output', 'json'], { user: 'forwarder' });
  const { local } = await forward.event('forwarding');
  expect(await datagram(local, 'ping')).toContain('ping');
  await forward.stop();
  expect((await kt.stop()).code).toBe(0);
  expect(await kubectl(['get', 'pods', ...AGENT])).toBe(before);
  expect(await kubectl(['get', 'pods', '-l', 'kt/role=egress', '-o', 'name'])).toBe(own);
}, 60_000);

test('several at once: the end of one is nothing to the other', async () => {
  const [one, other] = await Promise.all([
    laptop.connect([], { user: 'forwarder' }),
    laptop.connect(['--mode', 'shared'], { user: 'dev' }),
  ]);
  expect([one.ready.mode, other.ready.mode]).toEqual(['shared', 'shared']);
  await one.stop('SIGKILL');
  expect(await status(`socks5h://${other.ready.proxy}`, 'http://gateway/')).toBe('200');
}, 60_000);

test('its pod is deleted: the session finds the next one by itself', async () => {
  const kt = await laptop.connect([], { user: 'forwarder' });
  await kubectl(['delete', 'pod', kt.ready.agent ?? '', '--grace-period=0', '--force'], 'admin');
  await kt.event('agent', ({ state, pod }) => state === 'created' && pod !== kt.ready.agent);
  await kt.event(
    'link',
    ({ state }) => state === 'up',
    kt.events.findIndex(({ type }) => type === 'ready'),
  );
  await expect.poll(() => status(`socks5h://${kt.ready.proxy}`, 'http://gateway/'), { timeout: 20_000 }).toBe('200');
}, 90_000);

test('it passes Pod Security "restricted"', async () => {
  const dryRun = await kubectl(['apply', '--dry-run=server', '-f', '-'], 'admin', await manifest('locked'));
  expect(dryRun).toContain('deployment.apps/kt-shared-agent created');
  expect(dryRun).not.toContain('Warning');
});
