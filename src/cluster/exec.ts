// Runs one short command in a container and gives what it wrote: no terminal, nothing on its stdin. The way there is pod-socket.ts.
// Called by takeover/kept-callers.ts.
import { KtError } from '../errors.ts';
import { WebSocketConnection } from '../netstack/websocket/connection.ts';
import { CLOSE_CODE } from '../netstack/websocket/frame.codec.ts';
import { CHANNEL_PROTOCOL } from './channel-reader.codec.ts';
import { ExecOutput, type ExecResult } from './exec-output.codec.ts';
import { openPodSocket } from './pod-socket.ts';
import type { ClusterApi } from './rest.ts';

/** Milliseconds for the whole command. */
const COMMAND_MS = 10_000;

export interface ExecTarget {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly command: readonly string[];
}

/** Resolves also where the command failed, or where there is no such program. Rejects as openPodSocket does, and with LINK_LOST, CANCELLED. */
export async function execInPod(
  api: ClusterApi,
  { namespace, pod, container, command }: ExecTarget,
  signal?: AbortSignal,
): Promise<ExecResult> {
  const query = new URLSearchParams({ container, stdout: 'true', stderr: 'true' });
  for (const word of command) query.append('command', word);
  const asked = { namespace, pod, subresource: 'exec', query: query.toString(), protocol: CHANNEL_PROTOCOL } as const;
  const { socket, head, mask } = await openPodSocket(api, asked, signal);
  const limit = AbortSignal.any([AbortSignal.timeout(COMMAND_MS), ...(signal ? [signal] : [])]);
  const output = new ExecOutput();
  try {
    return await new Promise((resolve, reject) => {
      const fail = (why: string, cause?: unknown): void => {
        reject(new KtError(signal?.aborted ? 'CANCELLED' : 'LINK_LOST', `the exec in ${pod} ${why}`, { cause }));
      };
      limit.addEventListener('abort', () => fail(signal?.aborted ? 'was cancelled' : 'did not end in time'));
      const connection = new WebSocketConnection(
        socket,
        {
          onData: (piece, start) => {
            if (output.push(piece, start)) return;
            connection.destroy();
            fail('wrote more than kt reads');
          },
          onDrain: () => undefined,
          onClose: (code, reason, error) => {
            if (code === CLOSE_CODE.normal) resolve(output.result());
            else fail(`broke: ${error?.message ?? `${code} ${reason}`}`, error);
          },
        },
        head,
        { mask: mask === 'zero' ? 'zero' : 'random' },
      );
      if (limit.aborted) fail('was cancelled');
    });
  } finally {
    socket.destroy();
  }
}
