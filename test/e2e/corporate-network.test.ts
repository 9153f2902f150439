// Must: behind each kind of company proxy kt connects, runs a program and takes a Service over, or says in one sentence why not. The API
// server is the real one; the proxies are tinyproxy and squid, and a reverse proxy that ends TLS under a path of its own, as Rancher does.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Gateway, gateway } from './support/gateway.ts';
import { askFromPod, closeApp, deployShop, leftovers, localApp } from './support/inbound.ts';
import { curl, kubectl, Laptop, type Running } from './support/kt.ts';
import { type CompanyProxy, squid, tinyproxy } from './support/proxies.ts';
import { freshUser, type KubeconfigFields, tokenKubeconfig } from './support/users.ts';

const NAMESPACE = 'kt-e2e-corporate';
const SHOP = 'kt-e2e-corporate-shop';
const USER = 'anna';
const FAR = `https://${process.env['KT_E2E_API'] ?? '198.18.255.2:6443'}`;
const laptop = new Laptop();

beforeAll(async () => {
  await kubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found'], 'admin');
  const binding = (name: string, subject: object): object => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name, namespace: NAMESPACE },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'admin' },
    subjects: [subject],
  });
  const items = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } },
    binding('dev', { apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'dev' }),
    binding(USER, { kind: 'ServiceAccount', name: USER, namespace: NAMESPACE }),
  ];
  await kubectl(['apply', '-f', '-'], 'admin', JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  await freshUser(laptop, NAMESPACE, USER);
  await deployShop(SHOP, NAMESPACE);
});

afterEach(() => laptop.stopAll());
afterAll(async () => {
  for (const [network, outcomes] of table) {
    console.log(
      [network, ...COMMANDS.map((command, at) => `  ${command}: ${outcomes[at] ?? 'not reached'}`)].join('\n'),
    );
  }
  await laptop.close();
  await kubectl(['delete', 'namespace', NAMESPACE, '--wait=false', '--ignore-not-found'], 'admin');
});

interface Way {
  readonly kubeconfig: string;
  readonly env: NodeJS.ProcessEnv;
}

const wayOf = async (fields: KubeconfigFields, env: NodeJS.ProcessEnv = {}): Promise<Way> => ({
  kubeconfig: await tokenKubeconfig(laptop, NAMESPACE, USER, { server: FAR, ...fields }),
  env: { XDG_CACHE_HOME: laptop.own('cache'), ...env },
});

const start = ({ kubeconfig, env }: Way, args: readonly string[]): Running =>
  laptop.start(['--kubeconfig', kubeconfig, '--output', 'json', ...args], { env });

const connect = (way: Way): Running => start(way, argsOf.connect);

const ask = async (proxy: string): Promise<string> => {
  const { stdout, stderr } = await curl(
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    '-x',
    `socks5h://${proxy}`,
    `http://${SHOP}/`,
  );
  return `${stdout}${stderr}`;
};

/** Milliseconds of silence: more than two of the proxy's limits. */
const IDLE_MS = 65_000;
/** A program that asks, is silent, and asks again. */
const askTwice = (url: string): string =>
  `const a=async()=>(await fetch('${url}')).status;const f=await a();await new Promise(r=>setTimeout(r,${IDLE_MS}));console.log('answers',f,await a())`;

const COMMANDS = ['connect', 'run', 'exchange'] as const;
/** Network → what each command does there, in the order of COMMANDS; printed in the end. */
const table = new Map<string, string[]>();

function note(network: string, ...outcomes: string[]): void {
  table.set(network, [...(table.get(network) ?? []), ...outcomes]);
}

const argsOf: Readonly<Record<(typeof COMMANDS)[number], readonly string[]>> = {
  connect: ['connect', '--proxyPort', '0', '--dnsPort', '0'],
  run: ['run', '--', 'true'],
  exchange: ['exchange', SHOP, '--expose', '9:8080', '--skipPortChecking'],
};

