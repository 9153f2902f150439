// A dialer that makes a record of each connection while the journal is on, and is not there otherwise. Reads what streams count of
// themselves and touches no byte. One for each door (shim, proxy, forward). Passes the compliance suite of dialers.
// Called by session/listeners.ts and modes/forward.ts.
import { asKtError } from '../../errors.ts';
import type {
  Connection,
  DatagramFlow,
  Dialer,
  DialOptions,
  PlainHop,
  RecordType,
  ResolveAnswer,
  Target,
} from '../../netstack/dialer.ts';
import type { Entry } from './entry.ts';
import type { TrafficJournal } from './journal.ts';
import type { OutboundRecord } from './types.ts';

/** As net.Socket and the mux's streams count. */
interface Counting {
  readonly bytesRead?: number;
  readonly bytesWritten?: number;
}

/** Addresses whose name is remembered: shims ask for the name first and dial the address. */
const NAMES_MAX = 1_024;

/** Who asks, and the way where the dialer does not tell it. */
export type Asked = Pick<OutboundRecord, 'by' | 'via' | 'reason'>;

export class RecordingDialer implements Dialer {
  readonly #dialer: Dialer;
  readonly #journal: TrafficJournal;
  readonly #asked: (target: Target) => Asked;
  readonly #names = new Map<string, string>();

  constructor(dialer: Dialer, journal: TrafficJournal, asked: (target: Target) => Asked) {
    this.#dialer = dialer;
    this.#journal = journal;
    this.#asked = asked;
  }

  async dial(target: Target, options: DialOptions = {}): Promise<Connection> {
    if (!this.#journal.on) return this.#dialer.dial(target, options);
    const entry = this.#open(target, 'tcp');
    try {
      const connection = await this.#dialer.dial(target, this.#observed(entry, options));
      follow(entry, connection);
      return connection;
    } catch (error) {
      failed(entry, error);
      throw error;
    }
  }

  /** The request's own record is made where it is dialled. */
  async plainHop(target: Target, options: DialOptions = {}): Promise<PlainHop | undefined> {
    const hop = await this.#dialer.plainHop?.(target, options);
    if (!hop || !this.#journal.on) return hop;
    return { ...hop, dialer: new RecordingDialer(hop.dialer, this.#journal, this.#asked) };
  }

  async resolve(name: string, type: RecordType, options?: DialOptions): Promise<ResolveAnswer> {
    const answer = await this.#dialer.resolve(name, type, options);
    for (const record of answer.records) {
      if (record.type !== 'A' && record.type !== 'AAAA') continue;
      if (this.#names.size >= NAMES_MAX) this.#names.delete(this.#names.keys().next().value ?? '');
      this.#names.set(record.data, name);
    }
    return answer;
  }

  async datagrams(target: Target, options: DialOptions = {}): Promise<DatagramFlow> {
    if (!this.#journal.on) return this.#dialer.datagrams(target, options);
    const entry = this.#open(target, 'udp');
    try {
      const flow = await this.#dialer.datagrams(target, this.#observed(entry, options));
      entry.set({ openedMs: Math.round(entry.age * 10) / 10 });
      return new CountedFlow(flow, entry);
    } catch (error) {
      failed(entry, error);
      throw error;
    }
  }

  #open(target: Target, protocol: 'tcp' | 'udp'): Entry<OutboundRecord> {
    const host = this.#names.get(target.host) ?? target.host;
    const fields = { direction: 'out', host, port: target.port, protocol, openedMs: null, code: null } as const;
    return this.#journal.open<OutboundRecord>({ ...fields, ...this.#asked(target) });
  }

  #observed(entry: Entry<OutboundRecord>, options: DialOptions): DialOptions {
    return {
      ...options,
      onRoute: (route) => {
        entry.set({ via: route.via, reason: route.rule });
        options.onRoute?.(route);
      },
    };
  }
}

function follow(entry: Entry<OutboundRecord>, { stream, opened }: Connection): void {
  const counting = stream as Counting;
  entry.countBy(() => ({ received: counting.bytesRead ?? 0, sent: counting.bytesWritten ?? 0 }));
  opened.then(
    () => entry.set({ openedMs: Math.round(entry.age * 10) / 10 }),
    (error: unknown) => failed(entry, error),
  );
  stream.once('close', () => {
    // Why the dial failed is told by `opened`, which may come in the same turn.
    setImmediate(() => entry.end(stream.errored?.message));
  });
}

function failed(entry: Entry<OutboundRecord>, error: unknown): void {
  const known = asKtError(error, 'DIAL_FAILED');
  entry.set({ code: known.code });
  entry.end(known.message);
}

/** A flow whose datagrams count. */
class CountedFlow implements DatagramFlow {
  onDatagram: ((datagram: Buffer) => void) | undefined;
  onClose: ((error?: Error) => void) | undefined;
  readonly #flow: DatagramFlow;
  readonly #entry: Entry<OutboundRecord>;

  constructor(flow: DatagramFlow, entry: Entry<OutboundRecord>) {
    this.#flow = flow;
    this.#entry = entry;
    flow.onDatagram = (datagram) => {
      entry.count(datagram.length, 0);
      this.onDatagram?.(datagram);
    };
    flow.onClose = (error) => {
      entry.end(error?.message);
      this.onClose?.(error);
    };
  }

  send(datagram: Uint8Array): void {
    this.#entry.count(0, datagram.length);
    this.#flow.send(datagram);
  }

  close(): void {
    this.#flow.close();
    this.#entry.end();
  }
}
