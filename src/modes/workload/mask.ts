// Values of variables as they may be shown: what came from a Secret, what is called like a secret, and passwords in addresses are
// masked. Pure. Called by whatever prints a workload's environment.

const MASK = '••••';
/** Characters of a value that are shown. */
const SHOWN_MAX = 120;
const SECRET_NAME =
  /(pass(word|wd|phrase)?|pwd|secret|token|credential|private|api_?key|access_?key|auth|cookie|salt|sign(ing)?_?key|dsn)/i;

export function masked({ name, value, secret }: { name: string; value: string; secret: boolean }): string {
  if (value === '') return '';
  if (secret || SECRET_NAME.test(name)) return MASK;
  const shown = value
    .replaceAll(/(\/\/[^/\s:@]*:)[^/\s@]+@/g, `$1${MASK}@`)
    .replaceAll(/([?&;,\s](?:[\w.-]*(?:password|passwd|pwd|token|secret|key))=)[^&;,\s]+/gi, `$1${MASK}`)
    .replaceAll(/[\r\n]+/g, ' ⏎ ');
  return shown.length > SHOWN_MAX ? `${shown.slice(0, SHOWN_MAX)}…` : shown;
}
