// Who holds which traffic at this ingress agent: sessions, their rules, and whether they have a link now. The lease of a rule is the
// session's link; after its loss the rules match nothing but stay reserved for RULES_HELD_MS, by this agent's own clock.
// Sans-io. Told by sessions.ts, asked by listeners.ts and udp.ts.
import { type ErrorCode, KtError } from '../../errors.ts';
import { type Holder, holderName, type Match, type Rule } from '../../netstack/link/control.codec.ts';
import { matches } from './match.ts';
import type { Claim, HeaderLookup } from './upstreams.ts';

/** A laptop that sleeps or changes its network comes back within this time and finds its rules; one that is gone blocks no mark for longer. */
export const RULES_HELD_MS = 120_000;
/**
 * Whoever gives the Service back needs some seconds between the question whether anybody is here and the end; one that died in between must
 * not keep others away for longer.
 */
export const SEALED_MS = 60_000;
/** Developers on one Service; more is a flood. */
const SESSIONS_MAX = 64;
/** Characters of a session's id, as control lines carry it. */
const ID_MAX = 64;

interface Session {
  readonly id: string;
  readonly tokenSha256: string;
  readonly user: string;
  readonly host: string;
  readonly since: number;
  links: number;
  lostAt: number;
  rules: readonly Rule[];
  /** It gave them up, and is about to go. */
  left: boolean;
}

/** Rules that somebody lost by a take-over. */
export interface Evicted {
  readonly session: string;
  readonly rules: readonly string[];
}

export class Registry {
  readonly #now: () => number;
  readonly #listens: (port: number, protocol: 'TCP' | 'UDP') => boolean;
  readonly #sessions = new Map<string, Session>();
  #sealedUntil = Number.NEGATIVE_INFINITY;

  /** `now` gives milliseconds of a clock that never goes back; `listens` says which ports there are. */
  constructor(now: () => number, listens: (port: number, protocol: 'TCP' | 'UDP') => boolean = () => true) {
    this.#now = now;
    this.#listens = listens;
  }

