// The flags of forward, and what they become. The shared ones are options.ts.
import type { Argv } from 'yargs';
import { KtError } from '../errors.ts';
import type { ForwardSettings } from '../modes/forward.ts';
import { type Arguments } from './arguments.ts';
import { PLAN_OPTION, withSessionOptions } from './options.ts';

export function withForwardOptions<T>(yargs: Argv<T>): Argv<T> {
  withSessionOptions(yargs)
    .positional('target', {
      // Words, never numbers: yargs would read 0x50 and 1e3.
      type: 'string',
      array: true,
      describe: 'NAME, svc/NAME or ADDRESS:PORT, each followed by its ports: PORT, LOCAL:PORT, PORT/udp',
    })
    .options({
      plan: PLAN_OPTION,
      udp: { type: 'boolean', default: false, describe: 'ports are UDP where /tcp is not said' },
      'own-ip': {
        type: 'boolean',
        default: false,
        describe: 'a 127.x.y.z of its own for each name, always the same: two databases can both have 5432',
      },
      address: {
        type: 'string',
        default: '127.0.0.1',
        describe: 'address to listen on; anything but loopback opens what is forwarded to your network',
      },
    });
  return yargs;
}

/** Throws USAGE. */
export function forwardSettings(args: Arguments): ForwardSettings {
  const address = typeof args['address'] === 'string' ? args['address'] : '127.0.0.1';
  const ownIp = args['ownIp'] === true;
  if (ownIp && address !== '127.0.0.1') throw new KtError('USAGE', '--own-ip and --address exclude each other');
  return { address: address === 'localhost' ? '127.0.0.1' : address, ownIp, udp: args['udp'] === true };
}

export const forwardWords = (args: Arguments): string[] =>
  (Array.isArray(args['target']) ? args['target'] : [args['target']]).map((word) => String(word ?? ''));
