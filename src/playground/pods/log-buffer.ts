// The last output of a container, line by line with the time of each, within a limit. Readers may follow.
// Sans-io; filled by pods/container.ts, read by api/log.ts.

/** Of one container; the oldest lines go first. */
const BYTES_MAX = 256 * 1024;
/** A longer line is cut into pieces, as the kubelet does at 16 KiB. */
const LINE_MAX = 16 * 1024;

export interface LogLine {
  readonly at: Date;
  /** With its newline, where it had one. */
  readonly text: string;
}

export class LogBuffer {
  readonly #lines: LogLine[] = [];
  readonly #followers = new Set<(line: LogLine | undefined) => void>();
  #bytes = 0;
  #partial = '';
  #ended = false;

  get ended(): boolean {
    return this.#ended;
  }

  append(text: string, at = new Date()): void {
    this.#partial += text;
    for (let cut = this.#cut(); cut > 0; cut = this.#cut()) {
      this.#push({ at, text: this.#partial.slice(0, cut) });
      this.#partial = this.#partial.slice(cut);
    }
  }

  /** The container has exited: what is left without a newline is a line too, and followers are told. */
  end(): void {
    if (this.#partial !== '') this.#push({ at: new Date(), text: this.#partial });
    this.#partial = '';
    this.#ended = true;
    for (const follower of this.#followers) follower(undefined);
    this.#followers.clear();
  }

  lines(): readonly LogLine[] {
    return this.#lines;
  }

  /** Called with each new line, and once with undefined at the end. Returns the way to stop. */
  follow(follower: (line: LogLine | undefined) => void): () => void {
    if (this.#ended) follower(undefined);
    else this.#followers.add(follower);
    return () => this.#followers.delete(follower);
  }

  #cut(): number {
    const newline = this.#partial.indexOf('\n');
    if (newline >= 0 && newline < LINE_MAX) return newline + 1;
    return this.#partial.length >= LINE_MAX ? LINE_MAX : 0;
  }

  #push(line: LogLine): void {
    this.#lines.push(line);
    this.#bytes += line.text.length;
    while (this.#bytes > BYTES_MAX) this.#bytes -= this.#lines.shift()?.text.length ?? this.#bytes;
    for (const follower of this.#followers) follower(line);
  }
}
