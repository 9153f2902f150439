// The flags of exchange, mesh and preview (also of `kt run`), and what they become. The shared ones are options.ts.
import type { Argv } from 'yargs';
import { parseExpose } from '../cluster/takeover/ports.ts';
import { KtError } from '../errors.ts';
import type { HoldRequest } from '../modes/hold-request.ts';
import { parseMark } from '../modes/mark.ts';
import { type Arguments } from './arguments.ts';
import { PLAN_OPTION, withSessionOptions } from './options.ts';
import { withEnvironmentOptions, withFilesOptions } from './workload-options.ts';

const EXPOSE = {
  type: 'string',
  array: true,
  alias: 'e',
  describe: 'ports: REMOTE or LOCAL:REMOTE (number or name), with /udp behind it for UDP',
} as const;
const SKIP_PORT_CHECKING = {
  type: 'boolean',
  default: false,
  describe: 'start although nothing listens on the local port yet',
} as const;

export function withHoldOptions<T>(yargs: Argv<T>): Argv<T> {
  withSessionOptions(yargs)
    .positional('target', {
      type: 'string',
      array: true,
      describe: 'NAME, svc/NAME, deploy/NAME or pod/NAME; several are fine',
    })
    .options({
      expose: { ...EXPOSE, describe: `${EXPOSE.describe}; all TCP ports without it` },
      drain: {
        type: 'boolean',
        default: false,
        describe: 'replace the original pods to which callers keep connections, one at a time, so that those move too',
      },
      plan: PLAN_OPTION,
      'take-over': { type: 'boolean', default: false, describe: 'take it from whoever holds it; they are told' },
      'skip-port-checking': SKIP_PORT_CHECKING,
      mode: {
        type: 'string',
        default: 'selector',
        describe: 'selector, or scale: its pods are scaled to none meanwhile, and back at the end',
      },
      'recover-wait-time': {
        type: 'number',
        default: 120,
        describe: 'seconds to wait at the end of --mode scale until the pods are ready again',
      },
    });
  return yargs;
}

export function withMeshOptions<T>(yargs: Argv<T>): Argv<T> {
  withHoldOptions(yargs).options({
    mode: {
      type: 'string',
      default: 'auto',
      describe: 'auto, or manual: only one more pod with the mark as a label, for routing rules of your own (Istio)',
    },
    'version-mark': {
      type: 'string',
      describe: 'the mark: VALUE, NAME: or NAME:VALUE (header VERSION and a random value without it)',
    },
    header: { type: 'string', describe: 'the same as NAME=VALUE' },
  });
  return yargs;
}

export function withPreviewOptions<T>(yargs: Argv<T>): Argv<T> {
  withSessionOptions(yargs)
    .positional('target', { type: 'string', array: true, describe: 'name of the new Service; several are fine' })
    .options({
      expose: EXPOSE,
      external: {
        type: 'boolean',
        default: false,
        describe: 'type LoadBalancer: reachable from outside of the cluster',
      },
      plan: PLAN_OPTION,
      'skip-port-checking': SKIP_PORT_CHECKING,
    });
  return yargs;
}

export function targetsOf(args: Arguments): string[] {
  const value = args['target'];
  const targets = (Array.isArray(value) ? value : [value])
    .flatMap((one) => String(one ?? '').split(','))
    .filter((one) => one !== '');
  if (targets.length === 0) throw new KtError('USAGE', 'name a Service', { hint: 'kt exchange orders --expose 8080' });
  return targets;
}

export function holdRequests(args: Arguments, kind: HoldRequest['kind']): HoldRequest[] {
  const expose = args['expose'];
  const ports = parseExpose(Array.isArray(expose) ? expose.map(String) : []);
  const match: HoldRequest['match'] = kind === 'mesh' ? markOf(args) : { kind: 'all' };
  const mode = modeOf(args, kind);
  const recoverWaitMs = waitTime(args['recoverWaitTime']) * 1000;
  return targetsOf(args).map((target) => ({
    kind,
    mode,
    recoverWaitMs,
    target,
    ports,
    match,
    takeOver: args['takeOver'] === true,
    external: args['external'] === true,
    drain: args['drain'] === true,
    skipPortChecking: args['skipPortChecking'] === true,
  }));
}

const MODES: Readonly<Record<HoldRequest['kind'], Readonly<Record<string, HoldRequest['mode']>>>> = {
  exchange: { selector: 'selector', scale: 'scale' },
  mesh: { auto: 'selector', manual: 'manual' },
  preview: {},
};

