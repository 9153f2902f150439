// Must (R1): kt recover on the real cluster makes whole what every mode leaves when kt and its janitor are killed, says so of what is untouched,
// leaves alone what somebody holds, and goes by the API server's clock. In passing, every command repairs what nobody holds any more.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { HoldBench } from './support/hold-bench.ts';
import { leftovers, snapshot, untilAnswer } from './support/inbound.ts';
import { kubectl, type Running } from './support/kt.ts';

const NAME = 'kt-t-recover';
const bench = new HoldBench(NAME);
const { laptop } = bench;

afterEach(() => bench.shop.expectUntouched());

const hold = (...args: string[]): Promise<Running> => bench.hold(...args);

/** Kills kt, and before it the shell that would clean up behind it. */
async function vanish(kt: Running): Promise<void> {
  const pid = String(kt.child.pid);
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  for (const child of children.split(' ')) process.kill(Number(child), 'SIGKILL');
  await kt.stop('SIGKILL');
}

async function run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  const kt = laptop.start(args, { env });
  const { code } = await kt.exited;
  expect(code, kt.stderr).toBe(0);
  return kt.stdout + kt.stderr;
}

const recover = (...args: string[]): Promise<string> => run(['recover', NAME, ...args]);
/** Another kt in the namespace may do it in passing at the same moment: then only the rest is left to say. The state is what counts. */
const GIVEN_BACK = new RegExp(
  `^${NAME}( is given back to its original pods|: what an unfinished take-over left is removed)\n$`,
);
const killAgent = (): Promise<string> => kubectl(['delete', 'deployment', `${NAME}-kt-ingress`, '--wait=true']);

describe('recover', { timeout: 120_000 }, () => {
  test('R1: on an untouched Service it says so; of one that is not there as well', async () => {
    expect(await recover()).toBe(`${NAME} was not taken over: nothing to do\n`);
    const missing = laptop.start(['recover', 'no-such']);
    expect((await missing.exited).code).toBe(3);
    expect(missing.stderr).toContain("there is no Service 'no-such' in the namespace 'shop'");
  });

  test('R1: exchange: left alone while its holder may come back, given back with --force, and at once where its agent is gone', async () => {
    const kt = await hold('exchange', NAME);
    expect(await recover()).toMatch(/is held by uid-12345 on .*: left as it is/);
    const held = await snapshot(NAME);
    for (const user of ['reader', 'forwarder'] as const) {
      const refused = laptop.start(['recover', NAME, '--force'], { user });
      expect((await refused.exited).code).toBe(4);
      expect(refused.stderr).toMatch(/you may not patch, delete services.* delete deployments/);
    }
    expect(await snapshot(NAME)).toEqual(held);
    await vanish(kt);
    expect(await recover()).toMatch(/is held by uid-12345 on/);
    expect(await recover('--force')).toBe(`${NAME} is given back to its original pods\n`);
    await bench.shop.expectUntouched();
    await vanish(await hold('exchange', NAME));
    await killAgent();
    expect(await recover()).toMatch(GIVEN_BACK);
  });

  test('R1: a holder that is alive hears of --force, and does not take the Service again', async () => {
    const kt = await hold('exchange', NAME);
    expect(await recover('--force')).toContain('is given back');
    await kt.event('warning', ({ message }) => message.includes('somebody gave it back'));
    await bench.shop.expectUntouched();
    await untilAnswer(`http://${NAME}/`, { name: 'pod' });
    await kt.stop();
  });

  test('R1: mesh auto', async () => {
    await vanish(await hold('mesh', NAME, '--versionMark', 'anna'));
    await killAgent();
    expect(await recover()).toMatch(GIVEN_BACK);
  });

  test('R1: mesh manual', async () => {
    await vanish(await hold('mesh', NAME, '--mode', 'manual', '--versionMark', 'anna'));
    expect(await recover()).toContain('the endpoint version=anna');
    expect(await recover('--force')).toContain('the endpoint version=anna is removed');
  });

  test('R1: exchange scale: the pods are back', async () => {
    await vanish(await hold('exchange', NAME, '--mode', 'scale'));
    await expect.poll(() => kubectl(['get', 'deployment', NAME, '-o', 'jsonpath={.spec.replicas}'])).toBe('0');
    await killAgent();
    expect(await recover()).toContain(`deployment/${NAME} back to 2`);
    await untilAnswer(`http://${NAME}/`, { name: 'pod' });
  });

  test('R1: preview', async () => {
    const name = `${NAME}-new`;
    await vanish(await hold('preview', name));
    expect(await run(['recover', name])).toContain('is held by');
    expect(await run(['recover', name, '--force'])).toBe(`${name}: the preview is removed\n`);
    expect(await leftovers(name)).toBe('');
  });

  test('R1, R2: what an unfinished take-over left: by the clock of the API server, whatever the laptop believes', async () => {
    const origin = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: {
        name: `${NAME}-kt-origin`,
        labels: { 'kt/role': 'origin', 'kt/service': NAME, 'kt/session': 'x' },
        annotations: { 'kt/user': 'ben', 'kt/host': 'mac' },
      },
      spec: { selector: { app: NAME }, ports: [{ port: 80 }] },
    };
    await kubectl(['create', '-f', '-'], 'dev', JSON.stringify(origin));
    const shift = join(laptop.home, 'shift.cjs');
    writeFileSync(shift, 'const now = Date.now; Date.now = () => now() + Number(process.env.SHIFT_MS);');
    for (const hours of [-5, 5]) {
      const env = { NODE_OPTIONS: `--require=${shift}`, SHIFT_MS: String(hours * 3_600_000) };
      expect(await run(['recover', NAME], env)).toContain('is held by ben on mac');
    }
    expect(await run(['clean', '--thresholdInMinus', '0', '--dryRun'])).toContain(
      `would clean: ${NAME}: what an unfinished take-over left is removed`,
    );
    expect(await leftovers(NAME)).not.toBe('');
    expect(await run(['clean', '--thresholdInMinus', '0'])).toContain(
      `cleaned: ${NAME}: what an unfinished take-over left is removed`,
    );
  });

  test('R1: every command repairs in passing what nobody holds any more, and says so; one that only reads does not', async () => {
    const commands = [
      // It stays: on a slow machine the repair takes longer than kt waits for it when the program ends.
      ['run', '--', laptop.node, '-e', 'setInterval(() => 0, 1000)'],
      ['exchange', NAME, '--expose', `${bench.app.port}:80`],
    ];
    for (const command of commands) {
      await vanish(await hold('exchange', NAME));
      await killAgent();
      expect(await run(['birdseye'])).toContain(NAME);
      expect(await leftovers(NAME)).not.toBe('');
      const kt = laptop.start(command[0] === 'run' ? command : [...command, '--output', 'json']);
      if (command[0] === 'exchange') {
        await kt.event('warning', ({ message }) => message.includes(`its holder is gone: ${NAME} is given back`));
        await kt.event('holding');
        await kt.stop();
      } else {
        await expect.poll(() => kt.stderr, { timeout: 30_000 }).toContain(`its holder is gone: ${NAME} is given back`);
        await kt.stop('SIGTERM');
      }
      await expect.poll(() => leftovers(NAME), { timeout: 40_000 }).toBe('');
    }
  });
});