/** Each command says the one sentence, ends with 3, and leaves nothing in the cluster. */
async function refusedFor(
  network: string,
  way: Way,
  error: { code: string; message: RegExp; hint?: RegExp },
): Promise<void> {
  for (const command of COMMANDS) {
    const kt = start(way, argsOf[command]);
    const said = await kt.event('error');
    expect(said.code, command).toBe(error.code);
    expect(said.message, command).toMatch(error.message);
    expect(said.hint ?? '', command).toMatch(error.hint ?? /./);
    expect((await kt.exited).code, command).toBe(3);
    note(network, `${said.code}: ${said.message}`);
  }
  expect(await leftovers(SHOP, NAMESPACE)).toBe('');
  await kubectl(['-n', NAMESPACE, 'wait', '--for=delete', 'pod', '-l', 'kt/role=egress', '--timeout=30s']).catch(
    (none: Error) => expect(none.message).toMatch(/no matching resources|not found/),
  );
}

/** All that a user does in a day. */
async function worksFor(network: string, way: Way): Promise<void> {
  const kt = connect(way);
  const ready = await kt.event('ready');
  expect(await ask(ready.proxy ?? '')).toBe('200');
  expect((await kt.stop()).code).toBe(0);
  note(network, 'works');

  const program = `fetch('http://${SHOP}/').then(r=>console.log('answer '+r.status))`;
  const run = start(way, ['run', '--', laptop.node, '-e', program]);
  await run.exited;
  expect(`${run.stdout}${run.stderr}`).toContain('answer 200');
  note(network, 'works');

  const app = await localApp('laptop');
  try {
    const exchange = start(way, ['exchange', SHOP, '--expose', `${app.port}:8080`]);
    await exchange.event('holding');
    for (;;) if ((await askFromPod(`http://${SHOP}.${NAMESPACE}/`))['name'] === 'laptop') break;
    expect((await exchange.stop()).code).toBe(0);
    expect(await leftovers(SHOP, NAMESPACE)).toBe('');
    note(network, 'works');
  } finally {
    await closeApp(app);
  }
}

async function behind(proxy: CompanyProxy, work: (proxy: CompanyProxy) => Promise<void>): Promise<void> {
  try {
    await work(proxy);
  } finally {
    await proxy.close();
  }
}

describe('forward proxies', () => {
  test('tinyproxy in HTTPS_PROXY', async () => {
    await behind(await tinyproxy(), async ({ url }) => worksFor('plain proxy', await wayOf({}, { HTTPS_PROXY: url })));
  });

  test('tinyproxy with a name and a password, in proxy-url of the kubeconfig', async () => {
    await behind(await tinyproxy({ user: 'anna:s3cret' }), async ({ url }) =>
      worksFor('Basic', await wayOf({ proxyUrl: url })),
    );
  });

  test('squid that connects to 6443 only', async () => {
    await behind(await squid(), async ({ url }) =>
      worksFor('CONNECT to 6443 only', await wayOf({}, { https_proxy: url })),
    );
  });

  test('the second proxy that a PAC file names, while the first is down', async () => {
    const closed = await tinyproxy();
    await closed.close();
    await behind(await tinyproxy(), async ({ url }) => {
      const hosts = [closed.url, url].map((one) => `PROXY ${new URL(one).host}`).join('; ');
      const pac = join(laptop.own('pac'), 'proxy.pac');
      writeFileSync(
        pac,
        `function FindProxyForURL(url, host) { return isPlainHostName(host) ? 'DIRECT' : '${hosts}'; }`,
      );
      await worksFor('PAC file', await wayOf({}, { KT_PAC: pac, HTTPS_PROXY: closed.url }));
    });
  });

  test('a wrong password, and a port that is not allowed: one sentence, exit code 3', async () => {
    await behind(await tinyproxy({ user: 'anna:s3cret' }), async ({ url }) => {
      const kt = connect(await wayOf({}, { HTTPS_PROXY: url.replace('s3cret', 'wrong') }));
      const error = await kt.event('error');
      expect(error).toMatchObject({
        code: 'API_PROXY',
        message: expect.stringContaining('does not accept the name and password') as string,
      });
      expect(error.message).not.toContain('wrong');
      expect((await kt.exited).code).toBe(3);
    });
    await behind(await squid(), async ({ url }) => {
      const kt = connect(await wayOf({ server: 'https://198.18.255.2:443' }, { HTTPS_PROXY: url }));
      expect(await kt.event('error')).toMatchObject({
        code: 'API_PROXY',
        message: expect.stringContaining('does not connect to 198.18.255.2:443: it answered 403') as string,
      });
      await kt.exited;
    });
  });

  test('squid that asks for NTLM: one sentence with the way round, exit code 3', async () => {
    await behind(await squid({ ntlm: true }), async ({ url }) => {
      await refusedFor('NTLM', await wayOf({}, { HTTPS_PROXY: url }), {
        code: 'API_PROXY',
        message: /^the proxy http:\/\/127\.0\.0\.1:\d+ asks for a login by NTLM$/,
        hint: /px, cntlm/,
      });
    });
  });

  test('a proxy that cuts what idles for 30 s: connect, run and exchange that idle are not cut', async () => {
    await behind(await tinyproxy({ idleSeconds: 30 }), async ({ url }) => {
      const way = await wayOf({}, { HTTPS_PROXY: url });
      const app = await localApp('laptop');
      const kt = connect(way);
      const run = start(way, ['run', '--', laptop.node, '--input-type=module', '-e', askTwice(`http://${SHOP}/`)]);
      const exchange = start(way, ['exchange', SHOP, '--expose', `${app.port}:8080`]);
      try {
        const ready = await kt.event('ready');
        await exchange.event('holding');
        expect(await ask(ready.proxy ?? '')).toBe('200');
        // There is no event to wait for: that nothing happens in two of its limits is the point.
        await wait(IDLE_MS);
        const down = [kt, exchange].flatMap(({ events }) =>
          events.filter((event) => event.type === 'link' && event.state === 'down'),
        );
        expect(down).toEqual([]);
        expect(await ask(ready.proxy ?? '')).toBe('200');
        expect((await askFromPod(`http://${SHOP}.${NAMESPACE}/`))['name']).toBe('laptop');
        expect((await exchange.stop()).code).toBe(0);
        await run.exited;
        expect(`${run.stdout}${run.stderr}`).toContain('answers 200 200');
        expect((await kt.stop()).code).toBe(0);
        note('idle cut after 30 s', ...COMMANDS.map(() => 'works'));
      } finally {
        await closeApp(app);
      }
    });
  });
});

