// Repairs in passing: every command that may change the namespace first gives back what nobody holds any more, and says so. It never disturbs
// the command: without the rights, without an answer in time, or where anything fails, things stay as they are. Called by commands.
import { orCancelled } from '../cancel.ts';
import { checkAccess, forwardRights } from '../cluster/access.ts';
import { servicePath } from '../cluster/paths.ts';
import type { ClusterApi } from '../cluster/rest.ts';
import { journalOf } from '../cluster/takeover/journal.ts';
import { list } from '../cluster/takeover/objects.ts';
import { holdRights } from '../cluster/takeover/rights.ts';
import { LABEL_SERVICE, type ServiceObject } from '../cluster/takeover/types.ts';
import { asKtError } from '../errors.ts';
import type { EventSink } from '../session/events.ts';
import { recoveredText, recoverService } from './recover.ts';

/** Milliseconds for the questions whether there is something to repair. */
const ASK_MS = 5_000;
/** Milliseconds that a command waits for it at most; it goes on behind. */
const WAIT_MS = 4_000;
/** The same for a Service that the command is to take itself: its old agent drains for 35 s at most. */
const OWN_WAIT_MS = 45_000;

export interface RepairContext {
  readonly api: ClusterApi;
  readonly namespace: string;
  readonly version: string;
  readonly emit: EventSink;
  /** Ends the waiting. What was begun then is in its journal, as after a kill. */
  readonly signal?: AbortSignal | undefined;
}

/** Never rejects; resolves when it is done or has taken too long. `wanted`: what the command itself is to take has to be whole first. */
export async function repairExpired(
  context: RepairContext,
  wanted: readonly { readonly target: string }[] = [],
): Promise<void> {
  const { api, namespace, emit, signal } = context;
  const asking = AbortSignal.any([AbortSignal.timeout(ASK_MS), ...(signal ? [signal] : [])]);
  try {
    const names = takenNames(await list<ServiceObject>(api, servicePath(namespace), undefined, asking));
    if (names.length === 0) return;
    const needed = [...holdRights(['restore']), ...(await forwardRights(api, asking))];
    if ((await checkAccess(api, namespace, needed, asking)).length > 0) return;
    const targets = new Set(wanted.map(({ target }) => target.replace(/^.*\//, '')));
    const own = names.filter((name) => targets.has(name));
    const others = names.filter((name) => !targets.has(name));
    await orCancelled(within(OWN_WAIT_MS, repair(context, own)), signal, 'a Service was given back first');
    await orCancelled(within(WAIT_MS, repair(context, others)), signal, 'Services were given back first');
  } catch (error) {
    emit({ type: 'debug', message: `nothing was repaired: ${asKtError(error).message}` });
  }
}

/** Those that lead to an agent, or whose take-over did not finish. */
function takenNames(services: readonly ServiceObject[]): string[] {
  const names = services.flatMap((service) => {
    const { name, labels } = service.metadata;
    if (journalOf(service) !== undefined) return [name];
    return labels?.['kt/role'] === 'origin' ? [labels[LABEL_SERVICE] ?? ''] : [];
  });
  return [...new Set(names)].filter((name) => name !== '');
}

/** kt-connect's own is left to `kt recover`: its users may be asleep. */
async function repair({ api, namespace, version, emit }: RepairContext, names: readonly string[]): Promise<void> {
  for (const name of names) {
    try {
      const found = await recoverService(api, namespace, name, { version });
      if (found.outcome === 'restored' || found.outcome === 'cleaned')
        emit({ type: 'warning', message: `its holder is gone: ${recoveredText(found)}` });
    } catch (error) {
      emit({ type: 'debug', message: `${name} was not repaired: ${asKtError(error).message}` });
    }
  }
}

async function within(limitMs: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([work, limit]);
  clearTimeout(timer);
}
