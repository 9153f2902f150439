// Credentials as the kubeconfig's user has them: read anew each time, in kubectl's order, contradictions refused.
import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { loadClusterConfig } from '../../src/cluster/config.ts';
import { visibleFault } from '../../src/cluster/credential-faults.ts';
import { failure } from './support/fake-api.ts';
import { folder, kubeconfig } from './support/kubeconfig-files.ts';
import { base64, pem } from './support/tls.ts';

const source = async (user: string, write = folder()) =>
  (await loadClusterConfig({ kubeconfig: write('config', kubeconfig({ user })), env: {} })).credentials;
const current = async (user: string, write = folder()) => (await source(user, write)).current();

describe('fields', () => {
  test('none', async () => {
    expect(await current('')).toEqual({ headers: {}, certificate: undefined, key: undefined });
  });

  test('token', async () => {
    expect((await current('token: abc')).headers).toEqual({ Authorization: 'Bearer abc' });
  });

  test('password, with letters of any kind', async () => {
    const wanted = `Basic ${Buffer.from('worker:pässwörd:1').toString('base64')}`;
    expect((await current('username: worker, password: "pässwörd:1"')).headers).toEqual({ Authorization: wanted });
  });

  test('a certificate inside the file counts more than one beside it', async () => {
    const user = `client-certificate: nowhere, client-certificate-data: ${base64('CERT')}, client-key-data: ${base64('KEY')}`;
    expect(await current(user)).toEqual({ headers: {}, certificate: 'CERT', key: 'KEY' });
  });

  test('impersonation: user, uid, groups, extra fields with escaped keys', async () => {
    const extra = '{"example.com/Reason": [a, b], scopes: [x]}';
    const user = `token: t, as: jane, as-uid: "42", as-groups: [dev, ops], as-user-extra: ${extra}`;
    expect((await current(user)).headers).toEqual({
      Authorization: 'Bearer t',
      'Impersonate-User': 'jane',
      'Impersonate-Uid': '42',
      'Impersonate-Group': ['dev', 'ops'],
      'Impersonate-Extra-example.com%2FReason': ['a', 'b'],
      'Impersonate-Extra-scopes': ['x'],
    });
  });
});

describe('files', () => {
  test('tokenFile is read each time, without its line end', async () => {
    const write = folder();
    const token = write('token', 'one\n');
    const credentials = await source('tokenFile: token', write);
    expect((await credentials.current()).headers).toEqual({ Authorization: 'Bearer one' });
    writeFileSync(token, 'two');
    expect((await credentials.current()).headers).toEqual({ Authorization: 'Bearer two' });
  });

  test('tokenFile counts more than token, which is used as long as the file can not be read', async () => {
    const write = folder();
    const credentials = await source('tokenFile: token, token: old', write);
    expect((await credentials.current()).headers).toEqual({ Authorization: 'Bearer old' });
    write('token', 'new');
    expect((await credentials.current()).headers).toEqual({ Authorization: 'Bearer new' });
  });

  test('rotated certificates are seen', async () => {
    const write = folder();
    write('c.pem', 'C1');
    write('k.pem', 'K1');
    const credentials = await source('client-certificate: c.pem, client-key: k.pem', write);
    expect(await credentials.current()).toMatchObject({ certificate: 'C1', key: 'K1' });
    write('c.pem', 'C2');
    write('k.pem', 'K2');
    expect(await credentials.current()).toMatchObject({ certificate: 'C2', key: 'K2' });
  });

  test('a file that is gone is named', async () => {
    const { code, message } = await failure(current('tokenFile: gone'));
    expect(code).toBe('KUBECONFIG_INVALID');
    expect(message).toMatch(/the user 'u': tokenFile can't be read: .*gone \(ENOENT\)/);
  });
});

describe('contradictions', () => {
  test.each([
    ['token: t, username: u, password: p', 'has a token and a password'],
    [`client-certificate-data: ${base64('x')}`, 'has a client-certificate but no client-key'],
    [`client-key: k.pem`, 'has a client-key but no client-certificate'],
    ['token: t, as-groups: [x]', "but no 'as'"],
    ['auth-provider: {name: gcp}', "has the auth-provider 'gcp'"],
    ['exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never}', 'exec.command is missing'],
    ['exec: {command: x, interactiveMode: Never}', 'exec.apiVersion is missing'],
    ['exec: {command: x, apiVersion: client.authentication.k8s.io/v1alpha1}', 'exec.apiVersion must be'],
    ['exec: {command: x, apiVersion: client.authentication.k8s.io/v1}', 'exec.interactiveMode is missing'],
    [
      'exec: {command: x, apiVersion: client.authentication.k8s.io/v1, interactiveMode: Maybe}',
      'exec.interactiveMode must be',
    ],
  ])('%s', async (user, message) => {
    const refused = await failure(source(user));
    expect(refused.code).toBe('KUBECONFIG_INVALID');
    expect(refused.message).toContain(message);
  });

  test.each([
    ['gcp', 'gke-gcloud-auth-plugin'],
    ['azure', 'kubelogin convert-kubeconfig'],
    ['oidc', 'kubectl oidc-login'],
    ['other', 'exec plugin'],
  ])('the auth-provider %s has a successor', async (name, hint) => {
    expect((await failure(source(`auth-provider: {name: ${name}}`))).hint).toContain(hint);
  });
});

describe('visibleFault', () => {
  const jwt = (claims: object): string =>
    `Bearer ${base64('{}')}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.x`;
  const now = new Date('2026-01-02T03:04:05Z');

  test('an expired certificate, and one that is not valid yet', () => {
    expect(visibleFault({ headers: {}, certificate: pem('client-expired.pem') }, now)).toBe(
      'the client certificate expired at 2020-01-02T00:00:00.000Z',
    );
    expect(visibleFault({ headers: {}, certificate: pem('client.pem') }, now)).toBeUndefined();
    expect(visibleFault({ headers: {}, certificate: pem('client.pem') }, new Date('2019-01-01'))).toMatch(
      /valid from 2020-01-01T00:00:00.000Z on \(is the clock right\?\)/,
    );
  });

  test('an expired token', () => {
    expect(visibleFault({ headers: { Authorization: jwt({ exp: 1_577_836_800 }) } }, now)).toBe(
      'the token expired at 2020-01-01T00:00:00.000Z',
    );
    expect(visibleFault({ headers: { Authorization: jwt({ exp: 4_000_000_000 }) } }, now)).toBeUndefined();
  });

  test.each(['Bearer opaque', 'Bearer a.b.c', 'Basic x', jwt({ exp: 'soon' }), 'Bearer ..'])(
    '%s tells nothing',
    (Authorization) => {
      expect(visibleFault({ headers: { Authorization }, certificate: 'garbage' }, now)).toBeUndefined();
    },
  );
});
