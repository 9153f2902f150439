// What is offered at each place of a line, for the real declarations and a cluster that answers at once.
import { describe, expect, test } from 'vitest';
import { candidates, type Live } from '../../../src/cli/completion/words.ts';
import { declareCommands } from '../../../src/cli/parse.ts';

const asked: string[] = [];
const live: Live = {
  contexts: () => Promise.resolve(['dev', 'prod']),
  namespaces: ({ context }) => Promise.resolve(context === 'prod' ? ['billing'] : ['shop', 'stage']),
  services: (where) => {
    asked.push(JSON.stringify(where));
    return Promise.resolve([
      { name: 'orders', ports: [80, 8443] },
      { name: 'db', ports: [5432] },
    ]);
  },
  profiles: () => Promise.resolve(['stage']),
};
const offer = (...words: string[]) =>
  candidates(words, (yargs) => declareCommands(yargs, () => () => Promise.resolve()), live);

describe('completion', () => {
  test('commands, without those that nobody types', async () => {
    expect(await offer('ex')).toEqual(['exchange']);
    const all = await offer('');
    expect(all).toEqual(expect.arrayContaining(['connect', 'run', 'mesh', 'completion']));
    expect(all.filter((word) => word.startsWith('kt') || word.startsWith('_'))).toEqual([]);
  });

  test('flags of the command and common ones, in the spelling that was begun', async () => {
    expect(await offer('exchange', '--dr')).toEqual(['--drain']);
    expect(await offer('exchange', '--proxy-p')).toEqual(['--proxy-port']);
    expect(await offer('mesh', 'orders', '--versionM')).toEqual(['--versionMark']);
    expect(await offer('status', '--names')).toEqual(['--namespace']);
    expect(await offer('status', '--dr')).toEqual([]);
    expect(await offer('connect', '--dns-mode')).toEqual([]);
  });

  test('choices of a flag and of a word, also behind an equals sign', async () => {
    expect(await offer('status', '--output', '')).toEqual(['plain', 'json']);
    expect(await offer('status', '-o', 'j')).toEqual(['json']);
    expect(await offer('status', '--output=p')).toEqual(['--output=plain']);
    expect(await offer('completion', '')).toEqual(['bash', 'zsh', 'fish', 'powershell']);
    expect(await offer('completion', 'bash', '')).toEqual([]);
  });

  test('contexts, and the namespaces of the one that was named', async () => {
    expect(await offer('connect', '--context', '')).toEqual(['dev', 'prod']);
    expect(await offer('connect', '-n', 's')).toEqual(['shop', 'stage']);
    expect(await offer('connect', '--context=prod', '--namespace', '')).toEqual(['billing']);
  });

  test('Services of the namespace that was named, each once', async () => {
    expect(await offer('exchange', '--namespace', 'stage', 'o')).toEqual(['orders']);
    expect(asked.at(-1)).toBe('{"namespace":"stage"}');
    expect(await offer('exchange', 'orders', '')).toEqual(['db']);
    expect(await offer('open', 'svc/')).toEqual(['svc/orders', 'svc/db']);
    expect(await offer('-n', 'shop', 'mesh', '')).toEqual(['orders', 'db']);
  });

  test('ports of the Service', async () => {
    expect(await offer('exchange', 'orders', '--expose', '')).toEqual(['80', '8443']);
    expect(await offer('forward', 'orders', '8')).toEqual(['80', '8443']);
    expect(await offer('forward', 'orders', '8080:80', 'd')).toEqual(['db']);
    expect(await offer('run', '--exchange', 'orders:8')).toEqual(['orders:80', 'orders:8443']);
  });

  test('nothing for a new name, for the value of a free flag, and for the line of another program', async () => {
    expect(await offer('preview', '')).toEqual([]);
    expect(await offer('exchange', '--image', '')).toEqual([]);
    expect(await offer('run', '--', 'mvn', '')).toEqual([]);
    expect(await offer('no-such-command', '')).toEqual([]);
  });

  test('of kt config: actions, keys, profiles', async () => {
    expect(await offer('config', 'load')).toEqual(['load-profile']);
    expect(await offer('config', 'set', 'proxy-p')).toEqual(['proxy-port']);
    expect(await offer('config', 'set', 'exchange.mo')).toEqual(['exchange.mode']);
    expect(await offer('config', 'load-profile', '')).toEqual(['stage']);
  });
});
