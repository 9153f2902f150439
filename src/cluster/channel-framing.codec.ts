// `v4.channel.k8s.io`: the first byte of each message is the channel (0 data, 1 error), the first two bytes on each channel are the port.
// Ends in the container runtime on every version; that one unmasks and copies messages byte by byte, so uploads are dear.
// Source: k8s.io/cri-streaming pkg/streaming/portforward/websocket.go. Used by upgrade.ts.
import type { Framing, FramingSink } from './port-forward-framing.ts';

export const CHANNEL_PROTOCOL = 'v4.channel.k8s.io';
const DATA_CHANNEL = Buffer.from([0]);
/** Each channel begins with its port, as two bytes. */
const PORT_BYTES = 2;

export class ChannelFraming implements Framing {
  readonly protocol = CHANNEL_PROTOCOL;
  readonly opening = [];
  /** Channel of the message that is arriving; -1: its first byte did not come yet. */
  #channel = -1;
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
    if (start) this.#channel = -1;
    let bytes = piece;
    if (this.#channel < 0) {
      const [channel] = bytes;
      if (channel === undefined) return;
      this.#channel = channel;
      bytes = bytes.subarray(1);
    }
    const skip = Math.min(this.#toSkip[this.#channel] ?? 0, bytes.length);
    if (skip > 0) {
      this.#toSkip[this.#channel] = (this.#toSkip[this.#channel] ?? 0) - skip;
      bytes = bytes.subarray(skip);
    }
    if (bytes.length === 0) return;
    if (this.#channel === 0) sink.data(bytes);
    else if (this.#channel === 1) sink.errorText(bytes);
  }
}
