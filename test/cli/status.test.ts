// Must: `kt status` does not take a session that stands still for none. The built kt on a playground.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PlaygroundKt } from '../support/playground-kt.ts';

let kt: PlaygroundKt;
beforeAll(async () => {
  kt = await PlaygroundKt.open();
});
afterAll(() => kt.close());

test('a session that was stopped with Ctrl-Z is named, and goes on when it is continued', async () => {
  const session = kt.start(['connect', '--output', 'json', '--proxyPort', '0', '--dnsPort', '0']);
  await session.event('ready');
  session.child.kill('SIGSTOP');
  const [socket = ''] = kt.sockets();
  const stopped = await kt.run(['status', '--output', 'plain']);
  session.child.kill('SIGCONT');
  expect(stopped.stdout).toBe(`a session does not answer: was it stopped with Ctrl-Z? (${socket})\n`);
  expect(stopped.code).toBe(1);
  expect((await kt.run(['status'])).stdout).toMatch(/^shop \(dev\)/);
  expect((await session.stop()).code).toBe(0);
}, 30_000);
