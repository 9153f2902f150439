// `kt clean`: removes what ended sessions left, on this laptop and in the namespace. See modes/clean.ts for what is safe.
import { KtError } from '../../errors.ts';
import { cleanNamespace, cleanSession } from '../../modes/clean.ts';
import { removeDeadSessions } from '../../session/control-client.ts';
import { type Arguments, text } from '../arguments.ts';
import { withClusterApi } from '../cluster-api.ts';
import { outputOf } from '../output.ts';

export async function clean(args: Arguments, version: string): Promise<number> {
  const output = outputOf(args);
  try {
    const olderThanMs = threshold(args['thresholdInMinus']) * 60_000;
    const dryRun = args['dryRun'] === true;
    const session = text(args, 'session');
    const local = (await removeDeadSessions(dryRun)).map((path) => `${path} is of a session that is gone`);
    const lines = [...local];
    let where = 'on this laptop';
    if (args['localOnly'] !== true)
      await withClusterApi(args, async (api, { namespace }) => {
        where = `in ${namespace}`;
        if (session === undefined)
          lines.push(...(await cleanNamespace(api, namespace, { version, olderThanMs, dryRun })));
        else lines.push(...(await cleanSession(api, namespace, session)).map((name) => `pod/${name}`));
      });
    const verb = dryRun ? 'would clean' : 'cleaned';
    const shown = lines.length === 0 ? [`nothing of kt is left ${where}`] : lines.map((line) => `${verb}: ${line}`);
    output.result({ dryRun, cleaned: lines }, shown);
    return 0;
  } catch (error) {
    return output.failure(error);
  }
}

/** Minutes. Throws USAGE. */
function threshold(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0 || value > 10_000)
    throw new KtError('USAGE', '--thresholdInMinus takes minutes, 0 to 10000');
  return value;
}
