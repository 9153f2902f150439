// Must: kt exchange on the real cluster, as dev, kt without any right on the machine. E1-E5, E9, E10 of the checklist, fail-open while
// callers in the cluster never stop asking, and that everything is as it was afterwards.
import type { Server } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  askFromPod,
  Callers,
  closeApp,
  deployShop,
  leftovers,
  localApp,
  removeShop,
  TestShop,
  untilAnswer,
} from './support/inbound.ts';
import { kubectl, Laptop, type Running } from './support/kt.ts';

const NAME = 'kt-t-exchange';
const laptop = new Laptop();
let app: Server & { port: number };
let shop: TestShop;

beforeAll(async () => {
  shop = await TestShop.deploy(NAME);
}, 120_000);
afterEach(() => laptop.stopAll());
afterAll(async () => {
  await laptop.close();
  await removeShop(NAME);
});
beforeEach(async () => {
  app = await localApp('laptop');
});
afterEach(async () => {
  if (app.listening) await closeApp(app);
});

async function exchange(...args: string[]): Promise<Running> {
  const running = laptop.start(['exchange', NAME, '--expose', `${app.port}:80`, '--output', 'json', ...args]);
  await running.event('holding');
  return running;
}

describe('holding a Service', { timeout: 90_000 }, () => {
  test('E1, E10: every request from any pod reaches the laptop, while connect is not running; then all is as it was', async () => {
    const kt = await exchange();
    await untilAnswer(`http://${NAME}/path?q=1`, {
      name: 'laptop',
      url: '/path?q=1',
      headers: { host: NAME, 'x-forwarded-for': expect.stringMatching(/^198\.18\./) as string },
    });
    await untilAnswer(`http://${NAME}.shop.svc:8081/`, { name: 'laptop' });
    expect(await kt.stop('SIGINT')).toMatchObject({ code: 0 });
    await shop.expectUntouched();
    await untilAnswer(`http://${NAME}/`, { name: 'pod' });
  });

  test('E5: held already: refused with the name of the holder, and nothing of the first one is disturbed', async () => {
    const kt = await exchange();
    const second = laptop.start(['exchange', NAME, '--expose', `${app.port}:80`]);
    expect((await second.exited).code).toBe(3);
    expect(second.stderr).toMatch(/uid-12345 on .* holds all requests/);
    expect(second.stderr).toContain('SERVICE_HELD');
    await untilAnswer(`http://${NAME}/`, { name: 'laptop' });
    await kt.stop('SIGTERM');
    await shop.expectUntouched();
  });

  test('E6: a redeploy that writes the Service again: taken again, and its new selector is what is restored', async () => {
    const kt = await exchange();
    await kubectl([
      'patch',
      'service',
      NAME,
      '--type=json',
      '-p',
      JSON.stringify([{ op: 'replace', path: '/spec/selector', value: { app: NAME } }]),
    ]);
    await kt.event('warning', ({ message }) => message.includes('taken again'));
    await untilAnswer(`http://${NAME}/`, { name: 'laptop' });
    await kt.stop();
    expect(await leftovers(NAME)).toBe('');
    expect(await kubectl(['get', 'service', NAME, '-o', 'jsonpath={.spec.selector}'])).toBe(`{"app":"${NAME}"}`);
    await kubectl(['patch', 'service', NAME, '-p', JSON.stringify({ spec: { selector: { tier: 'test' } } })]);
    await shop.expectUntouched();
  });

  test('the same in a namespace with Pod Security restricted', async () => {
    await removeShop(NAME, 'locked');
    await deployShop(NAME, 'locked');
    try {
      const kt = await exchange('--namespace', 'locked');
      await untilAnswer(`http://${NAME}.locked/`, { name: 'laptop' });
      await kt.stop();
      expect(await leftovers(NAME, 'locked')).toBe('');
    } finally {
      await removeShop(NAME, 'locked');
    }
  });

  test('E2: deploy/NAME and pod/NAME mean the Service that leads there', async () => {
    const pod = (
      await kubectl(['get', 'pods', '-l', `app=${NAME}`, '-o', 'jsonpath={.items[0].metadata.name}'])
    ).trim();
    for (const target of [`deploy/${NAME}`, `pod/${pod}`, `svc/${NAME}`]) {
      const plan = laptop.start(['exchange', target, '--plan', '--skipPortChecking', '--output', 'json']);
      expect((await plan.exited).code, plan.stderr).toBe(0);
      expect(JSON.parse(plan.stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({
        plans: [{ service: NAME, ports: [{ servicePort: 80 }, { servicePort: 8081 }] }],
      });
    }
    await shop.expectUntouched();
  });
});

test('kt run --exchange: both directions in one command', { timeout: 90_000 }, async () => {
  const port = app.port;
  await closeApp(app);
  const script = `
    const http = require('node:http');
    http.createServer(async (_, response) => {
      const orders = await (await fetch('http://orders/')).json();
      response.end(JSON.stringify({ name: 'program', sees: orders.service }));
    }).listen(${port}, '127.0.0.1', () => console.log('listening'));`;
  const kt = laptop.start(['run', '--exchange', `${NAME}:${port}:80`, '--', laptop.node, '-e', script]);
  await expect
    .poll(async () => askFromPod(`http://${NAME}/`), { timeout: 30_000, interval: 500 })
    .toEqual({ name: 'program', sees: 'orders' });
  expect((await kt.stop('SIGTERM')).code, kt.stderr).toBe(143);
  await shop.expectUntouched();
});

describe('refused before anything is changed', { timeout: 60_000 }, () => {
  test.each([
    ['E2: an unknown Service', ['no-such'], "there is no service 'no-such' in the namespace 'shop'"],
    ['E2: an unknown kind', ['job/x'], "'job/x' is not NAME"],
    [
      'E3: an unknown port',
      [NAME, '--expose', '99'],
      `${NAME} has no port '99': it has 80 (web) → 8080, 8081 (alt) → 8080`,
    ],
    ['E4: nothing listens', [NAME, '--expose', '9:80'], 'nothing listens on the local port 9'],
    ['ExternalName', ['partner'], 'it is an ExternalName for vault.locked.svc.cluster.local'],
    ['no selector', ['legacy'], 'it has no selector'],
    [
      'headless with names of its own',
      ['db', '--expose', '8080'],
      'it is headless and its pods have names of their own',
    ],
  ])('%s', async (_, args, message) => {
    const kt = laptop.start(['exchange', ...args]);
    expect((await kt.exited).code).not.toBe(0);
    expect(kt.stderr).toContain(message);
    await shop.expectUntouched();
  });

  test('reader: every missing verb is named', async () => {
    const kt = laptop.start(['exchange', NAME, '--skipPortChecking'], { user: 'reader' });
    expect((await kt.exited).code).toBe(4);
    expect(kt.stderr).toContain(
      'you may not create, patch, delete services, create, delete deployments and get pods/portforward',
    );
    await shop.expectUntouched();
  });
});

describe('fail-open: callers that never stop', { timeout: 120_000 }, () => {
  test('taking over, the local app dies and comes back, handing back: no failed request but those in flight', async () => {
    const callers = await Callers.start(`http://${NAME}/`);
    const kt = await exchange();
    // A kept-alive connection stays with the pod that it was made to: nobody can move it from outside.
    await callers.seen((lines) => lines.slice(-3).includes('new laptop'), 'the laptop answers new connections');
    expect(callers.failures()).toEqual([]);
    const taken = callers.lines.length;
    await closeApp(app);
    await callers.seen((lines) => lines.slice(-2).includes('new pod'), 'the pods answer again', taken);
    app = await localApp('laptop', app.port);
    const back = callers.lines.length;
    await callers.seen((lines) => lines.slice(-2).includes('new laptop'), 'the laptop answers again', back);
    // The one request that was on its way to the app when it died.
    expect(callers.failures(taken).length).toBeLessThanOrEqual(1);
    const ending = callers.lines.length;
    await kt.stop('SIGINT');
    await callers.answeredBy('pod');
    expect(callers.failures(ending)).toEqual([]);
    console.log('take over, app dies, hand back:', callers.counts());
    await callers.stop();
    await shop.expectUntouched();
  });

  test('kt is killed: the pods answer the next request, and the Service is given back without anybody', async () => {
    const kt = await exchange();
    const callers = await Callers.start(`http://${NAME}/`);
    await callers.answeredBy('laptop');
    const killed = callers.lines.length;
    await kt.stop('SIGKILL');
    await callers.answeredBy('pod', killed);
    expect(callers.failures(killed).length).toBeLessThanOrEqual(2);
    console.log('kt killed:', callers.counts(killed));
    await expect.poll(() => leftovers(NAME), { timeout: 60_000, interval: 1_000 }).toBe('');
    await callers.answeredBy('pod');
    expect(callers.failures(killed).length).toBeLessThanOrEqual(2);
    await callers.stop();
    await shop.expectUntouched();
  });

  test('the agent pod is deleted: answered all the time, and the laptop is back by itself', async () => {
    const kt = await exchange();
    const callers = await Callers.start(`http://${NAME}/`);
    await callers.answeredBy('laptop');
    const from = callers.lines.length;
    await kubectl(['delete', 'pod', '-l', `kt/role=ingress,kt/service=${NAME}`, '--wait=false']);
    await kt.event('inbound', ({ state }) => state === 'up', kt.events.length).catch(() => undefined);
    await callers.answeredBy('laptop', from + 40);
    console.log('agent deleted:', callers.counts(from));
    expect(callers.failures(from)).toEqual([]);
    await callers.stop();
    await kt.stop();
    await shop.expectUntouched();
  });
});
