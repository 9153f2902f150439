// Which value counts, for the real declarations: precedence of layers, what a command alone is told, what an untrusted project may say.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/cli/config/file.ts';
import { Keys, keyText, variableOf } from '../../../src/cli/config/keys.ts';
import { isSafe, type Layer, merged, over, SAFE, type Values } from '../../../src/cli/config/layers.ts';
import { administratorFile, upwards, userFolder } from '../../../src/cli/config/places.ts';
import { declareCommands } from '../../../src/cli/parse.ts';
import { shimVariables } from '../../../src/netstack/broker/settings.codec.ts';

const keys = new Keys((yargs) => declareCommands(yargs, () => () => Promise.resolve()));
const layer = (kind: Layer['kind'], text: string, trusted = true): Layer => ({
  kind,
  entries: parseConfig(text, `${kind}.yaml`, keys),
  trusted,
});
const values = (layers: readonly Layer[], command: string, argv: readonly string[] = []) =>
  Object.fromEntries([...merged(layers, command, keys, argv)].map(([name, { value }]) => [name, value]));

describe('G1: precedence', () => {
  test('the stronger layer counts, key by key', () => {
    const layers = [
      layer('environment', 'namespace: env'),
      layer('project', 'namespace: project\nproxy-port: 1'),
      layer('user', 'proxy-port: 2\ncontext: user'),
      layer('administrator', 'context: admin\nimage: mirror/node'),
    ];
    expect(values(layers, 'connect')).toEqual({
      namespace: 'env',
      'proxy-port': 1,
      context: 'user',
      image: 'mirror/node',
    });
  });

  test('what is said for a command counts more than what is said for all, but not than a stronger layer', () => {
    const user = layer('user', 'connect:\n  proxy-port: 1\nproxy-port: 2\n');
    expect(values([user], 'connect')).toEqual({ 'proxy-port': 1 });
    expect(values([user], 'exchange')).toEqual({ 'proxy-port': 2 });
    expect(values([layer('project', 'proxyPort: 3'), user], 'connect')).toEqual({ 'proxy-port': 3 });
  });

  test('a flag that a command gives a meaning of its own has a key of its own', () => {
    const user = layer('user', 'mode: agentless\nexchange: { mode: scale }\nrun: { exchange: [orders:8080] }');
    expect(values([user], 'connect')).toEqual({ mode: 'agentless' });
    expect(values([user], 'exchange')).toEqual({ mode: 'scale' });
    expect(values([user], 'mesh')).toEqual({});
    expect(values([user], 'run')).toEqual({ mode: 'agentless', exchange: ['orders:8080'] });
  });

  test('a command has only keys that it has as flags', () => {
    expect(values([layer('user', 'proxy-port: 1\nnamespace: shop')], 'status')).toEqual({ namespace: 'shop' });
  });

  test('merging is associative, and nothing changes nothing', () => {
    const some: fc.Arbitrary<Values> = fc
      .dictionary(fc.constantFrom('namespace', 'context', 'image', 'proxy-port'), fc.string())
      .map((record) => {
        const source = { variable: 'KT_X' };
        return new Map(
          Object.entries(record).map(([name, value]) => [name, { section: undefined, name, value, source }] as const),
        );
      });
    const none: Values = new Map();
    fc.assert(
      fc.property(some, some, some, (one, two, three) => {
        expect(new Map(over(over(one, two), three))).toEqual(new Map(over(one, over(two, three))));
        expect(over(none, one)).toEqual(one);
        expect(over(one, none)).toEqual(one);
      }),
    );
  });
});

