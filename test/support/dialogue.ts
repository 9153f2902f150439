// A program that answers each line of its standard input with one line: asked line by line. For test/fixtures/ask-again.
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface Dialogue {
  readonly child: ChildProcess;
  /** Whole lines, so far. */
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Rejects when the program ends instead. */
  ask(line: string): Promise<string>;
  /** Resolves with the exit code. */
  end(): Promise<number | null>;
}

export function startDialogue(command: readonly string[], options: SpawnOptions): Dialogue {
  const [file = '', ...args] = command;
  const child = spawn(file, args, { ...options, stdio: ['pipe', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr?.on('data', (piece: Buffer) => (stderr += String(piece)));
  child.stdin?.on('error', () => undefined);
  const waiting: ((line: string) => void)[] = [];
  let stdout = '';
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    stdout += `${line}\n`;
    waiting.shift()?.(line);
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  return {
    child,
    stdout: () => stdout,
    stderr: () => stderr,
    ask: (line) => {
      const answer = new Promise<string>((resolve) => waiting.push(resolve));
      child.stdin?.write(`${line}\n`);
      const gone = ended.then((code) => {
        throw new Error(`the program ended with ${code}: ${stderr}`);
      });
      return Promise.race([answer, gone]);
    },
    end: () => {
      child.stdin?.end();
      return ended;
    },
  };
}
