// The sessions at this ingress agent with their links and control streams: takes what laptops say (rules, leave, look, seal, retire), answers, and tells
// those who lose rules by a take-over. Who may hold what is registry.machine.ts. Called by link-server.ts.
import { asKtError, KtError } from '../../errors.ts';
import {
  type AgentLine,
  CONTROL_LINE_MAX,
  encodeLine,
  type Holder,
  holderName,
  type LaptopLine,
  parseLaptopLine,
} from '../../netstack/link/control.codec.ts';
import { readControlLines } from '../../netstack/link/control-lines.ts';
import type { Muxer } from '../../netstack/mux/muxer.ts';
import type { MuxStream } from '../../netstack/mux/stream.ts';
import type { LaptopLink } from './laptop.ts';
import type { Registry } from './registry.machine.ts';

/** Bytes of answers that a laptop does not read: it asks once in a while, and reads at once. */
const ANSWERS_BYTES_MAX = 1024 * 1024;
/** Characters of a name that others are shown. */
const NAME_MAX = 64;

interface SessionLink extends LaptopLink {
  readonly control: MuxStream;
}

export interface Hello {
  readonly session: string;
  readonly tokenSha256: string;
  readonly user: string;
  readonly host: string;
}

export class IngressSessions {
  readonly registry: Registry;
  readonly #links = new Map<string, Set<SessionLink>>();

  readonly #onRetire: () => void;

  /** `onRetire`: the Service is given back, nobody new comes. */
  constructor(registry: Registry, onRetire: () => void = () => undefined) {
    this.registry = registry;
    this.#onRetire = onRetire;
  }

  /** Links of a session. */
  of = (session: string): Iterable<LaptopLink> => this.#links.get(session) ?? [];

  /** A link has said hello; gives what to call when it goes. Throws DIAL_DENIED, STREAM_LIMIT or LINK_PROTOCOL. */
  linkUp(said: Hello, muxer: Muxer, control: MuxStream, received: () => number): () => void {
    // Its 'close' was emitted already, so nobody would ever count this link down.
    if (control.destroyed) throw new KtError('LINK_LOST', 'the link ended behind its hello');
    const hello = { ...said, user: shown(said.user), host: shown(said.host) };
    this.registry.linkUp(hello);
    const link: SessionLink = { muxer, control, received };
    const links = this.#links.get(hello.session) ?? new Set();
    this.#links.set(hello.session, links.add(link));
    this.#read(hello, link);
    return () => {
      links.delete(link);
      if (links.size === 0) this.#links.delete(hello.session);
      this.registry.linkDown(hello.session);
    };
  }

  #read(hello: Hello, { control, muxer }: SessionLink): void {
    const end = (why: string): void => muxer.destroy(new KtError('LINK_PROTOCOL', why));
    const onLine = (text: string): void => {
      const line = parseLaptopLine(text);
      if (line) say(control, this.#answer(hello, line));
      if (control.writableLength > ANSWERS_BYTES_MAX) end('the laptop asks and does not read the answers');
    };
    readControlLines(control, onLine, () => end('a control line of the laptop is too long'));
  }

  /** For a session that died anybody may say it; one that lives speaks for itself. */
  #leave(hello: Hello, session: string = hello.session): void {
    if (session !== hello.session && this.#links.has(session))
      throw new KtError('SERVICE_HELD', 'that session is alive: it has to leave by itself');
    this.registry.leave(session);
  }

  #answer(hello: Hello, line: LaptopLine): AgentLine {
    const { seq } = line;
    try {
      if (line.type === 'rules') {
        for (const { session, rules } of this.registry.setRules(hello.session, line.rules, line.takeOver)) {
          for (const { control } of this.#links.get(session) ?? [])
            say(control, { type: 'evicted', by: holderName(hello), rules });
        }
      } else if (line.type === 'leave') this.#leave(hello, line.session);
      else if (line.type === 'seal') this.registry.seal();
      else if (line.type === 'retire') {
        this.registry.seal(Number.POSITIVE_INFINITY);
        this.#onRetire();
      }
      return done(seq, this.registry.holders());
    } catch (error) {
      const { code, message } = asKtError(error);
      return { type: 'refused', seq, code, message };
    }
  }
}

/** It comes to other people's terminals: no control characters. */
const shown = (name: string): string => name.replace(/\p{C}/gu, '?').slice(0, NAME_MAX);

/** Fits into one line: who holds something matters more than what. */
function done(seq: number, holders: readonly Holder[]): AgentLine {
  const line: AgentLine = { type: 'done', seq, holders };
  if (encodeLine(line).length <= CONTROL_LINE_MAX) return line;
  return { type: 'done', seq, holders: holders.map((holder) => ({ ...holder, rules: [] })) };
}

function say(control: MuxStream, line: AgentLine): void {
  if (control.writable) control.write(encodeLine(line));
}
