// Kubeconfig text: parsed, merged, chosen from, as kubectl does; mistakes named by file, line and field.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mergeKubeconfigs, parseKubeconfig, selectContext } from '../../src/cluster/kubeconfig.ts';
import { KtError } from '../../src/errors.ts';

const text = (lines: string): string => `apiVersion: v1\nkind: Config\n${lines}`;
const FULL = text(`current-context: dev
contexts:
- name: dev
  context: {cluster: c, user: u, namespace: shop}
- name: plain
  context: {cluster: c, user: u}
clusters:
- name: c
  cluster: {server: "https://one"}
users:
- name: u
  user: {token: t}
`);

const fails = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (error instanceof KtError) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'it did not fail';
};

describe('parseKubeconfig', () => {
  test('reads contexts, clusters and users', () => {
    const config = parseKubeconfig(FULL, '/k/config');
    expect(config.currentContext).toBe('dev');
    expect(config.contexts.get('dev')?.value).toMatchObject({ cluster: 'c', user: 'u', namespace: 'shop' });
    expect(config.clusters.get('c')).toMatchObject({ file: '/k/config', value: { server: 'https://one' } });
    expect(config.users.get('u')?.value).toMatchObject({ token: 't' });
  });

  test('an empty file, or one with nulls only, is an empty configuration', () => {
    for (const empty of ['', '\n', '---\n', text('contexts: null\nclusters:\nusers: ~\ncurrent-context: null\n')]) {
      const config = parseKubeconfig(empty, 'f');
      expect([config.currentContext, config.contexts.size, config.clusters.size, config.users.size]).toEqual([
        undefined,
        0,
        0,
        0,
      ]);
    }
  });

  test('JSON is read too', () => {
    const config = parseKubeconfig(
      '{"clusters":[{"name":"c","cluster":{"server":"https://x","insecure-skip-tls-verify":true}}]}',
      'f',
    );
    expect(config.clusters.get('c')?.value['insecure-skip-tls-verify']).toBe(true);
  });

  test('numbers and booleans in text fields are text, as for kubectl', () => {
    const config = parseKubeconfig(
      text('users:\n- name: 007\n  user: {token: 12345, username: yes, password: 1e3}\n'),
      'f',
    );
    expect(config.users.get('007')?.value).toMatchObject({ token: '12345', username: 'yes', password: '1e3' });
  });

  test.each([
    ['true', true],
    ['yes', true],
    ['On', true],
    ['"true"', true],
    ['false', false],
    ['no', false],
  ])('insecure-skip-tls-verify: %s', (word, wanted) => {
    const config = parseKubeconfig(
      text(`clusters:\n- name: c\n  cluster: {server: x, insecure-skip-tls-verify: ${word}}\n`),
      'f',
    );
    expect(config.clusters.get('c')?.value['insecure-skip-tls-verify']).toBe(wanted);
  });

  test('anchors and aliases work', () => {
    const config = parseKubeconfig(
      text('clusters:\n- name: a\n  cluster: &one {server: "https://a"}\n- name: b\n  cluster: *one\n'),
      'f',
    );
    expect(config.clusters.get('b')?.value.server).toBe('https://a');
  });

  test('data fields are decoded, with line breaks inside', () => {
    const config = parseKubeconfig(
      text('clusters:\n- name: c\n  cluster:\n    certificate-authority-data: |\n      aGVs\n      bG8=\n'),
      'f',
    );
    expect(config.clusters.get('c')?.value['certificate-authority-data']).toBe('hello');
  });

  test('extensions for plugins keep their types', () => {
    const config = parseKubeconfig(
      text(
        'clusters:\n- name: c\n  cluster:\n    server: x\n    extensions:\n    - name: client.authentication.k8s.io/exec\n      extension: {audience: a, count: 3, on: true}\n',
      ),
      'f',
    );
    expect(config.clusters.get('c')?.value.extensions).toEqual([
      { name: 'client.authentication.k8s.io/exec', extension: { audience: 'a', count: 3, on: true } },
    ]);
  });

  test.each([
    ['not YAML', 'a: [1\nb: {', /^KUBECONFIG_INVALID \/k:\d+: not YAML/],
    ['a list of a wrong type', text('users:\n  name: u\n'), /\/k:4: users: must be a list/],
    [
      'a wrong type deep inside',
      text('users:\n- name: u\n  user:\n    token: [a]\n'),
      /\/k:6: users\[0\]\.user\.token: must be text/,
    ],
    [
      'an entry without a name',
      text('users:\n- name: u\n  user: {}\n- user: {}\n'),
      /\/k:6: users\[1\]\.name: is missing/,
    ],
    ['a context without content', text('contexts:\n- name: x\n'), /\/k:4: contexts\[0\]\.context: is missing/],
    ['a name that occurs twice', text('users:\n- name: u\n- name: u\n'), /\/k:5: users: the name 'u' occurs twice/],
    [
      'a flag that is none',
      text('clusters:\n- name: c\n  cluster: {insecure-skip-tls-verify: maybe}\n'),
      /insecure-skip-tls-verify: must be true or false/,
    ],
    [
      'data that is not base64',
      text('clusters:\n- name: c\n  cluster: {certificate-authority-data: "%%"}\n'),
      /certificate-authority-data: is not base64/,
    ],
    ['a text instead of a mapping', 'hello', /must be a mapping/],
  ])('%s is refused by file, line and field', (_, content, wanted) => {
    expect(fails(() => parseKubeconfig(content, '/k'))).toMatch(wanted);
  });

  test('no error holds what the file holds', () => {
    for (const content of [
      text('users:\n- name: u\n  user:\n    token: [s3cret]\n'),
      text('users:\n- name: u\n  user: {token: s3cret\n'),
      text('users:\n- name: u\n  user:\n    token: s3cret\n   x: y\n'),
      text('users:\n- name: u\n  user: {client-key-data: "s3cret!"}\n'),
    ]) {
      expect(fails(() => parseKubeconfig(content, 'f'))).toMatch(/^KUBECONFIG_INVALID (?!.*s3cret)/s);
    }
  });

  test('any text gives a configuration or a KtError', () => {
    const words = [
      'users:',
      'clusters:',
      '- name: x',
      '  user:',
      ' exec: {',
      'token: ',
      '"',
      '[',
      '{',
      '}',
      ']',
      '\n',
      '*a',
      '&a ',
      '!!int ',
      '? ',
      '|',
      '\t',
      'null',
      '%',
    ];
    const yamlLike = fc
      .array(fc.oneof(fc.constantFrom(...words), fc.string({ maxLength: 5 })))
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(yamlLike, (content) => {
        expect(fails(() => parseKubeconfig(content, 'f'))).toMatch(/^(it did not fail|KUBECONFIG_INVALID)/);
      }),
    );
  });
});

