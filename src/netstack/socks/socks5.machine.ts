// The order of a SOCKS handshake, from the server's side. Sans-io: bytes and results in, commands out; socks/server.ts carries them out.
// All that decides the next state is the table below.
//
//   greeting ──method──► request ──connect──► dialing ──opened──► relaying
//      │                 ▲     └──associate─► binding ──bound───► associated
//      ├─askPassword─► password
//      └─connect (SOCKS4)──► dialing             any state ──fail──► closed
//
// Held bytes: one unfinished message (at most 524). What follows the request is early data and goes out with the `dial` command.
import { type ErrorCode, KtError } from '../../errors.ts';
import type { Target } from '../dialer.ts';
import { encodeSocks4Reply, parseSocks4, VERSION_4 } from './socks4.codec.ts';
import {
  COMMAND,
  encodeMethod,
  encodePasswordReply,
  encodeReply,
  type Malformed,
  METHOD,
  parseGreeting,
  parsePassword,
  parseRequest,
  REPLY,
  replyFor,
  VERSION,
} from './socks5.codec.ts';

export type SocksState =
  | 'greeting'
  | 'password'
  | 'request'
  | 'dialing'
  | 'binding'
  | 'relaying'
  | 'associated'
  | 'closed';
type SocksEvent = 'method' | 'askPassword' | 'connect' | 'associate' | 'opened' | 'bound' | 'fail';

const TRANSITIONS: Record<SocksState, Partial<Record<SocksEvent, SocksState>>> = {
  greeting: { method: 'request', askPassword: 'password', connect: 'dialing', fail: 'closed' },
  password: { method: 'request', fail: 'closed' },
  request: { connect: 'dialing', associate: 'binding', fail: 'closed' },
  dialing: { opened: 'relaying', fail: 'closed' },
  binding: { bound: 'associated', fail: 'closed' },
  relaying: { fail: 'closed' },
  associated: { fail: 'closed' },
  closed: {},
};

/** What the driver has to do, in order. After `dial` or `associate` it gives no more bytes; after `close` nothing at all. */
export type SocksCommand =
  | { readonly do: 'send'; readonly bytes: Buffer }
  /** Dial, then call opened() or failed(). `early` came behind the request and travels with the opening. */
  | { readonly do: 'dial'; readonly target: Target; readonly early: Buffer }
  /** Bind a UDP socket for this client, then call bound() or failed(). `client` is where it says that its datagrams come from. */
  | { readonly do: 'associate'; readonly client: Target }
  /** Flush, then close. */
  | { readonly do: 'close'; readonly code: ErrorCode; readonly reason: string };

export interface SocksOptions {
  /** undefined: no password is asked for, and any that a client insists on giving is taken. */
  readonly checkPassword?: ((username: string, password: string) => boolean) | undefined;
}

export class SocksMachine {
  readonly #checkPassword: SocksOptions['checkPassword'];
  #state: SocksState = 'greeting';
  #held: Buffer = Buffer.alloc(0);
  #version: 4 | 5 = 5;

  constructor(options: SocksOptions = {}) {
    this.#checkPassword = options.checkPassword;
  }

  get state(): SocksState {
    return this.#state;
  }

  /** 4 or 5; known from the first byte on. */
  get version(): 4 | 5 {
    return this.#version;
  }

  /** Bytes kept until their message is whole. */
  get heldBytes(): number {
    return this.#held.length;
  }

  receive(chunk: Buffer): SocksCommand[] {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const commands: SocksCommand[] = [];
    for (;;) {
      const step = this.#step();
      if (step === undefined) return commands;
      commands.push(...step);
    }
  }

