// What comes back from a command in a pod (`v4.channel.k8s.io`): the first byte of each message is the channel, 1 stdout, 2 stderr, 3 a
// Status that says how it ended. Sans-io; bounded. Used by exec.ts. Source: k8s.io/apimachinery remotecommand constants.
import { ChannelReader } from './channel-reader.codec.ts';
import { readStatus } from './status.ts';

/** Bytes of stdout and of stderr: /proc/net/tcp has 150 for each connection. What is more is an error, not a part of the truth. */
const OUTPUT_MAX_BYTES = 8 * 1024 * 1024;

export interface ExecResult {
  /** The command's exit code; undefined: it did not run, or nobody knows how it ended. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** The runtime's words where `code` is not 0. */
  readonly message: string;
}

export class ExecOutput {
  /** Channels 1 to 3. */
  readonly #channels: readonly [Buffer[], Buffer[], Buffer[]] = [[], [], []];
  #bytes = 0;
  readonly #reader = new ChannelReader();

  /** A piece of a message. False: it is more than anybody wants. */
  push(piece: Buffer, start: boolean): boolean {
    const bytes = this.#reader.read(piece, start);
    this.#bytes += bytes.length;
    if (this.#bytes > OUTPUT_MAX_BYTES) return false;
    // A channel that nobody asked for (0, and 4 for the size of a terminal) says nothing.
    this.#channels[this.#reader.channel - 1]?.push(bytes);
    return true;
  }

  /** After the last message. */
  result(): ExecResult {
    const [stdout, stderr, status] = this.#channels.map((pieces) => Buffer.concat(pieces).toString('utf8')) as [
      string,
      string,
      string,
    ];
    return { ...ending(status), stdout, stderr };
  }
}

interface EndStatus {
  readonly status?: string;
  readonly details?: { readonly causes?: readonly { readonly reason?: string; readonly message?: string }[] };
}

function ending(text: string): { code: number | undefined; message: string } {
  if (text === '') return { code: undefined, message: 'the connection ended before the command did' };
  let status: EndStatus | null = null;
  try {
    status = JSON.parse(text) as EndStatus | null;
  } catch {
    // An older runtime writes plain text.
  }
  if (status?.status === 'Success') return { code: 0, message: '' };
  const code = Number(status?.details?.causes?.find(({ reason }) => reason === 'ExitCode')?.message ?? Number.NaN);
  return { code: Number.isInteger(code) ? code : undefined, message: readStatus(500, text).message };
}
