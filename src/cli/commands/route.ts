// `kt route HOST`: which way a host goes in the running session, and the rule that made it so.
import { KtError } from '../../errors.ts';
import { ask, findSession } from '../../session/control-client.ts';
import type { Arguments } from '../arguments.ts';
import { outputOf } from '../output.ts';

interface Explanation {
  readonly host: string;
  readonly via: string;
  readonly rule: string;
  readonly steps: readonly { readonly rule: string; readonly matched: boolean }[];
}

export async function route(args: Arguments): Promise<number> {
  const output = outputOf(args);
  try {
    const session = await findSession({
      namespace: args['namespace'] as string | undefined,
      context: args['context'] as string | undefined,
    });
    if (!session) throw new KtError('SESSION_NONE', 'no session to ask', { hint: 'start one with `kt connect`' });
    const answer = await ask<Explanation>(session.path, { ask: 'route', host: String(args['host']) });
    output.result(answer, [
      `${answer.host}: ${answer.via}, ${answer.rule}`,
      ...answer.steps.map((step) => `  ${step.matched ? '▸' : ' '} ${step.rule}`),
    ]);
    return 0;
  } catch (error) {
    return output.failure(error);
  }
}