  /** The far end's connect succeeded. */
  opened(): SocksCommand[] {
    if (this.#state !== 'dialing') return [];
    this.#move('opened');
    return [{ do: 'send', bytes: this.#version === 4 ? encodeSocks4Reply(true) : encodeReply(REPLY.succeeded) }];
  }

  /** The UDP socket of the association is bound. */
  bound(address: Target): SocksCommand[] {
    if (this.#state !== 'binding') return [];
    this.#move('bound');
    return [{ do: 'send', bytes: encodeReply(REPLY.succeeded, address) }];
  }

  /** The dial or the binding failed. */
  failed(error: KtError): SocksCommand[] {
    if (this.#state !== 'dialing' && this.#state !== 'binding') return [];
    return this.#refuse(error, replyFor(error));
  }

  /** The handshake took too long, or the client left in the middle of it. Nothing is said to the client: it says nothing either. */
  abandon(reason: string): SocksCommand[] {
    if (this.#state !== 'greeting' && this.#state !== 'password' && this.#state !== 'request') return [];
    return this.#close('USAGE', `${reason} (SOCKS handshake, state '${this.#state}')`);
  }

  /** One message, if a whole one is held. */
  #step(): SocksCommand[] | undefined {
    if (this.#held.length === 0) return undefined;
    switch (this.#state) {
      case 'greeting':
        return this.#greeting();
      case 'password':
        return this.#password();
      case 'request':
        return this.#request();
      default:
        return undefined;
    }
  }

  #greeting(): SocksCommand[] | undefined {
    if (this.#held[0] === VERSION_4) return this.#socks4();
    if (this.#held[0] !== VERSION) {
      return this.#close('USAGE', `not a SOCKS client: ${guessProtocol(this.#held)}`);
    }
    const greeting = parseGreeting(this.#held);
    if (greeting === undefined) return undefined;
    this.#consume(greeting.bytes);
    if (this.#checkPassword === undefined && greeting.methods.includes(METHOD.none)) {
      this.#move('method');
      return [{ do: 'send', bytes: encodeMethod(METHOD.none) }];
    }
    if (greeting.methods.includes(METHOD.password)) {
      this.#move('askPassword');
      return [{ do: 'send', bytes: encodeMethod(METHOD.password) }];
    }
    return [
      { do: 'send', bytes: encodeMethod(METHOD.unacceptable) },
      ...this.#close(
        'DIAL_DENIED',
        'the client offers no method that is allowed here (a user name and password are asked for)',
      ),
    ];
  }

  #password(): SocksCommand[] | undefined {
    const message = parsePassword(this.#held);
    if (message === undefined) return undefined;
    const accepted = !('malformed' in message) && (this.#checkPassword?.(message.username, message.password) ?? true);
    const answer: SocksCommand = { do: 'send', bytes: encodePasswordReply(accepted) };
    if ('malformed' in message) return [answer, ...this.#close('USAGE', message.malformed)];
    this.#consume(message.bytes);
    if (!accepted) return [answer, ...this.#close('DIAL_DENIED', 'wrong user name or password')];
    this.#move('method');
    return [answer];
  }

  #request(): SocksCommand[] | undefined {
    const request = parseRequest(this.#held);
    if (request === undefined) return undefined;
    if ('malformed' in request) return this.#malformed(request);
    this.#consume(request.bytes);
    const { command, target } = request;
    if (command === COMMAND.associate) {
      this.#move('associate');
      this.#held = Buffer.alloc(0);
      return [{ do: 'associate', client: target }];
    }
    if (command !== COMMAND.connect) {
      const name = command === COMMAND.bind ? 'BIND' : `command ${command}`;
      return this.#refuse(new KtError('UNSUPPORTED', `${name} is not served`), REPLY.commandNotSupported);
    }
    if (target.port === 0)
      return this.#malformed({ malformed: 'port 0 can not be dialled', reply: REPLY.generalFailure });
    return this.#dial(target);
  }

  #socks4(): SocksCommand[] | undefined {
    this.#version = 4;
    const request = parseSocks4(this.#held);
    if (request === undefined) return undefined;
    if ('malformed' in request) return this.#malformed({ malformed: request.malformed, reply: 0 });
    this.#consume(request.bytes);
    if (this.#checkPassword !== undefined) {
      return this.#refuse(new KtError('DIAL_DENIED', 'a password is asked for, and SOCKS4 has none'), 0);
    }
    if (request.command !== COMMAND.connect)
      return this.#refuse(new KtError('UNSUPPORTED', 'only CONNECT is served'), 0);
    return this.#dial(request.target);
  }

  #dial(target: Target): SocksCommand[] {
    this.#move('connect');
    const early = this.#held;
    this.#held = Buffer.alloc(0);
    return [{ do: 'dial', target, early }];
  }

  #malformed({ malformed, reply }: Malformed): SocksCommand[] {
    return this.#refuse(new KtError('USAGE', malformed), reply);
  }

  #refuse(error: KtError, reply: number): SocksCommand[] {
    const bytes = this.#version === 4 ? encodeSocks4Reply(false) : encodeReply(reply);
    return [{ do: 'send', bytes }, ...this.#close(error.code, error.message)];
  }

  #close(code: ErrorCode, reason: string): SocksCommand[] {
    this.#move('fail');
    this.#held = Buffer.alloc(0);
    return [{ do: 'close', code, reason }];
  }

  #consume(bytes: number): void {
    this.#held = this.#held.subarray(bytes);
  }

  #move(event: SocksEvent): void {
    const next = TRANSITIONS[this.#state][event];
    if (next === undefined) throw new KtError('INTERNAL', `SOCKS event '${event}' in state '${this.#state}'`);
    this.#state = next;
  }
}

/** What a client that is no SOCKS client probably is. The message guesses the user's mistake. */
function guessProtocol(bytes: Buffer): string {
  if (/^[A-Z]{3,}/.test(bytes.toString('latin1', 0, 8)))
    return 'this looks like an HTTP request (use the HTTP proxy port)';
  if (bytes[0] === 0x16 && (bytes.length === 1 || bytes[1] === 0x03))
    return 'this looks like TLS (the proxy itself speaks no TLS)';
  return `first byte 0x${bytes.toString('hex', 0, 1)}`;
}
