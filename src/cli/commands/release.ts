// `kt release NAME…`: gives Services up that a session on this laptop holds, or local ports that it forwards, without ending the session.
import { KtError } from '../../errors.ts';
import { ask, findSessions, type SessionStatus } from '../../session/control-client.ts';
import type { Arguments } from '../arguments.ts';
import { outputOf } from '../output.ts';

/** Milliseconds: the agent may drain for half a minute. */
const RELEASE_MS = 90_000;

export async function release(args: Arguments): Promise<number> {
  const output = outputOf(args);
  try {
    const names = Array.isArray(args['name']) ? args['name'].map(String) : [];
    if (names.length === 0)
      throw new KtError('USAGE', 'name a Service or a forwarded port', { hint: 'kt release orders' });
    const sessions = await findSessions();
    // All are found before the first is given up.
    const found = names.map((name) => {
      for (const { path, status } of sessions) {
        const action = actionFor(name, status);
        if (action) return { name, path, action };
      }
      throw new KtError('USAGE', `no session on this laptop holds ${name}`, {
        hint: '`kt status` shows what is held; `kt recover` gives back what others left',
      });
    });
    const plan = args['plan'] === true;
    if (!plan) for (const { path, action } of found) await ask(path, { ask: 'act', action }, RELEASE_MS);
    output.result(
      plan ? { wouldRelease: names } : { released: names },
      names.map((name) => `${name} ${plan ? 'would be' : 'is'} released`),
    );
    return 0;
  } catch (error) {
    return output.failure(error);
  }
}

function actionFor(name: string, { holds, forwards }: SessionStatus): object | undefined {
  const service = name.replace(/^(svc|services?)\//, '');
  if (holds.some((hold) => hold.service === service)) return { kind: 'release', service };
  const forward = forwards.find(({ local }) => local === name || local.endsWith(`:${name}`));
  return forward && { kind: 'unforward', local: forward.local };
}
