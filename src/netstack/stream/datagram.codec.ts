// UDP datagrams on a mux stream: each one with its length (2 bytes, big endian) in front, as DNS over TCP does (RFC 1035 §4.2.2).
// Sans-io; used by the agent's egress and by netstack/link/agent-dialer.ts.

/** The largest UDP payload over IPv4 (RFC 768: 65,535 less the two headers). */
export const DATAGRAM_BYTES_MAX = 65_507;

/** The datagram with its length in front. Throws RangeError over DATAGRAM_BYTES_MAX. */
export function encodeDatagram(datagram: Uint8Array): Buffer {
  if (datagram.length > DATAGRAM_BYTES_MAX)
    throw new RangeError(`a datagram of ${datagram.length} bytes does not fit UDP`);
  const framed = Buffer.allocUnsafe(2 + datagram.length);
  framed.writeUInt16BE(datagram.length, 0);
  framed.set(datagram, 2);
  return framed;
}

/** Takes bytes as they come, gives whole datagrams. Holds at most one unfinished datagram (64 KiB). */
export class DatagramDecoder {
  #held: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): Buffer[] {
    let bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const datagrams: Buffer[] = [];
    while (bytes.length >= 2) {
      const length = bytes.readUInt16BE(0);
      if (bytes.length < 2 + length) break;
      datagrams.push(bytes.subarray(2, 2 + length));
      bytes = bytes.subarray(2 + length);
    }
    this.#held = bytes;
    return datagrams;
  }
}
