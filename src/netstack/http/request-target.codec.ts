// The request line's target as a proxy gets it (RFC 9112 §3.2): absolute-form to forward, authority-form for CONNECT, origin-form when
// somebody took the proxy for a web server. Sans-io. The path is passed on byte by byte: no URL class, which would rewrite it.
import type { Target } from '../dialer.ts';
import { parseAuthority } from '../target.codec.ts';

export type RequestTarget =
  | {
      readonly form: 'absolute';
      readonly target: Target;
      /** For the Host field (RFC 9112 §3.2.2: the received one is replaced). */
      readonly authority: string;
      readonly path: string;
    }
  | { readonly form: 'origin' }
  /** A scheme that this proxy does not carry in plain requests (https, ftp …). */
  | { readonly form: 'foreign'; readonly scheme: string }
  | { readonly form: 'malformed' };

/** `ws` is what some websocket clients write where `http` is meant. */
const SCHEMES = new Set(['http', 'ws']);

export function parseRequestTarget(text: string, method = 'GET'): RequestTarget {
  if (text.startsWith('/') || text === '*') return { form: 'origin' };
  const parts = /^([a-z][a-z0-9+.-]*):\/\/(?:[^/?#@]*@)?([^/?#@]*)((?:[/?][^#]*)?)(?:#.*)?$/is.exec(text);
  if (parts === null) return { form: 'malformed' };
  const [, scheme = '', authority = '', rest = ''] = parts;
  if (!SCHEMES.has(scheme.toLowerCase())) return { form: 'foreign', scheme: scheme.toLowerCase() };
  const target = parseAuthority(authority, 80);
  if (target === undefined) return { form: 'malformed' };
  if (rest === '' && method === 'OPTIONS') return { form: 'absolute', target, authority, path: '*' };
  return { form: 'absolute', target, authority, path: rest.startsWith('/') ? rest : `/${rest}` };
}
