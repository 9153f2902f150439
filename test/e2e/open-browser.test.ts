// Must: `kt open` in headless Chromium on the real cluster: a page by its Service's name, a websocket, server-sent events, and a public name that
// goes as before. The browser is Debian's; the test installs it where it is missing.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { execute, Laptop, type Running, UID } from './support/kt.ts';
import { runAs } from './support/programs.ts';
import { needs } from './support/servers.ts';

const laptop = new Laptop();
let session: Running & { ready: { proxy: string } };
let pages: Server;
let local: string;

/** A page of the laptop's own that talks to the cluster, and tells the laptop what came. */
const PAGE = `<body><script>
const said = {};
const show = (name, text) => {
  said[name] = text;
  if (Object.keys(said).length === 3) fetch('/said', { method: 'POST', body: JSON.stringify(said) });
};
const socket = new WebSocket('ws://stream/ws');
socket.onopen = () => socket.send('over a websocket');
socket.onmessage = (event) => show('websocket', event.data);
socket.onerror = () => show('websocket', 'failed');
fetch('http://gateway/', { mode: 'no-cors' }).then(() => show('fetch', 'answered'), (error) => show('fetch', String(error)));
fetch('/plain').then((answer) => answer.text()).then((text) => show('local', text));
</script></body>`;
let tell: (said: unknown) => void = () => undefined;

beforeAll(async () => {
  await needs({ chromium: 'chromium' });
  session = await laptop.connect();
  pages = createServer((request, response) => {
    if (request.method === 'POST') request.once('data', (piece: Buffer) => tell(JSON.parse(String(piece))));
    response.setHeader('content-type', request.url === '/plain' ? 'text/plain' : 'text/html');
    response.end(request.url === '/plain' ? 'from the laptop' : PAGE);
  });
  await new Promise<void>((resolve) => pages.listen(0, '127.0.0.1', resolve));
  local = `http://127.0.0.1:${(pages.address() as AddressInfo).port}/`;
}, 300_000);
afterAll(async () => {
  pages?.close();
  await session?.stop();
  await laptop.close();
});

/** The page as the browser has it in the end. The sandbox needs what a container lacks; nothing foreign is opened here. */
async function page(url: string): Promise<string> {
  const pac = `http://${session.ready.proxy}/proxy.pac`;
  const profile = laptop.own(`profile-${Math.random().toString(36).slice(2)}`);
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'];
  const outcome = await runAs(laptop, [
    'chromium',
    ...flags,
    `--user-data-dir=${profile}`,
    `--proxy-pac-url=${pac}`,
    '--virtual-time-budget=8000',
    '--timeout=20000',
    '--dump-dom',
    url,
  ]);
  return outcome.stdout + (outcome.stdout === '' ? outcome.stderr : '');
}

test('kt open names the URL by the Service’s ports, and the PAC file', async () => {
  const run = (target: string): Promise<string> =>
    runAs(laptop, [laptop.node, laptop.kt, 'open', '--print', target]).then(({ stdout }) => stdout);
  const pac = `PAC file: http://${session.ready.proxy}/proxy.pac\n`;
  expect(await run('svc/gateway')).toBe(`http://gateway/\n${pac}`);
  expect(await run('stock/x?y=1')).toBe(`http://stock:8080/x?y=1\n${pac}`);
  const missing = await runAs(laptop, [laptop.node, laptop.kt, 'open', '--print', 'nope']);
  expect([missing.code, missing.stderr]).toEqual([3, expect.stringContaining("there is no Service 'nope'")]);
});

test('a page by the name of its Service', { timeout: 90_000 }, async () => {
  expect(await page('http://gateway/')).toContain('"service":"gateway"');
});

test('kt open starts the browser with a profile of its own: a websocket and a request to the cluster, the laptop’s own as before', {
  timeout: 90_000,
}, async () => {
  const said = new Promise((resolve) => {
    tell = resolve;
  });
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'];
  const outcome = await runAs(laptop, [laptop.node, laptop.kt, 'open', local, '--output', 'json', '--', ...flags], {
    env: { XDG_CACHE_HOME: join(laptop.home, 'work') },
  });
  expect(outcome.code, outcome.stderr).toBe(0);
  const { profile } = JSON.parse(outcome.stdout) as { profile: string };
  expect(profile).toContain('/work/kt/browser/');
  expect(await said).toEqual({ websocket: 'over a websocket', fetch: 'answered', local: 'from the laptop' });
  // It runs on by itself: ended here by the processes that have its profile.
  const list = await execute('pgrep', ['-u', String(UID), '-f', profile]);
  for (const pid of list.stdout.split('\n').filter(Boolean)) process.kill(Number(pid), 'SIGKILL');
});
