// Must: on the real cluster, `kt up` takes the Service of its file for a program that it starts, which reads from the cluster; `kt down` ends all of it and
// leaves nothing. What a file may say is test/cli/up.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CalledBack } from './support/call-back.ts';
import { kubectl, Laptop } from './support/kt.ts';

const laptop = new Laptop();
const shop = new CalledBack(laptop, 'kt-t-up');
const SERVE = `require('node:http').createServer(async (request, response) => {
  const answer = await fetch('http://gateway/');
  response.end('laptop and ' + (await answer.text()));
}).listen(18472, '127.0.0.1');`;

beforeAll(() => shop.deploy());
afterAll(async () => {
  await laptop.close();
  await shop.remove();
});

test('kt up, a request from a pod, kt down', async () => {
  const cwd = laptop.own('project');
  writeFileSync(join(cwd, 'serve.cjs'), SERVE);
  writeFileSync(
    join(cwd, 'kt.yaml'),
    `exchange: ["${shop.name}:18472:80"]\nrun:\n  serves: { command: ["${laptop.node}", serve.cjs] }\n`,
  );
  const up = laptop.start(['up', '--output', 'json', '--proxyPort', '0', '--dnsPort', '0'], { cwd });
  const { agent } = await up.event('ready');
  await expect.poll(() => shop.fromPod('/'), { timeout: 30_000 }).toMatch(/^laptop and .*"service":"gateway"/);
  const down = laptop.start(['down'], { cwd });
  expect((await down.exited).code, down.stderr).toBe(0);
  expect((await up.exited).code, up.stderr).toBe(0);
  await expect.poll(() => shop.fromPod('/who'), { timeout: 30_000 }).toContain('"service":"stock"');
  expect(await kubectl(['get', 'pods', '-o', 'name'])).not.toContain(agent ?? '');
});
