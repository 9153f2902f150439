// Errors of the system's sockets as the codes that SOCKS and HTTP report (docs/errors.md). Used by direct-dialer.ts.
import { type ErrorCode, KtError } from '../../errors.ts';
import type { Target } from '../dialer.ts';
import { formatAuthority } from '../target.codec.ts';

const CODES: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ECONNREFUSED: ['DIAL_REFUSED', 'refused the connection'],
  ENOTFOUND: ['DIAL_NOT_FOUND', 'is not known'],
  EAI_NODATA: ['DIAL_NOT_FOUND', 'has no address'],
  EAI_FAIL: ['DIAL_FAILED', 'could not be resolved'],
  EAI_AGAIN: ['DIAL_TIMEOUT', 'could not be resolved in time'],
  ETIMEDOUT: ['DIAL_TIMEOUT', 'did not answer in time'],
  EHOSTUNREACH: ['DIAL_UNREACHABLE', 'is not reachable (no route to host)'],
  ENETUNREACH: ['DIAL_UNREACHABLE', 'is not reachable (no route to its network)'],
  EHOSTDOWN: ['DIAL_UNREACHABLE', 'is not reachable (its machine is down)'],
  ENETDOWN: ['DIAL_UNREACHABLE', 'is not reachable (the network is down)'],
  EACCES: ['DIAL_DENIED', 'may not be reached from here'],
  EPERM: ['DIAL_DENIED', 'may not be reached from here'],
};

export function dialError(error: Error, target: Target): KtError {
  if (error instanceof KtError) return error;
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const [known, text] = CODES[code] ?? ['DIAL_FAILED', `could not be reached: ${error.message || code}`];
  return new KtError(known, `${formatAuthority(target)} ${text}`, { cause: error });
}
