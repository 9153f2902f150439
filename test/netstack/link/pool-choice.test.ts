// Which of two links a new stream takes, with real links to an agent on the loopback. Bytes outstanding and full links: pool.test.ts.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { Link } from '../../../src/netstack/link/link.ts';
import { LinkPool } from '../../../src/netstack/link/pool.ts';
import { startAgent } from '../../support/link-world.ts';

async function twoLinks(
  cheap: (index: number) => boolean = () => false,
): Promise<{ pool: LinkPool; links: [Link, Link] }> {
  const agent = await startAgent();
  const spare = Promise.withResolvers<void>();
  const links: Link[] = [];
  const pool = new LinkPool({
    connect: async (hooks, signal) => {
      const link = await agent.connect({ ...hooks, cheap: cheap(links.length) }, signal);
      links.push(link);
      return link;
    },
    parkMs: 10_000,
    onChange: ({ state }) => state === 'spare' && spare.resolve(),
  });
  onTestFinished(() => {
    pool.close();
    agent.server.close();
  });
  await pool.start();
  await spare.promise;
  return { pool, links: links as [Link, Link] };
}

test('the one with fewer downloads', async () => {
  const files = createServer((socket) => socket.on('error', () => undefined).write(Buffer.alloc(200_000)));
  files.listen(0, '127.0.0.1');
  await once(files, 'listening');
  onTestFinished(() => void files.close());
  const { port } = files.address() as { port: number };
  const { pool, links } = await twoLinks();
  const [first, second] = links;
  const download = first.openStream({ v: 1, kind: 'tcp', host: '127.0.0.1', port });
  let bytes = 0;
  await new Promise<void>((resolve) => {
    download.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > 200_000) resolve();
    });
  });
  expect(first.bulkStreams).toBe(1);
  expect(await pool.acquire()).toBe(second);
  download.destroy();
  await first.ping();
  expect(await pool.acquire()).toBe(first);
});

test('with equal work the cheap one, though it came later', async () => {
  const { pool, links } = await twoLinks((index) => index === 1);
  // What they say hello with has left.
  await Promise.all(links.map((link) => link.ping()));
  expect(await pool.acquire()).toBe(links[1]);
});
