// Pods as Node processes: their life in the API's words, and what a program in one sees of its machine.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Playground, startPlayground } from '../../src/playground/start.ts';
import { alive, type Json, nodePod, PlaygroundClient } from '../support/playground-client.ts';

const PODS = '/api/v1/namespaces/shop/pods';

let playground: Playground;
let client: PlaygroundClient;

beforeAll(async () => {
  playground = await startPlayground({ shop: false });
  client = new PlaygroundClient(playground);
});
afterAll(async () => {
  client.close();
  await playground.close();
});

/** Runs a pod to its end and gives its log and its last state. */
async function run(pod: Json): Promise<{ log: string; pod: Json }> {
  const { name } = pod.metadata;
  const made = await client.post(PODS, pod);
  expect(made.code).toBe(201);
  const ended = await client.until(`${PODS}?fieldSelector=metadata.name=${name}`, (one) =>
    /Succeeded|Failed/.test(one.status.phase),
  );
  return { log: await client.log('shop', name), pod: ended };
}

describe('life', () => {
  test('Pending, Running, Succeeded, with the statuses of its container', async () => {
    const { resourceVersion } = (await client.get(PODS)).body.metadata;
    await client.post(PODS, nodePod('phases', 'console.log("done")'));
    const phases: string[] = [];
    await client.until(`${PODS}?fieldSelector=metadata.name=phases&resourceVersion=${resourceVersion}`, (pod) => {
      if (phases.at(-1) !== pod.status.phase) phases.push(pod.status.phase);
      return pod.status.phase === 'Succeeded';
    });
    expect(phases).toEqual(['Pending', 'Running', 'Succeeded']);
    const pod = (await client.get(`${PODS}/phases`)).body;
    expect(pod.spec.nodeName).toBe('playground');
    expect(pod.status).toMatchObject({ podIP: expect.stringMatching(/^198\.18\./), hostIP: '127.0.0.1' });
    expect(pod.status.containerStatuses[0]).toMatchObject({
      name: 'main',
      ready: false,
      restartCount: 0,
      image: 'node:24-slim',
      state: { terminated: { exitCode: 0, reason: 'Completed' } },
    });
    expect(pod.status.conditions.map((one: Json) => `${one.type}=${one.status}`)).toEqual([
      'PodReadyToStartContainers=True',
      'Initialized=True',
      'Ready=False',
      'ContainersReady=False',
      'PodScheduled=True',
    ]);
    const events = (await client.get('/api/v1/namespaces/shop/events?fieldSelector=involvedObject.name=phases')).body
      .items;
    expect(events.map((one: Json) => one.reason).sort()).toEqual(['Created', 'Pulled', 'Scheduled', 'Started']);
  });

  test('Failed, with the exit code', async () => {
    const { pod } = await run(nodePod('failing', 'process.exit(3)'));
    expect(pod.status.phase).toBe('Failed');
    expect(pod.status.containerStatuses[0].state.terminated).toMatchObject({ exitCode: 3, reason: 'Error' });
  });

  test('restarted after a failure, with the log of the run before', async () => {
    const code = 'console.log("run " + process.pid); setTimeout(() => process.exit(1), 10)';
    await client.post(PODS, nodePod('again', code, { restartPolicy: 'OnFailure' }));
    const waiting = await client.until(
      `${PODS}?fieldSelector=metadata.name=again`,
      (pod) => pod.status.containerStatuses?.[0].restartCount === 1,
    );
    expect(waiting.status.containerStatuses[0].state.waiting).toMatchObject({ reason: 'CrashLoopBackOff' });
    expect(waiting.status.containerStatuses[0].lastState.terminated).toMatchObject({ exitCode: 1 });
    await client.until(
      `${PODS}?fieldSelector=metadata.name=again`,
      (pod) => pod.status.containerStatuses?.[0].restartCount === 2,
    );
    expect((await client.get(`${PODS}/again/log?previous=true`)).body).toMatch(/^run \d+\n$/);
    await client.delete(`${PODS}/again?gracePeriodSeconds=0`);
  });

  test('an image that is no Node image cannot be pulled', async () => {
    await client.post(PODS, nodePod('pull', '', { containers: [{ name: 'm', image: 'nginx:stable' }] }));
    const path = `${PODS}?fieldSelector=metadata.name=pull`;
    await client.until(path, (pod) => pod.status.containerStatuses?.[0].state.waiting?.reason === 'ErrImagePull');
    const pod = await client.until(
      path,
      (one) => one.status.containerStatuses?.[0].state.waiting?.reason === 'ImagePullBackOff',
    );
    expect(pod.status.phase).toBe('Pending');
    const log = await client.get(`${PODS}/pull/log`);
    expect(log.body).toMatchObject({
      code: 400,
      message: 'container "m" in pod "pull" is waiting to start: image can\'t be pulled',
    });
    const events = (await client.get('/api/v1/namespaces/shop/events?fieldSelector=involvedObject.name=pull')).body
      .items;
    expect(events.map((one: Json) => one.message)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^Failed to pull image "nginx:stable": /),
        'Error: ErrImagePull',
        'Back-off pulling image "nginx:stable"',
        'Error: ImagePullBackOff',
      ]),
    );
  });

  test('a program that the image does not have', async () => {
    await client.post(PODS, nodePod('nosuch', '', {}, { command: ['curl', 'x'] }));
    const pod = await client.until(
      `${PODS}?fieldSelector=metadata.name=nosuch`,
      (one) => one.status.containerStatuses?.[0].state.waiting?.reason === 'RunContainerError',
    );
    expect(pod.status.containerStatuses[0].state.waiting.message).toContain(
      'exec: "curl": executable file not found in $PATH',
    );
  });

  test('activeDeadlineSeconds ends it', async () => {
    const { pod } = await run(nodePod('late', 'setInterval(() => {}, 1000)', { activeDeadlineSeconds: 1 }));
    expect(pod.status).toMatchObject({
      phase: 'Failed',
      reason: 'DeadlineExceeded',
      message: 'Pod was active on the node longer than the specified deadline',
    });
  });

  test('a delete gives the grace period: SIGTERM, Terminating, gone', async () => {
    const code =
      'process.on("SIGTERM", (name) => { console.log("got " + name); setTimeout(() => process.exit(0), 50) }); setInterval(() => {}, 1000); console.log("up")';
    await client.post(PODS, nodePod('polite', code));
    await client.podPhase('shop', 'polite', 'Running');
    expect(await client.firstLine('shop', 'polite')).toBe('up');
    const followed = client.log('shop', 'polite');
    const deleted = client.until(`${PODS}?fieldSelector=metadata.name=polite`, (_, type) => type === 'DELETED');
    const answer = await client.delete(`${PODS}/polite`);
    expect(answer.body).toMatchObject({ kind: 'Pod', metadata: { name: 'polite', deletionGracePeriodSeconds: 5 } });
    expect(answer.body.metadata.deletionTimestamp).toMatch(/Z$/);
    expect(await followed).toBe('up\ngot SIGTERM\n');
    expect((await deleted).status.containerStatuses[0].state.terminated).toMatchObject({ exitCode: 0 });
  });

  test('a program that has no handler for SIGTERM ends with 143', async () => {
    await client.post(PODS, nodePod('plain-end', 'setInterval(() => {}, 1000); console.log("up")'));
    await client.podPhase('shop', 'plain-end', 'Running');
    await client.firstLine('shop', 'plain-end');
    const deleted = client.until(`${PODS}?fieldSelector=metadata.name=plain-end`, (_, type) => type === 'DELETED');
    await client.delete(`${PODS}/plain-end`);
    expect((await deleted).status.containerStatuses[0].state.terminated).toMatchObject({
      exitCode: 143,
      reason: 'Error',
    });
  });

  test('and SIGKILL comes after the grace period', async () => {
    const code = 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000); console.log(process.pid)';
    await client.post(PODS, nodePod('stubborn', code));
    await client.podPhase('shop', 'stubborn', 'Running');
    const pid = Number(await client.firstLine('shop', 'stubborn'));
    expect(alive(pid)).toBe(true);
    const deleted = client.until(`${PODS}?fieldSelector=metadata.name=stubborn`, (_, type) => type === 'DELETED');
    await client.delete(`${PODS}/stubborn?gracePeriodSeconds=1`);
    await deleted;
    expect(alive(pid)).toBe(false);
  });

  test('init containers run first, one after the other', async () => {
    const init = (name: string, code: string): Json => ({ name, image: 'node:24', command: ['node', '-e', code] });
    const { pod } = await run(
      nodePod('ordered', 'console.log("main")', { initContainers: [init('one', ''), init('two', '')] }),
    );
    const [one, two] = pod.status.initContainerStatuses;
    const main = pod.status.containerStatuses[0];
    expect([one, two].map((part: Json) => part.state.terminated.reason)).toEqual(['Completed', 'Completed']);
    expect(Date.parse(two.state.terminated.finishedAt)).toBeLessThanOrEqual(
      Date.parse(main.state.terminated.finishedAt),
    );
    const failing = nodePod('broken', 'console.log("never")', { initContainers: [init('one', 'process.exit(1)')] });
    await client.post(PODS, failing);
    const broken = await client.podPhase('shop', 'broken', 'Failed');
    expect(broken.status.containerStatuses[0].state).toEqual({ waiting: { reason: 'PodInitializing' } });
  });
});

