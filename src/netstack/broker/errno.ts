// KtError → the errno name that a shim hands to its program. Pure table; used by the broker's desks.
import { asKtError, type ErrorCode } from '../../errors.ts';
import type { Answer, Errno } from './protocol.codec.ts';

const BY_CODE: Partial<Record<ErrorCode, Errno>> = {
  DIAL_REFUSED: 'ECONNREFUSED',
  DIAL_NOT_FOUND: 'ENOTFOUND',
  DIAL_TIMEOUT: 'ETIMEDOUT',
  DIAL_UNREACHABLE: 'EHOSTUNREACH',
  DIAL_DENIED: 'EACCES',
  // No way into the cluster at the moment: programs treat this as a network that is down, and try again.
  LINK_LOST: 'ENETUNREACH',
  LINK_DEAD: 'ENETUNREACH',
  LINK_PARKED: 'ENETUNREACH',
  STREAM_LIMIT: 'EAGAIN',
  CORPORATE_PROXY: 'EHOSTUNREACH',
};

export function errorAnswer(cause: unknown): Answer {
  const error = asKtError(cause, 'DIAL_FAILED');
  return { kind: 'error', errno: BY_CODE[error.code] ?? 'ECONNABORTED', text: error.message };
}
