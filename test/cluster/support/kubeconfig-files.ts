// Writes kubeconfigs into a folder of their own, which goes with the test.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A function that writes a file into a new folder and gives its path. */
export function folder(): (name: string, content: string) => string {
  const path = mkdtempSync(join(tmpdir(), 'kt-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return (name, content) => {
    const file = join(path, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    return file;
  };
}

/** A kubeconfig of one context; `cluster`, `user` and `context` are YAML flow mappings without their braces. */
export function kubeconfig({
  cluster = 'server: "https://127.0.0.1:1"',
  user = '',
  context = 'cluster: c, user: u',
} = {}): string {
  return [
    'apiVersion: v1',
    'kind: Config',
    'current-context: dev',
    `contexts: [{name: dev, context: {${context}}}]`,
    `clusters: [{name: c, cluster: {${cluster}}}]`,
    `users: [{name: u, user: {${user}}}]`,
    '',
  ].join('\n');
}
