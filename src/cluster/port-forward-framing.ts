// What a port-forward's websocket messages hold: the one stream of bytes, and the runtime's error text beside it. Two ways to say it:
// channel-framing.codec.ts (websocket down to the container runtime) and tunnel-framing.codec.ts (SPDY within the websocket).
// Both are sans-io; port-forward-stream.ts moves their bytes.

export interface FramingSink {
  data(bytes: Buffer): void;
  /** A piece of the text that says why the other side ends. */
  errorText(bytes: Buffer): void;
  /** The other side's end, where the framing has a sign for it. `reset`: it broke off. */
  end(reset: boolean): void;
  /** A message to send now. */
  reply(message: Buffer): void;
  violation(message: string): void;
}

export interface Framing {
  /** The websocket's subprotocol. */
  readonly protocol: string;
  /** Messages to send before all others. */
  readonly opening: readonly Buffer[];
  /** Goes in front of `length` bytes of data, in one message with them. */
  header(length: number): Buffer;
  /** A message that carries no data. */
  keepAlive(): Buffer;
  /** A piece of a message; `start`: its first one. */
  receive(piece: Buffer, start: boolean, sink: FramingSink): void;
}
