// Live names for the completion: contexts from the kubeconfig, namespaces and Services from the API server. Silent: what can't be had is
// nothing. Kept for some seconds in the runtime folder, failures too, so that a second TAB costs no second wait. Called by complete.ts.
import { createHash } from 'node:crypto';
import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { listContexts, loadClusterConfig } from '../../cluster/config.ts';
import { namespacesPath, servicePath } from '../../cluster/paths.ts';
import { ClusterApi } from '../../cluster/rest.ts';
import type { Service } from '../../cluster/services.ts';
import { runtimeFolder } from '../../session/control-paths.ts';
import type { Live, Where } from './words.ts';

/** Milliseconds that an answer is good for: a line is typed in it, and a new Service is not missed for long. */
const KEEP_MS = 10_000;
/** Answers in the file; more contexts and namespaces than anybody completes in ten seconds. */
const KEEP_MAX = 32;
/** Names of one answer: nobody reads more, and a shell gets slow by them. */
const NAMES_MAX = 2_000;

type Kept = Record<string, { readonly at: number; readonly value: unknown }>;

/** `signal` ends what is on its way. */
export function liveNames(signal: AbortSignal): Omit<Live, 'profiles'> {
  return {
    contexts: async () => (await listContexts({}).catch(() => [])).map(({ name }) => name),
    namespaces: (where) => kept('namespaces', { ...where, namespace: undefined }, () => namespaces(where, signal)),
    services: (where) => kept('services', where, () => services(where, signal)),
  };
}

async function namespaces({ kubeconfig, context, pac }: Where, signal: AbortSignal): Promise<string[]> {
  // Whoever may not list them still has those of the contexts.
  const known = (await listContexts({ kubeconfig })).map(({ namespace }) => namespace);
  const listed = await asked({ kubeconfig, context, pac }, signal, (api) =>
    api.request<{ items: { metadata: { name: string } }[] }>('GET', namespacesPath, limits(signal)),
  ).catch(() => ({ items: [] }));
  return [...new Set([...known, ...listed.items.map(({ metadata }) => metadata.name)])];
}

async function services(where: Where, signal: AbortSignal): Promise<{ name: string; ports: number[] }[]> {
  const { items } = await asked(where, signal, (api) =>
    api.request<{ items: Service[] }>('GET', servicePath(api.config.namespace), limits(signal)),
  );
  return items.map(({ metadata, spec }) => ({
    name: metadata.name,
    ports: (spec?.ports ?? []).map(({ port }) => port),
  }));
}

const limits = (signal: AbortSignal) => ({ signal, query: { limit: NAMES_MAX } });

async function asked<T>(where: Where, signal: AbortSignal, ask: (api: ClusterApi) => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  // Nobody can answer a plugin's question behind a TAB.
  const api = new ClusterApi(await loadClusterConfig({ ...where, terminal: false, signal }));
  try {
    return await ask(api);
  } finally {
    api.close();
  }
}

async function kept<T>(kind: string, where: Where, ask: () => Promise<T[]>): Promise<T[]> {
  const file = join(runtimeFolder(), 'completion.json');
  const which = JSON.stringify([kind, where, process.env['KUBECONFIG']]);
  const key = createHash('sha256').update(which).digest('hex');
  const all = read(file);
  const now = Date.now();
  const known = all[key];
  if (known && now - known.at >= 0 && now - known.at < KEEP_MS) return known.value as T[];
  const value = await ask().catch(() => []);
  const fresh = Object.entries({ ...all, [key]: { at: Date.now(), value } }).filter(
    ([, one]) => now - one.at < KEEP_MS,
  );
  const making = `${file}.${process.pid}`;
  writeFileSync(making, JSON.stringify(Object.fromEntries(fresh.slice(-KEEP_MAX))), { mode: 0o600 });
  renameSync(making, file);
  return value;
}

/** Nothing where it is not there, too old to matter, or broken. */
function read(file: string): Kept {
  try {
    if (Date.now() - statSync(file).mtimeMs > KEEP_MS) return {};
    return JSON.parse(readFileSync(file, 'utf8')) as Kept;
  } catch {
    return {};
  }
}
