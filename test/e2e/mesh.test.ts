// Must: kt mesh on the real cluster, as dev: only marked requests come to the laptop (M1), and what passes the agent unmarked is as before (h2c,
// SSE, raw TCP, a server that speaks first). Two people on one Service (M3-M5) are two-developers.test.ts.
import type { Server } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { askFromPod, closeApp, leftovers, localApp, removeShop, runInPod, TestShop } from './support/inbound.ts';
import { Laptop, type Running } from './support/kt.ts';

const NAME = 'kt-t-mesh';
const laptop = new Laptop();
let anna: Server & { port: number };
let shop: TestShop;

beforeAll(async () => {
  shop = await TestShop.deploy(NAME);
  anna = await localApp('anna');
}, 120_000);
afterEach(() => laptop.stopAll());
afterAll(async () => {
  await laptop.close();
  await closeApp(anna);
  await removeShop(NAME);
});

async function mesh(port: number, ...args: string[]): Promise<Running> {
  const running = laptop.start(['mesh', NAME, '--expose', `${port}:80`, '--output', 'json', ...args]);
  await running.event('holding');
  return running;
}

const askedBy = async (headers: Record<string, string> = {}): Promise<unknown> =>
  (await askFromPod(`http://${NAME}/`, headers))['name'];

describe('mesh', { timeout: 120_000 }, () => {
  test('M1: only requests with the mark, as the header or as a member of baggage, come to the laptop', async () => {
    const kt = await mesh(anna.port, '--versionMark', 'anna');
    expect([await askedBy(), await askedBy({ version: 'anna' }), await askedBy({ VERSION: 'x' })]).toEqual([
      'pod',
      'anna',
      'pod',
    ]);
    expect(await askedBy({ baggage: 'user=1,version=anna' })).toBe('anna');
    await kt.stop();
    await shop.expectUntouched();
  });
});

describe('unmarked requests through a meshed Service are as before', { timeout: 120_000 }, () => {
  const inGateway = async (script: string): Promise<string> => {
    const done = await runInPod(script);
    return done.stdout + done.stderr;
  };
  const H2 = `const s=require('http2').connect('http://h2');const r=s.request({':method':'POST',':path':'/'});let t='',g;r.on('response',h=>g=h[':status']);r.on('trailers',h=>g+=' '+h['grpc-status']);r.on('data',c=>t+=c);r.on('end',()=>{console.log(g,t);s.close()});r.end('hello')`;
  const EVENTS = `require('http').get('http://stream/events',r=>{let n=0;r.on('data',c=>{n+=1;if(n===2){console.log(r.headers['content-type'],r.headers['transfer-encoding']);process.exit()}})})`;
  const RAW = `const s=require('net').connect(7000,'echo');s.end('hello');let t='';s.on('data',c=>t+=c);s.on('end',()=>console.log(t))`;
  const BANNER = `const s=require('net').connect(7004,'echo');s.once('data',c=>{console.log(c.toString().trim());s.resetAndDestroy()})`;

  test.each([
    ['h2', 'h2c with trailers', H2],
    ['stream', 'server-sent events', EVENTS],
    ['echo', 'raw TCP with half-close', RAW],
    ['echo', 'a server that speaks first', BANNER],
  ])('%s: %s', async (service, _, script) => {
    const without = await inGateway(script);
    expect(without.trim()).not.toBe('');
    const kt = laptop.start(['mesh', service, '--skipPortChecking', '--versionMark', 'anna', '--output', 'json']);
    await kt.event('holding');
    expect(await inGateway(script)).toBe(without);
    await kt.stop();
    expect(await leftovers(service)).toBe('');
  });
});
