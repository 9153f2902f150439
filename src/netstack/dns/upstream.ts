// Passes a question on to the laptop's own DNS servers, the message unchanged but for its id, and gives back their answer.
// For names that are not the cluster's. A fresh socket and id per question (RFC 5452). Used by server.ts.
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import { KtError } from '../../errors.ts';

/** Milliseconds per server; the usual resolver's first try is 5 s, ours has to fit several servers into that. */
const SERVER_MS = 2_000;
/** Servers asked one after the other. */
const SERVERS_MAX = 3;
/** Questions on their way at once. */
const QUESTIONS_MAX = 256;
const MESSAGE_BYTES_MAX = 65_535;

export class Upstream {
  readonly #servers: { readonly host: string; readonly port: number }[];
  #open = 0;

  /** `servers` as node:dns getServers() gives them: `10.0.0.2`, `[fe80::1]:53`. */
  constructor(servers: readonly string[]) {
    this.#servers = servers.slice(0, SERVERS_MAX).map((text) => {
      const bracketed = /^\[(.+)\](?::(\d+))?$/.exec(text);
      if (bracketed) return { host: bracketed[1] ?? '', port: Number(bracketed[2] ?? 53) };
      const [host = '', port] = isIPv6(text) ? [text] : text.split(':');
      return { host, port: Number(port ?? 53) };
    });
  }

  /** Rejects with DIAL_TIMEOUT or DIAL_FAILED where no server answers. */
  async ask(message: Buffer, transport: 'udp' | 'tcp'): Promise<Buffer> {
    if (this.#open >= QUESTIONS_MAX) throw new KtError('DIAL_FAILED', 'too many names are being resolved at once');
    this.#open += 1;
    try {
      let last: unknown = new KtError('DIAL_FAILED', 'this machine has no DNS server');
      for (const server of this.#servers) {
        const question = Buffer.from(message);
        question.writeUInt16BE(randomInt(0x1_0000), 0);
        try {
          const answer = Buffer.from(
            await (transport === 'udp' ? overUdp(question, server) : overTcp(question, server)),
          );
          answer.writeUInt16BE(message.readUInt16BE(0), 0);
          return answer;
        } catch (error) {
          last = error;
        }
      }
      throw last;
    } finally {
      this.#open -= 1;
    }
  }
}

type Server = { readonly host: string; readonly port: number };

const fits = (answer: Buffer, question: Buffer): boolean =>
  answer.length >= 12 && answer.readUInt16BE(0) === question.readUInt16BE(0) && ((answer[2] ?? 0) & 0x80) !== 0;

function overUdp(question: Buffer, server: Server): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(server.host) ? 'udp6' : 'udp4');
    const finish = (end: () => void): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => undefined);
      socket.close();
      end();
    };
    const timer = setTimeout(
      () => finish(() => reject(new KtError('DIAL_TIMEOUT', `${server.host} did not answer`))),
      SERVER_MS,
    );
    socket.on('error', (error) => finish(() => reject(error)));
    socket.on('message', (answer) => {
      if (fits(answer, question)) finish(() => resolve(answer));
    });
    // Connected: only this server's datagrams come in.
    socket.connect(server.port, server.host, () => socket.send(question));
  });
}

function overTcp(question: Buffer, server: Server): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(server.port, server.host);
    let held = Buffer.alloc(0);
    const timer = setTimeout(
      () => socket.destroy(new KtError('DIAL_TIMEOUT', `${server.host} did not answer`)),
      SERVER_MS,
    );
    socket.on('connect', () => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(question.length);
      socket.write(Buffer.concat([length, question]));
    });
    socket.on('data', (chunk) => {
      held = Buffer.concat([held, chunk]);
      if (held.length > MESSAGE_BYTES_MAX + 2)
        socket.destroy(new KtError('DIAL_FAILED', `${server.host} sent too much`));
      if (held.length < 2 || held.length < 2 + held.readUInt16BE(0)) return;
      const answer = held.subarray(2, 2 + held.readUInt16BE(0));
      if (fits(answer, question)) resolve(answer);
      socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => {
      clearTimeout(timer);
      reject(new KtError('DIAL_FAILED', `${server.host} closed the connection`));
    });
  });
}
