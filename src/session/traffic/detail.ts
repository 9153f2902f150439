// The detail of a record as a view gets it: heads with secrets hidden, the beginning of each body as text or base64. Pure.
// Called by journal.ts and replay.ts.
import type { Entry } from './entry.ts';
import type { SeenMessage } from './sample.ts';
import { HIDDEN, hideBody, hidePath, isSecret } from './secrets.ts';
import type { BodyDetail, MessageDetail, TrafficDetail } from './types.ts';

/** Bytes of a body that are shown. */
const SHOWN = 1024;

export function detailOf(entry: Entry, reveal: boolean): TrafficDetail {
  const { record, request, response } = entry;
  return {
    record,
    request: request ? messageDetail(request, reveal) : null,
    response: response ? messageDetail(response, reveal) : null,
  };
}

export function messageDetail({ line, headers, body }: SeenMessage, reveal: boolean): MessageDetail {
  const masked = reveal ? [] : headers.map(([name]) => name).filter(isSecret);
  const field = (wanted: string): string => headers.find(([name]) => name.toLowerCase() === wanted)?.[1] ?? '';
  return {
    line: reveal
      ? line
      : line
          .split(' ')
          .map((word, at) => (at === 1 ? hidePath(word) : word))
          .join(' '),
    headers: headers.map(([name, value]) => [name, masked.includes(name) ? HIDDEN : value]),
    masked: [...new Set(masked)],
    body: bodyDetail(body, field('content-type'), field('content-encoding'), reveal),
  };
}

function bodyDetail(body: SeenMessage['body'], type: string, coding: string, reveal: boolean): BodyDetail {
  const start = body.content.subarray(0, SHOWN);
  const text = coding === '' || coding === 'identity' ? utf8(start, body.bytes > start.length) : undefined;
  const common = { bytes: body.bytes, kept: start.length, type };
  if (text === undefined) return { ...common, encoding: 'base64', text: start.toString('base64') };
  return { ...common, encoding: 'utf8', text: reveal ? text : hideBody(text, type) };
}

/** Undefined: no text. `cut`: the last character may be a part of one. */
function utf8(bytes: Buffer, cut: boolean): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes, { stream: cut });
    // Control characters are no text, and a terminal would obey them.
    // oxlint-disable-next-line no-control-regex
    return /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}
