// The driver of a SOCKS5 (and SOCKS4a) connection: moves bytes between a client's socket and SocksMachine, dials, answers.
// Decides nothing about the protocol (socks5.machine.ts) and nothing about routes (the dialer does). Called by mixed-port.ts.
import type { Socket } from 'node:net';
import { asKtError } from '../../errors.ts';
import { type Credentials, matchesCredentials } from '../credentials.ts';
import type { Dialer, Target } from '../dialer.ts';
import type { ProxyLog, ProxyLogEntry } from '../proxy-log.ts';
import { closeGently } from '../stream/close-gently.ts';
import { dialAndJoin } from '../stream/dial-and-join.ts';
import { type SocksCommand, SocksMachine } from './socks5.machine.ts';
import { associate } from './udp-associate.ts';

/** Milliseconds from accept to a whole request. A program needs one; only a forgotten or hostile one needs more. */
export const HANDSHAKE_MS = 10_000;

export interface SocksContext {
  readonly dialer: Dialer;
  /** Asked for where set. */
  readonly auth?: Credentials | undefined;
  readonly log?: ProxyLog | undefined;
  /** Default HANDSHAKE_MS. */
  readonly handshakeMs?: number | undefined;
}

/** Takes the socket over. It must be in paused mode, with an 'error' listener; bytes in its buffer count. */
export function serveSocks(socket: Socket, context: SocksContext): void {
  new SocksConnection(socket, context).start();
}

class SocksConnection {
  readonly #socket: Socket;
  readonly #context: SocksContext;
  readonly #machine: SocksMachine;
  readonly #timer: NodeJS.Timeout;
  readonly #onReadable = (): void => this.#read();
  readonly #onEnd = (): void => this.#run(this.#machine.abandon('the client closed'));

  constructor(socket: Socket, context: SocksContext) {
    const { auth, handshakeMs = HANDSHAKE_MS } = context;
    this.#socket = socket;
    this.#context = context;
    this.#machine = new SocksMachine({
      checkPassword: auth && ((username, password) => matchesCredentials(auth, username, password)),
    });
    this.#timer = setTimeout(
      () => this.#run(this.#machine.abandon(`nothing whole within ${handshakeMs} ms`)),
      handshakeMs,
    );
  }

  start(): void {
    this.#socket.on('readable', this.#onReadable).on('end', this.#onEnd).on('close', this.#onEnd);
    this.#read();
  }

  #read(): void {
    while (!this.#isPastHandshake() && this.#socket.readableLength > 0) {
      const chunk = this.#socket.read(this.#socket.readableLength) as Buffer | null;
      if (chunk === null) return;
      this.#run(this.#machine.receive(chunk));
    }
  }

  #isPastHandshake(): boolean {
    const { state } = this.#machine;
    return state !== 'greeting' && state !== 'password' && state !== 'request';
  }

  #run(commands: readonly SocksCommand[]): void {
    if (commands.length === 0) return;
    if (this.#isPastHandshake()) this.#leaveHandshake();
    for (const command of commands) {
      switch (command.do) {
        case 'send':
          if (this.#socket.writable) this.#socket.write(command.bytes);
          break;
        case 'dial':
          void this.#dial(command.target, command.early);
          break;
        case 'associate':
          void this.#associate(command.client);
          break;
        case 'close':
          if (this.#machine.state === 'closed')
            this.#log({ event: 'rejected', code: command.code, reason: command.reason });
          closeGently(this.#socket);
          break;
      }
    }
  }

  #leaveHandshake(): void {
    clearTimeout(this.#timer);
    this.#socket.off('readable', this.#onReadable).off('end', this.#onEnd).off('close', this.#onEnd);
  }

  async #dial(target: Target, early: Buffer): Promise<void> {
    if (early.length > 0) this.#socket.unshift(early);
    const carried = await dialAndJoin({
      client: this.#socket,
      dialer: this.#context.dialer,
      target,
      onOpened: () => {
        this.#log({ event: 'opened', target });
        this.#run(this.#machine.opened());
      },
      onFailed: (error) => this.#fail(error, target),
    });
    if (this.#machine.state === 'relaying') this.#log({ event: 'ended', target, reason: carried.error?.message });
  }

  async #associate(client: Target): Promise<void> {
    try {
      const bound = await associate({
        control: this.#socket,
        client,
        dialer: this.#context.dialer,
        log: this.#context.log,
      });
      this.#run(this.#machine.bound(bound));
    } catch (cause) {
      this.#fail(asKtError(cause, 'LISTEN_FAILED'), undefined);
    }
  }

  #fail(error: Error, target: Target | undefined): void {
    const known = asKtError(error, 'DIAL_FAILED');
    this.#log({ event: 'failed', target, code: known.code, reason: known.message });
    for (const command of this.#machine.failed(known)) {
      if (command.do === 'send') closeGently(this.#socket, command.bytes);
    }
  }

  #log(entry: Omit<ProxyLogEntry, 'door'>): void {
    this.#context.log?.({ door: this.#machine.version === 4 ? 'socks4' : 'socks5', ...entry });
  }
}
