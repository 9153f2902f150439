// The lines of a link's control stream after its opening: one JSON object per line (NDJSON), both ways.
//   laptop → agent: rules, leave, look, seal, retire (each with a number that its answer repeats)      agent → laptop: hello, drain, done, evicted
// Pure: parsing and limits only. The laptop's end is link.ts, the agent's agent/link-server.ts; what rules mean is agent/ingress.
// A line of a newer version that this one does not know is no fault: it parses as undefined.
import { ERROR_CODES, type ErrorCode } from '../../errors.ts';

/** Characters of one line: RULES_MAX rules of the longest kind fit. */
export const CONTROL_LINE_MAX = 64 * 1024;
/** Rules of one session at one agent: a Service has few ports, and one rule per port is normal. */
export const RULES_MAX = 64;

export type Match =
  | { readonly kind: 'all' }
  | { readonly kind: 'header'; readonly name: string; readonly value: string };

/** Which traffic of one of the agent's ports goes to the laptop. */
export interface Rule {
  /** Unique in its session; comes back in the header of each inbound stream. */
  readonly id: string;
  /** The agent's port, i.e. the Service's target port as the agent listens on it. */
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP';
  readonly match: Match;
}

/** Who holds rules at an ingress agent, as everybody on it may see. Times are of the agent's clock, in milliseconds. */
export interface Holder {
  readonly session: string;
  readonly user: string;
  readonly host: string;
  readonly heldMs: number;
  /** A link is there now. */
  readonly live: boolean;
  readonly rules: readonly Rule[];
}

/** As people are told: `anna on pc-17`. */
export const holderName = ({ user, host }: Pick<Holder, 'user' | 'host'>): string => `${user} on ${host}`;

export type LaptopLine =
  /** Replaces all rules of the session. `takeOver`: clashing rules of others are dropped, and they are told. */
  | { readonly type: 'rules'; readonly seq: number; readonly rules: readonly Rule[]; readonly takeOver?: boolean }
  /** Drops the session's rules (or those of `session`, for a session that died); the answer says how many others remain. */
  | { readonly type: 'leave'; readonly seq: number; readonly session?: string }
  /** The Service is about to be given back: no new rules for a minute. Refused while anybody holds some. */
  | { readonly type: 'seal'; readonly seq: number }
  /** The Service is given back and nobody new comes: drain now. Refused while anybody holds rules. */
  | { readonly type: 'retire'; readonly seq: number }
  | { readonly type: 'look'; readonly seq: number };

export type AgentLine =
  | { readonly type: 'hello'; readonly version: string; readonly node: string; readonly clockMs: number }
  | { readonly type: 'drain' }
  | { readonly type: 'done'; readonly seq: number; readonly holders: readonly Holder[] }
  | { readonly type: 'refused'; readonly seq: number; readonly code: ErrorCode; readonly message: string }
  | { readonly type: 'evicted'; readonly by: string; readonly rules: readonly string[] };

export function encodeLine(line: LaptopLine | AgentLine): string {
  return `${JSON.stringify(line)}\n`;
}

type Fields = Record<string, unknown>;

const isText = (value: unknown, limit = 1024): value is string => typeof value === 'string' && value.length <= limit;
const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function fieldsOf(line: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** HTTP field names are tokens (RFC 9110 §5.6.2); a value has no control characters. */
function matchOf(value: unknown): Match | undefined {
  if (!isObject(value)) return undefined;
  if (value['kind'] === 'all') return { kind: 'all' };
  const { name, value: wanted } = value;
  if (value['kind'] !== 'header' || !isText(name, 128) || !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) return undefined;
  return isText(wanted) && !/\p{Cc}/u.test(wanted) ? { kind: 'header', name, value: wanted } : undefined;
}

function ruleOf(value: unknown): Rule | undefined {
  if (!isObject(value)) return undefined;
  const { id, port, protocol } = value;
  const match = matchOf(value['match']);
  if (!isText(id, 64) || !isCount(port) || port < 1 || port > 65_535 || match === undefined) return undefined;
  return protocol === 'TCP' || protocol === 'UDP' ? { id, port, protocol, match } : undefined;
}

function rulesOf(value: unknown): Rule[] | undefined {
  if (!Array.isArray(value) || value.length > RULES_MAX) return undefined;
  const rules = value.map(ruleOf);
  return rules.every((rule) => rule !== undefined) ? rules : undefined;
}

/** undefined = garbage or not known to this version. */
export function parseLaptopLine(line: string): LaptopLine | undefined {
  const fields = fieldsOf(line);
  const seq = fields?.['seq'];
  if (fields === undefined || !isCount(seq)) return undefined;
  const { session } = fields;
  const { type } = fields;
  if (type === 'look' || type === 'seal' || type === 'retire') return { type, seq };
  if (type === 'leave') return { type: 'leave', seq, ...(isText(session, 64) ? { session } : {}) };
  const rules = type === 'rules' ? rulesOf(fields['rules']) : undefined;
  return rules && { type: 'rules', seq, rules, takeOver: fields['takeOver'] === true };
}

function holderOf(value: unknown): Holder | undefined {
  if (!isObject(value)) return undefined;
  const { session, user, host, heldMs, live } = value;
  const rules = rulesOf(value['rules']);
  if (!isText(session, 64) || !isText(user) || !isText(host) || !isCount(heldMs) || rules === undefined)
    return undefined;
  return { session, user, host, heldMs, live: live === true, rules };
}

/** undefined = garbage or not known to this version. */
export function parseAgentLine(line: string): AgentLine | undefined {
  const fields = fieldsOf(line);
  if (fields === undefined) return undefined;
  const { seq, version, node, clockMs, code, message, by, rules, holders } = fields;
  switch (fields['type']) {
    case 'hello':
      return isText(version) && isText(node) && isCount(clockMs)
        ? { type: 'hello', version, node, clockMs }
        : undefined;
    case 'drain':
      return { type: 'drain' };
    case 'done': {
      const known = Array.isArray(holders) ? holders.map(holderOf).filter((holder) => holder !== undefined) : [];
      return isCount(seq) ? { type: 'done', seq, holders: known } : undefined;
    }
    case 'refused':
      if (!isCount(seq) || !isText(message, 4096)) return undefined;
      return {
        type: 'refused',
        seq,
        code: isText(code) && Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : 'LINK_PROTOCOL',
        message,
      };
    case 'evicted':
      return isText(by) && Array.isArray(rules)
        ? { type: 'evicted', by, rules: rules.filter((id) => isText(id, 64)) }
        : undefined;
    default:
      return undefined;
  }
}