describe('trust', () => {
  const unsafe = [
    'kubeconfig: evil.yaml',
    'image: evil/node',
    'proxy-addr: 0.0.0.0',
    'forward: { address: 0.0.0.0 }',
    'open: { browser: ./evil }',
    'run: { env: [NODE_OPTIONS=--require=./evil.js] }',
    'run: { exchange: [payments] }',
    'exchange: { mode: scale }',
    'take-over: true',
    'doctor: { report: /home/me/.bashrc }',
  ];
  const commandOf = (text: string) =>
    /^(\w+): \{/.exec(text)?.[1] ?? (text.startsWith('take') ? 'exchange' : 'connect');

  test.each(unsafe)('%s of a folder that came from elsewhere is refused with its place', (text) => {
    expect(() => values([layer('project', text, false)], commandOf(text))).toThrow(
      expect.objectContaining({
        code: 'CONFIG_UNTRUSTED',
        message: expect.stringMatching(/^project\.yaml:1:\d+: /) as string,
      }),
    );
    expect(values([layer('project', text, true)], commandOf(text))).not.toEqual({});
  });

  test('where it does not count it is no matter', () => {
    const project = layer('project', 'image: evil/node\nnamespace: shop', false);
    expect(values([project], 'status')).toEqual({ namespace: 'shop' });
    expect(values([layer('environment', 'image: mine'), project], 'connect')).toMatchObject({ image: 'mine' });
    for (const word of ['--image=mine', '-i', '--image'])
      expect(values([project], 'connect', [word, 'mine'])).toMatchObject({ namespace: 'shop' });
  });

  test('every safe key is a key, and none of these is safe', () => {
    const names = new Set(keys.all.map(({ name }) => name));
    expect([...SAFE].filter((name) => !names.has(name))).toEqual([]);
    const all = ['kubeconfig', 'image', 'image-pull-secret', 'proxy-addr', 'address', 'browser', 'env', 'env-include'];
    expect(all.filter((name) => isSafe({ section: undefined, name }))).toEqual([]);
  });
});

describe('keys', () => {
  test('are the flags of the commands, in every spelling', () => {
    for (const word of ['proxy-port', 'proxyPort']) expect(keys.find(undefined, word)?.name).toBe('proxy-port');
    expect(keys.find('global', 'alsoProxy')?.name).toBe('include-domains');
    expect(keys.find('clean', 'thresholdInMinutes')?.name).toBe('threshold-in-minus');
    expect(keys.find('clean', 'session')).toBeUndefined();
    expect(keys.find('status', 'proxy-port')).toBeUndefined();
    expect(keys.find(undefined, 'toString')).toBeUndefined();
  });

  test('have one variable each, and none that the shims or the screen use', () => {
    const variables = keys.all.map(variableOf);
    expect(new Set(variables).size).toBe(variables.length);
    const broker = { address: '127.0.0.1:1', token: 'x' };
    const taken = ['KT_USER', 'KT_RUNTIME_DIR', 'KT_PROXY_PASSWORD', 'KT_THEME', 'KT_ASCII', 'KT_FILES', 'KT_SESSION'];
    const shims = Object.keys(shimVariables({ broker, cidrs: [], suffixes: [], dns: 'x' }));
    expect(variables.filter((name) => [...taken, ...shims].includes(name))).toEqual([]);
    expect(variables).toEqual(expect.arrayContaining(['KT_PROXY_PORT', 'KT_EXCHANGE_MODE', 'KT_RUN_EXCHANGE']));
    expect(new Set(keys.all.map(keyText)).size).toBe(keys.all.length);
  });
});

test('places', () => {
  const home = '/home/ana';
  expect(userFolder({ env: {}, platform: 'linux', home })).toBe('/home/ana/.config/kt');
  expect(userFolder({ env: { XDG_CONFIG_HOME: '/x' }, platform: 'darwin', home })).toBe('/x/kt');
  expect(userFolder({ env: { XDG_CONFIG_HOME: 'x' }, platform: 'linux', home })).toBe('/home/ana/.config/kt');
  expect(userFolder({ env: { APPDATA: 'C:\\R' }, platform: 'win32', home: 'C:\\u' })).toBe('C:\\R\\kt');
  expect(administratorFile({ env: { ProgramData: 'D:\\P' }, platform: 'win32', home })).toBe('D:\\P\\kt\\config.yaml');
  expect(administratorFile({ env: {}, platform: 'linux', home })).toBe('/etc/kt/config.yaml');
  expect(upwards('/a/b', 'linux')).toEqual(['/a/b', '/a', '/']);
  expect(upwards('C:\\a', 'win32')).toEqual(['C:\\a', 'C:\\']);
});
