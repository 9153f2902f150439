// `kt env`: prints what `kt run` would set, in the form a shell, a .env file or an IDE takes: eval "$(kt env)".
// What it prints holds the broker's token, which lives as long as the session.
import { KtError } from '../../errors.ts';
import { environmentOf } from '../../modes/run.ts';
import { ask, findSession } from '../../session/control-client.ts';
import type { JoinInfo } from '../../session/session.ts';
import type { Arguments } from '../options.ts';
import { outputOf } from '../output.ts';

const FORMATS: Readonly<
  Record<string, { set: (name: string, value: string) => string; unset: (name: string) => string }>
> = {
  sh: { set: (name, value) => `export ${name}='${value.replaceAll("'", "'\\''")}'`, unset: (name) => `unset ${name}` },
  dotenv: {
    set: (name, value) => `${name}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`,
    unset: (name) => `${name}=`,
  },
  powershell: {
    set: (name, value) => `$env:${name} = '${value.replaceAll("'", "''")}'`,
    unset: (name) => `Remove-Item Env:${name} -ErrorAction SilentlyContinue`,
  },
};

export async function env(args: Arguments): Promise<number> {
  const output = outputOf(args);
  try {
    const session = await findSession({
      namespace: args['namespace'] as string | undefined,
      context: args['context'] as string | undefined,
    });
    if (!session)
      throw new KtError('SESSION_NONE', 'no session whose environment could be printed', {
        hint: 'start one with `kt connect`',
      });
    const { set, unset } = environmentOf(await ask<JoinInfo>(session.path, { ask: 'join' }), process.env);
    const format = FORMATS[String(args['format'])];
    if (output.json || !format) process.stdout.write(`${JSON.stringify({ set, unset })}\n`);
    else
      output.result({ set, unset }, [
        ...Object.entries(set).map(([name, value]) => format.set(name, value)),
        ...unset.map(format.unset),
      ]);
    return 0;
  } catch (error) {
    return output.failure(error);
  }
}
