// Does a process of this machine live? Called where something is kept for one: session files, attached programs, folders of workloads, `kt stop`.

/** Also true for a process of another user, which can't be signalled. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
