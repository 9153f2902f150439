// The words of `kt forward` → what is to be forwarded, and the loopback address of --own-ip. Sans-io; asks no cluster: which port of a
// Service a word means is modes/forward.ts.
//
//   orders                    the Service's only port            orders 8080:80        local 8080 → its port 80
//   orders:8080               the same as `orders 8080`          dns 53/udp            UDP
//   db.company.lan:5432       any address, seen from the cluster db :5432              any free local port
//   svc/orders 8080:http 9000 several ports of one target; a word that is no port begins the next target
import { createHash } from 'node:crypto';
import { KtError } from '../../errors.ts';
import { parseHost } from '../target.codec.ts';

export type Protocol = 'TCP' | 'UDP';

/** Targets and ports of one command: each port holds a descriptor for as long as the command runs. */
export const FORWARDS_MAX = 256;

export interface PortWish {
  /** As the user wrote it, for messages. */
  readonly text: string;
  /** 0: any free port. undefined: nothing was said. */
  readonly local: number | undefined;
  /** Service port, target port or the name of one; undefined where the word was a single number, which means both. */
  readonly remote: string | undefined;
  readonly protocol: Protocol | undefined;
}

export interface ForwardRequest {
  /** Canonical host name or address, without brackets. */
  readonly host: string;
  /** It was written as `svc/NAME`: nothing but a Service of the namespace. */
  readonly isService: boolean;
  /** Empty: the Service's only port. */
  readonly ports: readonly PortWish[];
}

/** `80`, `8080:80`, `8080:http`, `:80`, each also with /tcp or /udp. Host names never look like this. */
const PORT = /^(?:(\d{1,5})|(\d{0,5}):([a-z0-9](?:[a-z0-9-]{0,13}[a-z0-9])?))(?:\/(tcp|udp))?$/;

/** Throws USAGE naming the word that can't be read. */
export function parseForwards(words: readonly string[]): ForwardRequest[] {
  const requests: { host: string; isService: boolean; ports: PortWish[] }[] = [];
  const all = words
    .flatMap((word) => word.split(','))
    .map((word) => word.trim())
    .filter((word) => word !== '');
  for (const word of all) {
    const port = parsePort(word);
    const last = requests.at(-1);
    if (port === undefined) requests.push(parseTarget(word));
    else if (last) last.ports.push(port);
    else throw usage(`'${word}' is a port, and no Service or address stands before it`);
  }
  if (requests.length === 0) throw usage('name a Service or an address');
  if (requests.reduce((count, { ports }) => count + Math.max(1, ports.length), 0) > FORWARDS_MAX)
    throw usage(`more than ${FORWARDS_MAX} ports in one command`);
  return requests;
}

function parsePort(word: string): PortWish | undefined {
  const parts = PORT.exec(word.toLowerCase());
  if (parts === null) return undefined;
  const [, single, local, remote, protocol] = parts;
  const wish = { text: word, protocol: protocol === undefined ? undefined : (protocol.toUpperCase() as Protocol) };
  if (single !== undefined) return { ...wish, local: portNumber(single, 1, word), remote: undefined };
  if (remote !== undefined && /^\d+$/.test(remote)) portNumber(remote, 1, word);
  return { ...wish, local: local ? portNumber(local, 0, word) : 0, remote };
}

function parseTarget(word: string): { host: string; isService: boolean; ports: PortWish[] } {
  const kind = /^([a-z]+)\//i.exec(word);
  const isService = kind !== null && /^(svc|services?)$/i.test(kind[1] ?? '');
  if (kind && !isService) throw usage(`'${word}' is not NAME, svc/NAME or ADDRESS:PORT`);
  const rest = kind ? word.slice(kind[0].length) : word;
  // An IPv6 address without brackets has colons of its own.
  const whole = parseHost(rest);
  if (whole !== undefined && !(isService && whole.includes('.'))) return { host: whole, isService, ports: [] };
  const parts = /^(\[[^\]]*\]|[^:[\]/]+):(.+)$/.exec(rest);
  const host = parseHost(parts?.[1] ?? '');
  const tail = parts?.[2] ?? '';
  // `orders:http` has no local port to tell a name from a host.
  const port = parsePort(tail) ?? parsePort(`:${tail}`);
  if (host === undefined || port === undefined || (isService && host.includes('.')))
    throw usage(`'${word}' is not NAME, svc/NAME or ADDRESS:PORT`);
  return { host, isService, ports: [parsePort(tail) === undefined ? { ...port, text: tail, local: undefined } : port] };
}

function portNumber(text: string, least: number, word: string): number {
  const value = Number(text);
  if (value < least || value > 65_535) throw usage(`'${word}': ports go from ${least} to 65535`);
  return value;
}

const usage = (message: string): KtError =>
  new KtError('USAGE', message, { hint: 'kt forward orders 8080:80   or   kt forward db.company.lan:5432' });

/**
 * The loopback address that a name has on every laptop: 127.x.y.z with x from 1 (127.0 holds 127.0.0.1 and resolvers' 127.0.0.53) and z
 * from 1 to 254. `turn` > 0 gives the next ones, for two names with one digest.
 */
export function ownAddress(name: string, turn = 0): string {
  const digest = createHash('sha256')
    .update(turn === 0 ? name : `${name}#${turn}`)
    .digest();
  const [first = 0, second = 0, third = 0] = digest;
  return `127.${1 + (first % 254)}.${second}.${1 + (third % 254)}`;
}
