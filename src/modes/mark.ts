// The mark of a mesh, in the forms that kt-connect's users know. Pure. Called by cli/hold-options.ts and session-actions.ts.
import { randomBytes } from 'node:crypto';
import { KtError } from '../errors.ts';
import type { Match } from '../netstack/link/control.codec.ts';

/** kt-connect's default name of the header. */
const MARK_NAME = 'VERSION';

/** `mark`: `v`, `k:`, `k:v`, or nothing; `header`: `k=v`. What is not said is VERSION and a random value. Throws USAGE. */
export function parseMark(mark: string | undefined, header?: string): Match {
  const random = randomBytes(3).toString('hex');
  let [name, value] = [MARK_NAME, random];
  if (header !== undefined) {
    const at = header.search(/[=:]/);
    if (at < 1) throw new KtError('USAGE', `--header takes NAME=VALUE and got '${header}'`);
    [name, value] = [header.slice(0, at), header.slice(at + 1).trim()];
  } else if (mark !== undefined && mark !== '') {
    const at = mark.indexOf(':');
    // `VERSION: anna` as a header is written: a field's value has no space at its ends (RFC 9110 §5.5).
    if (at < 0) value = mark.trim();
    else [name, value] = [mark.slice(0, at) || MARK_NAME, mark.slice(at + 1).trim() || random];
  }
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name))
    throw new KtError('USAGE', `'${name}' can't be the name of a header`);
  if (value === '' || /\p{Cc}/u.test(value)) throw new KtError('USAGE', `'${value}' can't be the value of a header`);
  return { kind: 'header', name, value };
}
