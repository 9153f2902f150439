// `SPDY/3.1+portforward.k8s.io`: a SPDY connection cut into websocket messages anywhere (KEP-4006, Kubernetes 1.30 and newer). It ends in the API
// server, which speaks SPDY to the runtime: cheaper there than the channels, several times so for uploads. SPDY as spoken there has no flow control and
// one stream that is not read stops all, so a tunnel carries one stream of data, and TCP's back-pressure holds. Used by upgrade.ts.
import { dataHeader, ping, SpdyParser, type SpdySink, synStream } from '../netstack/spdy/frame.codec.ts';
import type { Framing, FramingSink } from './port-forward-framing.ts';

/** Without a websocket around it, the same streams are called so. */
export const BARE_PROTOCOL = 'portforward.k8s.io';
export const TUNNEL_PROTOCOL = `SPDY/3.1+${BARE_PROTOCOL}`;
/** Streams of a client have odd ids. The runtime waits for both of a request before it dials. */
const ERROR_STREAM = 1;
const DATA_STREAM = 3;

export class TunnelFraming implements Framing {
  readonly protocol = TUNNEL_PROTOCOL;
  readonly opening: readonly Buffer[];
  readonly #parser: SpdyParser;
  #sink: FramingSink | undefined;
  #pings = 0;
  #failed = false;

  constructor(port: number) {
    const fields = (streamtype: string): Record<string, string> => ({ streamtype, port: String(port), requestid: '0' });
    this.opening = [synStream(ERROR_STREAM, fields('error'), true), synStream(DATA_STREAM, fields('data'), false)];
    const sink: SpdySink = {
      data: (id, piece) => {
        if (id === DATA_STREAM) this.#sink?.data(piece);
        else if (id === ERROR_STREAM) {
          this.#failed = true;
          this.#sink?.errorText(piece);
        }
      },
      // A runtime that could not connect says why and ends that stream; the data's may stay open.
      end: (id, reset) => (id === DATA_STREAM || this.#failed) && this.#sink?.end(reset),
      // Ours have odd numbers and want no answer.
      ping: (number) => number % 2 === 0 && this.#sink?.reply(ping(number)),
      goAway: () => undefined,
      violation: (message) => this.#sink?.violation(message),
    };
    this.#parser = new SpdyParser(sink);
  }

  header(length: number): Buffer {
    return dataHeader(DATA_STREAM, length);
  }

  keepAlive(): Buffer {
    this.#pings = (this.#pings + 1) % 0x4000_0000;
    return ping(this.#pings * 2 - 1);
  }

  receive(piece: Buffer, _start: boolean, sink: FramingSink): void {
    this.#sink = sink;
    this.#parser.push(piece);
  }
}
