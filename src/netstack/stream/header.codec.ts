// The opening of a mux stream on the wire: a header from the side that opens, one status from the other side, then raw bytes.
//   header: length (2 bytes, big endian) + JSON {"v":1,"kind":"tcp","host":"gateway","port":80}
//   status: length (2 bytes, big endian) + JSON {"ok":true} | {"ok":false,"code":"DIAL_REFUSED","message":"..."}
// Data may follow the header at once (0-RTT). Sans-io; used by netstack/link (both ends) and by the agent.
import { ERROR_CODES, type ErrorCode, KtError } from '../../errors.ts';
import type { RecordType } from '../dialer.ts';

/** A name is at most 255 bytes (RFC 1035 §2.3.4); 4 KiB leaves room for every field and bounds what a stranger makes us hold. */
export const MESSAGE_BYTES_MAX = 4096;

export type OpenHeader =
  | {
      readonly v: 1;
      readonly kind: 'control';
      readonly token: string;
      readonly version: string;
      readonly session: string;
      /** Who it is, for others on the same ingress agent. */
      readonly user?: string;
      readonly host?: string;
    }
  | { readonly v: 1; readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly timeoutMs?: number }
  | { readonly v: 1; readonly kind: 'udp'; readonly host: string; readonly port: number }
  | { readonly v: 1; readonly kind: 'resolve'; readonly host: string; readonly type: RecordType }
  /** The one kind that the agent opens: traffic of a taken Service for the rule `rule`, from the caller `peer` (address:port). */
  | {
      readonly v: 1;
      readonly kind: 'inbound';
      readonly rule: string;
      readonly protocol: 'TCP' | 'UDP';
      readonly peer: string;
    };

export type OpenStatus =
  | { readonly ok: true }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string };

const TYPES: readonly string[] = ['A', 'AAAA', 'SRV', 'CNAME', 'PTR'];

/** A JSON value with its 2-byte length in front. Throws LINK_PROTOCOL where it is longer than MESSAGE_BYTES_MAX. */
export function encodeMessage(value: unknown): Buffer {
  const text = Buffer.from(JSON.stringify(value), 'utf8');
  if (text.length > MESSAGE_BYTES_MAX)
    throw new KtError('LINK_PROTOCOL', `a message of ${text.length} bytes is over the limit of ${MESSAGE_BYTES_MAX}`);
  const framed = Buffer.allocUnsafe(2 + text.length);
  framed.writeUInt16BE(text.length, 0);
  text.copy(framed, 2);
  return framed;
}

/** Takes bytes as they come, gives the first message and what follows it. One decoder reads one message. */
export class MessageDecoder {
  #held: Buffer = Buffer.alloc(0);

  /** Returns undefined until the message is whole. Throws LINK_PROTOCOL on a length over the limit or on text that is not JSON. */
  push(chunk: Buffer): { readonly value: unknown; readonly rest: Buffer } | undefined {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    if (this.#held.length < 2) return undefined;
    const length = this.#held.readUInt16BE(0);
    if (length > MESSAGE_BYTES_MAX)
      throw new KtError('LINK_PROTOCOL', `a message of ${length} bytes is over the limit of ${MESSAGE_BYTES_MAX}`);
    if (this.#held.length < 2 + length) return undefined;
    const text = this.#held.toString('utf8', 2, 2 + length);
    const rest = this.#held.subarray(2 + length);
    try {
      return { value: JSON.parse(text), rest };
    } catch (cause) {
      throw new KtError('LINK_PROTOCOL', 'the other side sent a message that is not JSON', { cause });
    }
  }
}

function record(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new KtError('LINK_PROTOCOL', `${what} is not an object`);
  return value as Record<string, unknown>;
}

/** A peer's value for an error message: short, and without calling anything of it. */
function shown(value: unknown): string {
  return (JSON.stringify(value) ?? 'none').slice(0, 40);
}

function text(value: unknown, field: string, limit = 255): string {
  if (typeof value !== 'string' || value.length === 0 || value.length > limit) {
    throw new KtError('LINK_PROTOCOL', `field '${field}' of a stream header is missing or too long`);
  }
  return value;
}

function port(value: unknown): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > 65_535) {
    throw new KtError('LINK_PROTOCOL', 'the port of a stream header is not a number from 1 to 65535');
  }
  return value;
}

const isLater = (version: unknown): boolean => Number.isSafeInteger(version) && (version as number) > 1;

/** Checks every field. Throws LINK_PROTOCOL, or AGENT_VERSION for a header of a later version. */
export function parseOpenHeader(value: unknown): OpenHeader {
  const header = record(value, 'a stream header');
  const { v } = header;
  if (v !== 1)
    throw new KtError(isLater(v) ? 'AGENT_VERSION' : 'LINK_PROTOCOL', `stream header version ${shown(v)} is not known`);
  switch (header['kind']) {
    case 'control':
      return {
        v: 1,
        kind: 'control',
        token: text(header['token'], 'token'),
        version: text(header['version'], 'version'),
        session: text(header['session'], 'session'),
        ...(header['user'] === undefined ? {} : { user: text(header['user'], 'user') }),
        ...(header['host'] === undefined ? {} : { host: text(header['host'], 'host') }),
      };
    case 'tcp': {
      const timeout = header['timeoutMs'];
      const limit = typeof timeout === 'number' && timeout > 0 && timeout <= 600_000 ? { timeoutMs: timeout } : {};
      return { v: 1, kind: 'tcp', host: text(header['host'], 'host'), port: port(header['port']), ...limit };
    }
    case 'udp':
      return { v: 1, kind: 'udp', host: text(header['host'], 'host'), port: port(header['port']) };
    case 'resolve': {
      const type = text(header['type'], 'type');
      if (!TYPES.includes(type)) throw new KtError('LINK_PROTOCOL', `record type ${shown(type)} is not served`);
      return { v: 1, kind: 'resolve', host: text(header['host'], 'host'), type: type as RecordType };
    }
    case 'inbound': {
      const protocol = text(header['protocol'], 'protocol');
      if (protocol !== 'TCP' && protocol !== 'UDP')
        throw new KtError('LINK_PROTOCOL', `protocol ${shown(protocol)} is not carried`);
      return {
        v: 1,
        kind: 'inbound',
        rule: text(header['rule'], 'rule'),
        protocol,
        peer: text(header['peer'], 'peer'),
      };
    }
    default:
      throw new KtError('LINK_PROTOCOL', `stream kind ${shown(header['kind'])} is not known`);
  }
}

/** Checks every field; an unknown error code (a newer agent) becomes DIAL_FAILED. Throws LINK_PROTOCOL. */
export function parseOpenStatus(value: unknown): OpenStatus {
  const status = record(value, 'a stream status');
  if (status['ok'] === true) return { ok: true };
  if (status['ok'] !== false) throw new KtError('LINK_PROTOCOL', "a stream status has no 'ok'");
  const code = status['code'];
  const known = typeof code === 'string' && Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : 'DIAL_FAILED';
  return {
    ok: false,
    code: known,
    message: typeof status['message'] === 'string' ? status['message'] : 'no reason given',
  };
}
