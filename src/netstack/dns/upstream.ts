// Passes a question on to the laptop's own DNS servers, the message unchanged but for its id, and gives back their answer.
// For names that are not the cluster's. A fresh socket and id per question, and the answer must repeat the question (RFC 5452).
// Keeps nothing: the laptop's programs and its system have caches of their own. Used by resolver.ts.
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import { KtError } from '../../errors.ts';
import { MessageSplitter, withLength } from './framing.codec.ts';
import { questionBytes } from './message.codec.ts';

/** Milliseconds per server; the usual resolver's first try is 5 s, ours has to fit several servers into that. */
const SERVER_MS = 2_000;
/** Servers asked one after the other. */
const SERVERS_MAX = 3;
/** Questions on their way at once; each one has a socket. */
const QUESTIONS_MAX = 256;
/** SERVFAIL, NOTIMP, REFUSED (RFC 1035 §4.1.1): the next server may be able, as for every stub resolver. */
const UNABLE = new Set([2, 4, 5]);

/** `10.0.0.2`, `10.0.0.2:53`, `fe80::1`, `[fe80::1]:53`, as node:dns getServers() gives them. */
export type Upstreams = readonly string[] | (() => readonly string[]);

interface Server {
  readonly host: string;
  readonly port: number;
}

export class Upstream {
  readonly #servers: () => readonly string[];
  #open = 0;

  /** A function is asked each time: the laptop's servers change with its network. */
  constructor(servers: Upstreams) {
    this.#servers = typeof servers === 'function' ? servers : () => servers;
  }

  /** Rejects with DIAL_TIMEOUT or DIAL_FAILED where no server answers. */
  async ask(message: Buffer, transport: 'udp' | 'tcp'): Promise<Buffer> {
    if (this.#open >= QUESTIONS_MAX) throw new KtError('DIAL_FAILED', 'too many names are being resolved at once');
    this.#open += 1;
    try {
      let unable: Buffer | undefined;
      let last: unknown = new KtError('DIAL_FAILED', 'this machine has no DNS server');
      for (const server of this.#servers().slice(0, SERVERS_MAX).map(parseServer)) {
        const question = Buffer.from(message);
        question.writeUInt16BE(randomInt(0x1_0000), 0);
        try {
          const ask = transport === 'udp' ? overUdp : overTcp;
          const answer = Buffer.from(await ask(question, server));
          answer.writeUInt16BE(message.readUInt16BE(0), 0);
          if (!UNABLE.has((answer[3] ?? 0) & 0x0f)) return answer;
          unable ??= answer;
        } catch (error) {
          last = error;
        }
      }
      if (unable) return unable;
      throw last;
    } finally {
      this.#open -= 1;
    }
  }
}

function parseServer(text: string): Server {
  const bracketed = /^\[(.+)\](?::(\d+))?$/.exec(text);
  if (bracketed) return { host: bracketed[1] ?? '', port: Number(bracketed[2] ?? 53) };
  const [host = '', port] = isIPv6(text) ? [text] : text.split(':');
  return { host, port: Number(port ?? 53) };
}

const silent = ({ host }: Server): KtError => new KtError('DIAL_TIMEOUT', `the DNS server ${host} did not answer`);

/** The answer to this very question: its id, and its name and type in the same case (0x20), where the server repeats them. */
function fits(answer: Buffer, question: Buffer): boolean {
  if (answer.length < 12 || answer.readUInt16BE(0) !== question.readUInt16BE(0)) return false;
  if (((answer[2] ?? 0) & 0x80) === 0) return false;
  if (answer.readUInt16BE(4) === 0) return true;
  const [asked, repeated] = [questionBytes(question), questionBytes(answer)];
  return asked !== undefined && repeated !== undefined && asked.equals(repeated);
}

function overUdp(question: Buffer, server: Server): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(server.host) ? 'udp6' : 'udp4');
    let over = false;
    const finish = (end: () => void): void => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      socket.close();
      end();
    };
    const fail = (error: Error): void => finish(() => reject(error));
    const timer = setTimeout(() => fail(silent(server)), SERVER_MS);
    socket.on('error', fail);
    socket.on('message', (answer) => {
      if (fits(answer, question)) finish(() => resolve(answer));
    });
    // Connected: only this server's datagrams come in, and "port unreachable" is told. Node calls this also with an error (no network).
    socket.connect(server.port, server.host, (error?: Error) => {
      if (over) return;
      if (error) fail(error);
      else socket.send(question, (failure) => failure && fail(failure));
    });
  });
}

function overTcp(question: Buffer, server: Server): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(server.port, server.host);
    const splitter = new MessageSplitter();
    const timer = setTimeout(() => socket.destroy(silent(server)), SERVER_MS);
    socket.on('connect', () => socket.write(withLength(question)));
    socket.on('data', (chunk) => {
      splitter.push(chunk);
      const answer = splitter.next();
      if (answer === undefined) return;
      if (fits(answer, question)) resolve(answer);
      socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => {
      clearTimeout(timer);
      reject(new KtError('DIAL_FAILED', `the DNS server ${server.host} gave no answer`));
    });
  });
}