describe('what a program sees', () => {
  test('its name, its address, its files; nothing of the user who runs the playground', async () => {
    process.env['KT_TEST_SECRET'] = 'of the user';
    const code = `
      const os = require('node:os'), fs = require('node:fs');
      const eth = os.networkInterfaces().eth0[0].address;
      fs.promises.readFile('/etc/hosts', 'utf8').then((hosts) => console.log(JSON.stringify({
        hostname: os.hostname(), HOSTNAME: process.env.HOSTNAME, eth, hosts, secret: process.env.KT_TEST_SECRET ?? null,
        resolv: fs.readFileSync('/etc/resolv.conf', 'utf8'), buffer: Buffer.isBuffer(fs.readFileSync('/etc/resolv.conf')),
        argv: process.argv.slice(1), ip: process.env.POD_IP, label: process.env.LABEL, one: process.env.ONE, two: process.env.TWO, raw: process.env.RAW,
        map: process.env.FROM_MAP, key: process.env.mapKey, secretKey: process.env.SECRET,
      })));`;
    await client.post('/api/v1/namespaces/shop/configmaps', {
      metadata: { name: 'settings' },
      data: { mapKey: 'map value' },
    });
    await client.post('/api/v1/namespaces/shop/secrets', {
      metadata: { name: 'hidden' },
      data: { word: Buffer.from('swordfish').toString('base64') },
    });
    const { log, pod } = await run(
      nodePod(
        'looking',
        code,
        {},
        {
          args: ['$(ONE)', '$$(ONE)', '$(NONE)'],
          env: [
            { name: 'ONE', value: '1' },
            { name: 'TWO', value: '$(ONE)+1' },
            { name: 'RAW', value: '$(NONE)' },
            { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
            { name: 'LABEL', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
            { name: 'FROM_MAP', valueFrom: { configMapKeyRef: { name: 'settings', key: 'mapKey' } } },
            { name: 'SECRET', valueFrom: { secretKeyRef: { name: 'hidden', key: 'word' } } },
          ],
          envFrom: [{ configMapRef: { name: 'settings' } }],
        },
      ),
    );
    const seen = JSON.parse(log);
    expect(seen).toEqual({
      hostname: 'looking',
      HOSTNAME: 'looking',
      eth: pod.status.podIP,
      hosts: `127.0.0.1\tlocalhost\n::1\tlocalhost\n${pod.status.podIP}\tlooking\n`,
      secret: null,
      resolv:
        'search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 198.19.64.10\noptions ndots:5\n',
      buffer: true,
      argv: ['1', '$(ONE)', '$(NONE)'],
      ip: pod.status.podIP,
      label: 'looking',
      one: '1',
      two: '1+1',
      raw: '$(NONE)',
      map: 'map value',
      key: 'map value',
      secretKey: 'swordfish',
    });
  });

  test('a config map that is missing holds it back, and its coming lets it start', async () => {
    const env = [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'late-map', key: 'a' } } }];
    await client.post(PODS, nodePod('held', 'console.log(process.env.A)', {}, { env }));
    const pod = await client.until(
      `${PODS}?fieldSelector=metadata.name=held`,
      (one) => one.status.containerStatuses?.[0].state.waiting?.reason === 'CreateContainerConfigError',
    );
    expect(pod.status.containerStatuses[0].state.waiting.message).toBe('configmap "late-map" not found');
    await client.post('/api/v1/namespaces/shop/configmaps', { metadata: { name: 'late-map' }, data: { a: 'here' } });
    await client.podPhase('shop', 'held', 'Succeeded');
    expect(await client.log('shop', 'held')).toBe('here\n');
  });

  test('files of a config map, where they are mounted', async () => {
    await client.post('/api/v1/namespaces/shop/configmaps', {
      metadata: { name: 'app' },
      data: { 'main.mjs': 'console.log("from", import.meta.url.startsWith("file:"), process.argv[2])' },
    });
    const { log } = await run(
      nodePod(
        'mounted',
        '',
        { volumes: [{ name: 'app', configMap: { name: 'app' } }] },
        {
          command: ['node', '/app/main.mjs', '/apple'],
          volumeMounts: [{ name: 'app', mountPath: '/app' }],
        },
      ),
    );
    expect(log).toBe('from true /apple\n');
  });

  test('code and variables of 100 KB, which no command line of Windows could hold', async () => {
    const filler = `/*${'x'.repeat(100_000)}*/`;
    const value = 'v'.repeat(120_000);
    const code = `${filler} const { env } = require('node:process'); console.log(JSON.stringify([process.argv.slice(1), env.LONG.length, process.env.LONG === env.LONG, typeof require]))`;
    const pod = nodePod('long', code, {}, { args: ['a', 'b'], env: [{ name: 'LONG', value }] });
    expect(JSON.parse((await run(pod)).log)).toEqual([['a', 'b'], 120_000, true, 'function']);
    const module = `${filler} import { env, argv } from 'node:process'; console.log(JSON.stringify([argv.slice(1), env.LONG.length, import.meta.url !== undefined]))`;
    const asModule = nodePod(
      'longer',
      '',
      {},
      { command: ['node', '--input-type=module', '-e', module, 'x'], env: [{ name: 'LONG', value }] },
    );
    expect(JSON.parse((await run(asModule)).log)).toEqual([['x'], 120_000, true]);
  });

  test('the forms of command and args of the official image', async () => {
    const plain = await run(
      nodePod('form-a', '', {}, { command: undefined, args: ['-e', 'console.log("args only")'] }),
    );
    expect(plain.log).toBe('args only\n');
    const named = await run(nodePod('form-b', '', {}, { command: ['/usr/local/bin/node'], args: ['-p', '1+1'] }));
    expect(named.log).toBe('2\n');
  });
});

