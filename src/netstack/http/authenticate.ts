// Proxy-Authorization: Basic (RFC 7617) against the configured user name and password. Called for every request and CONNECT.
import type { IncomingMessage } from 'node:http';
import { KtError } from '../../errors.ts';
import { type Credentials, matchesCredentials } from '../credentials.ts';
import { type Answer, errorAnswer } from './answer.ts';

/** undefined: go on. Else the 407 to send. Without configured credentials, what a client sends is not looked at. */
export function challenge(request: IncomingMessage, auth: Credentials | undefined): Answer | undefined {
  if (auth === undefined) return undefined;
  const encoded = /^basic +([a-z0-9+/=_-]+) *$/i.exec(request.headers['proxy-authorization'] ?? '')?.[1];
  const text = Buffer.from(encoded ?? '', 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon >= 0 && matchesCredentials(auth, text.slice(0, colon), text.slice(colon + 1))) return undefined;
  const message =
    encoded === undefined ? 'this proxy asks for a user name and password' : 'wrong user name or password';
  const error = new KtError('DIAL_DENIED', message, {
    hint: 'Write them into the proxy address: http://USER:PASSWORD@127.0.0.1:PORT.',
  });
  return errorAnswer(error, 407, { 'Proxy-Authenticate': 'Basic realm="kt", charset="UTF-8"' });
}
