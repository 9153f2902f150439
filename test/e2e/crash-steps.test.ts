// Must: kt dies by kill -9 behind each write of set-up and tear-down, others write the Service at the same moment, it is redeployed, and somebody
// gives it back or joins at the worst moment: callers in the cluster never fail, and `kt recover` makes the Service what it was.
// The writes are seen by a relay before the API server, so the product needs no hook for tests.
import { readdirSync, readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ApiRelay } from './support/api-relay.ts';
import { Callers, closeApp, leftovers, localApp, removeShop, snapshot, TestShop } from './support/inbound.ts';
import { kubectl, Laptop, type Running, UID } from './support/kt.ts';

const NAME = 'kt-t-crash';
const ORIGIN = `services/${NAME}-kt-origin`;
const AGENT = `deployments/${NAME}-kt-ingress`;
const SERVICE = `services/${NAME}`;
/** What taking over and giving back write, in order. */
const SET_UP = ['POST services', 'POST deployments', `PATCH ${SERVICE}`];
const TEAR_DOWN = [`PATCH ${ORIGIN}`, `PATCH ${SERVICE}`, `DELETE ${AGENT}`, `DELETE ${ORIGIN}`];

const laptop = new Laptop();
let relay: ApiRelay;
let config: string;
let app: Server & { port: number };
let shop: TestShop;
let callers: Callers;

beforeAll(async () => {
  relay = await ApiRelay.start(join(process.env['KT_E2E_KUBECONFIGS'] ?? '/var/lib/kcluster/kubeconfigs', 'dev'));
  config = relay.kubeconfig(join(laptop.home, 'relay.yaml'), UID);
  shop = await TestShop.deploy(NAME);
  app = await localApp('laptop');
}, 120_000);
afterEach(() => laptop.stopAll());
afterAll(async () => {
  await laptop.close();
  relay?.close();
  await closeApp(app);
  await removeShop(NAME);
});
beforeEach(async () => {
  relay.reset();
  callers = await Callers.start(`http://${NAME}/`);
});
afterEach(async () => {
  expect(callers.failures()).toEqual([]);
  await callers.stop();
});

const start = (command: string, ...args: string[]): Running =>
  laptop.start([command, NAME, '--expose', `${app.port}:80`, '--kubeconfig', config, '--output', 'json', ...args]);

async function exchange(): Promise<Running> {
  const kt = start('exchange');
  await kt.event('holding');
  return kt;
}

async function recover(...args: string[]): Promise<Running> {
  const kt = laptop.start(['recover', NAME, '--kubeconfig', config, '--output', 'json', ...args]);
  await kt.exited;
  return kt;
}

function sessionOf({ events }: Running): string {
  const opening = events.find((event) => event.type === 'opening');
  return opening?.type === 'opening' ? opening.session : 'none';
}

/** The whole laptop dies: kt, and the shell that would clean up after it. */
function powerCut(kt: Running): void {
  const { pid } = kt.child;
  const janitors = readdirSync('/proc').filter((entry) => {
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      return stat.slice(stat.lastIndexOf(')')).split(' ')[2] === String(pid);
    } catch {
      return false;
    }
  });
  for (const janitor of janitors) process.kill(Number(janitor), 'SIGKILL');
  kt.child.kill('SIGKILL');
}

/** Kills kt when its n-th write was answered, before it hears of that. */
function killBehind(kt: () => Running | undefined, step: number): Promise<void> {
  return new Promise((resolve) => {
    let count = 0;
    relay.onAnswered = () => {
      if ((count += 1) !== step) return;
      const running = kt();
      if (running) powerCut(running);
      resolve();
    };
  });
}

async function answeredBy(name: string): Promise<void> {
  await callers.answeredBy(name, callers.lines.length, ['new']);
}

describe('kill -9 behind each write', { timeout: 120_000 }, () => {
  test('the writes are these', async () => {
    const kt = await exchange();
    expect(relay.writes).toEqual(SET_UP);
    relay.reset();
    await kt.stop();
    expect(relay.writes).toEqual(TEAR_DOWN);
    await shop.expectUntouched();
  });

  test.each(SET_UP.map((write, index): [number, string] => [index + 1, write]))('set-up, %i: %s', async (step) => {
    let kt: Running | undefined;
    const killed = killBehind(() => kt, step);
    kt = start('exchange');
    await killed;
    await kt.exited;
    relay.reset();
    await answeredBy('pod');
    // For two minutes nobody can know that it is dead and not slow, or asleep; its janitor knows, and says the session.
    expect((await recover()).stdout).toContain('"held"');
    const done = await recover('--session', sessionOf(kt));
    expect(done.stdout, done.stderr).toContain(step < SET_UP.length ? '"cleaned"' : '"restored"');
    await shop.expectUntouched();
    await answeredBy('pod');
  });

  test.each(TEAR_DOWN.map((write, index): [number, string] => [index + 1, write]))(
    'tear-down, %i: %s',
    async (step) => {
      const kt = await exchange();
      await answeredBy('laptop');
      relay.reset();
      const killed = killBehind(() => kt, step);
      kt.child.kill('SIGINT');
      await killed;
      await kt.exited;
      relay.reset();
      await answeredBy('pod');
      const done = await recover();
      expect((await done.exited).code, done.stderr).toBe(0);
      await shop.expectUntouched();
      await answeredBy('pod');
    },
  );

  test('set-up, while the last write is on its way: it comes when everything is cleaned up, and changes nothing', async () => {
    let [pass, arrived] = [(): void => undefined, (): void => undefined];
    const asked = new Promise<void>((resolve) => (arrived = resolve));
    const passes = new Promise<void>((resolve) => (pass = resolve));
    let late: unknown;
    relay.onAsked = async ({ text }) => {
      if (text !== `PATCH ${SERVICE}` || late !== undefined) return;
      late = text;
      arrived();
      await passes;
    };
    const kt = start('exchange');
    await asked;
    kt.child.kill('SIGINT');
    expect((await kt.exited).code).toBe(130);
    await shop.expectUntouched();
    const before = relay.writes.length;
    pass();
    await answeredBy('pod');
    await callers.seen((lines) => lines.length > 40, 'some more answers', callers.lines.length);
    expect(relay.writes.length).toBe(before);
    await shop.expectUntouched();
  });
});