describe('logs', () => {
  test('tail, timestamps, limit, and only the last 256 KiB are kept', async () => {
    await run(nodePod('chatty', 'for (let i = 0; i < 20000; i++) console.log("line " + String(i).padStart(20, "0"))'));
    const whole = String((await client.get(`${PODS}/chatty/log`)).body);
    expect(whole.length).toBeLessThanOrEqual(256 * 1024);
    expect(whole.endsWith('line 00000000000000019999\n')).toBe(true);
    expect((await client.get(`${PODS}/chatty/log?tailLines=1`)).body).toBe('line 00000000000000019999\n');
    expect((await client.get(`${PODS}/chatty/log?tailLines=0`)).body).toBe('');
    expect((await client.get(`${PODS}/chatty/log?tailLines=1&timestamps=true`)).body).toMatch(
      /^\d{4}-\d\d-\d\dT[\d:.]+Z line 0+19999\n$/,
    );
    expect((await client.get(`${PODS}/chatty/log?tailLines=1&limitBytes=4`)).body).toBe('line');
    expect((await client.get(`${PODS}/chatty/log?container=x`)).body.message).toBe(
      'container x is not valid for pod chatty',
    );
  });
});

describe('the end of the playground', () => {
  const program = `
    import { startPlayground } from ${JSON.stringify(new URL('../../src/playground/start.ts', import.meta.url).href)};
    const playground = await startPlayground({ shop: false });
    process.on('message', async (pod) => {
      if (pod === 'close') { await playground.close(); process.disconnect(); return; }
      playground.apply([pod]);
    });
    process.send(playground.kubeconfig);`;

  async function started(): Promise<{ child: ChildProcess; kubeconfig: string; pid: number }> {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const [kubeconfig] = (await once(child, 'message')) as [string];
    const its = new PlaygroundClient({ kubeconfig });
    const pod = nodePod('staying', 'setInterval(() => {}, 1000); console.log(process.pid)');
    child.send({ ...pod, metadata: { ...pod.metadata, namespace: 'shop' } });
    await its.podPhase('shop', 'staying', 'Running');
    const pid = Number(await its.firstLine('shop', 'staying'));
    its.close();
    return { child, kubeconfig, pid };
  }

  /** Resolves when the process has gone; the runner's time limit is the limit. */
  async function ended(pid: number): Promise<void> {
    while (alive(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  test('closed: its pods have ended, its files are gone', async () => {
    const { child, kubeconfig, pid } = await started();
    expect(existsSync(kubeconfig)).toBe(true);
    child.send('close');
    await once(child, 'exit');
    expect(alive(pid)).toBe(false);
    expect(existsSync(kubeconfig)).toBe(false);
  });

  test('killed: its pods end themselves', async () => {
    const { child, kubeconfig, pid } = await started();
    child.kill('SIGKILL');
    await once(child, 'exit');
    await ended(pid);
    expect(alive(pid)).toBe(false);
    rmSync(dirname(kubeconfig), { recursive: true, force: true });
  });
});
