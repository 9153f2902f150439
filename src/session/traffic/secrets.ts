// Hides what must not be seen over a shoulder or in a shared file: values of header fields, query parameters and body fields whose names say
// that they are secrets. By names only: a secret under an innocent name is shown. Pure; used for records, details, curl and HAR.

export const HIDDEN = '•••';

const SECRET =
  'authorization|cookie|passw|secret|token|api[-_]?key|credential|signature|session[-_]?id|private[-_]?key';
const NAME = new RegExp(`${SECRET}|^x-auth|^auth$|^sig$|^pwd$`, 'i');
const JSON_FIELD = new RegExp(
  `("[^"\\\\]{0,64}(?:${SECRET})[^"\\\\]{0,64}"\\s*:\\s*)(?:"(?:[^"\\\\]|\\\\.)*(?:"|$)|[^\\s",\\]}]+)`,
  'gi',
);

export const isSecret = (name: string): boolean => NAME.test(name);

/** A path with its query. */
export function hidePath(path: string): string {
  const at = path.indexOf('?');
  return at < 0 ? path : path.slice(0, at + 1) + hideParameters(path.slice(at + 1));
}

function hideParameters(text: string): string {
  return text
    .split('&')
    .map((pair) => {
      const at = pair.indexOf('=');
      return at >= 0 && isSecret(pair.slice(0, at)) ? `${pair.slice(0, at)}=${HIDDEN}` : pair;
    })
    .join('&');
}

/** The beginning of a body; `type` is its Content-Type. */
export function hideBody(text: string, type: string): string {
  if (/x-www-form-urlencoded/i.test(type)) return hideParameters(text);
  const json = /json/i.test(type) || (type === '' && /^\s*[[{]/.test(text));
  return json ? text.replace(JSON_FIELD, `$1"${HIDDEN}"`) : text;
}
