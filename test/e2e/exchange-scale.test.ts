// Must (E7, E8): kt exchange --mode scale on the real cluster: the pods go to none and come back to the old number by the journal, with the laptop
// answering until they do; the wait has a limit and Ctrl-C ends it; kill -9 leaves nothing at 0. And what stands for kt-connect's ephemeral mode.
import { beforeEach, describe, expect, test } from 'vitest';
import { HoldBench } from './support/hold-bench.ts';
import { Callers, deployShop, leftovers, removeShop, snapshot, untilAnswer } from './support/inbound.ts';
import { kubectl, type Running } from './support/kt.ts';

const NAME = 'kt-t-scale';
const bench = new HoldBench(NAME);
const { laptop } = bench;

beforeEach(() => kubectl(['rollout', 'status', `deployment/${NAME}`, '--timeout=60s']));

const exchange = (...args: string[]): Promise<Running> => bench.hold('exchange', NAME, '--mode', 'scale', ...args);

const replicas = async (): Promise<number> =>
  Number(await kubectl(['get', 'deployment', NAME, '-o', 'jsonpath={.spec.replicas}']));
/** As dev, who may not use the subresource `scale`. */
const scaleTo = (replicas: number): Promise<string> =>
  kubectl(['patch', 'deployment', NAME, '-p', JSON.stringify({ spec: { replicas } })]);
const podsLeft = (): Promise<string> => kubectl(['get', 'pods', '-l', `app=${NAME}`, '-o', 'name']);

