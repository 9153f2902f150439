// Must: a marked request reaches the laptop through other services: as a member of `baggage` through the shop's own gateway → orders, and as
// one of `tracestate` through a service that does what tracing does.
import type { Server } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { askFromPod, closeApp, leftovers, localApp, runInPod } from './support/inbound.ts';
import { kubectl, Laptop } from './support/kt.ts';

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

describe('on the cluster', { timeout: 120_000 }, () => {
  const FRONT = 'kt-t-play-front';
  const laptop = new Laptop();
  let app: Server & { port: number };

  beforeAll(async () => {
    app = await localApp('laptop');
    // What a tracer does with a request that has a context: traceparent and tracestate go on (W3C Trace Context, section 3.5).
    const script = `const h=require('http');h.createServer((q,r)=>{const {traceparent,tracestate}=q.headers;h.get('http://orders/',{headers:{traceparent,tracestate}},a=>a.pipe(r))}).listen(8080)`;
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: FRONT, labels: { app: FRONT } },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [
          {
            name: 'front',
            image: 'node:24-slim',
            command: ['node', '-e', script],
            readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
          },
        ],
      },
    };
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: FRONT },
      spec: { selector: { app: FRONT }, ports: [{ port: 80, targetPort: 8080 }] },
    };
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [pod, service] });
    await kubectl(['apply', '-f', '-'], 'dev', list);
    await kubectl(['wait', '--for=condition=Ready', `pod/${FRONT}`, '--timeout=60s']);
  }, 120_000);
  afterAll(async () => {
    await laptop.close();
    await closeApp(app);
    await kubectl(['delete', 'pod,service', FRONT, '--ignore-not-found', '--now']);
  });

  test('baggage through gateway → orders, tracestate through a traced service → orders; without them the pods answer', async () => {
    const args = ['mesh', 'orders', '--expose', `${app.port}:80`, '--versionMark', 'anna', '--output', 'json'];
    const kt = laptop.start(args);
    await kt.event('holding');
    // The gateway keeps a connection to an original pod for a minute after the last request, and the agent sees new ones only. Many requests
    // at once need more connections than are kept.
    const marked = JSON.stringify({ baggage: 'user=7,version=anna' });
    const crowd = `Promise.all(Array.from({length:24},()=>fetch('http://gateway/',{headers:${marked}}).then(r=>r.json()))).then(a=>console.log(JSON.stringify(a.map(({next})=>next))))`;
    await expect
      .poll(async () => JSON.parse((await runInPod(crowd)).stdout || '[]') as unknown, {
        timeout: 30_000,
        interval: 500,
      })
      .toContainEqual(
        expect.objectContaining({
          name: 'laptop',
          headers: expect.objectContaining({ baggage: 'user=7,version=anna' }) as unknown,
        }),
      );
    const traced = { traceparent: TRACEPARENT, tracestate: 'vendor=x,version=anna' };
    expect(await askFromPod(`http://${FRONT}/`, traced)).toMatchObject({ name: 'laptop', headers: traced });
    expect(await askFromPod(`http://${FRONT}/`, { ...traced, tracestate: 'version=ben' })).not.toMatchObject({
      name: 'laptop',
    });
    const unmarked = await askFromPod('http://gateway/', { baggage: 'version=ben' });
    expect(unmarked['next']).toMatchObject({ service: 'orders' });
    expect(unmarked['next']).not.toMatchObject({ name: 'laptop' });
    await kt.stop();
    expect(await leftovers('orders')).toBe('');
  });
});
