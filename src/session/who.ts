// Who the laptop's user is: the system's name, for local names that must be nobody else's, and the name that colleagues see.
// A uid without a passwd entry (containers, some directories) is no error.
import { userInfo } from 'node:os';

/** Characters of a name that colleagues see. */
const SHOWN_MAX = 63;

export function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return process.env['USER'] || process.env['USERNAME'] || `uid-${process.getuid?.() ?? 0}`;
  }
}

/** On the agent, in birdseye and in refusals. $KT_USER is for machines where everybody has one name (`root` in a container). */
export function shownName(env: NodeJS.ProcessEnv = process.env): string {
  const given = (env['KT_USER'] ?? '').replaceAll(/\p{C}/gu, '').trim();
  return given === '' ? userName() : given.slice(0, SHOWN_MAX);
}
