// A program's output as lines with its name in front, on a terminal that several programs share. Reads no faster than the terminal takes, and holds no more than
// one line of each stream. Called by programs.ts.
import type { Readable, Writable } from 'node:stream';

/** Characters of a line after which it is broken: a program may write for ever without a newline. */
const LINE_MAX = 64 * 1024;

/** Until the source ends; what stands behind its last newline is a line too. `sink` may be gone (`kt up | head`): then it is read and dropped. */
export function prefixLines(source: Readable, prefix: string, sink: Writable): void {
  let held = '';
  const say = (line: string): void => {
    if (!sink.destroyed) sink.write(`${prefix}${line}\n`);
  };
  source.setEncoding('utf8');
  source.on('data', (chunk: string) => {
    const lines = (held + chunk).split('\n');
    held = lines.pop() ?? '';
    for (const line of lines) say(line.endsWith('\r') ? line.slice(0, -1) : line);
    for (; held.length > LINE_MAX; held = held.slice(LINE_MAX)) say(held.slice(0, LINE_MAX));
    if (sink.writableNeedDrain && !sink.destroyed) waitForSink(source, sink);
  });
  source.once('end', () => {
    if (held !== '') say(held);
  });
}

function waitForSink(source: Readable, sink: Writable): void {
  source.pause();
  const goOn = (): void => {
    sink.off('drain', goOn).off('close', goOn).off('error', goOn);
    source.resume();
  };
  sink.on('drain', goOn).on('close', goOn).on('error', goOn);
}
