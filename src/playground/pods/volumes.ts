// Config maps, secrets and empty directories as folders on this machine. There is no mount: arguments and variables that begin with
// a mountPath are changed to the folder (pods/command.ts), which is enough for `node /app/main.mjs`. Used by pods/runner.ts.
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { CONFIG_MAPS, SECRETS } from '../api/resources.ts';
import type { Store } from '../store.ts';
import type { Container, Pod, Volume } from '../types.ts';
import { StartError } from './command.ts';

function contents(store: Store, pod: Pod, volume: Volume): [string, Buffer][] {
  const map = volume.configMap?.name;
  const secret = volume.secret?.secretName;
  const name = map ?? secret;
  if (name === undefined) return [];
  const object = store.get(map === undefined ? SECRETS : CONFIG_MAPS, pod.metadata.namespace, name);
  if (object === undefined)
    throw new StartError(
      'ContainerCreating',
      `MountVolume.SetUp failed for volume "${volume.name}": ${map === undefined ? 'secret' : 'configmap'} "${name}" not found`,
    );
  const encoding = map === undefined ? 'base64' : 'utf8';
  const text = Object.entries(object.data ?? {}).map(([key, value]): [string, Buffer] => [
    key,
    Buffer.from(value, encoding),
  ]);
  const binary = Object.entries(object.binaryData ?? {}).map(([key, value]): [string, Buffer] => [
    key,
    Buffer.from(value, 'base64'),
  ]);
  return [...text, ...binary];
}

/** Pairs of mountPath and folder, longest path first. Throws StartError where a config map or secret is missing. */
export function mountsOf(
  store: Store,
  pod: Pod,
  container: Container,
  directory: string,
): (readonly [string, string])[] {
  const mounts = (container.volumeMounts ?? []).map((mount): readonly [string, string] => {
    const volume = pod.spec.volumes?.find((one) => one.name === mount.name);
    const folder = join(directory, 'volumes', basename(mount.name));
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const [key, bytes] of volume === undefined ? [] : contents(store, pod, volume))
      writeFileSync(join(folder, basename(key)), bytes);
    return [mount.mountPath, folder];
  });
  return mounts.sort(([a], [b]) => b.length - a.length);
}
