// The name of the laptop's user, for labels and local names only. A uid without a passwd entry (containers, some directories) is no error.
import { userInfo } from 'node:os';

export function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return process.env['USER'] || process.env['USERNAME'] || `uid-${process.getuid?.() ?? 0}`;
  }
}
