// A loopback port that never answers a connect: a listener whose queue is full and whose thread is blocked, so that the kernel drops SYNs.
// Not on Windows, which refuses instead.
import { connect, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import type { Peer } from './peers.ts';

const LISTENER = `
  const { parentPort, workerData } = require('node:worker_threads');
  const server = require('node:net').createServer();
  server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    Atomics.wait(new Int32Array(workerData), 0, 0);
    process.exit();
  });
`;
/** A queue of 1 holds 2 on Linux; the others stay on their way and do no harm. */
const FILLERS = 4;
const QUEUED = 2;

export async function blackhole(): Promise<Peer> {
  const gate = new SharedArrayBuffer(4);
  const worker = new Worker(LISTENER, { eval: true, workerData: gate });
  const port = await new Promise<number>((resolve, reject) => worker.once('message', resolve).once('error', reject));
  const fillers: Socket[] = [];
  await new Promise<void>((resolve) => {
    let queued = 0;
    for (let index = 0; index < FILLERS; index += 1) {
      const socket = connect({ port, host: '127.0.0.1' }, () => {
        queued += 1;
        if (queued === QUEUED) resolve();
      });
      fillers.push(socket.on('error', () => undefined));
    }
  });
  return {
    port,
    stop: async () => {
      for (const socket of fillers) socket.destroy();
      Atomics.store(new Int32Array(gate), 0, 1);
      Atomics.notify(new Int32Array(gate), 0);
      await worker.terminate();
    },
  };
}