describe('mergeKubeconfigs', () => {
  test('the first file that has a name wins, whole; the first current-context wins', () => {
    const a = parseKubeconfig(text('clusters:\n- name: c\n  cluster: {server: "https://a"}\n'), 'a');
    const b = parseKubeconfig(
      text(
        'current-context: b\nclusters:\n- name: c\n  cluster: {server: "https://b", tls-server-name: n}\n- name: d\n  cluster: {server: "https://d"}\n',
      ),
      'b',
    );
    const merged = mergeKubeconfigs([a, b, parseKubeconfig(text('current-context: late\n'), 'c')]);
    expect(merged.currentContext).toBe('b');
    expect(merged.clusters.get('c')).toMatchObject({ file: 'a', value: { server: 'https://a' } });
    expect(merged.clusters.get('c')?.value['tls-server-name']).toBeUndefined();
    expect(merged.clusters.get('d')?.file).toBe('b');
  });
});

describe('selectContext', () => {
  const config = parseKubeconfig(FULL, '/k');

  test('the current context, its namespace, and both replaced', () => {
    expect(selectContext(config, {}, '/k')).toMatchObject({ context: 'dev', namespace: 'shop' });
    expect(selectContext(config, { context: 'plain' }, '/k')).toMatchObject({ context: 'plain', namespace: 'default' });
    expect(selectContext(config, { namespace: 'other' }, '/k')).toMatchObject({ context: 'dev', namespace: 'other' });
  });

  test('a context without a user has no credentials', () => {
    const bare = parseKubeconfig(
      text(
        'current-context: x\ncontexts:\n- name: x\n  context: {cluster: c}\nclusters:\n- name: c\n  cluster: {server: s}\n',
      ),
      'f',
    );
    expect(selectContext(bare, {}, 'f').user).toMatchObject({ name: '', value: {} });
  });

  test.each([
    ['an unknown context', FULL, { context: 'nope' }, "no context 'nope' in /k"],
    ['no current-context', text('contexts: []\n'), {}, '/k names no current-context'],
    [
      'a cluster that is not there',
      text('current-context: x\ncontexts:\n- name: x\n  context: {cluster: gone, user: u}\n'),
      {},
      "/k: the context 'x' names the cluster 'gone', which is not there",
    ],
    [
      'no cluster',
      text('current-context: x\ncontexts:\n- name: x\n  context: {}\n'),
      {},
      "the context 'x' names no cluster",
    ],
    ['a user that is not there', FULL.replace('name: u\n', 'name: v\n'), {}, "names the user 'u', which is not there"],
  ])('%s', (_, content, wanted, message) => {
    expect(fails(() => selectContext(parseKubeconfig(content, '/k'), wanted, '/k'))).toContain(`KUBECONFIG_INVALID`);
    expect(fails(() => selectContext(parseKubeconfig(content, '/k'), wanted, '/k'))).toContain(message);
  });

  test('the hint lists the contexts', () => {
    expect(() => selectContext(config, { context: 'x' }, '/k')).toThrow(
      expect.objectContaining({ hint: 'contexts there: dev, plain' }),
    );
  });
});
