// A working day by keys, on the playground: take a Service over, see its requests, read one, send it again, give the Service back, leave.

import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { execute } from '../e2e/support/kt.ts';
import { KEY, ScreenWorld } from '../support/screen-world.ts';
import type { Terminal } from '../support/terminal.ts';

// Each test starts kt twice, a session and its screen: seconds on a machine that has other work.
vi.setConfig({ testTimeout: 60_000 });

let world: ScreenWorld;
let app: Server;
let port = 0;
let answers = 0;
beforeAll(async () => {
  world = await ScreenWorld.start();
  app = createServer((request, response) => {
    answers += 1;
    let body = '';
    request.on('data', (piece: Buffer) => (body += piece.toString()));
    request.on('end', () => {
      const status = request.url === '/broken' ? 500 : 200;
      response
        .writeHead(status, { 'content-type': 'application/json' })
        .end(JSON.stringify({ from: 'laptop', answers, body }));
    });
  });
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  ({ port } = app.address() as AddressInfo);
});
afterAll(async () => {
  app.close();
  app.closeAllConnections();
  await world.close();
});

/** Where the session's proxy listens, as the detail of a Service says it. */
async function proxyOf(terminal: Terminal): Promise<string> {
  terminal.type(KEY.enter);
  const text = await terminal.until(/socks5h:\/\/127\.0\.0\.1:\d+/);
  terminal.type(KEY.esc);
  return /socks5h:\/\/[\d.:]+/.exec(text)?.[0] ?? '';
}

test('exchange by keys, see the request, its detail with secrets masked, replay it, save it, release, quit', async () => {
  const terminal = await world.connect({ cols: 160, rows: 50, cwd: world.folder });
  const proxy = await proxyOf(terminal);
  const curl = (...args: string[]): ReturnType<typeof execute> =>
    execute('curl', ['-sS', '--max-time', '10', '-x', proxy, ...args]);
  terminal.type('/orders');
  await terminal.until('▸ orders');
  terminal.type(KEY.enter);
  await terminal.until('e exchange');
  terminal.type('e');
  await terminal.until('Exchange orders');
  terminal.type(`${KEY.backspace.repeat(5)}${port}`);
  await terminal.until(`same as: kt exchange orders --expose ${port}:80`);
  await terminal.until('✓ something listens');
  await terminal.until('patch service/orders: selector');
  terminal.type(KEY.enter);
  await terminal.until('you hold orders');
  await terminal.until(new RegExp(`▸ orders .*you → :${port} .*● to you`));

  terminal.type('2');
  await terminal.until('REQUEST OR CONNECTION');
  const sent = await curl(
    '-X',
    'POST',
    '-H',
    'Authorization: Bearer secret-token',
    '-d',
    'hello=1',
    'http://orders/api/7?x=1',
  );
  expect(sent.stdout).toContain('"from":"laptop"');
  await terminal.until(/→in {2}orders {2}POST \/api\/7\?x=1 .* 200/);
  await curl('http://orders/broken');
  await terminal.until(/GET \/broken .* 500 ✕/);
  // The outbound half of the same connections, by their route.
  await terminal.until(/out {2}proxy → orders:80/);

  terminal.type('/status:>=500');
  await terminal.until(/1 of \d+ kept/);
  terminal.type(KEY.esc);
  await terminal.until((text) => !text.includes('status:>=500'));
  terminal.type('/dir:in path:/api');
  await terminal.until(/1 of \d+ kept/);
  terminal.type(KEY.enter);
  await terminal.until('c curl');
  terminal.type(KEY.enter);
  await terminal.until('POST /api/7?x=1 HTTP/1.1');
  const detail = await terminal.until('hello=1');
  expect(detail).toMatch(/rule +exchange/i);
  expect(detail.toLowerCase()).toContain('authorization: •••');
  expect(detail).not.toContain('secret-token');
  terminal.type('v');
  await terminal.until('Bearer secret-token');
  terminal.type('v');
  await terminal.until((text) => !text.includes('secret-token'));
  const before = answers;
  terminal.type('R');
  await terminal.until('the status is the same, the answer is not');
  expect(answers).toBe(before + 1);
  terminal.type('c');
  await terminal.until('copied: curl');
  terminal.type('s');
  await terminal.until(/1 requests in .*\.har/);
  const [har = ''] = readdirSync(world.folder).filter((name) => name.endsWith('.har'));
  const saved = readFileSync(join(world.folder, har), 'utf8');
  expect(saved).toContain('/api/7?x=1');
  expect(saved).not.toContain('secret-token');
  terminal.type(KEY.esc);
  await terminal.until((text) => !text.includes('HTTP/1.1'));

  terminal.type('q');
  await terminal.until('orders goes back to its original pods');
  terminal.type(KEY.esc);
  await terminal.until('c curl');
  terminal.type('1');
  await terminal.until('▸ orders');
  terminal.type('r');
  await terminal.until('same as: kt release orders');
  terminal.type(KEY.enter);
  await terminal.until('orders is released');
  await terminal.until('you hold no traffic');
  expect((await curl('http://orders/')).stdout).not.toContain('laptop');
  terminal.type('q');
  expect(await terminal.exited).toBe(0);
});

test('kt exchange alone has the screen too: steps, the hold, and all is given back when it is left', async () => {
  const terminal = world.kt(['exchange', 'stock', '--expose', `${port}:8080`], { cols: 120, rows: 30 });
  await terminal.until('you hold stock');
  await terminal.until(/▸ stock .*● to you/);
  const status = await execute(process.execPath, ['dist/kt.mjs', 'status'], { env: world.env() });
  expect(status.stdout).toContain(`exchange stock  8080 → :${port}  to this laptop`);
  terminal.type('f');
  await terminal.until('Forward stock');
  terminal.type(KEY.enter);
  await terminal.until("this session can't do 'forward'");
  terminal.type(KEY.esc);
  await terminal.until('SERVICE');
  terminal.type('q');
  await terminal.until('stock goes back to its original pods');
  terminal.type('y');
  expect(await terminal.exited).toBe(0);
  expect(terminal.text()).toContain('✓ stock is as it was');
});