  /** A link of a session has said hello. Throws DIAL_DENIED where the session is another token's, STREAM_LIMIT where too many are here, LINK_PROTOCOL. */
  linkUp(hello: { session: string; tokenSha256: string; user: string; host: string }): void {
    this.#sweep();
    if (hello.session.length > ID_MAX) throw new KtError('LINK_PROTOCOL', "a session's id is too long");
    const known = this.#sessions.get(hello.session);
    if (known && known.tokenSha256 !== hello.tokenSha256)
      throw new KtError('DIAL_DENIED', 'this session belongs to another token');
    if (known) {
      known.links += 1;
      return;
    }
    if (this.#sessions.size >= SESSIONS_MAX)
      throw new KtError('STREAM_LIMIT', `more than ${SESSIONS_MAX} sessions hold rules here`);
    const now = this.#now();
    const { session: id, tokenSha256, user, host } = hello;
    this.#sessions.set(id, { id, tokenSha256, user, host, since: now, links: 1, lostAt: now, rules: [], left: false });
  }

  linkDown(id: string): void {
    const session = this.#sessions.get(id);
    if (!session) return;
    session.links -= 1;
    session.lostAt = this.#now();
    if (session.links <= 0 && session.rules.length === 0) this.#sessions.delete(id);
  }

  /**
   * Replaces a session's rules. Throws SERVICE_HELD naming the holder (with `takeOver` the clashing rules of others go instead), SERVICE_REFUSED
   * for a port that is none of the agent's, LINK_LOST where the agent ends.
   */
  setRules(id: string, rules: readonly Rule[], takeOver = false): Evicted[] {
    this.#sweep();
    const session = this.#sessions.get(id);
    if (!session) throw new KtError('LINK_PROTOCOL', 'this session has no link');
    if (rules.length > 0) this.#admit(session, rules);
    const evicted: Evicted[] = [];
    for (const other of this.#sessions.values()) {
      if (other === session) continue;
      const lost = other.rules.filter((theirs) => rules.some((ours) => clash(ours, theirs)));
      if (lost.length === 0) continue;
      if (!takeOver) throw held(other, lost[0] as Rule);
      evicted.push({ session: other.id, rules: lost.map((rule) => rule.id) });
    }
    for (const { session: loser, rules: ids } of evicted) {
      const other = this.#sessions.get(loser);
      if (other) other.rules = other.rules.filter((rule) => !ids.includes(rule.id));
    }
    session.rules = rules;
    return evicted;
  }

  #admit({ left }: Session, rules: readonly Rule[]): void {
    // Said on another link just before, and slower on its way: nobody would ever take them back.
    if (left) throw new KtError('LINK_LOST', 'this session gave its rules up');
    // It is being removed and takes no callers: rules here would hold nothing.
    if (this.#now() < this.#sealedUntil)
      throw new KtError('LINK_LOST', 'the Service is being given back at this moment');
    const stray = rules.find(({ port, protocol }) => !this.#listens(port, protocol));
    if (stray)
      throw new KtError('SERVICE_REFUSED', `the agent does not listen on the ${stray.protocol} port ${stray.port}`);
  }

  /** The session gives its rules up, for good. */
  leave(id: string): void {
    const session = this.#sessions.get(id);
    if (!session) return;
    session.rules = [];
    session.left = true;
    if (session.links <= 0) this.#sessions.delete(id);
  }

  /** Takes no new rules, because the Service is given back. Throws SERVICE_HELD where somebody holds some. */
  seal(forMs = SEALED_MS): void {
    const [holder] = this.holders();
    if (holder) throw new KtError('SERVICE_HELD', `${holderName(holder)} holds rules here`);
    this.#sealedUntil = Math.max(this.#sealedUntil, this.#now() + forMs);
  }

  /** Those who hold rules; the first is the one who came first. */
  holders(): Holder[] {
    this.#sweep();
    const now = this.#now();
    return [...this.#sessions.values()]
      .filter((session) => session.rules.length > 0)
      .map(({ id, user, host, since, links, rules }) => ({
        session: id,
        user,
        host,
        heldMs: Math.max(0, Math.round(now - since)),
        live: links > 0,
        rules,
      }));
  }

  /** Somebody's laptop is there to take something. */
  live(): boolean {
    return [...this.#sessions.values()].some(({ links, rules }) => links > 0 && rules.length > 0);
  }

  /** The live rule that wants this traffic. */
  match(port: number, protocol: 'TCP' | 'UDP', headers: HeaderLookup | undefined): Claim | undefined {
    for (const session of this.#sessions.values()) {
      if (session.links <= 0) continue;
      for (const rule of session.rules) {
        if (rule.port === port && rule.protocol === protocol && matches(rule.match, headers))
          return { session: session.id, rule: rule.id };
      }
    }
    return undefined;
  }

  #sweep(): void {
    const now = this.#now();
    for (const [id, session] of this.#sessions)
      if (session.links <= 0 && now - session.lostAt > RULES_HELD_MS) this.#sessions.delete(id);
  }
}

function clash(one: Rule, other: Rule): boolean {
  if (one.port !== other.port || one.protocol !== other.protocol) return false;
  if (one.match.kind === 'all' || other.match.kind === 'all') return true;
  return one.match.name.toLowerCase() === other.match.name.toLowerCase() && one.match.value === other.match.value;
}

export const matchText = (match: Match): string =>
  match.kind === 'all' ? 'all requests' : `requests with ${match.name}: ${match.value}`;

function held(holder: Session, rule: Rule): KtError {
  const code: ErrorCode = 'SERVICE_HELD';
  const away = holder.links > 0 ? '' : ', whose laptop does not answer now';
  return new KtError(code, `${holderName(holder)}${away} holds ${matchText(rule.match)} on port ${rule.port}`, {
    hint: 'ask for it, use another mark, or take it with --take-over',
  });
}
