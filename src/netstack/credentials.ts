// The user name and password that the laptop's proxies may ask for. Who calls: socks/server.ts, http/authenticate.ts.
import { createHash, timingSafeEqual } from 'node:crypto';

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** Takes the same time for every wrong answer: digests have one length, and both fields are always compared. */
export function matchesCredentials(expected: Credentials, username: string, password: string): boolean {
  const name = timingSafeEqual(digest(expected.username), digest(username));
  const secret = timingSafeEqual(digest(expected.password), digest(password));
  return name && secret;
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest();
}
