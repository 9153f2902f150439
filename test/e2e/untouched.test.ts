// Must: the laptop is as it was before, while kt runs and after every way to end; nothing of ours stays in the cluster.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { fingerprint } from './support/fingerprint.ts';
import { curl, execute, kubectl, Laptop } from './support/kt.ts';

const laptop = new Laptop();
afterAll(() => laptop.close());

const agents = async (): Promise<string> =>
  (await kubectl(['get', 'pods', '-l', 'kt/role=egress', '-o', 'name'])).trim();

/** Resolves when the pod object is gone; kubectl waits on a watch. */
const gone = (pod: string, limit: string): Promise<string> =>
  kubectl(['wait', '--for=delete', `pod/${pod}`, `--timeout=${limit}`]);

describe('nothing is left behind', () => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    test(`after ${signal}: laptop untouched, cluster clean, exit code 0`, async () => {
      const before = fingerprint();
      const kt = await laptop.connect();
      const answer = await curl(
        '-x',
        `socks5h://${kt.ready.proxy}`,
        '-o',
        '/dev/null',
        '-w',
        '%{http_code}',
        'http://gateway/',
      );
      expect(answer.stdout).toBe('200');
      expect(fingerprint()).toEqual(before);
      const agent = kt.ready.agent ?? '';
      expect(await kt.stop(signal)).toEqual({ code: 0, signal: null });
      await gone(agent, '30s').catch((error: Error) => expect(error.message).toMatch(/not found|NotFound/));
      expect(fingerprint()).toEqual(before);
      expect(readdirSync(join(laptop.home, 'run'))).toEqual([]);
    });
  }

  test('after kill -9: laptop untouched, and the agent is gone soon', async () => {
    const before = fingerprint();
    const kt = await laptop.connect();
    const agent = kt.ready.agent ?? '';
    await kt.stop('SIGKILL');
    expect(fingerprint()).toEqual(before);
    await gone(agent, '60s').catch((error: Error) => expect(error.message).toMatch(/not found|NotFound/));
    expect(await agents()).not.toContain(agent);
    // The next command removes the dead session's socket.
    const status = laptop.start(['status', '--output', 'json']);
    expect((await status.exited).code).toBe(1);
    expect(readdirSync(join(laptop.home, 'run'))).toEqual([]);
  });

  test('a signal while the agent is starting leaves nothing either', async () => {
    const kt = laptop.start(['connect', '--output', 'json', '--proxyPort', '0', '--dnsPort', '0']);
    const step = await kt.event('step', (event) => event.id === 'agent' && event.state === 'started');
    expect((await kt.stop('SIGTERM')).code).toBe(130);
    const pod = step.text.replace('agent pod ', '');
    await gone(pod, '30s').catch((error: Error) => expect(error.message).toMatch(/not found|NotFound/));
  });
});

describe('without rights on the laptop', () => {
  test('kt makes no privileged call: it runs under no_new_privs and without any capability', async () => {
    const kt = await laptop.connect();
    const status = await execute('cat', [`/proc/${kt.child.pid ?? 0}/status`]);
    expect(status.stdout).toMatch(/^CapEff:\s+0+$/m);
    expect(status.stdout).toMatch(/^Uid:\s+12345/m);
    await kt.stop();
  });

  test('stop ends a session from another terminal', async () => {
    const kt = await laptop.connect();
    const stop = laptop.start(['stop']);
    expect((await stop.exited).code).toBe(0);
    expect((await kt.exited).code).toBe(0);
    expect(existsSync(join(laptop.home, 'run'))).toBe(true);
    expect(readdirSync(join(laptop.home, 'run'))).toEqual([]);
  });
});
