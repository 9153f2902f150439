// The line protocol between a shim (inside the wrapped program) and the broker: one ASCII line each way, LF, at most 512 bytes.
// Sans-io: bytes → lines → requests, answers → bytes. Knows neither sockets nor what a request does.
// Used by connection.ts; the other ends are shims/{node,jvm,python}.
//
//   KT1 <token> RESOLVE <name>                                  OK <address>[ <address>..] | NO | ERR ENOTFOUND <text>
//   KT1 <token> DIAL <address> <port> <timeoutMs> [wait[=<ms>]] OK <localPort> | NO | ERR <ERRNO> <text>
//   KT1 <token> UDP <address> <port>                            OK <localPort> | NO | ERR <ERRNO> <text>
//   KT1 <token> HELLO <runtime> <version> <pid>                 OK
// NO: not the cluster's, do as if kt were not there. Requests of one connection are answered in their order.
import { parseHost } from '../target.codec.ts';

/** Bytes with the LF. Longer than any name (253) or any address list that a client has a use for. */
export const LINE_BYTES_MAX = 512;
/** A client that wants the system's own limit sends 0; more than a day is a mistake. */
const TIMEOUT_MS_MAX = 86_400_000;

/**
 * How long DIAL may keep a client waiting for the far end's answer. `known`: not at all where the target answered lately;
 * `always`: until the far end has answered; a number: as `known`, but at most so many milliseconds (a client on an event loop).
 */
export type DialWait = 'known' | 'always' | number;

export type Request =
  | { readonly verb: 'RESOLVE'; readonly name: string }
  /** `timeoutMs` 0: no limit of the client's own. `host` is an address, or a name where the shim knows only that. */
  | {
      readonly verb: 'DIAL';
      readonly host: string;
      readonly port: number;
      readonly timeoutMs: number;
      readonly wait: DialWait;
    }
  | { readonly verb: 'UDP'; readonly host: string; readonly port: number }
  | { readonly verb: 'HELLO'; readonly runtime: string; readonly version: string; readonly pid: number };

/** What DIAL, UDP and RESOLVE can end with: the names of errno(3), so that a shim raises what its runtime would. */
export type Errno =
  | 'EACCES'
  | 'EAGAIN'
  | 'ECONNABORTED'
  | 'ECONNREFUSED'
  | 'EHOSTUNREACH'
  | 'EINVAL'
  | 'ENETUNREACH'
  | 'ENOTFOUND'
  | 'ETIMEDOUT';

export type Answer =
  | { readonly kind: 'ok'; readonly words?: readonly (string | number)[] }
  | { readonly kind: 'no' }
  | { readonly kind: 'error'; readonly errno: Errno; readonly text: string };

/** Thrown for lines that are none of the above; the message is told to the peer. */
export class ProtocolError extends Error {}

/** Bytes → lines without their LF (or CRLF). Holds at most LINE_BYTES_MAX. */
export class LineDecoder {
  #held: Buffer = Buffer.alloc(0);

  /** Throws ProtocolError for a line that is too long. */
  push(chunk: Buffer): string[] {
    let bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const lines: string[] = [];
    for (let end = bytes.indexOf(0x0a); end !== -1; end = bytes.indexOf(0x0a)) {
      if (end >= LINE_BYTES_MAX) throw new ProtocolError(`a line is longer than ${LINE_BYTES_MAX} bytes`);
      const text = bytes.toString('latin1', 0, end);
      lines.push(text.endsWith('\r') ? text.slice(0, -1) : text);
      bytes = bytes.subarray(end + 1);
    }
    if (bytes.length >= LINE_BYTES_MAX) throw new ProtocolError(`a line is longer than ${LINE_BYTES_MAX} bytes`);
    this.#held = bytes;
    return lines;
  }
}

/** The token apart from the rest, because it is checked first: a stranger learns nothing about the grammar. Throws ProtocolError. */
export function splitLine(line: string): { token: string; words: string[] } {
  const [version, token, ...words] = line.split(' ');
  if (version !== 'KT1' || token === undefined || words.length === 0)
    throw new ProtocolError('not a line of the protocol KT1');
  return { token, words };
}

/** Throws ProtocolError. */
export function decodeRequest(words: readonly string[]): Request {
  const [verb = '', first = '', second = '', third = '', fourth] = words;
  const count = words.length - 1;
  if (verb === 'RESOLVE' && count === 1) return { verb, name: host(first) };
  if (verb === 'DIAL' && (count === 3 || count === 4)) {
    const timeoutMs = integer(third, 0, TIMEOUT_MS_MAX, 'timeout');
    return { verb, host: host(first), port: port(second), timeoutMs, wait: wait(fourth) };
  }
  if (verb === 'UDP' && count === 2) return { verb, host: host(first), port: port(second) };
  if (verb === 'HELLO' && count === 3) {
    return { verb, runtime: word(first), version: word(second), pid: integer(third, 0, 2 ** 32, 'process id') };
  }
  throw new ProtocolError('unknown request, or with other fields than expected');
}

/** One line with its LF; a list or a text that does not fit is cut short. */
export function encodeAnswer(answer: Answer): string {
  if (answer.kind === 'no') return 'NO\n';
  if (answer.kind === 'error') {
    // One line of ASCII whatever the far end's text was.
    return `${`ERR ${answer.errno} ${answer.text.replaceAll(/[^ -~]+/g, ' ')}`.slice(0, LINE_BYTES_MAX - 1)}\n`;
  }
  let line = 'OK';
  for (const word of answer.words ?? []) {
    const longer = `${line} ${word}`;
    if (longer.length >= LINE_BYTES_MAX) break;
    line = longer;
  }
  return `${line}\n`;
}

function host(text: string): string {
  const parsed = parseHost(text);
  if (parsed === undefined) throw new ProtocolError('neither a name nor an address');
  return parsed;
}

function port(text: string): number {
  return integer(text, 1, 65_535, 'port');
}

function wait(text: string | undefined): DialWait {
  if (text === undefined) return 'known';
  if (text === 'wait') return 'always';
  if (text.startsWith('wait=')) return integer(text.slice(5), 0, TIMEOUT_MS_MAX, 'wait');
  throw new ProtocolError('the last field of DIAL is wait or wait=<ms>');
}

function word(text: string): string {
  if (!/^[!-~]{1,64}$/.test(text)) throw new ProtocolError('not a word of at most 64 characters');
  return text;
}

function integer(text: string, least: number, most: number, what: string): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most)) throw new ProtocolError(`${what} out of range`);
  return value;
}
