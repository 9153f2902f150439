// The flags that give a program the surroundings of a workload: `kt run --env-from deploy/orders --files-from deploy/orders`.
// What they do is modes/workload/. Called by parse.ts (through hold-options.ts) and by the commands run and env.
import type { Argv } from 'yargs';
import { parseWorkload } from '../cluster/workload/find.ts';
import { KtError } from '../errors.ts';
import { JAVA_VARIABLES, type JavaVariable } from '../modes/run-env.ts';
import type { WorkloadRequest } from '../modes/workload/open.ts';
import { type Arguments, list, text } from './arguments.ts';

const GROUP = "The workload's environment:";

export function withEnvironmentOptions<T>(yargs: Argv<T>): Argv<T> {
  yargs.options({
    'env-from': {
      type: 'string',
      describe: 'give the program the variables of a workload: --env-from deploy/orders',
      group: GROUP,
    },
    container: { type: 'string', describe: 'of this container (default: the first)', group: GROUP },
    'env-include': {
      type: 'string',
      array: true,
      nargs: 1,
      describe: "variables that are the laptop's own otherwise: 'JAVA_OPTS', 'NODE_*'",
      group: GROUP,
    },
    'env-exclude': {
      type: 'string',
      array: true,
      nargs: 1,
      describe: "variables to leave out: 'OTEL_*'",
      group: GROUP,
    },
    env: { type: 'string', array: true, nargs: 1, describe: 'a variable of your own: NAME=VALUE', group: GROUP },
    'java-var': {
      type: 'string',
      choices: JAVA_VARIABLES,
      default: JAVA_VARIABLES[0],
      describe: 'the variable by which JVMs get the agent; none: not at all',
      group: GROUP,
    },
    'service-links': {
      type: 'boolean',
      default: true,
      describe: 'variables of the Services too (ORDERS_SERVICE_HOST …)',
      group: GROUP,
    },
  });
  return yargs;
}

export function withFilesOptions<T>(yargs: Argv<T>): Argv<T> {
  yargs.options({
    'files-from': {
      type: 'string',
      describe: 'put the ConfigMaps and Secrets that a workload mounts into a folder, $KT_FILES',
      group: GROUP,
    },
    any: {
      type: 'boolean',
      default: false,
      describe: 'for programs of any kind, static binaries too (Linux): connects are caught by the kernel',
    },
    'env-diff': { type: 'boolean', default: false, describe: 'show each variable (secrets masked)', group: GROUP },
  });
  return yargs;
}

/** undefined: neither flag is there. Throws USAGE. */
export function workloadRequest(args: Arguments): WorkloadRequest | undefined {
  const [envFrom, filesFrom] = [text(args, 'envFrom'), text(args, 'filesFrom')];
  if (!envFrom && !filesFrom) return undefined;
  return {
    envFrom: envFrom === undefined ? undefined : parseWorkload(envFrom, 'env-from'),
    filesFrom: filesFrom === undefined ? undefined : parseWorkload(filesFrom, 'files-from'),
    container: text(args, 'container'),
    include: list(args, 'envInclude'),
    exclude: list(args, 'envExclude'),
    serviceLinks: args['serviceLinks'] !== false,
  };
}

/** `--env NAME=VALUE`. Throws USAGE. */
export function ownVariables(args: Arguments): Record<string, string> {
  const given = args['env'];
  const pairs = (Array.isArray(given) ? given.map(String) : []).map((pair) => {
    const at = pair.indexOf('=');
    if (at < 1) throw new KtError('USAGE', `--env takes NAME=VALUE and got '${pair}'`);
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  return Object.fromEntries(pairs) as Record<string, string>;
}

export function javaVariable(args: Arguments): JavaVariable | undefined {
  return JAVA_VARIABLES.find((one) => one === args['javaVar']);
}
