// A small DNS server on the loopback for tests, over UDP and TCP, from a table: what a cluster's or a company's DNS would be.
// Remembers what it was asked. Written with dns-packet; not kt's own server.
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import {
  type Answer,
  decode,
  encode,
  type Packet,
  RECURSION_AVAILABLE,
  type SrvData,
  TRUNCATED_RESPONSE,
} from 'dns-packet';

/** What a name has. `CNAME`: its target's addresses come along, as CoreDNS does it. */
export interface Entry {
  readonly A?: readonly string[];
  readonly AAAA?: readonly string[];
  readonly CNAME?: string;
  readonly PTR?: string;
  readonly SRV?: readonly SrvData[];
  readonly TXT?: string;
}

/** Name → entry, or how its questions fail. Names that are not there are NXDOMAIN. */
export type Zone = Record<string, Entry | 'servfail' | 'refused' | 'silent'>;

const RCODES = { servfail: 2, nxdomain: 3, refused: 5 };

export interface NameServer {
  readonly zone: Zone;
  /** `127.0.0.1:port`. */
  readonly address: string;
  readonly port: number;
  /** `A gateway.shop.svc.cluster.local`, `tcp A …`, in their order. */
  readonly questions: string[];
  ttl: number;
  /** Bytes over which an answer over UDP is truncated. */
  udpBytes: number;
  /** Resolves when so many questions have come. */
  asked(count: number): Promise<void>;
  stop(): Promise<void>;
}

/** One free number for both: that of TCP may be taken for UDP by somebody else, and then it is another one's turn. */
async function onePort(): Promise<{ tcp: Server; udp: UdpSocket; port: number }> {
  for (;;) {
    const tcp = createServer();
    tcp.listen(0, '127.0.0.1');
    await once(tcp, 'listening');
    const { port } = tcp.address() as AddressInfo;
    const udp = createSocket('udp4');
    const bound = await new Promise((resolve) => {
      udp.once('error', () => resolve(false));
      udp.bind(port, '127.0.0.1', () => resolve(true));
    });
    if (bound) return { tcp, udp, port };
    udp.close();
    tcp.close();
  }
}

export async function nameServer(zone: Zone): Promise<NameServer> {
  const waiting: (() => void)[] = [];
  const { tcp, udp, port } = await onePort();
  const sockets = new Set<Socket>();
  const server: NameServer = {
    zone,
    address: `127.0.0.1:${port}`,
    port,
    questions: [],
    ttl: 30,
    udpBytes: 4096,
    asked: async (count) => {
      while (server.questions.length < count) await new Promise<void>((resolve) => waiting.push(resolve));
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await Promise.all([
        new Promise<void>((resolve) => tcp.close(() => resolve())),
        new Promise<void>((resolve) => udp.close(() => resolve())),
      ]);
    },
  };
  const answer = (message: Buffer, over: 'udp' | 'tcp'): Buffer | undefined => {
    const query = decode(message);
    const [question] = query.questions ?? [];
    if (question === undefined) return undefined;
    server.questions.push(`${over === 'tcp' ? 'tcp ' : ''}${question.type} ${question.name.toLowerCase()}`);
    for (const wake of waiting.splice(0)) wake();
    const found = zone[question.name.toLowerCase()];
    if (found === 'silent') return undefined;
    const rcode = found === undefined ? RCODES.nxdomain : typeof found === 'string' ? RCODES[found] : 0;
    const packet: Packet = {
      type: 'response',
      id: query.id ?? 0,
      flags: RECURSION_AVAILABLE | rcode,
      questions: [question],
      answers: typeof found === 'object' ? answersOf(question.name, question.type, zone, server.ttl) : [],
    };
    const whole = encode(packet);
    if (over === 'tcp' || whole.length <= server.udpBytes) return whole;
    return encode({ ...packet, flags: (packet.flags ?? 0) | TRUNCATED_RESPONSE, answers: [] });
  };
  udp.on('message', (message: Buffer, from: RemoteInfo) => {
    const reply = answer(message, 'udp');
    if (reply) udp.send(reply, from.port, from.address);
  });
  tcp.on('connection', (socket) => {
    sockets.add(socket);
    let held = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
        const end = 2 + held.readUInt16BE(0);
        const reply = answer(held.subarray(2, end), 'tcp');
        held = held.subarray(end);
        if (!reply) continue;
        const length = Buffer.alloc(2);
        length.writeUInt16BE(reply.length);
        socket.write(Buffer.concat([length, reply]));
      }
    });
  });
  return server;
}

function answersOf(name: string, type: string, zone: Zone, ttl: number): Answer[] {
  const entry = zone[name.toLowerCase()];
  if (typeof entry !== 'object') return [];
  if (entry.CNAME !== undefined) {
    const alias: Answer = { type: 'CNAME', name, ttl, data: entry.CNAME };
    return type === 'CNAME' ? [alias] : [alias, ...answersOf(entry.CNAME, type, zone, ttl)];
  }
  switch (type) {
    case 'A':
      return (entry.A ?? []).map((data) => ({ type: 'A', name, ttl, data }));
    case 'AAAA':
      return (entry.AAAA ?? []).map((data) => ({ type: 'AAAA', name, ttl, data }));
    case 'SRV':
      return (entry.SRV ?? []).map((data) => ({ type: 'SRV', name, ttl, data }));
    case 'PTR':
      return entry.PTR === undefined ? [] : [{ type: 'PTR', name, ttl, data: entry.PTR }];
    case 'TXT':
      return entry.TXT === undefined ? [] : [{ type: 'TXT', name, ttl, data: entry.TXT }];
    default:
      return [];
  }
}
