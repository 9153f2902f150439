// The DNS server of the playground's pods, over UDP and TCP on real loopback ports: c-ares in the pods (dns.resolve and friends) asks
// it. Answers cluster names only. Not kt's own DNS server (netstack/dns). Started by playground.ts.
import dgram from 'node:dgram';
import net from 'node:net';
import packet from 'dns-packet';
import type { RecordType } from '../../netstack/dialer.ts';
import type { ClusterNames } from './names.ts';

const TYPES: readonly string[] = ['A', 'AAAA', 'SRV', 'CNAME', 'PTR'];
const NXDOMAIN = 3;
const NOT_IMPLEMENTED = 4;
/** RFC 1035 §4.2.1; longer answers are truncated and asked for again over TCP. */
const UDP_MAX = 512;
const TCP_IDLE_MS = 5_000;
const CONNECTIONS_MAX = 200;

function toAnswer(record: { type: RecordType; name: string; ttl: number; data: string }): packet.Answer {
  const { name, ttl } = record;
  if (record.type !== 'SRV') return { type: record.type, name, ttl, data: record.data };
  const [priority = 0, weight = 0, port = 0] = record.data.split(' ').map(Number);
  return { type: 'SRV', name, ttl, data: { priority, weight, port, target: record.data.split(' ')[3] ?? '' } };
}

/** Undefined for what is no query: nothing is answered. Never throws. */
export function answerQuery(names: ClusterNames, query: Buffer): packet.Packet | undefined {
  let asked: packet.Packet;
  try {
    asked = packet.decode(query);
  } catch {
    return undefined;
  }
  const [question] = asked.questions ?? [];
  if (question === undefined || asked.type === 'response') return undefined;
  const flags = packet.AUTHORITATIVE_ANSWER | packet.RECURSION_AVAILABLE | packet.RECURSION_DESIRED;
  const base = { type: 'response' as const, id: asked.id ?? 0, questions: [question] };
  if (!TYPES.includes(question.type)) {
    const known = names.resolve(question.name, 'A').found;
    return { ...base, flags: flags | (known ? 0 : NXDOMAIN) };
  }
  const answer = names.resolve(question.name, question.type as RecordType);
  return { ...base, flags: flags | (answer.found ? 0 : NXDOMAIN), answers: answer.records.map(toAnswer) };
}

function encode(answer: packet.Packet): Buffer {
  try {
    return packet.encode(answer);
  } catch {
    return packet.encode({
      type: 'response',
      id: answer.id ?? 0,
      flags: NOT_IMPLEMENTED,
      questions: answer.questions ?? [],
    });
  }
}

function serveTcp(names: ClusterNames, socket: net.Socket): void {
  let held: Buffer = Buffer.alloc(0);
  socket.setTimeout(TCP_IDLE_MS, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    held = Buffer.concat([held, chunk]);
    while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
      const end = 2 + held.readUInt16BE(0);
      const answer = answerQuery(names, held.subarray(2, end));
      held = held.subarray(end);
      if (answer === undefined) {
        socket.destroy();
        return;
      }
      const bytes = encode(answer);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(bytes.length);
      socket.write(Buffer.concat([length, bytes]));
    }
  });
}

export interface ClusterDns {
  /** The same for UDP and TCP, on 127.0.0.1. */
  readonly port: number;
  close(): Promise<void>;
}

/** c-ares has one port for both, so a TCP port is looked for whose UDP twin is free. */
const PORT_TRIES = 20;

export async function startClusterDns(names: ClusterNames): Promise<ClusterDns> {
  for (let tries = 1; ; tries += 1) {
    const tcp = net.createServer((socket) => serveTcp(names, socket));
    tcp.maxConnections = CONNECTIONS_MAX;
    await new Promise<void>((resolve, reject) => {
      tcp.once('error', reject);
      tcp.listen(0, '127.0.0.1', resolve);
    });
    const { port } = tcp.address() as net.AddressInfo;
    const udp = dgram.createSocket('udp4');
    const bound = await new Promise<boolean>((resolve) => {
      udp.once('error', () => resolve(false));
      udp.bind({ port, address: '127.0.0.1', exclusive: true }, () => resolve(true));
    });
    if (!bound) {
      udp.close();
      await new Promise((resolve) => tcp.close(resolve));
      if (tries >= PORT_TRIES) throw new Error('no loopback port is free for UDP and TCP');
      continue;
    }
    udp.on('error', () => {});
    udp.on('message', (query, from) => {
      const answer = answerQuery(names, query);
      if (answer === undefined) return;
      const whole = encode(answer);
      const bytes =
        whole.length <= UDP_MAX
          ? whole
          : encode({ ...answer, answers: [], flags: (answer.flags ?? 0) | packet.TRUNCATED_RESPONSE });
      udp.send(bytes, from.port, from.address, () => {});
    });
    const close = async (): Promise<void> => {
      udp.close();
      await new Promise((resolve) => tcp.close(resolve));
    };
    return { port, close };
  }
}
