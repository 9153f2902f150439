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
  // Joined only when the datagram is whole: a peer that sends single bytes must not make us copy 64 KiB for each.
  #chunks: Buffer[] = [];
  #held = 0;
  /** Bytes of the unfinished datagram with its length; 2 while that is not known. */
  #wanted = 2;

  push(chunk: Buffer): Buffer[] {
    if (chunk.length > 0) this.#chunks.push(chunk);
    this.#held += chunk.length;
    const datagrams: Buffer[] = [];
    if (this.#held < this.#wanted) return datagrams;
    let bytes = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
    this.#wanted = 2;
    while (bytes.length >= 2) {
      this.#wanted = 2 + bytes.readUInt16BE(0);
      if (bytes.length < this.#wanted) break;
      datagrams.push(bytes.subarray(2, this.#wanted));
      bytes = bytes.subarray(this.#wanted);
      this.#wanted = 2;
    }
    this.#chunks = bytes.length > 0 ? [bytes] : [];
    this.#held = bytes.length;
    return datagrams;
  }
}
