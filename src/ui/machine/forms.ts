// Which forms there are: how each begins, the action that it asks for, and the command that would do the same. Pure.
import type { Action, HoldWish, PlacesAnswer, PlanAnswer } from '../../session/actions.ts';
import type { SessionState } from '../../session/state.ts';
import type { ServiceRow } from '../views/services.model.ts';
import { type Field, type Form, fault, form, isOn, text, toggle, valueOf } from './form.ts';

type HoldKind = HoldWish['kind'];

const ABOUT: Readonly<Record<HoldKind, readonly string[]>> = {
  exchange: ['All requests come to this laptop. What it does not take at once, the original pods answer.'],
  mesh: ['Only requests with the mark come to this laptop; nobody else notices.'],
  preview: ['A new Service whose requests come to this laptop; nothing that is there changes.'],
};

type Port = ServiceRow['line']['ports'][number];

/** Ports with one target port come to one local port: the agent can't tell them apart. `port:80,443`; empty: they do not come here. */
function portField(ports: readonly Port[], targetPort: number | string): Field {
  const names = ports.map(({ port, name }) => `${port}${name === null ? '' : ` ${name}`}`);
  const label = `${names.join(', ')} → ${targetPort} → local port`;
  const id = `port:${ports.map(({ port }) => port).join(',')}`;
  if (typeof targetPort === 'number') return text(id, label, String(targetPort), 'port');
  // Its pods say the number, and the plan asks them.
  const words = ports.map(({ name }) => name ?? targetPort);
  return text(id, label, '', 'port', words);
}

/** The form with the numbers that only the plan knew. */
export function withPlan(form_: Form, plan: PlanAnswer): Form {
  const fields = form_.fields.map((field) => {
    if (field.type !== 'text' || field.words === undefined) return field;
    const [first] = remotesOf(field);
    const local = plan.ports.find(({ port }) => String(port) === first)?.local;
    return local === undefined ? field : text(field.id, field.label, String(local), field.takes);
  });
  return { ...form_, fields, plan, planProblem: null };
}

const isPort = ({ id }: Field): boolean => id.startsWith('port:');
const remotesOf = ({ id }: Field): string[] => id.slice('port:'.length).split(',');

/** As --expose takes them; none where nothing is written. */
function exposed(form_: Form, field: Field): readonly string[] {
  if (field.type === 'text' && field.words !== undefined) return field.words;
  const local = valueOf(form_, field.id);
  return local === '' ? [] : remotesOf(field).map((remote) => pair(remote, local));
}

export function holdForm(kind: 'exchange' | 'mesh', { line: one, held }: ServiceRow, state: SessionState): Form {
  const others = one.by.filter(({ user, host }) => !(user === state.user && host === state.host));
  const tcp = one.ports.filter(({ protocol }) => protocol === 'TCP');
  const taken = tcp.length > 0 ? tcp : one.ports;
  const ports = [...new Set(taken.map(({ targetPort }) => targetPort))].map((target) =>
    portField(
      taken.filter(({ targetPort }) => targetPort === target),
      target,
    ),
  );
  const names = others.map(({ user, host }) => `${user}${host === null ? '' : `@${host}`}`).join(', ');
  return form({
    kind,
    title: `${kind === 'exchange' ? 'Exchange' : 'Mesh'} ${one.name}`,
    subject: one.name,
    about: [...ABOUT[kind], ...(held ? [`You hold it already (${held.kind}).`] : [])],
    fields: [
      ...(kind === 'mesh' ? [text('mark', 'mark', `VERSION:${state.user ?? 'me'}`, 'mark')] : []),
      ...ports,
      ...(names === '' ? [] : [toggle('takeOver', `take over from ${names}; they are told`)]),
      toggle('drain', 'move callers that keep connections: their pods are replaced, one at a time'),
      toggle('skip', 'nothing listens yet: the original pods answer until something does'),
    ],
  });
}

export function takeOverForm(row: ServiceRow, state: SessionState): Form {
  const begun = holdForm(row.line.state === 'meshed' ? 'mesh' : 'exchange', row, state);
  return {
    ...begun,
    title: `Take ${row.line.name} over`,
    fields: begun.fields.map((field) =>
      field.id === 'takeOver' && field.type === 'toggle' ? { ...field, on: true } : field,
    ),
  };
}

export function previewForm(row: ServiceRow | undefined, state: SessionState): Form {
  const [port] = row?.line.ports ?? [];
  return form({
    kind: 'preview',
    title: 'Preview',
    subject: '',
    about: ABOUT.preview,
    fields: [
      text(
        'name',
        'name of the Service',
        row ? `${row.line.name}-${state.user ?? 'me'}`.replaceAll(/[^a-z0-9-]/g, '-') : '',
        'name',
      ),
      text('remote', 'its port', port ? String(port.port) : '80', 'port'),
      text('local', 'local port', typeof port?.targetPort === 'number' ? String(port.targetPort) : '8080', 'port'),
      toggle('skip', 'nothing listens yet: callers are refused until something does'),
    ],
  });
}

export function forwardForm(row: ServiceRow | undefined): Form {
  const ports = row?.line.ports.map(({ port, protocol }) => `${port}${protocol === 'UDP' ? '/udp' : ''}`).join(' ');
  return form({
    kind: 'forward',
    title: row ? `Forward ${row.line.name}` : 'Forward',
    subject: row?.line.name ?? '',
    about: ['Local ports that lead into the cluster. PORT, LOCAL:PORT, with /udp behind it for UDP.'],
    fields: [
      ...(row ? [] : [text('target', 'NAME or ADDRESS:PORT', '', 'text')]),
      text('words', 'ports', ports ?? '', row ? 'text' : 'mark'),
    ],
  });
}