describe('others write at the same moment', { timeout: 120_000 }, () => {
  test('409: somebody else writes the Service before each of the first writes, of both directions', async () => {
    let stamps = 0;
    const disturb = (): void => {
      let left = 3;
      relay.onAsked = async ({ text }) => {
        if (text !== `PATCH ${SERVICE}` || left === 0) return;
        left -= 1;
        stamps += 1;
        await kubectl(['annotate', 'service', NAME, `team/stamp=${stamps}`, '--overwrite']);
      };
    };
    disturb();
    const kt = await exchange();
    await answeredBy('laptop');
    disturb();
    expect((await kt.stop()).code).toBe(0);
    expect(stamps).toBe(6);
    await kubectl(['annotate', 'service', NAME, 'team/stamp-']);
    await shop.expectUntouched();
  });

  /** The Service as a developer has it in a file. */
  async function manifest(): Promise<{ metadata: Record<string, unknown>; spec: Record<string, unknown> }> {
    const { metadata, spec } = JSON.parse(await kubectl(['get', 'service', NAME, '-o', 'json'])) as Awaited<
      ReturnType<typeof manifest>
    >;
    const { name, namespace, annotations } = metadata;
    const { selector, ports, type } = spec;
    return Object.assign(
      { apiVersion: 'v1', kind: 'Service' },
      {
        metadata: { name, namespace, annotations: annotations ?? {} },
        spec: { selector, ports, type },
      },
    );
  }

  test.each<[string, string[]]>([
    ['kubectl apply, as helm upgrade does it (merged into what is there)', ['apply', '-f', '-']],
    ['kubectl apply --server-side', ['apply', '--server-side', '--force-conflicts', '-f', '-']],
    ['a full replace (nothing of ours is left)', ['replace', '-f', '-']],
  ])('a redeploy: %s', async (_, command) => {
    const file = JSON.stringify(await manifest());
    await kubectl(command, 'dev', file);
    const before = await snapshot(NAME);
    const kt = await exchange();
    await answeredBy('laptop');
    for (let time = 0; time < 3; time += 1) {
      const seen = kt.events.length;
      await kubectl(command, 'dev', file);
      await kt.event('warning', ({ message }) => message.includes('taken again: it was written'), seen);
      await answeredBy('laptop');
    }
    expect((await kt.stop()).code).toBe(0);
    expect(await snapshot(NAME)).toEqual(before);
    expect(await leftovers(NAME)).toBe('');
    await kubectl(['annotate', 'service', NAME, 'kubectl.kubernetes.io/last-applied-configuration-']);
    await shop.expectUntouched();
  });

  test('a redeploy with a port that the agent does not have: given back to its pods at once, and said', async () => {
    const kt = await exchange();
    const port = { op: 'add', path: '/spec/ports/-', value: { name: 'more', port: 9999, targetPort: 9999 } };
    await kubectl(['patch', 'service', NAME, '--type=json', '-p', JSON.stringify([port])]);
    await kt.event('warning', ({ message }) => message.includes('its ports were changed'));
    await answeredBy('pod');
    expect((await kt.stop()).code).toBe(0);
    expect(await leftovers(NAME)).toBe('');
    await kubectl(['patch', 'service', NAME, '--type=json', '-p', '[{"op":"remove","path":"/spec/ports/2"}]']);
    await shop.expectUntouched();
  });

  test('somebody removes the annotation: recover finds the selector on the origin', async () => {
    const kt = await exchange();
    powerCut(kt);
    await kt.exited;
    await kubectl(['annotate', 'service', NAME, 'kt/journal-']);
    const done = await recover('--session', sessionOf(kt));
    expect(done.stdout, done.stderr).toContain('"restored"');
    await shop.expectUntouched();
  });

  test('recover --force while its holder lives: it is given back, its holder is told and does not take it again', async () => {
    const kt = await exchange();
    await answeredBy('laptop');
    const done = await recover('--force');
    expect(done.stdout, done.stderr).toContain('"restored"');
    await kt.event('warning', ({ message }) => message.includes('somebody gave it back'));
    await answeredBy('pod');
    await shop.expectUntouched();
    expect((await kt.stop()).code).toBe(0);
    await shop.expectUntouched();
  });

  test('somebody joins while the last one gives it back: refused in time, and nothing is left', async () => {
    const last = start('mesh', '--versionMark', 'anna');
    await last.event('holding');
    let joiner: Running | undefined;
    relay.onAsked = async ({ text }) => {
      if (text !== `PATCH ${ORIGIN}` || joiner) return;
      joiner = start('mesh', '--versionMark', 'ben');
      await joiner.exited;
    };
    expect((await last.stop()).code).toBe(0);
    expect(joiner?.stdout).toContain('is being given back at this moment');
    await shop.expectUntouched();
  });
});
