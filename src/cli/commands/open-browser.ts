// `kt open svc/gateway`: a browser with a profile of its own, on the proxy of the open session. Ends when the browser is started; --print
// shows what it would open and where the PAC file is, for a browser of one's own.
import { spawn } from 'node:child_process';
import { servicePath } from '../../cluster/paths.ts';
import type { Service } from '../../cluster/services.ts';
import { statusCode } from '../../cluster/status.ts';
import { KtError } from '../../errors.ts';
import { browserArguments, findBrowser, profileFolder, serviceUrl } from '../../modes/browser.ts';
import { ask, findSession } from '../../session/control-client.ts';
import type { ShownLogin } from '../../session/events.ts';
import { loginText } from '../../session/login-words.ts';
import type { JoinInfo } from '../../session/types.ts';
import { type Arguments, text } from '../arguments.ts';
import { withClusterApi } from '../cluster-api.ts';
import { outputOf } from '../output.ts';

export async function openBrowser(args: Arguments): Promise<number> {
  const output = outputOf(args);
  try {
    const session = await findSession({ namespace: text(args, 'namespace'), context: text(args, 'context') });
    if (!session) {
      throw new KtError('SESSION_NONE', 'no session whose proxy a browser could use', {
        hint: 'start one with `kt connect`',
      });
    }
    const { proxy, login, namespace } = await ask<JoinInfo>(session.path, { ask: 'join' });
    const context = session.status.context ?? '';
    const url = await urlOf(String(args['target']), { ...args, namespace, context });
    const pac = `http://${proxy}/proxy.pac`;
    const asks = login ? [loginLine(login)] : [];
    if (args['print'] === true) {
      output.result({ url, pac }, [url, `PAC file: ${pac}`, ...asks]);
      return 0;
    }
    const browser = findBrowser(text(args, 'browser'));
    const profile = profileFolder(`${context}-${namespace}`);
    const child = spawn(browser.path, [...browserArguments(browser, profile, pac, url), ...extra(args)], {
      detached: true,
      stdio: 'ignore',
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve).once('error', (cause) => {
        reject(new KtError('COMMAND_NOT_FOUND', `${browser.path} can't be started: ${cause.message}`, { cause }));
      });
    });
    child.unref();
    output.result({ url, pac, browser: browser.path, profile }, [`${url} opens in ${browser.path}`, ...asks]);
    return 0;
  } catch (error) {
    return output.failure(error);
  }
}

/** A browser takes no password with its settings. */
const loginLine = (login: ShownLogin): string => `the browser asks for the proxy's password: ${loginText(login)}`;

/** More arguments for the browser, behind `--`. */
function extra(args: Arguments): string[] {
  const after = args['--'];
  return Array.isArray(after) ? after.map(String) : [];
}

/** A URL as it is; `svc/NAME[:PORT][/PATH]` or `NAME…` by the Service's ports. */
async function urlOf(target: string, where: Arguments): Promise<string> {
  if (/^[a-z]+:\/\//i.test(target)) return target;
  const [, name = '', port, path = '/'] = /^(?:svc\/|service\/)?([a-z0-9-]+)(?::(\d+))?(\/.*)?$/.exec(target) ?? [];
  if (name === '') {
    throw new KtError('USAGE', `kt open takes a Service or a URL and got '${target}'`, {
      hint: 'kt open svc/gateway/path',
    });
  }
  return withClusterApi(where, async (api, { namespace }) => {
    const service = await api.request<Service>('GET', servicePath(namespace, name)).catch((error: unknown) => {
      if (statusCode(error) !== 404) throw error;
      throw new KtError('SERVICE_NOT_FOUND', `there is no Service '${name}' in the namespace '${namespace}'`, {
        hint: '`kt birdseye` shows which there are',
        cause: error,
      });
    });
    return serviceUrl(name, service.spec?.ports ?? [], port === undefined ? undefined : Number(port), path);
  });
}
