// Reads the layers of configuration for this process: environment, project, user, administrator. Loads YAML only where there is a file.
// Called by parse.ts before a command starts, and by the command config.
import { dirname } from 'node:path';
import { KtError } from '../../errors.ts';
import { type Keys, variableOf } from './keys.ts';
import type { Entry, Layer } from './layers.ts';
import type { ConfigStore } from './store.ts';

/** Has a meaning of its own, with any value. */
const TAKEN = ['KT_PLAIN'];

/** From the strongest to the weakest. Throws CONFIG_INVALID. */
export async function readLayers(
  store: ConfigStore,
  keys: Keys,
  env: Readonly<Record<string, string | undefined>>,
  folder: string,
): Promise<Layer[]> {
  const project = store.projectFile(folder);
  const files = [
    ...(project === undefined ? [] : [{ kind: 'project', file: project } as const]),
    { kind: 'user', file: store.userFile } as const,
    { kind: 'administrator', file: store.administratorFile } as const,
  ];
  const layers: Layer[] = [{ kind: 'environment', entries: await environment(keys, env), trusted: true }];
  for (const { kind, file } of files) {
    const text = store.read(file);
    if (text === undefined) continue;
    const { parseConfig } = await import('./file.ts');
    const trusted = kind !== 'project' || store.isTrusted(dirname(file));
    layers.push({ kind, entries: parseConfig(text, file, keys), trusted });
  }
  return layers;
}

/** Throws CONFIG_INVALID. An empty variable is none; one that is no key is somebody else's. */
async function environment(keys: Keys, env: Readonly<Record<string, string | undefined>>): Promise<Entry[]> {
  if (!Object.keys(env).some((name) => name.startsWith('KT_'))) return [];
  const { valueOf } = await import('./values.ts');
  return keys.all.flatMap((key): Entry[] => {
    const variable = variableOf(key);
    const text = env[variable] ?? '';
    if (text === '' || TAKEN.includes(variable)) return [];
    const result = valueOf(key.flag, text);
    if ('issue' in result) throw new KtError('CONFIG_INVALID', `$${variable}: ${result.issue}`);
    return [{ section: key.section, name: key.name, value: result.value, source: { variable } }];
  });
}