describe('reverse proxies that end TLS', () => {
  const at = (door: Gateway): Promise<Way> => wayOf({ server: door.url, ca: door.ca });

  test('under a path of its own, as Rancher', async () => {
    const door = await gateway({ prefix: '/k8s/clusters/c-m-x7f3q' });
    try {
      await worksFor('reverse proxy with a path', await at(door));
    } finally {
      await door.close();
    }
  });

  test('that passes no websockets: by SPDY, and says so', async () => {
    const door = await gateway({ refuse: ({ upgrade }) => upgrade === 'websocket' });
    try {
      const way = await at(door);
      const kt = connect(way);
      await kt.event('ready');
      expect(kt.events.flatMap((event) => (event.type === 'warning' ? [event.message] : []))).toEqual([
        expect.stringMatching(/^port-forward over a websocket is not open: .*Blocked by policy/) as string,
      ]);
      await kt.stop();
      await worksFor('no websockets', way);
    } finally {
      await door.close();
    }
  });

  test('that passes no change of protocol at all: one sentence at once, exit code 3, nothing is left', async () => {
    let asked = 0;
    const door = await gateway({
      refuse: ({ upgrade }) => {
        if (upgrade !== undefined) asked += 1;
        return upgrade !== undefined;
      },
    });
    try {
      const way = await at(door);
      await refusedFor('no change of protocol', way, {
        code: 'UPGRADE_REFUSED',
        message: /no way into the pod is open\. .*Blocked by policy/,
      });
      // Three commands, each of which asks each way once: no waiting for an agent that can't be reached.
      expect(asked).toBeLessThanOrEqual(3 * 5);
    } finally {
      await door.close();
    }
  });

  test('whose authority is not in the kubeconfig: one sentence', async () => {
    const door = await gateway();
    try {
      const kt = connect(await wayOf({ server: door.url }));
      expect(await kt.event('error')).toMatchObject({ code: 'API_TLS' });
      expect((await kt.exited).code).toBe(3);
    } finally {
      await door.close();
    }
  });
});
