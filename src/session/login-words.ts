// How the login of the local proxy is told: in curl's words, and in a sentence. For the plain lines, the screen and commands. Pure. The password itself is
// in nothing that kt prints.
import type { ShownLogin } from './events.ts';

export function curlLine(proxy: string, login: ShownLogin | null | undefined, url: string): string {
  const user = login
    ? ` --proxy-user "${login.username}:$${login.file === null ? 'KT_PROXY_PASSWORD' : `(cat '${login.file}')`}"`
    : '';
  return `curl -x socks5h://${proxy}${user} ${url}`;
}

export const loginText = ({ username, file }: ShownLogin): string =>
  `user ${username}, password in ${file ?? '$KT_PROXY_PASSWORD'}`;
