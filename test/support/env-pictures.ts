// The pictures of docs/ide.md: what `kt env` prints for an IDE, by kt's own code, with the values of a made-up laptop. On a terminal, as
// the others (pictures.ts, which calls this); without a session, because its token and ports would be others in each picture.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ENV_FORMATS } from '../../src/modes/env-formats.ts';
import { runEnvironment } from '../../src/modes/run-env.ts';
import { pictureOf } from './picture.ts';
import type { Picture } from './pictures.ts';
import { Terminal } from './terminal.ts';

const COLUMNS = 108;
const FORMATS = [
  ['idea', 'What kt env prints for IntelliJ: one line, to be pasted into the field for environment variables'],
  ['vscode', 'What kt env prints for VS Code: the env of a configuration in launch.json'],
] as const;

function variables(): { set: Record<string, string>; unset: string[] } {
  return runEnvironment({
    base: {},
    broker: { address: '127.0.0.1:41800', token: '(the token of the session)' },
    cidrs: ['10.96.0.0/12', '10.244.0.0/16'],
    suffixes: ['.shop'],
    dns: '127.0.0.1:41801',
    shimsDirectory: '/home/anna/.kt/shims',
    sessionId: 'shop',
    sessionFile: '/run/user/1000/kt/shop.session',
    hostname: 'anna',
  });
}

export async function takeEnvPictures(): Promise<Picture[]> {
  const folder = mkdtempSync(join(tmpdir(), 'kt-pictures-'));
  try {
    const pictures: Picture[] = [];
    for (const [name, title] of FORMATS) {
      const text = `$ kt env --format ${name}\n${ENV_FORMATS[name](variables()).text}\n`;
      const file = join(folder, name);
      writeFileSync(file, text);
      const rows = text.split('\n').reduce((sum, line) => sum + Math.ceil(line.length / COLUMNS), 0);
      const terminal = new Terminal('cat', [file], { cols: COLUMNS, rows: rows + 1 });
      await terminal.exited;
      pictures.push({ name, svg: pictureOf(terminal, title) });
      await terminal.close();
    }
    return pictures;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