/** Throws USAGE. */
function modeOf(args: Arguments, kind: HoldRequest['kind']): HoldRequest['mode'] {
  const word = args['mode'];
  // A preview knows no modes: its flag is the sessions'.
  if (kind === 'preview' || typeof word !== 'string') return 'selector';
  const mode = Object.hasOwn(MODES[kind], word) ? MODES[kind][word] : undefined;
  if (mode) return mode;
  const known = Object.keys(MODES[kind]).join(' or ');
  throw new KtError('USAGE', `--mode of ${kind} takes ${known} and got '${word}'`, {
    ...(word === 'ephemeral'
      ? {
          hint: "to leave the Service as it is: `kt preview` (a Service beside it) or `kt mesh --mode manual` (one more pod); kt touches no pod of the team's",
        }
      : {}),
  });
}

/** Seconds. Throws USAGE. */
function waitTime(value: unknown): number {
  if (value === undefined) return 120;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 3_600)
    throw new KtError('USAGE', '--recoverWaitTime takes a whole number of seconds from 0 to 3600');
  return value;
}

/** --versionMark or --header. Throws USAGE. */
export function markOf(args: Arguments): HoldRequest['match'] {
  const { header, versionMark } = args;
  return parseMark(
    typeof versionMark === 'string' ? versionMark : undefined,
    typeof header === 'string' ? header : undefined,
  );
}

/** `kt run`: both directions in one command. */
export function withRunOptions<T>(yargs: Argv<T>): Argv<T> {
  withFilesOptions(withEnvironmentOptions(withSessionOptions(yargs))).options({
    exchange: {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'meanwhile all requests to SERVICE[:PORTS] come to the program: --exchange orders:8080',
    },
    mesh: { type: 'string', array: true, nargs: 1, describe: 'meanwhile those with the mark do: --mesh orders:8080' },
    preview: {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'meanwhile the program is a Service of its own: --preview orders-anna:8080:80',
    },
    advertise: {
      type: 'string',
      array: true,
      nargs: 1,
      describe:
        'meanwhile a new Service is the program, and registries (Eureka, Nacos, Consul, Dubbo) are told its address: --advertise orders-anna:8080',
    },
    'version-mark': { type: 'string', describe: 'the mark of --mesh: VALUE, NAME: or NAME:VALUE' },
    header: { type: 'string', describe: 'the same as NAME=VALUE' },
    plan: PLAN_OPTION,
  });
  return yargs;
}

/** What `kt run` is to hold while its program runs. The program opens its port later: until then the original pods answer. */
export function runRequests(args: Arguments): HoldRequest[] {
  const given = { exchange: words(args['exchange']), mesh: words(args['mesh']), preview: previews(args) };
  return (['exchange', 'mesh', 'preview'] as const).flatMap((kind) => {
    return given[kind].map((text) => {
      const at = text.indexOf(':');
      const target = at < 0 ? text : text.slice(0, at);
      if (target === '') throw new KtError('USAGE', `--${kind} takes SERVICE:PORTS and got '${text}'`);
      return {
        kind,
        mode: 'selector' as const,
        target,
        ports: parseExpose(at < 0 ? [] : [text.slice(at + 1)]),
        match: kind === 'mesh' ? markOf(args) : { kind: 'all' as const },
        takeOver: false,
        external: false,
        drain: false,
        skipPortChecking: true,
      };
    });
  });
}

const words = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);

/** What is advertised is a preview first. */
const previews = (args: Arguments): string[] => [...words(args['preview']), ...words(args['advertise'])];

/** `--advertise NAME:PORTS`: the Service and the port that registries are told. Throws USAGE. */
export function advertised(args: Arguments): { readonly service: string; readonly port: number } | undefined {
  const [first, ...more] = words(args['advertise']);
  if (first === undefined) return undefined;
  const at = first.indexOf(':');
  const [port] = parseExpose(at < 1 ? [] : [first.slice(at + 1)]);
  const number = Number(port?.remote);
  if (more.length > 0 || !(number > 0))
    throw new KtError('USAGE', `--advertise takes one NAME:PORT and got '${words(args['advertise']).join(' ')}'`, {
      hint: '--advertise orders-anna:8080, or orders-anna:8080:80 for port 80 of the Service',
    });
  return { service: first.slice(0, at), port: number };
}
