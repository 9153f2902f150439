// Splits bytes into lines with a limit. Sans-io: no stream, no JSON. Called by watch.ts; a watch sends one JSON document a line.

export class LineTooLong extends Error {
  constructor(limit: number) {
    super(`a line of more than ${limit} bytes`);
    this.name = 'LineTooLong';
  }
}

const LINE_FEED = 0x0a;

export class LineSplitter {
  readonly #limit: number;
  #pieces: Buffer[] = [];
  #length = 0;

  /** `limit`: bytes of one line. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The lines that are whole now, without their line feed; empty ones are left out. Throws LineTooLong. */
  push(chunk: Buffer): string[] {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      this.#keep(chunk.subarray(start, end));
      if (this.#length > 0) lines.push(Buffer.concat(this.#pieces, this.#length).toString('utf8'));
      this.#pieces = [];
      this.#length = 0;
      start = end + 1;
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start));
    return lines;
  }

  #keep(piece: Buffer): void {
    this.#length += piece.length;
    if (this.#length > this.#limit) throw new LineTooLong(this.#limit);
    this.#pieces.push(piece);
  }
}