export const releaseForm = (service: string, preview: boolean): Form =>
  form({
    kind: 'release',
    title: `Release ${service}`,
    subject: service,
    about: [
      preview
        ? 'The Service and its agent are removed.'
        : 'Its requests go to the original pods again; where nobody else is on it, the agent is removed and the Service is as it was.',
    ],
  });

export const recoverForm = (service: string): Form =>
  form({
    kind: 'recover',
    title: `Recover ${service}`,
    subject: service,
    about: [
      'Its holder is gone. It is given back to its original pods; where somebody alive holds it, nothing happens.',
    ],
  });

export const unforwardForm = (local: string): Form =>
  form({
    kind: 'unforward',
    title: `Stop forwarding ${local}`,
    subject: local,
    about: ['Connections that are open there end.'],
  });

export function placeForm(places: PlacesAnswer, state: SessionState): Form {
  const contexts = places.contexts.map(({ name }) => name);
  const held = state.holds.map(({ service }) => service);
  return form({
    kind: 'place',
    title: 'Go to another namespace or context',
    subject: state.namespace ?? '',
    about: [
      'The session here ends and one is opened there; the ports of this laptop stay the same.',
      ...(held.length === 0 ? [] : [`${held.join(', ')}: given back first.`]),
    ],
    places,
    fields: [
      text('namespace', 'namespace', state.namespace ?? '', 'name'),
      {
        type: 'choice',
        id: 'context',
        label: 'context',
        options: contexts,
        at: Math.max(0, contexts.indexOf(state.context ?? '')),
      },
    ],
  });
}

/** Local ports that the form asks for. */
export function localPorts(form_: Form): number[] {
  return form_.fields
    .filter(
      (field) => field.type === 'text' && field.takes === 'port' && field.id !== 'remote' && fault(field) === undefined,
    )
    .map((field) => Number(valueOf(form_, field.id)))
    .filter((port) => port > 0);
}

/** As --expose takes it. */
const pair = (remote: string, local: string): string =>
  local === '' || local === remote ? remote : `${local}:${remote}`;

export function wishOf(form_: Form): HoldWish {
  const kind = form_.kind as HoldKind;
  const ports =
    kind === 'preview'
      ? [pair(valueOf(form_, 'remote'), valueOf(form_, 'local'))]
      : form_.fields.filter(isPort).flatMap((field) => exposed(form_, field));
  return {
    kind,
    service: kind === 'preview' ? valueOf(form_, 'name') : form_.subject,
    ports,
    mark: kind === 'mesh' ? valueOf(form_, 'mark') : null,
    takeOver: isOn(form_, 'takeOver'),
    drain: isOn(form_, 'drain'),
    skipPortChecking: isOn(form_, 'skip'),
  };
}

const isHold = ({ kind }: Form): boolean => kind === 'exchange' || kind === 'mesh' || kind === 'preview';
export const hasPlan = isHold;

/** What stops the form, in words. */
export function faultOf(form_: Form): string | undefined {
  for (const field of form_.fields) {
    // The ports of `kt forward` may be none: the only one of the Service.
    if (form_.kind === 'forward' && field.id === 'words') continue;
    const found = fault(field);
    if (found !== undefined) return `${field.label}: ${found}`;
  }
  if (isHold(form_) && form_.kind !== 'preview' && wishOf(form_).ports.length === 0) return 'no port comes here';
  return undefined;
}

export function actionOf(form_: Form): Action {
  const { kind, subject } = form_;
  switch (kind) {
    case 'release':
    case 'recover':
      return { kind, service: subject };
    case 'unforward':
      return { kind, local: subject };
    case 'forward':
      return { kind, words: forwardWords(form_) };
    case 'place':
      return {
        kind: 'switch',
        context: valueOf(form_, 'context') || null,
        namespace: valueOf(form_, 'namespace') || null,
      };
    default:
      return { kind: 'hold', hold: wishOf(form_) };
  }
}

const forwardWords = (form_: Form): string[] =>
  [form_.subject === '' ? valueOf(form_, 'target') : form_.subject, ...valueOf(form_, 'words').split(/\s+/)].filter(
    (word) => word !== '',
  );

/** The command that does the same. */
export function commandOf(form_: Form): string {
  const { kind, subject } = form_;
  switch (kind) {
    case 'release':
    case 'unforward':
      return `kt release ${quoted(subject)}`;
    case 'recover':
      return `kt recover ${quoted(subject)}`;
    case 'forward':
      return `kt forward ${forwardWords(form_).map(quoted).join(' ')}`;
    case 'place':
      return `kt connect --context ${quoted(valueOf(form_, 'context'))} --namespace ${valueOf(form_, 'namespace')}`;
    default:
      return holdCommand(wishOf(form_));
  }
}

export function holdCommand({ kind, service, ports, mark, takeOver, drain, skipPortChecking }: HoldWish): string {
  return [
    `kt ${kind} ${quoted(service)}`,
    ...(mark === null ? [] : [`--versionMark ${quoted(mark)}`]),
    ...(ports.length === 0 ? [] : [`--expose ${ports.join(',')}`]),
    ...(takeOver ? ['--take-over'] : []),
    ...(drain ? ['--drain'] : []),
    ...(skipPortChecking ? ['--skipPortChecking'] : []),
  ].join(' ');
}

/** For a POSIX shell. */
const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
