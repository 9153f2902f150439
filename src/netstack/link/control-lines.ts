// Reads a control stream as lines, with a limit: the same at both ends of a link. What a line means is control.codec.ts.
// Called by link.ts and by agent/ingress/sessions.ts.
import type { MuxStream } from '../mux/stream.ts';
import { CONTROL_LINE_MAX } from './control.codec.ts';

/** Calls `onLine` with each line until the stream is destroyed, `onTooLong` for one that does not end. */
export function readControlLines(control: MuxStream, onLine: (text: string) => void, onTooLong: () => void): void {
  let held = '';
  control.setEncoding('utf8');
  control.on('data', (chunk: string) => {
    const lines = (held + chunk).split('\n');
    held = lines.pop() ?? '';
    if (held.length > CONTROL_LINE_MAX) onTooLong();
    for (const text of lines) {
      if (control.destroyed) return;
      onLine(text);
    }
  });
}
