// `kt run -- PROGRAM`: in the open session where there is one, else in a session of its own that ends with the program.
// While the program runs, standard output is the program's alone; kt writes to standard error, and nothing unless there is trouble.
import { loadClusterConfig } from '../../cluster/config.ts';
import { ClusterApi } from '../../cluster/rest.ts';
import { KtError } from '../../errors.ts';
import { registryVariables } from '../../modes/advertise.ts';
import { hold, planHolds } from '../../modes/hold.ts';
import type { Held, HoldRequest } from '../../modes/hold-request.ts';
import { repairExpired } from '../../modes/repair.ts';
import { runCommand } from '../../modes/run.ts';
import { openWorkload, type WorkloadRequest } from '../../modes/workload/open.ts';
import { Board } from '../../session/board.ts';
import { ask, findSession } from '../../session/control-client.ts';
import type { EventSink, SessionEvent } from '../../session/events.ts';
import { Session } from '../../session/session.ts';
import type { JoinInfo } from '../../session/types.ts';
import { type Arguments } from '../arguments.ts';
import { endSignals } from '../end-signals.ts';
import { advertised, runRequests } from '../hold-options.ts';
import { type Inbound, openInbound } from '../inbound.ts';
import { type SessionArguments, sessionArguments } from '../options.ts';
import { type Output, outputOf } from '../output.ts';
import { connectPlan, holdPlans, showPlans } from '../plans.ts';
import { tetherEnd } from '../up/tether.ts';
import { javaVariable, ownVariables, workloadRequest } from '../workload-options.ts';

export async function runProgram(args: Arguments, version: string): Promise<number> {
  const output = outputOf(args);
  const quiet = (event: SessionEvent): void => {
    const trouble =
      event.type === 'warning' ||
      event.type === 'environment' ||
      event.type === 'error' ||
      (event.type === 'step' && (event.state === 'waiting' || event.state === 'failed'));
    if (
      output.json ||
      args['debug'] === true ||
      trouble ||
      event.type === 'link' ||
      (event.type === 'agent' && event.state === 'lost')
    ) {
      if (event.type !== 'link' || event.state === 'down' || output.json) output.event(event);
    }
  };
  const command = commandOf(args);
  const end = tetherEnd();
  let session: Session | undefined;
  let repairing: Promise<void> | undefined;
  let inbound: Inbound | undefined;
  let surroundings: Surroundings | undefined;
  const held: Held[] = [];
  try {
    if (command.length === 0)
      throw new KtError('USAGE', 'no program was named', { hint: 'kt run -- mvn spring-boot:run' });
    const wanted = sessionArguments(args);
    const requests = runRequests(args);
    const workload = workloadRequest(args);
    const own = ownVariables(args);
    const registry = advertised(args);
    if (args['plan'] === true) return await planRun(wanted, requests, version, output);
    const open = await findSession({ namespace: wanted.namespace, context: wanted.context });
    // First, because what is missing there must be told before anything is made in the cluster.
    if (workload) {
      const namespace = wanted.namespace ?? open?.status.namespace ?? undefined;
      const context = wanted.context ?? open?.status.context ?? undefined;
      surroundings = await surroundingsOf(workload, { ...wanted, namespace, context }, quiet);
    }
    let join: JoinInfo;
    if (open && open.status.phase === 'ready') join = await ask<JoinInfo>(open.path, { ask: 'join' });
    else {
      const signals = endSignals();
      try {
        session = await Session.open({ ...wanted, version, shared: false }, quiet, signals.signal);
        const { api, namespace } = session.cluster;
        if (requests.length === 0) repairing = repairExpired({ api, namespace, version, emit: quiet });
        join = session.join;
      } finally {
        signals.dispose();
      }
    }
    if (requests.length > 0) {
      const signals = endSignals();
      try {
        inbound = await openInbound(wanted, version, new Board(output.event), signals);
        await holdForProgram(inbound, requests, held);
      } finally {
        signals.dispose();
      }
    }
    const told = registry ? registryVariables(registry.service, join.namespace, registry.port) : {};
    const variables = { ...surroundings?.variables, ...told, ...own };
    const any = args['any'] === true;
    return await runCommand(command, join, quiet, { variables, javaVariable: javaVariable(args), any, end });
  } catch (error) {
    return output.failure(error);
  } finally {
    const released = await Promise.allSettled(held.map((one) => one.release()));
    for (const result of released) if (result.status === 'rejected') output.failure(result.reason);
    if (released.every(({ status }) => status === 'fulfilled')) inbound?.dismiss();
    inbound?.close();
    await surroundings?.close();
    // A short program must not leave it half done: it needs the session.
    await repairing;
    await session?.close('the program ended');
  }
}

/** What would be changed before the program starts. */
async function planRun(
  wanted: SessionArguments,
  requests: readonly HoldRequest[],
  version: string,
  output: Output,
): Promise<number> {
  const signals = endSignals();
  try {
    const open = await findSession({ namespace: wanted.namespace, context: wanted.context });
    const connect = open ? undefined : await connectPlan(wanted, version, signals);
    if (requests.length === 0 && !connect) {
      output.result({ plans: [] }, ['joins the open session; nothing is changed in the cluster']);
      return 0;
    }
    return showPlans(output, connect, await holdPlans(wanted, requests, version, signals));
  } finally {
    signals.dispose();
  }
}

/** Takes what the program is to serve; what was taken is in `held` also when a later one fails. */
async function holdForProgram(inbound: Inbound, requests: readonly HoldRequest[], held: Held[]): Promise<void> {
  await repairExpired(inbound.context, requests);
  const planned = await planHolds(inbound.context, requests);
  inbound.guard();
  for (const one of planned) held.push(await hold(inbound.context, one));
}

interface Surroundings {
  readonly variables: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/** Of a workload in the session's namespace, as the user of its context. */
async function surroundingsOf(
  request: WorkloadRequest,
  where: Pick<SessionArguments, 'kubeconfig' | 'context' | 'namespace' | 'pac'>,
  emit: EventSink,
): Promise<Surroundings> {
  const signals = endSignals();
  const config = await loadClusterConfig({ ...where, signal: signals.signal });
  const api = new ClusterApi(config);
  try {
    const options = {
      api,
      namespace: config.namespace,
      base: process.env,
      emit,
      signal: signals.signal,
      lasting: true,
    };
    const open = await openWorkload(request, options);
    return {
      variables: open.variables,
      close: async () => {
        await open.close();
        api.close();
      },
    };
  } catch (error) {
    api.close();
    throw error;
  } finally {
    signals.dispose();
  }
}

/** What follows `--`, or the words after `run` where there is none. */
function commandOf(args: Arguments): string[] {
  const after = args['--'] ?? args['cmd'];
  return Array.isArray(after) ? after.map(String) : [];
}
