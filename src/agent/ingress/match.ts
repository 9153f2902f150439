// Does a request carry a developer's mark? The header itself, or the same pair as a member of `baggage` or `tracestate`, which tracing
// libraries pass on through a chain of services. Pure; called by registry.machine.ts.
// Sources: W3C Baggage §3.2.1 (members `name=value;properties`, percent-encoded values), W3C Trace Context §3.3 (lower-case keys).
import type { Match } from '../../netstack/link/control.codec.ts';
import type { HeaderLookup } from './upstreams.ts';

/** Without `headers` it is no HTTP request: only rules for everything match. */
export function matches(match: Match, headers: HeaderLookup | undefined): boolean {
  if (match.kind === 'all') return true;
  if (headers === undefined) return false;
  const name = match.name.toLowerCase();
  if (headers(name) === match.value) return true;
  return members(headers('baggage'), name, match.value) || members(headers('tracestate'), name, match.value);
}

function members(list: string | undefined, name: string, value: string): boolean {
  if (list === undefined) return false;
  return list.split(',').some((member) => {
    const [pair = ''] = member.split(';', 1);
    const at = pair.indexOf('=');
    if (at < 0 || pair.slice(0, at).trim().toLowerCase() !== name) return false;
    const found = pair.slice(at + 1).trim();
    return found === value || decoded(found) === value;
  });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
