// Must: a Spring Boot application under `kt run --advertise` registers the preview Service's address with Eureka, not the laptop's. With a
// pretend Eureka that keeps what it is told; the preview itself is preview.test.ts. Needs a JDK 17 and Maven, no cluster.
import { spawn } from 'node:child_process';
import { cpSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { registryVariables } from '../../src/modes/advertise.ts';
import { execute } from './support/kt.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kt-eureka-'));
  cpSync('test/fixtures/eureka-shop', folder, { recursive: true, filter: (path) => !path.endsWith('/target') });
  const built = await execute('mvn', ['-q', '-B', '-f', folder, '-DskipTests', 'package'], { timeoutMs: 240_000 });
  expect(built, built.stdout).toMatchObject({ code: 0 });
}, 260_000);
afterAll(() => rm(folder, { recursive: true }));

interface Instance {
  readonly hostName: string;
  readonly port: { readonly $: number };
  readonly instanceId: string;
}

/** What the application registers, with these variables. */
async function registered(variables: Record<string, string>): Promise<Instance> {
  let tell: (instance: Instance) => void = () => undefined;
  const came = new Promise<Instance>((resolve) => {
    tell = resolve;
  });
  const eureka = createServer((request, response) => {
    let body = '';
    request.on('data', (piece: Buffer) => (body += String(piece)));
    request.on('end', () => {
      if (request.method === 'POST') tell((JSON.parse(body) as { instance: Instance }).instance);
      response.setHeader('content-type', 'application/json');
      response.statusCode = request.method === 'POST' ? 204 : 200;
      response.end('{"applications":{"versions__delta":"1","apps__hashcode":"","application":[]}}');
    });
  });
  await new Promise<void>((resolve) => eureka.listen(0, '127.0.0.1', resolve));
  const { port } = eureka.address() as AddressInfo;
  const env = {
    PATH: process.env['PATH'],
    HOME: folder,
    SERVER_PORT: '0',
    EUREKA_CLIENT_INITIALINSTANCEINFOREPLICATIONINTERVALSECONDS: '0',
    ...variables,
  };
  // A key of a map, which keeps its capital: no variable can say it.
  const zone = `-Deureka.client.service-url.defaultZone=http://127.0.0.1:${port}/eureka/`;
  const app = spawn('java', [zone, '-jar', join(folder, 'target/eureka-shop-1.jar')], { env, stdio: 'ignore' });
  onTestFinished(() => {
    app.kill('SIGKILL');
    eureka.closeAllConnections();
    eureka.close();
  });
  return came;
}

test('the registry is told the preview Service', { timeout: 120_000 }, async () => {
  const instance = await registered(registryVariables('orders-anna', 'shop', 80));
  expect(instance).toMatchObject({
    hostName: 'orders-anna.shop.svc',
    port: { $: 80 },
    instanceId: 'orders-anna.shop.svc:80',
  });
});

test('without it the laptop’s own address goes there', { timeout: 120_000 }, async () => {
  expect((await registered({})).hostName).not.toContain('orders-anna');
});
