// An inbound request as a curl command for a POSIX shell, addressed to the local app. Pure. Secrets are in it only where the detail shows
// them. Called by the screen.
import type { TrafficDetail } from './types.ts';

/** What curl says by itself, or what belongs to the connection that was. */
const LEFT_OUT =
  /^(content-length|connection|keep-alive|transfer-encoding|expect|proxy-connection|te|trailer|upgrade)$/i;

/** Undefined where there is no request to show: outbound, or not HTTP. */
export function curlOf({ record, request }: TrafficDetail): string | undefined {
  if (record.direction !== 'in' || request === null) return undefined;
  const [method = 'GET', path = '/'] = request.line.split(' ');
  const { body } = request;
  const words = ['curl'];
  if (record.protocol === 'h2') words.push('--http2-prior-knowledge');
  if (method === 'HEAD') words.push('--head');
  else if (method !== (body.bytes > 0 ? 'POST' : 'GET')) words.push('-X', quoted(method));
  words.push(quoted(`http://localhost:${record.local}${path.startsWith('/') ? path : ''}`));
  const fields = request.headers.filter(([name]) => !LEFT_OUT.test(name) && !name.startsWith(':'));
  // Without this curl would call a body a form.
  const named = body.bytes === 0 || fields.some(([name]) => name.toLowerCase() === 'content-type');
  // `-H 'X;'` is a field without a value.
  for (const [name, value] of fields) words.push('-H', quoted(value === '' ? `${name};` : `${name}: ${value}`));
  if (!named) words.push('-H', quoted('Content-Type:'));
  if (body.bytes === 0) return words.join(' ');
  const cut = body.bytes > body.kept ? `\n# the first ${body.kept} of ${body.bytes} bytes of the body are known` : '';
  if (body.encoding === 'base64')
    return `printf %s ${quoted(body.text)} | base64 -d | ${[...words, '--data-binary', '@-'].join(' ')}${cut}`;
  return `${[...words, '--data-raw', quoted(body.text)].join(' ')}${cut}`;
}

const quoted = (text: string): string =>
  /^[\w./:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
