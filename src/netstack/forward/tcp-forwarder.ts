// One local TCP port that leads to one destination: each connection is dialled by itself, so a lost link costs the open ones only.
// Knows neither Services nor how it is reached: the dialer does. Called by modes/forward.ts.
import type { Socket } from 'node:net';
import type { Dialer, Target } from '../dialer.ts';
import { type Listener, listen } from '../listener.ts';
import type { ProxyLog } from '../proxy-log.ts';
import { dialAndJoin } from '../stream/dial-and-join.ts';
import { reset } from '../stream/reset.ts';

export interface ForwardOptions {
  /** An address of this machine. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly target: Target;
  readonly dialer: Dialer;
  /** What the user can write to get another local port, for the hint. */
  readonly setting: string;
  readonly log?: ProxyLog | undefined;
}

/** Rejects with LISTEN_FAILED. */
export function forwardTcp({ host, port, target, dialer, setting, log }: ForwardOptions): Promise<Listener> {
  return listen({ host, port, setting, log, onSocket: (socket) => void carry(socket, { target, dialer, log }) });
}

async function carry(
  client: Socket,
  { target, dialer, log }: Pick<ForwardOptions, 'target' | 'dialer' | 'log'>,
): Promise<void> {
  let opened = false;
  const { error } = await dialAndJoin({
    client,
    dialer,
    target,
    onOpened: () => {
      opened = true;
      log?.({ door: 'forward', event: 'opened', target });
    },
    onFailed: (reason) => {
      log?.({ door: 'forward', event: 'failed', target, code: reason.code, reason: reason.message });
      // Not FIN: that would be an empty answer.
      reset(client);
    },
  });
  if (opened) log?.({ door: 'forward', event: 'ended', target, reason: error?.message });
}
