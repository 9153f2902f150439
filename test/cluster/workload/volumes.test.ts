// The files of a container's volumes: which are there under which path, and what is left out and why.
import { expect, test } from 'vitest';
import { findWorkload, parseWorkload } from '../../../src/cluster/workload/find.ts';
import { serviceAccountTokens } from '../../../src/cluster/workload/identity.ts';
import { ConfigSources } from '../../../src/cluster/workload/sources.ts';
import { type VolumeFiles, volumeFiles } from '../../../src/cluster/workload/volumes.ts';
import { configMap, deployment, objectsApi, secret } from '../support/objects-api.ts';

const pod = { namespace: 'shop', name: 'orders-kt-anna', uid: 'u-1' };
const TOKEN_PATH = '/api/v1/namespaces/shop/serviceaccounts/robot/token';

async function filesOf(
  volumeMounts: object[],
  volumes: object[],
  options: { objects?: [string, object][]; forbidden?: string[] } = {},
): Promise<Omit<VolumeFiles, 'files'> & { files: Record<string, string> }> {
  const spec = { volumes, serviceAccountName: 'robot' };
  const { api } = await objectsApi(
    [deployment('orders', { volumeMounts }, spec), ...(options.objects ?? [])],
    options.forbidden,
  );
  const found = await volumeFiles({
    workload: await findWorkload(api, 'shop', parseWorkload('orders', 'files-from')),
    sources: new ConfigSources(api, 'shop'),
    pod,
    token: serviceAccountTokens(api, 'shop', 'robot'),
  });
  const files = Object.fromEntries([...found.files].map(([path, content]) => [path, content.toString()]));
  return { ...found, files };
}

test('ConfigMaps and Secrets: all keys, items, one file by subPath, a folder by subPath', async () => {
  const { files, mounts } = await filesOf(
    [
      { name: 'config', mountPath: '/etc/app/' },
      { name: 'items', mountPath: '/etc/items' },
      { name: 'config', mountPath: '/app/one.yaml', subPath: 'a.yaml' },
      { name: 'items', mountPath: '/etc/deep', subPath: 'deep' },
      { name: 'scratch', mountPath: '/tmp/scratch' },
    ],
    [
      { name: 'config', configMap: { name: 'app' } },
      { name: 'items', secret: { secretName: 'keys', items: [{ key: 'tls.key', path: 'deep/er/key.pem' }] } },
      { name: 'scratch', emptyDir: {} },
    ],
    { objects: [configMap('app', { 'a.yaml': 'a', 'b.yaml': 'b' }), secret('keys', { 'tls.key': 'k', other: 'o' })] },
  );
  expect(files).toEqual({
    '/etc/app/a.yaml': 'a',
    '/etc/app/b.yaml': 'b',
    '/etc/items/deep/er/key.pem': 'k',
    '/app/one.yaml': 'a',
    '/etc/deep/er/key.pem': 'k',
  });
  expect(mounts).toEqual(['/etc/app/', '/etc/items', '/app/one.yaml', '/etc/deep', '/tmp/scratch']);
});

test('a projected volume: several sources, the downward API, a token for another audience', async () => {
  const { files } = await filesOf(
    [{ name: 'all', mountPath: '/etc/all' }],
    [
      {
        name: 'all',
        projected: {
          sources: [
            { configMap: { name: 'app', optional: true } },
            { secret: { name: 'keys', items: [{ key: 'k', path: 'keys/k' }] } },
            { downwardAPI: { items: [{ path: 'namespace', fieldRef: { fieldPath: 'metadata.namespace' } }] } },
            { serviceAccountToken: { path: 'vault', audience: 'vault', expirationSeconds: 600 } },
          ],
        },
      },
    ],
    { objects: [secret('keys', { k: 'v' }), [TOKEN_PATH, { status: { token: 'for-the-vault' } }]] },
  );
  expect(files).toEqual({
    '/etc/all/keys/k': 'v',
    '/etc/all/namespace': 'shop',
    '/etc/all/vault': 'for-the-vault',
  });
});

test('no right to Secrets or to tokens: those files are left out, with the right', async () => {
  const { files, skipped } = await filesOf(
    [
      { name: 'keys', mountPath: '/etc/keys' },
      { name: 'vault', mountPath: '/etc/vault' },
    ],
    [
      { name: 'keys', secret: { secretName: 'keys' } },
      { name: 'vault', projected: { sources: [{ serviceAccountToken: { path: 'token', audience: 'vault' } }] } },
    ],
    { forbidden: ['secrets', 'serviceaccounts/token'] },
  );
  expect(files).toEqual({});
  expect(skipped.map(({ mount, reason, error }) => `${mount}: ${reason}: ${error?.message}`)).toEqual([
    "/etc/keys: the Secret 'keys': the user 'tester' may not get secrets in the namespace 'shop'",
    "/etc/vault: token: a token of the service account 'robot': the user 'tester' may not create serviceaccounts/token in the namespace 'shop'",
  ]);
});

test('what is not there, what no laptop can have, and the way to the API, which is another file’s', async () => {
  const { files, missing, skipped, mounts } = await filesOf(
    [
      { name: 'gone', mountPath: '/a' },
      { name: 'data', mountPath: '/data' },
      { name: 'unheard', mountPath: '/b' },
      { name: 'api', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' },
      { name: 'short', mountPath: '/c' },
    ],
    [
      { name: 'gone', configMap: { name: 'gone' } },
      { name: 'data', persistentVolumeClaim: { claimName: 'data' } },
      { name: 'api', projected: { sources: [] } },
      { name: 'short', configMap: { name: 'app', items: [{ key: 'x', path: 'x' }] } },
    ],
    { objects: [configMap('app', { y: '1' })] },
  );
  expect(files).toEqual({});
  expect(missing).toEqual(["the ConfigMap 'gone' (volume 'gone')", "key 'x' of the ConfigMap 'app' (volume 'short')"]);
  expect(skipped.map(({ mount, reason }) => `${mount}: ${reason}`)).toEqual([
    "/data: a volume of the kind persistentVolumeClaim can't be had outside of the cluster",
    '/b: the template has no such volume',
  ]);
  expect(mounts).toEqual(['/a', '/c']);
});
