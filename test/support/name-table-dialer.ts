// A Dialer over loopback for the broker and the shims: a pretend cluster with names, virtual addresses and the loopback ports behind
// them, and a router that knows which addresses and names are its own. What it dials and resolves is recorded (loopback-dialer.ts).
import { BlockList, isIP } from 'node:net';
import type { KtError } from '../../src/errors.ts';
import type { BrokerRouter } from '../../src/netstack/broker/server.ts';
import type { Connection, DialOptions, RecordType, ResolveAnswer, Target } from '../../src/netstack/dialer.ts';
import { LoopbackDialer } from './loopback-dialer.ts';

export interface NameTable {
  /** `orders` → its addresses; the longer forms (`orders.shop.svc…`) follow by themselves. */
  readonly names: Record<string, readonly string[]>;
  /** `198.19.12.34:80` → the loopback port that answers. */
  readonly ports: Record<string, number>;
  /** Address → what its dial fails with. */
  readonly failures?: Record<string, KtError>;
  /** Addresses that never answer. */
  readonly silent?: readonly string[];
}

const FORMS = /^(.+?)(?:\.shop(?:\.svc(?:\.cluster\.local)?)?)?$/;

export class NameTableDialer extends LoopbackDialer {
  readonly resolved: string[] = [];
  readonly table: NameTable;

  constructor(table: NameTable) {
    super({ names: table.ports, failures: table.failures ?? {} });
    this.table = table;
  }

  addresses(name: string): readonly string[] | undefined {
    return this.table.names[name] ?? this.table.names[FORMS.exec(name)?.[1] ?? ''];
  }

  override dial(target: Target, options?: DialOptions): Promise<Connection> {
    const { hold } = this;
    if (this.table.silent?.includes(target.host)) this.hold = new Promise(() => undefined);
    try {
      return super.dial(target, options);
    } finally {
      this.hold = hold;
    }
  }

  override resolve(name: string, type: RecordType): Promise<ResolveAnswer> {
    this.resolved.push(name);
    const addresses = this.addresses(name);
    const wanted = (address: string): boolean =>
      type === 'A' ? !address.includes(':') : type === 'AAAA' && address.includes(':');
    const records = (addresses ?? []).filter(wanted).map((data) => ({ type, name, ttl: 5, data }));
    return Promise.resolve({ found: addresses !== undefined, records });
  }
}

/** Knows the cluster's networks, the names of the table and everything with a cluster suffix. */
export class TableRouter implements BrokerRouter {
  readonly learned: string[] = [];
  readonly #networks = new BlockList();
  readonly #dialer: NameTableDialer;
  #ipv6 = false;

  constructor(dialer: NameTableDialer, cidrs: readonly string[]) {
    this.#dialer = dialer;
    for (const cidr of cidrs) {
      const [network = '', bits] = cidr.split('/');
      this.#networks.addSubnet(network, Number(bits), network.includes(':') ? 'ipv6' : 'ipv4');
      this.#ipv6 ||= network.includes(':');
    }
  }

  ipv6(): boolean {
    return this.#ipv6;
  }

  isClusterName(name: string): boolean {
    return /\.svc(\.|$)|\.cluster\.local$/.test(name) || this.#dialer.addresses(name) !== undefined;
  }

  suffixes(): readonly string[] {
    return ['svc', 'cluster.local'];
  }

  learnAnswer({ records }: ResolveAnswer): void {
    for (const record of records) this.learned.push(record.data);
  }

  route(host: string): { via: string } {
    const version = isIP(host);
    const inNetworks = version !== 0 && this.#networks.check(host, `ipv${version as 4 | 6}`);
    return { via: inNetworks || this.learned.includes(host) || this.isClusterName(host) ? 'cluster' : 'direct' };
  }
}
