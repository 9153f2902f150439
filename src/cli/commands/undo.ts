// `kt undo`: takes back the last thing that kt changed in the cluster from this laptop and that still has an effect: the Service that was taken last, else
// what sessions that died left. It is `kt release NAME` or `kt recover`, looked up, and says which.
import { findSessions } from '../../session/control-client.ts';
import type { Arguments } from '../arguments.ts';
import { outputOf } from '../output.ts';
import { recover } from './recover.ts';
import { release } from './release.ts';

export async function undo(args: Arguments, version: string): Promise<number> {
  const output = outputOf(args);
  try {
    const holds = (await findSessions()).flatMap(({ status }) => status.holds);
    const [last] = holds.toSorted((one, other) => Date.parse(other.since) - Date.parse(one.since));
    // To standard error: the answer is the command's.
    process.stderr.write(`same as: ${last ? `kt release ${last.service}` : 'kt recover'}\n`);
    return last ? await release({ ...args, name: [last.service] }) : await recover(args, version);
  } catch (error) {
    return output.failure(error);
  }
}
