// The files that a container's volumes hold: ConfigMaps, Secrets, the downward API, projected volumes and their tokens, as paths in the
// container with bytes. Other kinds (claims, host paths, CSI) are named and left out. Writes nothing (modes/workload/folder.ts does).
import { posix } from 'node:path';
import type { KtError } from '../../errors.ts';
import { fieldValue, type PodIdentity, resourceValue } from './fields.ts';
import type { Workload } from './find.ts';
import type { ConfigSources } from './sources.ts';
import type { Volume, VolumeMount, VolumeSource } from './types.ts';

/** Where every pod has its way to the API. */
export const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

export interface VolumeFiles {
  /** Absolute path in the container → content. */
  readonly files: ReadonlyMap<string, Buffer>;
  /** Mount paths whose content is in `files`, or which begin empty. */
  readonly mounts: readonly string[];
  /** Mounts that are left out, with the reason. */
  readonly skipped: readonly {
    readonly mount: string;
    readonly reason: string;
    readonly error?: KtError | undefined;
  }[];
  readonly missing: readonly string[];
}

/** A token of the workload's service account, or the reason why there is none. */
export type TokenSource = (
  audience: string | undefined,
  seconds: number | undefined,
) => Promise<{ readonly token: string } | { readonly reason: string; readonly error?: KtError }>;

export interface VolumeOptions {
  readonly workload: Workload;
  readonly sources: ConfigSources;
  readonly pod: PodIdentity;
  readonly token: TokenSource;
}

interface Collected {
  readonly files: Map<string, Buffer>;
  readonly skipped: { reason: string; error?: KtError | undefined }[];
  readonly missing: string[];
}

/** Rejects with what the connection to the API server ended with. */
export async function volumeFiles(options: VolumeOptions): Promise<VolumeFiles> {
  const { workload } = options;
  const files = new Map<string, Buffer>();
  const mounts: string[] = [];
  const skipped: VolumeFiles['skipped'][number][] = [];
  const missing = new Set<string>();
  for (const mount of workload.container.volumeMounts ?? []) {
    if (mount.mountPath === SERVICE_ACCOUNT_FOLDER) continue;
    const volume = workload.template.spec?.volumes?.find((one) => one.name === mount.name);
    const reason = volume ? unsupported(volume) : 'the template has no such volume';
    if (!volume || reason) {
      skipped.push({ mount: mount.mountPath, reason: reason ?? '' });
      continue;
    }
    const found = await contentOf(volume, options);
    for (const one of found.missing) missing.add(`${one} (volume '${volume.name}')`);
    for (const one of found.skipped) skipped.push({ mount: mount.mountPath, ...one });
    mounts.push(mount.mountPath);
    for (const [path, content] of placed(found.files, mount)) files.set(path, content);
  }
  return { files, mounts, skipped, missing: [...missing] };
}

function unsupported(volume: Volume): string | undefined {
  if (volume.configMap || volume.secret || volume.projected || volume.downwardAPI || volume.emptyDir) return undefined;
  const kind = Object.keys(volume).find((key) => key !== 'name') ?? 'unknown';
  return `a volume of the kind ${kind} can't be had outside of the cluster`;
}

async function contentOf(volume: Volume, options: VolumeOptions): Promise<Collected> {
  const collected: Collected = { files: new Map(), skipped: [], missing: [] };
  const secret = volume.secret && { ...volume.secret, name: volume.secret.secretName ?? '' };
  const parts = volume.projected?.sources ?? [secret ? { secret } : volume];
  for (const part of parts) await collect(part, options, collected);
  return collected;
}

async function collect(part: VolumeSource, options: VolumeOptions, into: Collected): Promise<void> {
  const { workload, sources, pod } = options;
  for (const item of part.downwardAPI?.items ?? []) {
    const value = item.fieldRef
      ? fieldValue(item.fieldRef.fieldPath, workload.template, pod)
      : item.resourceFieldRef && resourceValue(item.resourceFieldRef, workload.container);
    if (value !== undefined) into.files.set(item.path, Buffer.from(value));
  }
  if (part.serviceAccountToken) {
    const { path, audience, expirationSeconds } = part.serviceAccountToken;
    const answer = await options.token(audience, expirationSeconds);
    if ('token' in answer) into.files.set(path, Buffer.from(answer.token));
    else into.skipped.push({ reason: `${path}: ${answer.reason}`, error: answer.error });
  }
  const reference = part.secret ?? part.configMap;
  if (!reference) return;
  const kind = part.secret ? 'Secret' : 'ConfigMap';
  const found = await sources.read(kind, reference.name ?? '');
  if (found.state === 'forbidden') {
    into.skipped.push({ reason: `the ${kind} '${reference.name ?? ''}'`, error: found.error });
  } else if (found.state === 'missing') {
    if (!reference.optional) into.missing.push(`the ${kind} '${reference.name ?? ''}'`);
  } else {
    const items = reference.items ?? [...found.data.keys()].map((key) => ({ key, path: key }));
    for (const { key, path } of items) {
      const content = found.data.get(key);
      if (content) into.files.set(path, content);
      else if (!reference.optional) into.missing.push(`key '${key}' of the ${kind} '${reference.name ?? ''}'`);
    }
  }
}

/** Where the files of a volume are in the container. With `subPath` one file, or the files below a folder. */
function* placed(files: ReadonlyMap<string, Buffer>, mount: VolumeMount): Generator<[string, Buffer]> {
  const sub = mount.subPath?.replace(/\/+$/, '');
  for (const [path, content] of files) {
    if (!sub) yield [inside(mount.mountPath, path), content];
    else if (path === sub) yield [posix.normalize(mount.mountPath), content];
    else if (path.startsWith(`${sub}/`)) yield [inside(mount.mountPath, path.slice(sub.length + 1)), content];
  }
}

/** The API server refuses `..` in items; a key can't hold a slash. This is for a server that does neither. */
function inside(folder: string, path: string): string {
  return posix.join(folder, posix.join('/', path));
}