describe('scale', { timeout: 150_000 }, () => {
  test('E7: replicas to 0 and back to the old number; callers never notice, either way', async () => {
    const callers = await Callers.start(`http://${NAME}/`);
    const kt = await exchange();
    await callers.answeredBy('laptop');
    await expect.poll(podsLeft, { timeout: 30_000 }).toBe('');
    expect(await replicas()).toBe(0);
    expect(await kubectl(['get', 'service', NAME, '-o', 'jsonpath={.metadata.annotations.kt/journal}'])).toContain(
      `"scaled":[{"name":"${NAME}","replicas":2}]`,
    );
    expect(kt.events.map((event) => ('message' in event ? event.message : '')).join('\n')).toMatch(
      /has no pods of its own meanwhile.*HorizontalPodAutoscalers/s,
    );
    const taken = callers.lines.length;
    expect((await kt.stop('SIGINT')).code).toBe(0);
    expect(await replicas()).toBe(2);
    await callers.answeredBy('pod');
    // On the way there a kept-alive connection was to a pod that was ended; on the way back nobody ends before another is there.
    expect(callers.failures(taken)).toEqual([]);
    expect(callers.failures().filter((line) => line.startsWith('new'))).toEqual([]);
    console.log('scale, there and back:', callers.counts());
    await callers.stop();
    await bench.shop.expectUntouched();
  });

  test('E7: --recoverWaitTime limits the wait for the pods, and the Service is given back all the same', async () => {
    const kt = await exchange('--recoverWaitTime', '0');
    await expect.poll(podsLeft, { timeout: 30_000 }).toBe('');
    expect((await kt.stop('SIGINT')).code).toBe(0);
    expect(await replicas()).toBe(2);
    await kt.event('warning', ({ message }) => message.includes('not all ready yet'));
    await bench.shop.expectUntouched();
  });

  test('E7: one more Ctrl-C skips the wait, and the Service is given back all the same', async () => {
    const kt = await exchange();
    await expect.poll(podsLeft, { timeout: 30_000 }).toBe('');
    // Pods that can't become ready.
    const probe = { op: 'replace', path: '/spec/template/spec/containers/0/readinessProbe/tcpSocket/port' };
    const patch = (port: number): Promise<string> =>
      kubectl(['patch', 'deployment', NAME, '--type=json', '-p', JSON.stringify([{ ...probe, value: port }])]);
    await patch(9);
    kt.child.kill('SIGINT');
    await kt.event('step', ({ state, text }) => state === 'waiting' && text.includes('Ctrl-C'));
    expect((await kt.stop('SIGINT')).code, kt.stderr).toBe(0);
    expect(await replicas()).toBe(2);
    await bench.shop.expectUntouched();
    await patch(8080);
  });

  test('E7: after kill -9 the pods are back without anybody', async () => {
    const kt = await exchange();
    await expect.poll(replicas).toBe(0);
    await kt.stop('SIGKILL');
    await expect.poll(replicas, { timeout: 60_000, interval: 500 }).toBe(2);
    await expect.poll(() => leftovers(NAME), { timeout: 60_000, interval: 1_000 }).toBe('');
    await untilAnswer(`http://${NAME}/`, { name: 'pod' });
    await bench.shop.expectUntouched();
  });

  test('E7: a number that somebody set meanwhile stays, and a second one in mode scale is refused', async () => {
    const kt = await exchange();
    const second = laptop.start(['exchange', NAME, '--mode', 'scale', '--expose', `${bench.app.port}:8081`]);
    expect((await second.exited).code).toBe(3);
    expect(second.stderr).toContain('--mode scale would take the pods from the others on it');
    await scaleTo(1);
    await kt.stop();
    expect(await replicas()).toBe(1);
    await scaleTo(2);
    await bench.shop.expectUntouched();
  });

  test('E7: in a namespace with Pod Security restricted', async () => {
    await removeShop(NAME, 'locked');
    await deployShop(NAME, 'locked');
    try {
      const before = await snapshot(NAME, 'locked');
      const kt = await exchange('--namespace', 'locked');
      await untilAnswer(`http://${NAME}.locked/`, { name: 'laptop' });
      await kt.stop();
      expect(await snapshot(NAME, 'locked')).toEqual(before);
      expect(await leftovers(NAME, 'locked')).toBe('');
      expect(await kubectl(['-n', 'locked', 'get', 'deployment', NAME, '-o', 'jsonpath={.spec.replicas}'])).toBe('2');
    } finally {
      await removeShop(NAME, 'locked');
    }
  });

  test('E7: an autoscaler is named before', async () => {
    const scaler = ['-n', 'shop', 'autoscale', 'deployment', NAME, '--min=1', '--max=3', '--cpu-percent=80'];
    await kubectl(scaler, 'admin');
    try {
      const role = JSON.stringify({
        apiVersion: 'v1',
        kind: 'List',
        items: [
          {
            apiVersion: 'rbac.authorization.k8s.io/v1',
            kind: 'Role',
            metadata: { name: NAME, namespace: 'shop' },
            rules: [{ apiGroups: ['autoscaling'], resources: ['horizontalpodautoscalers'], verbs: ['list'] }],
          },
          {
            apiVersion: 'rbac.authorization.k8s.io/v1',
            kind: 'RoleBinding',
            metadata: { name: NAME, namespace: 'shop' },
            roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: NAME },
            subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'developers' }],
          },
        ],
      });
      await kubectl(['apply', '-f', '-'], 'admin', role);
      const plan = laptop.start(['exchange', NAME, '--mode', 'scale', '--plan', '--skipPortChecking']);
      expect((await plan.exited).code, plan.stderr).toBe(0);
      expect(plan.stdout).toContain(`scale deployment/${NAME}: 2 → 0`);
      expect(plan.stdout).toContain(`scale deployment/${NAME}: 0 → 2, and wait until its pods are ready`);
      expect(plan.stdout).toContain(`the HorizontalPodAutoscaler ${NAME} scales ${NAME}: it pauses at 0`);
    } finally {
      await kubectl(['-n', 'shop', 'delete', 'hpa,role,rolebinding', NAME, '--ignore-not-found'], 'admin');
    }
    await bench.shop.expectUntouched();
  });
});

describe('refused before anything is changed', { timeout: 60_000 }, () => {
  test.each([
    [
      'E7: no Deployment behind it',
      ['exchange', 'empty', '--mode', 'scale', '--skipPortChecking'],
      3,
      'no Deployment is behind empty',
    ],
    [
      'E8: ephemeral: what there is instead is said',
      ['exchange', NAME, '--mode', 'ephemeral'],
      2,
      '--mode of exchange takes selector or scale',
    ],
    ['E8: and that it leaves the Service as it is', ['exchange', NAME, '--mode', 'ephemeral'], 2, '`kt preview`'],
    [
      'E7: a wait that is none',
      ['exchange', NAME, '--mode', 'scale', '--recoverWaitTime', '-1'],
      2,
      '--recoverWaitTime takes',
    ],
  ])('%s', async (_, args, code, message) => {
    const kt = laptop.start(args);
    expect((await kt.exited).code).toBe(code);
    expect(kt.stderr).toContain(message);
    await bench.shop.expectUntouched();
  });

  test.each(['reader', 'forwarder'] as const)('mode scale as %s: the missing verbs are named', async (user) => {
    const kt = laptop.start(['exchange', NAME, '--mode', 'scale', '--skipPortChecking'], { user });
    expect((await kt.exited).code).toBe(4);
    expect(kt.stderr).toMatch(/you may not .*(create|patch).* deployments/);
    await bench.shop.expectUntouched();
  });
});
