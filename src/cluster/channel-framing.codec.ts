// `v4.channel.k8s.io`: the first byte of each message is the channel (0 data, 1 error), the first two bytes on each channel are the port.
// Ends in the container runtime on every version; that one unmasks and copies messages byte by byte, so uploads are dear.
// Source: k8s.io/cri-streaming pkg/streaming/portforward/websocket.go. Used by upgrade.ts.
import { CHANNEL_PROTOCOL, ChannelReader } from './channel-reader.codec.ts';
import type { Framing, FramingSink } from './port-forward-framing.ts';

const DATA_CHANNEL = Buffer.from([0]);
/** Each channel begins with its port, as two bytes. */
const PORT_BYTES = 2;

export class ChannelFraming implements Framing {
  readonly protocol = CHANNEL_PROTOCOL;
  readonly opening = [];
  readonly #reader = new ChannelReader();
  /** Port bytes still to be dropped, for each channel. */
  readonly #toSkip = [PORT_BYTES, PORT_BYTES];

  header(): Buffer {
    return DATA_CHANNEL;
  }

  /** Empty: idle timers of runtimes count messages only, pings don't reset them. */
  keepAlive(): Buffer {
    return DATA_CHANNEL;
  }

  receive(piece: Buffer, start: boolean, sink: FramingSink): void {
    let bytes = this.#reader.read(piece, start);
    const { channel } = this.#reader;
    const skip = Math.min(this.#toSkip[channel] ?? 0, bytes.length);
    if (skip > 0) {
      this.#toSkip[channel] = (this.#toSkip[channel] ?? 0) - skip;
      bytes = bytes.subarray(skip);
    }
    if (bytes.length === 0) return;
    if (channel === 0) sink.data(bytes);
    else if (channel === 1) sink.errorText(bytes);
  }
}
