// One measurement in a process of its own, the same for every way: `client.mjs '{"way":…,"task":"down","streams":8,"bytes":…}'`.
// Prints one JSON object.
import { open, request } from './connection.mjs';

const { way, task, ...settings } = JSON.parse(process.argv[2]);

const quantile = (times, share) =>
  times.toSorted((a, b) => a - b)[Math.min(times.length - 1, Math.floor(times.length * share))];
const spread = (times) => ({ p50: quantile(times, 0.5), p99: quantile(times, 0.99), n: times.length });
const timed = async (work) => {
  const started = performance.now();
  await work();
  return performance.now() - started;
};

async function bulk(method, path, body) {
  const connections = await Promise.all(Array.from({ length: settings.streams }, () => open(way)));
  const ms = await timed(() => Promise.all(connections.map((one) => request(one, method, path, body))));
  for (const { socket } of connections) socket.destroy();
  return { mibPerSecond: (settings.streams * settings.bytes) / 1_048_576 / (ms / 1000) };
}

async function oneShot() {
  const connection = await open(way);
  await request(connection, 'GET', '/small');
  connection.socket.destroy();
}

async function small(connection, count) {
  const times = [];
  for (let index = 0; index < count; index += 1) times.push(await timed(() => request(connection, 'GET', '/small')));
  return times;
}

const tasks = {
  down: () => bulk('GET', `/bytes/${settings.bytes}`, 0),
  up: () => bulk('POST', '/sink', settings.bytes),
  /** One request on one connection: what a program that was just started sees. */
  first: async () => {
    await oneShot();
    return {};
  },
  latency: async () => {
    const connection = await open(way);
    await small(connection, 50);
    return spread(await small(connection, settings.count));
  },
  /** New connections with one request each, one after the other. */
  connections: async () => {
    await oneShot();
    const times = [];
    const ms = await timed(async () => {
      for (let index = 0; index < settings.count; index += 1) times.push(await timed(oneShot));
    });
    return { perSecond: settings.count / (ms / 1000), ...spread(times) };
  },
  /** The same, many at once. */
  concurrent: async () => {
    let left = settings.count;
    const worker = async () => {
      while (left > 0) {
        left -= 1;
        await oneShot();
      }
    };
    const ms = await timed(() => Promise.all(Array.from({ length: settings.workers }, worker)));
    return { perSecond: settings.count / (ms / 1000) };
  },
  /** Small requests while eight downloads run. */
  beside: async () => {
    const connection = await open(way);
    await small(connection, 20);
    const downloads = await Promise.all(Array.from({ length: 8 }, () => open(way)));
    const done = downloads.map((one) => request(one, 'GET', `/bytes/${settings.bytes}`).catch(() => 0));
    await new Promise((resolve) => setTimeout(resolve, settings.warmMs));
    const times = [];
    const end = performance.now() + settings.ms;
    while (performance.now() < end) {
      times.push(await timed(() => request(connection, 'GET', '/small')));
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    for (const { socket } of downloads) socket.destroy();
    await Promise.all(done);
    return spread(times);
  },
};

console.log(JSON.stringify(await tasks[task]()));
process.exit(0);
