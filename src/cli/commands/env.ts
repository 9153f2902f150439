// `kt env`: prints what `kt run` would set, in the form a shell, a .env file or an IDE takes: eval "$(kt env)". With --env-from also the
// variables of a workload. What it prints holds the broker's token, which is good as long as a session of this namespace runs.
import { KtError } from '../../errors.ts';
import { ENV_FORMATS } from '../../modes/env-formats.ts';
import { environmentOf } from '../../modes/run.ts';
import { openWorkload } from '../../modes/workload/open.ts';
import { ask, findSession } from '../../session/control-client.ts';
import type { JoinInfo } from '../../session/types.ts';
import { type Arguments, text } from '../arguments.ts';
import { withClusterApi } from '../cluster-api.ts';
import { outputOf } from '../output.ts';
import { javaVariable, ownVariables, workloadRequest } from '../workload-options.ts';

export async function env(args: Arguments): Promise<number> {
  const output = outputOf(args);
  try {
    const session = await findSession({ namespace: text(args, 'namespace'), context: text(args, 'context') });
    if (!session)
      throw new KtError('SESSION_NONE', 'no session whose environment could be printed', {
        hint: 'start one with `kt connect`',
      });
    const own = { ...(await workloadVariables(args, session.status)), ...ownVariables(args) };
    const join = await ask<JoinInfo>(session.path, { ask: 'join' });
    const { set, unset } = environmentOf(join, { ...process.env, ...own }, javaVariable(args));
    const all = { ...own, ...set };
    const format = String(args['format']);
    if (output.json || !Object.hasOwn(ENV_FORMATS, format)) {
      process.stdout.write(`${JSON.stringify({ set: all, unset })}\n`);
      return 0;
    }
    const { text: printed, left } = ENV_FORMATS[format as keyof typeof ENV_FORMATS]({ set: all, unset });
    process.stdout.write(`${printed}\n`);
    if (left.length > 0) {
      process.stderr.write(`kt: left out, because this format can't hold a line end: ${left.join(', ')}\n`);
    }
    return 0;
  } catch (error) {
    return output.failure(error);
  }
}

/** Paths in them stay the container's: files need a kt that runs (`kt run --files-from`). */
async function workloadVariables(
  args: Arguments,
  status: { readonly namespace: string | null; readonly context: string | null },
): Promise<Record<string, string>> {
  const request = workloadRequest(args);
  if (!request) return {};
  const where = {
    ...args,
    namespace: text(args, 'namespace') ?? status.namespace,
    context: text(args, 'context') ?? status.context,
  };
  return withClusterApi(where, async (api, { namespace }) => {
    // Standard output is for the variables alone.
    const emit = (event: { type: string; message?: string; hint?: string }): void => {
      if (event.type === 'warning') process.stderr.write(`kt: ${event.message ?? ''}\n    ${event.hint ?? ''}\n`);
    };
    const signal = new AbortController().signal;
    const open = await openWorkload(request, { api, namespace, base: process.env, emit, signal, lasting: false });
    return open.variables;
  });
}
