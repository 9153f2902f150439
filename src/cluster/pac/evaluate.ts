// Asks a PAC file which proxies lead to a URL. The file is a program of somebody else's: it runs in QuickJS in WebAssembly, which has no
// files, network or processes, with limits on time and memory; all it can do is resolve names. Called by pac-proxy.ts.
import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { createPacResolver } from 'pac-resolver';
import { QuickJS } from 'quickjs-wasi';
import { asset } from '../../assets.ts';

/** Bytes; a file of FILE_MAX with long lists of hosts fits. */
const MEMORY_MAX = 64 * 1024 * 1024;
/** Microseconds of the processor: meanwhile kt hears no Ctrl-C. Real files take a few milliseconds. */
const CPU_MAX = 2_000_000;

/** Rejects with Error: the file can't be read as a program, throws, needs too much memory or time. Waiting for names has no limit here. */
export async function findProxy(pac: string, server: string): Promise<string> {
  const start = process.cpuUsage();
  const vm = await QuickJS.create({
    wasm: await readFile(asset('quickjs.wasm')),
    memoryLimit: MEMORY_MAX,
    interruptHandler: () => process.cpuUsage(start).user > CPU_MAX,
  });
  // Not disposed of: an answer of the system's resolver may still come for it, and it goes with the garbage.
  const find = createPacResolver(vm, pac, {
    sandbox: { myIpAddress: async () => ownAddress(), alert: () => undefined },
  });
  // No path: as browsers do for https, so that a file can't log what is asked for.
  const answer: unknown = await find(`${new URL(server).origin}/`);
  if (typeof answer !== 'string' && answer !== null && answer !== undefined) {
    throw new Error('FindProxyForURL answers no text');
  }
  return answer ?? '';
}

/** The first address that is not loopback. The library's own way connects to a server on the Internet. */
function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((some) => some ?? []);
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1';
}
