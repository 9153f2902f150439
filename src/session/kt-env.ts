// The environment of a kt that kt starts: the janitor's commands, the programs of a session file. Called by session.ts, cli/inbound.ts and cli/commands/up.ts.
import { resolve } from 'node:path';

/** With the PAC file too: not as a flag, for its URL may hold a password. A path holds in every folder. */
export function ktEnv({ pac }: { readonly pac?: string | undefined }): NodeJS.ProcessEnv {
  if (!pac) return process.env;
  return { ...process.env, KT_PAC: /^[a-z]+:\/\//i.test(pac) ? pac : resolve(pac) };
}
