// The local socket through which other kt commands join a session: one JSON line asks, JSON lines answer.
//   {"ask":"status"} {"ask":"stop"} {"ask":"route","host":"orders"} {"ask":"join"} {"ask":"act","action":{…}} {"ask":"events"} {"ask":"watch"}
// Knows the wire, not the answers: board.ts gives those. The client half is control-client.ts and attach.ts.
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { asKtError, KtError } from '../errors.ts';
import { endpointOf } from './control-paths.ts';

/** Characters of one question. */
const LINE_MAX = 4_096;
/** Views and commands at once. */
const CLIENTS_MAX = 32;
/** Bytes that a slow reader may be behind before it is dropped: the first picture of 2,000 Services and a full journal is 2 MiB. */
const BEHIND_MAX = 8 * 1024 * 1024;
/** Milliseconds for a question to arrive. */
const QUESTION_MS = 10_000;

export interface Question {
  readonly ask: string;
  readonly [field: string]: unknown;
}

export interface ControlHandlers {
  /** One answer (or a promise of it), or a KtError. */
  readonly answer: (question: Question) => unknown;
  /** Called for `events` and `watch`: sends each event to `send` until the returned function is called. */
  readonly subscribe: (kind: 'events' | 'watch', send: (event: unknown) => void) => () => void;
}

export class ControlServer {
  readonly #path: string;
  readonly #server: Server;
  readonly #clients = new Set<Socket>();

  private constructor(path: string, handlers: ControlHandlers) {
    this.#path = path;
    this.#server = createServer((socket) => this.#serve(socket, handlers));
    this.#server.maxConnections = CLIENTS_MAX;
  }

  /** Listens on `path` (of control-paths.ts), readable by its owner only. Rejects with LISTEN_FAILED. */
  static async listen(path: string, handlers: ControlHandlers): Promise<ControlServer> {
    const control = new ControlServer(path, handlers);
    const before = process.platform === 'win32' ? undefined : process.umask(0o177);
    try {
      await new Promise<void>((resolve, reject) => {
        control.#server.once('error', (cause) =>
          reject(new KtError('LISTEN_FAILED', `cannot listen on ${path}: ${cause.message}`, { cause })),
        );
        control.#server.listen(endpointOf(path), resolve);
      });
    } finally {
      if (before !== undefined) process.umask(before);
    }
    if (process.platform === 'win32') writeFileSync(path, '');
    else chmodSync(path, 0o600);
    control.#server.on('error', () => undefined);
    return control;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#clients) socket.end();
    rmSync(this.#path, { force: true });
  }

  #serve(socket: Socket, handlers: ControlHandlers): void {
    this.#clients.add(socket);
    let held = '';
    let unsubscribe: (() => void) | undefined;
    socket.setEncoding('utf8');
    socket.setTimeout(QUESTION_MS, () => socket.destroy());
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#clients.delete(socket);
      unsubscribe?.();
    });
    const send = (value: unknown): void => {
      if (socket.writableLength > BEHIND_MAX) socket.destroy();
      else if (socket.writable) socket.write(`${JSON.stringify(value)}\n`);
    };
    const ask = async (line: string): Promise<void> => {
      try {
        const question = parse(line);
        socket.setTimeout(0);
        if (question.ask === 'events' || question.ask === 'watch')
          unsubscribe ??= handlers.subscribe(question.ask, send);
        else send({ ok: true, answer: await handlers.answer(question) });
      } catch (error) {
        const { code, message, hint } = asKtError(error);
        send({ ok: false, code, message, hint });
      }
    };
    socket.on('data', (text: string) => {
      held += text;
      if (held.length > LINE_MAX) socket.destroy();
      const lines = held.split('\n');
      held = lines.pop() ?? '';
      for (const line of lines) void ask(line);
    });
  }
}

function parse(line: string): Question {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new KtError('USAGE', 'a question must be one line of JSON', { cause });
  }
  if (typeof value !== 'object' || value === null || !('ask' in value) || typeof value.ask !== 'string') {
    throw new KtError('USAGE', "a question needs the field 'ask'");
  }
  return value as Question;
}
