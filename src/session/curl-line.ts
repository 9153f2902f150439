// How curl is told of the local proxy: for the plain lines and for the screen. Pure. The password itself is on no command line that kt prints.
import type { ShownLogin } from './events.ts';

export function curlLine(proxy: string, login: ShownLogin | null | undefined, url: string): string {
  const user = login
    ? ` --proxy-user "${login.username}:$${login.file === null ? 'KT_PROXY_PASSWORD' : `(cat '${login.file}')`}"`
    : '';
  return `curl -x socks5h://${proxy}${user} ${url}`;
}
