// Repairs in passing: every command that may change the namespace first gives back what nobody holds any more, and says so. It never disturbs
// the command: without the rights, without an answer in time, or where anything fails, things stay as they are. Called by commands.
import { checkAccess, forwardRights } from '../cluster/access.ts';
import { servicePath } from '../cluster/paths.ts';
import type { ClusterApi } from '../cluster/rest.ts';
import { journalOf } from '../cluster/takeover/journal.ts';
import { list } from '../cluster/takeover/objects.ts';
import { holdRights } from '../cluster/takeover/rights.ts';
import type { ServiceObject } from '../cluster/takeover/types.ts';
import type { EventSink } from '../session/events.ts';
import { recoverAll, recoveredText } from './recover.ts';

/** Milliseconds that a command waits for it at most; it goes on behind. */
const WAIT_MS = 4_000;

export interface RepairContext {
  readonly api: ClusterApi;
  readonly namespace: string;
  readonly version: string;
  readonly emit: EventSink;
}

/** Never rejects; resolves when it is done or has taken too long. */
export function repairExpired(context: RepairContext): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, WAIT_MS);
    void repair(context)
      .catch((error: Error) => context.emit({ type: 'debug', message: `nothing was repaired: ${error.message}` }))
      .finally(() => {
        clearTimeout(timer);
        resolve();
      });
  });
}

async function repair({ api, namespace, version, emit }: RepairContext): Promise<void> {
  const services = await list<ServiceObject>(api, servicePath(namespace));
  const touched = services.some(
    (service) => journalOf(service) !== undefined || service.metadata.labels?.['kt/role'] === 'origin',
  );
  if (!touched) return;
  const needed = [...holdRights(['restore']), ...(await forwardRights(api))];
  if ((await checkAccess(api, namespace, needed)).length > 0) return;
  // kt-connect's own is left to `kt recover`: its users may be asleep.
  for (const found of await recoverAll(api, namespace, { version, ktConnect: false })) {
    if (found.outcome === 'restored' || found.outcome === 'cleaned')
      emit({ type: 'warning', message: `its holder is gone: ${recoveredText(found)}` });
  }
}
