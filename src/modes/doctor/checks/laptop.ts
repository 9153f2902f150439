// What is there on the laptop before anything is asked: kubeconfig files, the environment's proxies, local ports, tools for the shims,
// sockets that dead sessions left. Opens nothing but local ports. Called by doctor.ts.
import { existsSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { arch, hostname, platform } from 'node:os';
import { execa } from 'execa';
import { asset } from '../../../assets.ts';
import { kubeconfigFiles, loadClusterConfig } from '../../../cluster/config.ts';
import { asKtError } from '../../../errors.ts';
import { findSessions } from '../../../session/control-client.ts';
import { controlPaths, runtimeFolder } from '../../../session/control-paths.ts';
import { DNS_PORT, PROXY_PORT } from '../../../session/listeners.ts';
import type { Check, Outcome } from '../types.ts';

/** Milliseconds for `java -version` on a cold disk. */
const TOOL_MS = 10_000;

export const checkLaptop: Check = async ({ options: { version, env } }) => {
  const text = `kt ${version}, Node ${process.versions.node}, ${platform()} ${arch()}, ${hostname()}`;
  const ignored = ['ALL_PROXY', 'all_proxy'].filter((name) => env[name] && !proxySet(env));
  try {
    runtimeFolder(env);
  } catch (error) {
    const { message, hint, code } = asKtError(error);
    return { verdict: 'failed', text: message, hint, code };
  }
  if (ignored.length === 0) return { verdict: 'ok', text };
  return {
    verdict: 'warning',
    text: `${ignored.join(', ')} is set and HTTPS_PROXY is not: neither kubectl nor kt reads ${ignored[0] ?? ''} for the API server`,
    hint: 'set HTTPS_PROXY, or proxy-url in the kubeconfig',
  };
};

const proxySet = (env: NodeJS.ProcessEnv): boolean =>
  ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'].some((name) => env[name]);

export const checkKubeconfig: Check = async (world) => {
  const { kubeconfig, context, namespace, pac, env } = world.options;
  const files = kubeconfigFiles(kubeconfig, env);
  const config = await loadClusterConfig({ kubeconfig, context, namespace, pac, env });
  world.config = config;
  const outcomes: Outcome[] = [
    {
      verdict: 'ok',
      text: `context '${config.context}': ${config.server}, namespace '${config.namespace}', user '${config.user}'`,
    },
  ];
  const missing = files.filter((file) => !existsSync(file));
  if (missing.length > 0) {
    outcomes.push({
      verdict: 'warning',
      text: `${missing.join(', ')} of KUBECONFIG is not there and is passed over`,
      hint: 'take it out of KUBECONFIG, or is it a mistyped name?',
    });
  }
  const open = process.platform === 'win32' ? [] : files.filter(readableByOthers);
  if (open.length > 0) {
    outcomes.push({
      verdict: 'warning',
      text: `${open.join(', ')} can be read by other users of this machine`,
      hint: `chmod 600 ${open.join(' ')}`,
    });
  }
  if (config.tls.insecure) {
    outcomes.push({
      verdict: 'warning',
      text: 'insecure-skip-tls-verify: whoever is in between can read your credentials',
      hint: 'put the certificate-authority of the API server (or of the proxy that opens TLS) into the kubeconfig',
    });
  }
  return outcomes;
};

function readableByOthers(file: string): boolean {
  try {
    return (statSync(file).mode & 0o044) !== 0;
  } catch {
    return false;
  }
}

/** The ports that `kt connect` takes; one that this user's own session has is in order. */
export const checkPorts: Check = async ({ options: { proxyPort = PROXY_PORT, dnsPort = DNS_PORT } }) => {
  const sessions = (await findSessions()).map(({ status }) => status);
  const wanted = [
    { flag: '--proxyPort', port: proxyPort, what: 'proxy', own: sessions.map(({ proxy }) => proxy) },
    { flag: '--dnsPort', port: dnsPort, what: 'DNS', own: sessions.map(({ dns }) => dns) },
  ];
  const outcomes = await Promise.all(
    wanted.map(async ({ flag, port, what, own }): Promise<Outcome> => {
      if (port === 0) return { verdict: 'ok', text: `${what}: any free port` };
      if (own.some((address) => address?.endsWith(`:${port}`)))
        return { verdict: 'ok', text: `${what}: port ${port} is this session's own` };
      const fault = await cannotListen(port);
      if (fault === undefined) return { verdict: 'ok', text: `${what}: port ${port} is free` };
      return {
        verdict: 'failed',
        text: `${what}: 127.0.0.1:${port} can't be used (${fault})`,
        hint: `another program has it: end that one, or ${flag} 0 takes any free port`,
        code: 'LISTEN_FAILED',
      };
    }),
  );
  return outcomes;
};

function cannotListen(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

export const checkShims: Check = async ({ options: { env } }) => {
  for (const file of ['kt-jvm.jar', 'kt-node.cjs', 'python']) asset(`shims/${file}`);
  const tools = await Promise.all([
    // Each one really starts: an option that it can't take stops it.
    toolVersion('Java', 'java', ['-version'], /version "(?:1\.)?(\d+)/, 8, env),
    toolVersion('Node', 'node', ['-p', 'process.version'], /^v(\d+)/m, 16, env),
    toolVersion('Python', 'python3', ['-c', 'import sys; print(sys.version)'], /^3\.(\d+)/m, 8, env),
  ]);
  const there = tools.flatMap(({ found }) => found ?? []);
  const faults = tools.flatMap(({ fault }) => fault ?? []);
  const text = there.length > 0 ? `kt run can carry ${there.join(', ')}` : 'no java, node or python3 on PATH';
  return [{ verdict: 'ok', text }, ...faults];
};

interface Tool {
  readonly found?: string;
  readonly fault?: Outcome;
}

async function toolVersion(
  name: string,
  command: string,
  args: readonly string[],
  pattern: RegExp,
  oldest: number,
  env: NodeJS.ProcessEnv,
): Promise<Tool> {
  const done = await execa(command, args, {
    env,
    extendEnv: false,
    reject: false,
    timeout: TOOL_MS,
    stdin: 'ignore',
    all: true,
  });
  if (done.code === 'ENOENT') return {};
  const text = done.all;
  const version = pattern.exec(text)?.[1];
  if (done.failed || version === undefined) {
    const line = text.split('\n').find((one) => one.trim() !== '') ?? `exit code ${done.exitCode ?? '?'}`;
    return {
      fault: {
        verdict: 'failed',
        text: `${name} does not start here: ${line.slice(0, 200)}`,
        hint: 'do JAVA_TOOL_OPTIONS, NODE_OPTIONS and PYTHONPATH of this shell name files that are there?',
        code: 'COMMAND_NOT_FOUND',
      },
    };
  }
  if (Number(version) >= oldest) return { found: `${name} ${name === 'Python' ? '3.' : ''}${version}` };
  return {
    fault: {
      verdict: 'warning',
      text: `${name} ${version} is older than what kt run can carry (${oldest})`,
      hint: `put a newer ${name} first on PATH`,
    },
  };
}

/** What dead sessions left on this laptop. */
export async function staleSockets(): Promise<Outcome | undefined> {
  // findSessions removes those on which nobody answers; so what is there before and not after was left over.
  const before = controlPaths().length;
  const alive = (await findSessions()).length;
  const after = controlPaths().length;
  if (before > after)
    return { verdict: 'ok', text: `removed ${before - after} local socket(s) of sessions that are gone` };
  if (after > alive) {
    return {
      verdict: 'warning',
      text: `${after - alive} session(s) on this laptop do not answer`,
      hint: '`kt status` shows those that do; end the others by their process id',
    };
  }
  return undefined;
}
