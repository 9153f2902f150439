// Every key and what it does, by view: what the hints, the help and the machine agree on. Pure.
import type { ViewId } from './machine/ui.ts';

export interface KeyHelp {
  readonly key: string;
  /** For the line of hints. */
  readonly short: string;
  /** For the help. */
  readonly long: string;
}

const key = (name: string, short: string, long: string): KeyHelp => ({ key: name, short, long });

const LIST: readonly KeyHelp[] = [
  key('enter', 'detail', 'the picked row in full'),
  key('/', 'filter', 'only rows with a text in them; esc shows all again'),
];

export const VIEW_KEYS: Readonly<Record<ViewId, readonly KeyHelp[]>> = {
  services: [
    key('e', 'exchange', 'all its requests come to this laptop'),
    key('m', 'mesh', 'only requests with a header come here'),
    key('p', 'preview', 'a new Service that leads to this laptop'),
    key('f', 'forward', 'a local port that leads to it'),
    key('r', 'release', 'give it back; where its holder is gone: recover it'),
    key('t', 'take over', 'take it from whoever holds it; they are told'),
    ...LIST,
    key('o', 'route', 'which way its name goes, and why'),
  ],
  traffic: [
    key('enter', 'detail', 'headers and the first KiB of the bodies'),
    key('c', 'curl', 'copy the request as a curl command'),
    key('R', 'replay', 'send the request to the local port again, and compare the answers'),
    key('v', 'secrets', 'in the detail: show what is masked'),
    key('space', 'pause', 'stop the list where it is; the rest is kept'),
    key('/', 'filter', 'path:/api status:>=500 dir:in via:cluster, or any text'),
    key('s', 'save', 'the shown requests as a HAR file'),
    key('x', 'clear', 'forget what was recorded'),
  ],
  programs: [
    key('e', 'environment', 'what a program in the session has that others have not'),
    key('f', 'forward', 'a local port that leads into the cluster'),
    key('r', 'release', 'stop forwarding the picked port'),
    key('/', 'filter', 'only rows with a text in them'),
  ],
  log: [key('/', 'filter', 'only lines with a text in them'), key('G', 'latest', 'follow the latest line again')],
  doctor: [key('r', 'run', 'look at everything again')],
};

export const GLOBAL_KEYS: readonly KeyHelp[] = [
  key('1 … 5', '', 'Services, Traffic, Programs, Log, Doctor; tab goes to the next one'),
  key('↑ ↓ k j', '', 'move; PgUp, PgDn, g and G for more'),
  key(':', 'command', 'a command: exchange orders 8080, route db, ns other, stop …'),
  key('n', 'namespace', 'another namespace or context'),
  key('?', 'help', 'this page'),
  key('esc', '', 'back: closes what is open, then the filter'),
  key('q', 'quit', 'leave; asks where somebody’s traffic would be affected'),
];
