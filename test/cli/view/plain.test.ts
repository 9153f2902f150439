// What a terminal or a pipe gets to read, of the built kt on a playground.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PlaygroundKt } from '../../support/playground-kt.ts';

let kt: PlaygroundKt;
beforeAll(async () => {
  kt = await PlaygroundKt.open();
});
afterAll(() => kt.close());

const ARGS = ['connect', '--namespace', 'nowhere', '--proxyPort', '0', '--dnsPort', '0'];

test('a session that can not be opened says why once, with what to do', async () => {
  const { code, stderr } = await kt.run(ARGS);
  expect(code).toBe(4);
  expect(stderr.match(/you may not/g)).toHaveLength(1);
  expect(stderr).toMatch(/^kt: you may not .*\n {4}\S.*\n {4}\(RIGHTS_MISSING\)$/m);
  expect(stderr).not.toContain('Ended');
});

test('as events: ended with the code of the error, then the error', async () => {
  const { stdout } = await kt.run([...ARGS, '--output', 'json']);
  const events = stdout
    .trim()
    .split('\n')
    .map((one) => JSON.parse(one) as { type: string; code?: string; reason?: string; message?: string });
  const [ended, error] = events.slice(-2);
  expect(ended).toMatchObject({ type: 'ended', code: 'RIGHTS_MISSING' });
  expect(error).toMatchObject({ type: 'error', code: 'RIGHTS_MISSING', message: ended?.reason });
});
