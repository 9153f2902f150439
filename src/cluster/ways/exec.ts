// The way in by pods/exec: a small Node program in the agent's container joins its standard input and output with the port. For users who may
// exec but not port-forward. Subprotocol `v4.channel.k8s.io`, which every runtime ends itself: some break v5 (cri-dockerd on 1.36).
// Called by ways.ts.
import type { Duplex } from 'node:stream';
import { CHANNEL_PROTOCOL, ChannelReader } from '../channel-reader.codec.ts';
import { openPodSocket } from '../pod-socket.ts';
import type { Framing, FramingSink } from '../port-forward-framing.ts';
import { PortForwardStream } from '../port-forward-stream.ts';
import type { ClusterApi } from '../rest.ts';
import type { WayOptions, WayTarget } from './types.ts';

const CONTAINER = 'agent';

/**
 * Ends with the connection, once what came is written, and soon after its input whatever still comes: an exec whose caller is gone must not stay
 * in the pod. SIGKILL, because output that nobody reads must not be waited for.
 */
const bridge = (port: number): string =>
  `const s=require('net').connect({port:${port},host:'127.0.0.1',noDelay:true}),i=process.stdin,o=process.stdout,` +
  `die=()=>process.kill(process.pid,'SIGKILL'),gone=()=>setTimeout(die,${GRACE_MS});` +
  `s.on('error',e=>{require('fs').writeSync(2,String(e.code));process.exit(1)}).on('close',()=>o.write('',()=>process.exit(0)));` +
  `o.on('error',die);i.on('error',die).on('end',gone).on('close',gone);i.pipe(s);s.pipe(o)`;

/** Milliseconds after the end of its input in which the bridge still passes on what comes. */
const GRACE_MS = 1_000;

const ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection reset',
};
/** Characters of the program's standard error, and of the Status of its end, that are kept. */
const TEXT_MAX = 8 * 1024;
const STDIN = Buffer.from([0]);

/** Channels of an exec: 0 stdin, 1 stdout, 2 stderr, 3 the Status of its end. */
export class ExecFraming implements Framing {
  readonly protocol = CHANNEL_PROTOCOL;
  readonly opening = [];
  readonly #reader = new ChannelReader();
  readonly #texts = ['', '', '', ''];
  #told = false;

  header(): Buffer {
    return STDIN;
  }

  keepAlive(): Buffer {
    return STDIN;
  }

  receive(piece: Buffer, start: boolean, sink: FramingSink): void {
    const bytes = this.#reader.read(piece, start);
    const { channel } = this.#reader;
    if (bytes.length === 0) return;
    if (channel === 1) sink.data(bytes);
    else if ((this.#texts[channel] ?? '').length < TEXT_MAX) {
      this.#texts[channel] += bytes.toString('utf8');
      this.#judge(sink);
    }
  }

  /** What went wrong, once it can be told: what the bridge wrote, else what the Status says. */
  #judge(sink: FramingSink): void {
    const [, , stderr = '', status = ''] = this.#texts;
    const known = ERRORS[stderr.trim()];
    const result = read(status);
    const text = known ?? (result.status === 'Failure' ? `${stderr.trim()} ${result.message ?? ''}`.trim() : '');
    if (this.#told || text === '') return;
    this.#told = true;
    sink.errorText(Buffer.from(text));
  }
}

function read(text: string): { status?: string; message?: string } {
  try {
    return text === '' ? {} : (JSON.parse(text) as { status?: string; message?: string });
  } catch {
    return {};
  }
}

/** Rejects as openPodSocket does. */
export async function openExec(
  api: ClusterApi,
  { namespace, pod, port, container = CONTAINER }: WayTarget,
  options: WayOptions = {},
): Promise<Duplex> {
  const query = new URLSearchParams({ container, stdin: 'true', stdout: 'true', stderr: 'true' });
  for (const word of ['node', '-e', bridge(port)]) query.append('command', word);
  const asked = { namespace, pod, subresource: 'exec', query: query.toString(), protocol: CHANNEL_PROTOCOL } as const;
  const { socket, head, mask } = await openPodSocket(api, asked, options.signal);
  return new PortForwardStream(socket, head, { name: `${namespace}/${pod}:${port}`, mask, framing: new ExecFraming() });
}
