// The flags of exchange, mesh and preview (also of `kt run`), and what they become. The shared ones are options.ts.
import { randomBytes } from 'node:crypto';
import type { Argv } from 'yargs';
import { parseExpose } from '../cluster/takeover/ports.ts';
import { KtError } from '../errors.ts';
import type { HoldRequest } from '../modes/hold.ts';
import { type Arguments, withSessionOptions } from './options.ts';
import { withEnvironmentOptions, withFilesOptions } from './workload-options.ts';

/** kt-connect's default name of the header. */
const MARK_NAME = 'VERSION';

const EXPOSE = {
  type: 'string',
  array: true,
  alias: 'e',
  describe: 'ports: REMOTE or LOCAL:REMOTE (number or name), with /udp behind it for UDP',
} as const;
const PLAN = {
  type: 'boolean',
  default: false,
  describe: 'print what would be changed, and change nothing',
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
      plan: PLAN,
      'take-over': { type: 'boolean', default: false, describe: 'take it from whoever holds it; they are told' },
      'skip-port-checking': SKIP_PORT_CHECKING,
      'recover-wait-time': { type: 'number', hidden: true },
    });
  return yargs;
}

export function withMeshOptions<T>(yargs: Argv<T>): Argv<T> {
  withHoldOptions(yargs).options({
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
      plan: PLAN,
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
  return targetsOf(args).map((target) => ({
    kind,
    target,
    ports,
    match,
    takeOver: args['takeOver'] === true,
    external: args['external'] === true,
    skipPortChecking: args['skipPortChecking'] === true,
  }));
}

/** `v`, `k:`, `k:v`, nothing (kt-connect's forms), or --header k=v. Throws USAGE. */
export function markOf(args: Arguments): HoldRequest['match'] {
  const random = randomBytes(3).toString('hex');
  const header = args['header'];
  const mark = args['versionMark'];
  let [name, value] = [MARK_NAME, random];
  if (typeof header === 'string') {
    const at = header.search(/[=:]/);
    if (at < 1) throw new KtError('USAGE', `--header takes NAME=VALUE and got '${header}'`);
    [name, value] = [header.slice(0, at), header.slice(at + 1).trim()];
  } else if (typeof mark === 'string' && mark !== '') {
    const at = mark.indexOf(':');
    if (at < 0) value = mark;
    else [name, value] = [mark.slice(0, at) || MARK_NAME, mark.slice(at + 1) || random];
  }
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name))
    throw new KtError('USAGE', `'${name}' can't be the name of a header`);
  if (value === '' || /\p{Cc}/u.test(value)) throw new KtError('USAGE', `'${value}' can't be the value of a header`);
  return { kind: 'header', name, value };
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
    'version-mark': { type: 'string', describe: 'the mark of --mesh: VALUE, NAME: or NAME:VALUE' },
    header: { type: 'string', describe: 'the same as NAME=VALUE' },
  });
  return yargs;
}

/** What `kt run` is to hold while its program runs. The program opens its port later: until then the original pods answer. */
export function runRequests(args: Arguments): HoldRequest[] {
  return (['exchange', 'mesh', 'preview'] as const).flatMap((kind) => {
    const value = args[kind];
    return (Array.isArray(value) ? value.map(String) : []).map((text) => {
      const at = text.indexOf(':');
      const target = at < 0 ? text : text.slice(0, at);
      if (target === '') throw new KtError('USAGE', `--${kind} takes SERVICE:PORTS and got '${text}'`);
      return {
        kind,
        target,
        ports: parseExpose(at < 0 ? [] : [text.slice(at + 1)]),
        match: kind === 'mesh' ? markOf(args) : { kind: 'all' as const },
        takeOver: false,
        external: false,
        skipPortChecking: true,
      };
    });
  });
}
