// What only the screen asks a session for: the doctor's findings, where it could go instead, what programs in it have in their environment.
// Called by commands/connect.ts. The actions of the modes are modes/session-actions.ts.

import { listContexts } from '../cluster/config.ts';
import { namespacesPath } from '../cluster/paths.ts';
import type { ClusterApi } from '../cluster/rest.ts';
import { diagnose } from '../modes/doctor/doctor.ts';
import { environmentOf } from '../modes/run.ts';
import type { Board } from '../session/board.ts';
import type { Session } from '../session/session.ts';
import type { SessionArguments } from './options.ts';
import { findingLines, summary } from './view/doctor.ts';

/** Milliseconds for the list of namespaces, which most users may not have. */
const LIST_MS = 5_000;

export function takeScreenActions(board: Board, session: Session, wanted: SessionArguments, version: string): void {
  board.onAction('doctor', async () => {
    const { namespace, context } = session.cluster;
    // Makes no pod: the session's own proves that.
    const options = { ...wanted, namespace, context, version, env: process.env, readOnly: true };
    const { findings } = await diagnose(options, () => undefined, new AbortController().signal);
    const lines = findings.flatMap((finding, at) => findingLines(finding, findings[at - 1]?.check === finding.check));
    return { lines: [...lines, '', summary(findings)] };
  });
  board.onAction('places', async () => ({
    contexts: await listContexts(wanted),
    namespaces: await namespaces(session.cluster.api),
  }));
  board.onAction('environment', () => {
    const { set, unset } = environmentOf(session.join, {});
    const { token } = session.join.broker;
    const hidden = Object.entries(set).map(([name, value]) => [name, value.replaceAll(token, '•••')] as const);
    return { set: Object.fromEntries(hidden), unset };
  });
}

async function namespaces(api: ClusterApi): Promise<string[] | null> {
  try {
    const list = await api.request<{ items: { metadata: { name: string } }[] }>('GET', namespacesPath, {
      timeoutMs: LIST_MS,
    });
    return list.items.map(({ metadata }) => metadata.name);
  } catch {
    return null;
  }
}
