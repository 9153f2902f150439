// `kt completion SHELL`: prints the script that makes a shell complete kt's commands, flags and live names.

import type { Arguments } from '../arguments.ts';
import { completionScript, type Shell } from '../completion/scripts.ts';

export async function completion(args: Arguments): Promise<number> {
  console.log(completionScript(args['shell'] as Shell));
  return 0;
}
