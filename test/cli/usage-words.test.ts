// The command line's mistakes in words that help: yargs itself says them here.
import { expect, test } from 'vitest';
import { run } from '../../src/cli/parse.ts';

test.each([
  ['env --format x', "format takes shell, powershell, cmd, dotenv, idea, vscode, json, sh and got 'x'"],
  ['completion ksh', "shell takes bash, zsh, fish, powershell and got 'ksh'"],
  ['route', 'kt route needs one word more'],
  ['config', 'kt config needs one word more'],
  ['conect', 'Did you mean connect?'],
  ['status --all', 'Unknown argument: all'],
])('kt %s', async (line, message) => {
  await expect(run(line.split(' '), '0.0.0')).rejects.toMatchObject({
    code: 'USAGE',
    message,
    hint: expect.stringContaining('--help') as string,
  });
});
