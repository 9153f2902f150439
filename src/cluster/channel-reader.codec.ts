// Takes the channel off the messages of `v4.channel.k8s.io`: the first byte of each message is the channel, however the message is cut. Sans-io.
// What the channels mean is for who uses it: channel-framing.codec.ts (port-forward), ways/exec.ts
// and exec-output.codec.ts.

/** Every supported version knows it; of an exec the next one adds only a sign for the end of stdin. */
export const CHANNEL_PROTOCOL = 'v4.channel.k8s.io';

export class ChannelReader {
  /** Channel of the message that is arriving; -1: its first byte did not come yet. */
  channel = -1;

  /** What is on `channel` of a piece of a message; `start`: its first one. */
  read(piece: Buffer, start: boolean): Buffer {
    if (start) this.channel = -1;
    const [first] = piece;
    if (this.channel >= 0 || first === undefined) return piece;
    this.channel = first;
    return piece.subarray(1);
  }
}
