// An overview as lines for a terminal. Pure. The data itself is session/overview.ts. Called by commands/birdseye.ts.
import type { Connector, Overview, Person, ServiceLine, ServiceState, ServiceUser } from '../../session/overview.ts';

export interface BirdseyeOptions {
  readonly sortBy: 'status' | 'name';
  readonly showConnector: boolean;
  /** Leaves Services out that nobody has taken. */
  readonly hideNatural: boolean;
}

const ORDER: readonly ServiceState[] = ['exchanged', 'meshed', 'previewing', 'normal'];

/** Sorted, and without what the user does not want to see: for --output json too. */
export function arrange(overview: Overview, { sortBy, showConnector, hideNatural }: BirdseyeOptions): Overview {
  const byName = (one: ServiceLine, other: ServiceLine): number => (one.name < other.name ? -1 : 1);
  const byState = (one: ServiceLine, other: ServiceLine): number =>
    ORDER.indexOf(one.state) - ORDER.indexOf(other.state) || byName(one, other);
  return {
    ...overview,
    services: overview.services
      .filter((service) => !hideNatural || service.state !== 'normal' || service.notes.length > 0)
      .toSorted(sortBy === 'name' ? byName : byState),
    connected: showConnector ? overview.connected : [],
  };
}

/** `now` in milliseconds. */
export function birdseyeLines(overview: Overview, options: BirdseyeOptions, now: number): string[] {
  const { services, connected, namespace } = arrange(overview, options);
  const taken = overview.services.filter(({ state }) => state !== 'normal').length;
  const rows = services.map((service): readonly string[] => [
    service.name,
    service.type,
    service.ports.map(portText).join(', '),
    readyText(service),
    stateText(service, now),
  ]);
  const notes = new Map(services.map(({ name, notes: texts }) => [name, texts]));
  const lines = rows.length === 0 ? [] : table([['SERVICE', 'TYPE', 'PORTS', 'READY', 'STATE'], ...rows]);
  return [
    `${namespace}: ${overview.services.length} Services, ${taken} taken`,
    ...lines.flatMap((line, index) => {
      const name = rows[index - 1]?.[0] ?? '';
      return [`  ${line}`, ...(notes.get(name) ?? []).map((note) => `    ! ${note}`)];
    }),
    ...(options.showConnector ? connectorLines(connected, now) : []),
  ];
}

function connectorLines(connected: readonly Connector[] | null, now: number): string[] {
  if (connected === null) return ['Connected: not known, pods may not be listed'];
  if (connected.length === 0) return ['Connected: nobody'];
  return [
    `Connected: ${connected.length}`,
    ...connected.map((one) => {
      const active = one.lastActive === null ? '' : `, last active ${ago(one.lastActive, now)} ago`;
      const since = one.since === null ? '' : ` for ${ago(one.since, now)}`;
      return `  ${personText(one)}${since}${active}  (${one.pod}${one.tool === 'kt-connect' ? ', kt-connect' : ''})`;
    }),
  ];
}

const personText = ({ user, host }: Person): string => (host === null ? user : `${user}@${host}`);

function stateText({ state, by }: ServiceLine, now: number): string {
  const users = by.map((user) => userText(user, now)).join(', ');
  return users === '' ? state : `${state} by ${users}`;
}

function userText(user: ServiceUser, now: number): string {
  const facts = [
    ...(user.mark === null ? [] : [user.mark]),
    ...(user.since === null ? [] : [`for ${ago(user.since, now)}`]),
    ...(user.live === false ? ['laptop not there'] : []),
    ...(user.tool === 'kt-connect' ? ['kt-connect'] : []),
  ];
  return `${personText(user)}${facts.length === 0 ? '' : ` (${facts.join(', ')})`}`;
}

function portText({ port, name, protocol, targetPort }: ServiceLine['ports'][number]): string {
  const target = targetPort === port ? '' : `→${targetPort}`;
  return `${name === null ? '' : `${name} `}${port}${target}${protocol === 'TCP' ? '' : `/${protocol.toLowerCase()}`}`;
}

function readyText({ ready, originReady, type }: ServiceLine): string {
  if (type === 'ExternalName') return '-';
  if (ready === null) return '?';
  return originReady === null ? String(ready) : `${ready} (original ${originReady})`;
}

/** `12 s`, `5 min`, `3 h`, `2 d`. Clocks differ: never below 0. */
function ago(time: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** Columns as wide as their widest cell; the last one as it is. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('  '),
  );
}
