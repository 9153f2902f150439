// Events as plain lines for a terminal: steps with their times, the reason of every wait. Not the data format: ndjson.ts.
import type { Mode, SessionEvent } from '../../session/events.ts';
import { curlLine } from '../../session/login-words.ts';

const time = (ms: number): string => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

const HOW: Readonly<Record<Mode, string>> = {
  agent: '',
  shared: ', through the shared agent',
  agentless: ', without an agent',
};

function comes(mark: string | null, manual = false): string {
  if (mark === null) return 'all requests come';
  return manual ? 'what your rules send to the pod with the label below comes' : 'requests with the header below come';
}

/** The lines of one event; none for what a terminal need not show. */
export function plainLines(event: SessionEvent, verbose: boolean): string[] {
  switch (event.type) {
    case 'step':
      if (event.state === 'done') return [`  ✓ ${event.text}${event.ms === undefined ? '' : `  ${time(event.ms)}`}`];
      if (event.state === 'failed') return [`  ✕ ${event.text}`];
      if (event.state === 'waiting') return [`    waiting: ${event.text}`];
      return verbose ? [`  … ${event.text}`] : [];
    case 'ready':
      return [
        `Connected to ${event.namespace} (${event.context})${HOW[event.mode]}`,
        ...event.reduced.map((sentence) => `  ! ${sentence}`),
        ...(event.proxy === null
          ? []
          : [
              `  proxy  ${event.proxy}  (SOCKS5 and HTTP)    ${curlLine(event.proxy, event.login, 'http://SERVICE')}`,
              `  dns    ${event.dns}`,
              '  run    kt run -- mvn spring-boot:run',
            ]),
        'Press Ctrl-C to end.',
      ];
    case 'link':
      if (event.state === 'up') return ['  ● link up'];
      if (event.state === 'down') return [`  ○ link down: ${event.reason ?? 'no reason given'}; new connections wait`];
      return verbose && event.state === 'retry' ? [`    next try: ${event.reason ?? ''}`] : [];
    case 'holding':
      return [
        `${event.kind === 'preview' ? 'Previewing' : event.kind === 'mesh' ? 'Meshing' : 'Exchanging'} ${event.service}: ${comes(event.mark, event.manual)} to this laptop`,
        ...(event.mark === null ? [] : [`  ${event.mark}`]),
        ...event.ports.map(
          ({ port, local, protocol }) =>
            `  ${event.service}:${port} → localhost:${local}${protocol === 'UDP' ? ' (UDP)' : ''}`,
        ),
        'Press Ctrl-C to end.',
      ];
    case 'kept':
      return keptLines(event);
    case 'inbound':
      if (event.state === 'up') return verbose ? [`  ● link to the agent of ${event.service} up`] : [];
      if (event.state === 'down')
        return [
          `  ○ link to the agent of ${event.service} down: ${event.reason ?? 'no reason given'}; ${event.kind === 'preview' ? 'callers are refused' : 'the original pods answer'} meanwhile`,
        ];
      return [];
    case 'forwarding':
      return [`  ${event.local} → ${event.remote}${event.protocol === 'UDP' ? ' (UDP)' : ''}`];
    case 'evicted':
      return [`  ! ${event.by} took ${event.service} over`];
    case 'released':
      return event.restored
        ? [`  ✓ ${event.service} is ${event.kind === 'preview' ? 'removed' : 'as it was'}`]
        : [`  ✓ ${event.service}: left; still on it: ${event.remaining ?? 'others'}`];
    case 'agent':
      return event.state === 'lost'
        ? [`  ○ agent ${event.pod} is lost: ${event.reason ?? ''}; making another one`]
        : [];
    case 'warning':
      return [`  ! ${event.message}`, ...(event.hint ? [`    ${event.hint}`] : [])];
    case 'error':
      return [`kt: ${event.message}`, ...(event.hint ? [`    ${event.hint}`] : []), `    (${event.code})`];
    case 'debug':
      return verbose ? [`    ${event.message}`] : [];
    case 'environment':
      return environmentLines(event, verbose);
    case 'shim':
      return verbose ? [`    ${event.runtime} ${event.version} (pid ${event.pid}) uses kt`] : [];
    case 'program':
      return verbose ? [`    ${event.command} ${event.state} (pid ${event.pid})`] : [];
    case 'ended':
      // With a code, the error that follows says the reason, and what to do.
      return event.code === undefined ? [`Ended: ${event.reason}`] : [];
    default:
      return [];
  }
}

/** One line, and with `verbose` one for each variable. */
function environmentLines(event: Extract<SessionEvent, { type: 'environment' }>, verbose: boolean): string[] {
  const { variables, serviceLinks, kept, folder } = event;
  const signs = { added: '+', changed: '~', same: '=' } as const;
  const links = serviceLinks > 0 ? ` and ${serviceLinks} of Services` : '';
  const own = kept.length > 0 ? `; the laptop keeps its own ${kept.join(', ')}` : '';
  return [
    `  env    ${event.from} (container ${event.container}): ${variables.length} variables${links}${own}`,
    ...(verbose
      ? variables.map(
          ({ name, state, shown, from }) => `         ${signs[state]} ${name}=${shown}${from ? `  (${from})` : ''}`,
        )
      : []),
    ...(folder === null ? [] : [`  files  ${folder}`]),
  ];
}

function keptLines({ service, callers, reason }: Extract<SessionEvent, { type: 'kept' }>): string[] {
  const lines = callers.map(
    ({ caller, connections, pods }) =>
      `  ! ${caller} keeps ${connections === 1 ? '1 connection' : `${connections} connections`} to ${pods.join(', ')}`,
  );
  if (lines.length > 0) lines.push('    what it asks there stays there until they close; --drain moves them');
  if (reason !== null) lines.push(`  ! whether callers keep connections to pods of ${service} is not known: ${reason}`);
  return lines.length > 0 ? lines : [`  ✓ no caller keeps connections to the original pods of ${service}`];
}
