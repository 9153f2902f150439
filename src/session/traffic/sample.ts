// One message as it passed: its head, how long its body is, and the first bytes of it. Copies what it keeps, so that no buffer of a
// connection lives longer for it. Pure; filled by the observers, read by detail.ts and replay.ts.

export class Sample {
  /** Of the whole body so far. */
  bytes = 0;
  readonly #limit: number;
  #parts: Buffer[] = [];
  #kept = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  push(chunk: Buffer): void {
    this.bytes += chunk.length;
    const room = this.#limit - this.#kept;
    if (room <= 0) return;
    this.#parts.push(Buffer.from(chunk.subarray(0, room)));
    this.#kept += Math.min(room, chunk.length);
  }

  get kept(): number {
    return this.#kept;
  }

  get content(): Buffer {
    if (this.#parts.length > 1) this.#parts = [Buffer.concat(this.#parts)];
    return this.#parts[0] ?? Buffer.alloc(0);
  }
}

export interface SeenMessage {
  /** `GET /api HTTP/1.1`, `HTTP/1.1 200 OK`. */
  readonly line: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Bytes of the head. */
  readonly headBytes: number;
  readonly body: Sample;
}

/** Bytes of memory, about: a head's fields are strings of their own. */
export const weightOf = ({ headBytes, body }: SeenMessage): number => headBytes * 2 + body.kept;

/** The lines of an HTTP/1 head that was read without a doubt. */
export function linesOf(head: Buffer): Omit<SeenMessage, 'body'> {
  const [line = '', ...fields] = head.toString('latin1', 0, head.length - 4).split('\r\n');
  const headers = fields.map((field): [string, string] => {
    const at = field.indexOf(':');
    return [field.slice(0, at), field.slice(at + 1).trim()];
  });
  return { line, headers, headBytes: head.length };
}
