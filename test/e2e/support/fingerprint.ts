// A hash of everything on the laptop that kt must not touch: routes, rules, interfaces, /etc, resolver, firewall, system proxy.
// Read as root by the test; kt itself runs without rights. Used by untouched.test.ts.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const COMMANDS: readonly (readonly string[])[] = [
  ['ip', '-o', 'route', 'show', 'table', 'all'],
  ['ip', '-o', 'rule'],
  ['ip', '-o', 'addr'],
  ['ip', '-o', 'tuntap'],
  ['nft', 'list', 'ruleset'],
];
const FILES = [
  '/etc/hosts',
  '/etc/resolv.conf',
  '/etc/nsswitch.conf',
  '/etc/environment',
  '/proc/sys/net/ipv4/ip_forward',
  '/proc/sys/net/ipv4/ip_unprivileged_port_start',
];

function output(command: readonly string[]): string {
  const [file = '', ...args] = command;
  try {
    // Lifetimes of addresses count down by themselves.
    return execFileSync(file, [...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).replaceAll(
      /(valid|preferred)_lft \S+/g,
      '',
    );
  } catch (error) {
    return `none: ${(error as NodeJS.ErrnoException).code ?? 'failed'}`;
  }
}

function etc(): string {
  const hash = createHash('sha256');
  for (const entry of readdirSync('/etc', { recursive: true, withFileTypes: true }).toSorted((a, b) =>
    join(a.parentPath, a.name).localeCompare(join(b.parentPath, b.name)),
  )) {
    if (!entry.isFile()) continue;
    hash.update(join(entry.parentPath, entry.name)).update(readFileSync(join(entry.parentPath, entry.name)));
  }
  return hash.digest('hex');
}

/** One line per thing, so that a difference names itself. */
export function fingerprint(): Record<string, string> {
  const hash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);
  return {
    ...Object.fromEntries(COMMANDS.map((command) => [command.join(' '), hash(output(command))])),
    ...Object.fromEntries(FILES.map((file) => [file, hash(readFileSync(file, 'utf8'))])),
    '/etc': etc(),
  };
}
