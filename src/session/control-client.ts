// The asking half of the control socket: finds the sessions of this user and asks one of them. Called by the CLI's commands.
// What a killed session left behind is removed here: sockets when nobody answers on them, session files when their process is gone.
import { rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { type ErrorCode, KtError } from '../errors.ts';
import { controlPaths, endpointOf } from './control-paths.ts';
import { deadSessionFiles } from './session-file.ts';
import type { SessionState } from './state.ts';

/** Milliseconds for an answer of a process on the same machine. */
const ANSWER_MS = 5_000;
/** Characters of one answer. */
const ANSWER_MAX = 4 * 1024 * 1024;

export interface SessionStatus extends SessionState {
  readonly session: string;
  readonly pid: number;
  /** Others can use its proxy, DNS and broker; absent in an older kt, which knew no other sessions. */
  readonly joinable?: boolean;
}

/** Asks one question; rejects with the session's own KtError, or with SESSION_LOST. */
export function ask<T>(path: string, question: object, limitMs = ANSWER_MS): Promise<T> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(endpointOf(path));
    let held = '';
    const timer = setTimeout(() => fail(new KtError('SESSION_LOST', 'the session does not answer')), limitMs);
    const fail = (error: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    socket.setEncoding('utf8');
    socket.on('error', (cause) =>
      fail(new KtError('SESSION_LOST', `the session does not answer: ${cause.message}`, { cause })),
    );
    socket.on('close', () => fail(new KtError('SESSION_LOST', 'the session ended before it answered')));
    socket.on('data', (text: string) => {
      held += text;
      if (held.length > ANSWER_MAX) return fail(new KtError('SESSION_LOST', 'the answer of the session is too long'));
      const end = held.indexOf('\n');
      if (end === -1) return undefined;
      clearTimeout(timer);
      socket.destroy();
      const reply = JSON.parse(held.slice(0, end)) as
        | { ok: true; answer: T }
        | { ok: false; code: ErrorCode; message: string; hint?: string };
      if (reply.ok) resolve(reply.answer);
      else reject(new KtError(reply.code, reply.message, reply.hint === undefined ? {} : { hint: reply.hint }));
      return undefined;
    });
    socket.write(`${JSON.stringify(question)}\n`);
  });
}

interface Looked {
  readonly path: string;
  /** Undefined: it does not answer. */
  readonly status?: SessionStatus;
  readonly leftOver?: boolean;
}

function lookAtAll(): Promise<Looked[]> {
  return Promise.all(
    controlPaths().map(async (path) => {
      try {
        return { path, status: await ask<SessionStatus>(path, { ask: 'status' }) };
      } catch (error) {
        return { path, leftOver: isLeftOver(error) };
      }
    }),
  );
}

interface FoundSession {
  readonly path: string;
  readonly status: SessionStatus;
}

/** Every session of this user: those that answer, and the sockets of those that live and do not. What dead ones left is removed. */
export async function lookForSessions(): Promise<{ readonly found: FoundSession[]; readonly silent: string[] }> {
  const all = await lookAtAll();
  remove(deadFiles(all));
  return {
    found: all.flatMap(({ path, status }) => (status ? [{ path, status }] : [])),
    silent: all.flatMap(({ path, status, leftOver }) => (status || leftOver ? [] : [path])),
  };
}

/** Those that answer, with the paths of their sockets. */
export const findSessions = async (): Promise<FoundSession[]> => (await lookForSessions()).found;

/** Nobody listens on it any more. A pipe of Windows is gone with its process (ENOENT), the file that told of it is not. */
function isLeftOver(error: unknown): boolean {
  const cause = error instanceof KtError ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
  return cause?.code === 'ECONNREFUSED' || cause?.code === 'ENOENT';
}

const deadFiles = (all: readonly Looked[]): string[] => [
  ...all.filter(({ leftOver }) => leftOver).map(({ path }) => path),
  ...deadSessionFiles(),
];

function remove(paths: readonly string[]): void {
  for (const path of paths) rmSync(path, { force: true });
}

/** Sockets and files of sessions that are gone, removed unless it is only a question. */
export async function removeDeadSessions(dryRun: boolean): Promise<string[]> {
  const dead = deadFiles(await lookAtAll());
  if (!dryRun) remove(dead);
  return dead;
}

/**
 * The one session that matches and can be joined, or undefined. Throws USAGE where several do.
 * `others`: one that can't be joined (it forwards ports only) will do where no other is there.
 */
export async function findSession(
  wanted: { namespace?: string | undefined; context?: string | undefined },
  others = false,
): Promise<{ path: string; status: SessionStatus } | undefined> {
  const all = (await findSessions()).filter(
    ({ status }) =>
      (wanted.namespace === undefined || status.namespace === wanted.namespace) &&
      (wanted.context === undefined || status.context === wanted.context),
  );
  const joinable = all.filter(({ status }) => status.joinable !== false);
  const matching = joinable.length > 0 || !others ? joinable : all;
  if (matching.length > 1) {
    const names = matching.map(({ status }) => `${status.namespace ?? '?'}@${status.context ?? '?'}`).join(', ');
    throw new KtError('USAGE', `several sessions run: ${names}`, { hint: 'name one with --namespace or --context' });
  }
  return matching[0];
}
