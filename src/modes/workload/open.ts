// The workload's surroundings for a program on the laptop (`kt run --env-from deploy/orders --files-from deploy/orders`): its variables,
// its files, and a way to the API server as in a pod. Asks everything before it makes anything; keeps the files true while the program
// runs, and removes them at the end. Called by cli/commands/run.ts and env.ts.
import type { ContainerEnvironment } from '../../cluster/workload/environment.ts';
import type { WorkloadName } from '../../cluster/workload/find.ts';
import { KtError } from '../../errors.ts';
import { matches, wantedNames } from './deny-list.ts';
import { Live } from './live.ts';
import { masked } from './mask.ts';
import { relocate } from './relocate.ts';
import { Surroundings, type WorkloadContext } from './surroundings.ts';

export interface WorkloadRequest {
  readonly envFrom: WorkloadName | undefined;
  readonly filesFrom: WorkloadName | undefined;
  readonly container: string | undefined;
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly serviceLinks: boolean;
}

export interface WorkloadOptions extends WorkloadContext {
  /** False for `kt env`, which ends at once: no files and no way to the API then. */
  readonly lasting: boolean;
}

export interface OpenWorkload {
  readonly variables: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/** Rejects with WORKLOAD_NOT_FOUND, WORKLOAD_INCOMPLETE, RIGHTS_MISSING or what the connection to the API server ended with. */
export async function openWorkload(request: WorkloadRequest, options: WorkloadOptions): Promise<OpenWorkload> {
  const { emit } = options;
  const env = request.envFrom && (await Surroundings.of(request.envFrom, request.container, options));
  const sameOne = request.filesFrom && request.filesFrom.text === request.envFrom?.text;
  const files = sameOne
    ? env
    : request.filesFrom && (await Surroundings.of(request.filesFrom, request.container, options));
  const wanted = wantedNames(request.include, request.exclude);
  const [environment, volumes] = await Promise.all([env?.environment(wanted, request.serviceLinks), files?.volumes()]);
  const missing = [...new Set([...(environment?.missing ?? []), ...(volumes?.missing ?? [])])];
  if (missing.length > 0) {
    throw new KtError(
      'WORKLOAD_INCOMPLETE',
      `${env?.text ?? files?.text} names what is not there: ${missing.join(', ')}`,
      {
        hint: 'its pods would not start either; create it, or leave it out with --env-exclude NAME (variables) or without --files-from',
      },
    );
  }
  for (const { name, reason, error } of environment?.unknown ?? []) {
    emit({
      type: 'warning',
      message: `${name} of ${env?.text} is not set: ${reason}${error ? `: ${error.message}` : ''}`,
      hint: `${error?.hint ? `${error.hint}; or ` : ''}set it yourself: kt run --env ${name.replace('*', 'NAME')}=…`,
    });
  }
  for (const { mount, reason, error } of volumes?.skipped ?? []) {
    const message = `${mount} of ${files?.text} is left out: ${reason}${error ? `: ${error.message}` : ''}`;
    emit({ type: 'warning', message, ...(error?.hint ? { hint: error.hint } : {}) });
  }
  const live = options.lasting ? await Live.open(files, volumes, options) : undefined;
  // What could not be asked because it was cancelled is left out above, as what is not there.
  if (options.signal.aborted) {
    await live?.close();
    throw new KtError('CANCELLED', 'cancelled while the workload was looked at');
  }
  const place = live?.place ?? ((path: string) => path);
  const mounts = volumes?.mounts ?? [];
  const variables: Record<string, string> = {};
  for (const { name, value } of environment?.variables ?? []) variables[name] = relocate(value, mounts, place);
  if (env && environment) report(env, environment, variables, live?.folder, options);
  const excluded = matches(request.exclude);
  for (const [name, value] of Object.entries(live?.variables ?? {})) if (!excluded(name)) variables[name] = value;
  return { variables, close: async () => live?.close() };
}

/** What is different from the laptop's own environment, with masks. */
function report(
  env: Surroundings,
  { variables, refused }: ContainerEnvironment,
  values: Readonly<Record<string, string>>,
  folder: string | undefined,
  { base, emit }: WorkloadOptions,
): void {
  const shown = variables.filter((one) => one.from !== 'service');
  emit({
    type: 'environment',
    from: env.text,
    container: env.container,
    variables: shown.map((one) => {
      const value = values[one.name] ?? '';
      const before = base[one.name];
      const state = before === undefined ? 'added' : before === value ? 'same' : 'changed';
      return { name: one.name, state, shown: masked({ ...one, value }), ...(one.from ? { from: one.from } : {}) };
    }),
    serviceLinks: variables.length - shown.length,
    kept: [...refused].toSorted((a, b) => a.localeCompare(b)),
    folder: folder ?? null,
  });
}
