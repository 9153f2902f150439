// A command in a pod, against a cluster whose channels behave as the runtime's do: output, exit codes, refusals, an end in the middle.

import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { execInPod } from '../../src/cluster/exec.ts';
import { ExecOutput } from '../../src/cluster/exec-output.codec.ts';
import { ClusterApi } from '../../src/cluster/rest.ts';
import { configFor, failure, startFakeApi } from './support/fake-api.ts';

const AT = { namespace: 'shop', pod: 'orders-0', container: 'app', command: ['cat', '/proc/net/tcp', 'a b&c'] };
const on = (channel: number, text: string): Buffer => Buffer.concat([Buffer.from([channel]), Buffer.from(text)]);
const SUCCESS = on(3, JSON.stringify({ metadata: {}, status: 'Success' }));

async function cluster(serve: (socket: WebSocket, url: string) => void): Promise<ClusterApi> {
  const server = new WebSocketServer({ noServer: true, handleProtocols: () => 'v4.channel.k8s.io' });
  const fake = await startFakeApi((_, response) => response.writeHead(404).end(), {
    upgrade: (request, socket, head) =>
      server.handleUpgrade(request, socket, head, (websocket) => {
        websocket.on('error', () => undefined);
        serve(websocket, request.url ?? '');
      }),
  });
  const api = new ClusterApi(configFor(fake.url));
  onTestFinished(() => api.close());
  return api;
}

test('what it wrote, each to its own', async () => {
  let asked = '';
  const api = await cluster((socket, url) => {
    asked = url;
    for (const message of [on(1, ''), on(1, 'one '), on(2, 'hm'), on(1, 'two'), SUCCESS]) socket.send(message);
    socket.close(1000);
  });
  expect(await execInPod(api, AT)).toEqual({ code: 0, stdout: 'one two', stderr: 'hm', message: '' });
  const url = new URL(asked, 'http://x');
  expect(url.pathname).toBe('/api/v1/namespaces/shop/pods/orders-0/exec');
  expect(url.searchParams.getAll('command')).toEqual(AT.command);
  expect(url.searchParams.get('container')).toBe('app');
});

test('an exit code, and a program that is not there', async () => {
  const failed = {
    status: 'Failure',
    kind: 'Status',
    reason: 'NonZeroExitCode',
    message: 'command terminated with non-zero exit code',
  };
  const causes = [{ reason: 'ExitCode', message: '7' }];
  const api = await cluster((socket) => {
    socket.send(on(3, JSON.stringify({ ...failed, details: { causes } })));
    socket.close(1000);
  });
  expect(await execInPod(api, AT)).toMatchObject({ code: 7, message: failed.message });
  const without = await cluster((socket) => {
    socket.send(
      on(3, JSON.stringify({ status: 'Failure', kind: 'Status', message: 'exec: "cat": executable file not found' })),
    );
    socket.close(1000);
  });
  expect(await execInPod(without, AT)).toMatchObject({
    code: undefined,
    message: expect.stringContaining('not found') as string,
  });
});

test('it breaks in the middle; it never ends and the caller does not want it any more', async () => {
  const broken = await cluster((socket) => socket.terminate());
  expect(await failure(execInPod(broken, AT))).toMatchObject({ code: 'LINK_LOST' });
  const wanted = new AbortController();
  const silent = await cluster(() => wanted.abort());
  expect((await failure(execInPod(silent, AT, wanted.signal))).code).toBe('CANCELLED');
});

test('more than anybody wants', async () => {
  const api = await cluster((socket) => {
    for (let count = 0; count < 10; count += 1) socket.send(Buffer.alloc(1024 * 1024, 1));
  });
  expect((await failure(execInPod(api, AT))).message).toContain('wrote more than kt reads');
});

test('messages in any pieces', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 4 }), fc.string()), { maxLength: 20 }),
      fc.nat(),
      (messages, cut) => {
        const output = new ExecOutput();
        for (const [channel, text] of messages) {
          const bytes = on(channel === 3 ? 2 : channel, text);
          const at = cut % (bytes.length + 1);
          output.push(bytes.subarray(0, at), true);
          output.push(bytes.subarray(at), false);
        }
        const of = (...channels: number[]): string =>
          messages
            .filter(([channel]) => channels.includes(channel))
            .map(([, text]) => text)
            .join('');
        expect(output.result()).toMatchObject({ code: undefined, stdout: of(1), stderr: of(2, 3) });
      },
    ),
  );
});
