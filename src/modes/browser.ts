// A browser on kt's proxy (`kt open`): finds one that is installed, and what to start it with. It gets a profile of its own, because the
// user's may be open already and then takes no settings, and because the cluster's cookies belong nowhere else. Called by cli/commands/open.ts.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { KtError } from '../errors.ts';

interface Browser {
  readonly kind: 'chromium' | 'firefox';
  readonly path: string;
}

const CHROMIUM = [
  'chromium',
  'chromium-browser',
  'google-chrome',
  'google-chrome-stable',
  'microsoft-edge',
  'brave-browser',
];
const MAC = ['Google Chrome', 'Chromium', 'Microsoft Edge', 'Brave Browser', 'Firefox'];
const WINDOWS = [
  'Google\\Chrome\\Application\\chrome.exe',
  'Microsoft\\Edge\\Application\\msedge.exe',
  'Mozilla Firefox\\firefox.exe',
];

/** `--browser` (a path or a name on PATH), else what is installed. Throws COMMAND_NOT_FOUND. */
export function findBrowser(
  wanted: string | undefined,
  env: NodeJS.ProcessEnv = process.env,
  platform = process.platform,
): Browser {
  const candidates = wanted === undefined ? installed(env, platform) : [wanted, ...onPath([wanted], env)];
  const path = candidates.find((one) => existsSync(one));
  if (path === undefined) {
    throw new KtError(
      'COMMAND_NOT_FOUND',
      wanted ? `there is no browser '${wanted}'` : 'no browser that kt knows was found',
      {
        hint: 'name one: --browser /path/to/chrome (or Edge, Chromium, Firefox); or set the PAC file that `kt open --print` shows in your own',
      },
    );
  }
  return { kind: /firefox/i.test(path) ? 'firefox' : 'chromium', path };
}

function installed(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): string[] {
  if (platform === 'darwin') {
    return MAC.map((name) => `/Applications/${name}.app/Contents/MacOS/${name === 'Firefox' ? 'firefox' : name}`);
  }
  if (platform === 'win32') {
    const roots = [env['ProgramFiles'], env['ProgramFiles(x86)'], env['LOCALAPPDATA']].filter(
      (root) => root !== undefined,
    );
    return WINDOWS.flatMap((name) => roots.map((root) => `${root}\\${name}`));
  }
  return onPath([...CHROMIUM, 'firefox'], env);
}

function onPath(names: readonly string[], env: NodeJS.ProcessEnv): string[] {
  const folders = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  return names.flatMap((name) => folders.map((folder) => join(folder, name)));
}

/** Where the profile of a namespace is kept, so that logins stay. */
export function profileFolder(name: string, env: NodeJS.ProcessEnv = process.env): string {
  const cache = env['LOCALAPPDATA'] ?? env['XDG_CACHE_HOME'] ?? join(env['HOME'] ?? homedir(), '.cache');
  return join(cache, 'kt', 'browser', name.replaceAll(/[^A-Za-z0-9.-]+/g, '_'));
}

/** The browser's arguments; makes the profile where it is not there. */
export function browserArguments({ kind }: Browser, profile: string, pac: string, url: string): string[] {
  mkdirSync(profile, { recursive: true, mode: 0o700 });
  if (kind === 'chromium') {
    return [
      `--user-data-dir=${profile}`,
      `--proxy-pac-url=${pac}`,
      '--no-first-run',
      '--no-default-browser-check',
      url,
    ];
  }
  const settings = {
    'network.proxy.type': 2,
    'network.proxy.autoconfig_url': pac,
    'network.proxy.socks_remote_dns': true,
  };
  const lines = Object.entries(settings).map(
    ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`,
  );
  writeFileSync(join(profile, 'user.js'), lines.join(''));
  return ['--profile', profile, '--no-remote', url];
}

interface ServicePort {
  readonly name?: string;
  readonly port: number;
  readonly appProtocol?: string;
}

/** `gateway` with port 80 is http://gateway/, with 443 or a port called https https://gateway/. Throws USAGE where it has none. */
export function serviceUrl(
  name: string,
  ports: readonly ServicePort[],
  wanted: number | undefined,
  path: string,
): string {
  const port =
    wanted === undefined
      ? (ports.find((one) => one.port === 80) ?? ports.find((one) => one.name?.startsWith('http')) ?? ports[0])
      : (ports.find((one) => one.port === wanted) ?? { port: wanted });
  if (!port) throw new KtError('USAGE', `the Service ${name} has no port`, { hint: `name one: kt open ${name}:8080` });
  const tls = port.port === 443 || port.port === 8443 || port.name?.startsWith('https') || port.appProtocol === 'https';
  const usual = port.port === (tls ? 443 : 80);
  return `${tls ? 'https' : 'http'}://${name}${usual ? '' : `:${port.port}`}${path}`;
}
