// Inbound requests as a HAR 1.2 file, which browsers' developer tools and most HTTP tools open. Pure. Secrets are in it only where the
// details show them. Called by the screen. Source: http://www.softwareishard.com/blog/har-12-spec/
import type { InboundRecord, MessageDetail, TrafficDetail } from './types.ts';

const NONE: MessageDetail = {
  line: '',
  headers: [],
  masked: [],
  body: { bytes: 0, kept: 0, type: '', encoding: 'utf8', text: '' },
};

/** Outbound connections have no messages and are left out. */
export function harOf(details: readonly TrafficDetail[], version: string): string {
  const entries = details.flatMap(({ record, request, response }) =>
    record.direction === 'in' && record.method !== null ? [entryOf(record, request ?? NONE, response ?? NONE)] : [],
  );
  const creator = { name: 'kt', version };
  return `${JSON.stringify({ log: { version: '1.2', creator, pages: [], entries } }, null, 2)}\n`;
}

function entryOf(record: InboundRecord, request: MessageDetail, response: MessageDetail): object {
  const wait = record.answerMs ?? record.ms;
  const url = new URL(record.path?.startsWith('/') ? record.path : '/', origin(record.host ?? record.service));
  const httpVersion = record.protocol === 'h2' ? 'HTTP/2' : record.protocol.toUpperCase();
  return {
    startedDateTime: record.time,
    time: record.ms,
    request: {
      method: record.method,
      url: url.href,
      httpVersion,
      cookies: [],
      headers: fields(request),
      queryString: [...url.searchParams].map(([name, value]) => ({ name, value })),
      ...(request.body.bytes === 0 ? {} : { postData: { mimeType: request.body.type, ...contentOf(request) } }),
      headersSize: -1,
      bodySize: request.body.bytes,
    },
    response: {
      status: record.status ?? 0,
      statusText: response.line.split(' ').slice(2).join(' '),
      httpVersion,
      cookies: [],
      headers: fields(response),
      content: { size: response.body.bytes, mimeType: response.body.type, ...contentOf(response) },
      redirectURL: response.headers.find(([name]) => name.toLowerCase() === 'location')?.[1] ?? '',
      headersSize: -1,
      bodySize: response.body.bytes,
    },
    cache: {},
    timings: { send: 0, wait, receive: Math.max(0, record.ms - wait) },
    comment: `${record.caller} → ${record.service} → localhost:${record.local} (${record.reason})${record.error === null ? '' : `; ${record.error}`}`,
  };
}

const fields = ({ headers }: MessageDetail): object[] => headers.map(([name, value]) => ({ name, value }));

function contentOf({ body }: MessageDetail): object {
  const comment = body.bytes > body.kept ? { comment: `the first ${body.kept} of ${body.bytes} bytes` } : {};
  return { text: body.text, ...(body.encoding === 'base64' ? { encoding: 'base64' } : {}), ...comment };
}

/** Host is the caller's word: it may be nothing that a URL can have. */
function origin(host: string): string {
  return URL.canParse(`http://${host}/`) ? `http://${host}/` : 'http://unknown/';
}
