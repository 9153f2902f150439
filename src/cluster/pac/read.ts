// Reads a PAC file from a path or a URL. Not its meaning (evaluate.ts). Called by pac-proxy.ts.
import { readFile, stat } from 'node:fs/promises';
import { get as httpGet, type IncomingMessage } from 'node:http';
import { get as httpsGet } from 'node:https';
import { fileURLToPath } from 'node:url';
import { machineTrust } from '../../netstack/http/open-socket.ts';

/** Bytes. Browsers take 1 MiB; real ones are a few KiB. */
const FILE_MAX = 1024 * 1024;

/** `source`: a path, file://, http:// or https://. Fetched directly, for it is what says which proxy to take. Rejects with Error. */
export async function readPac(source: string, signal: AbortSignal): Promise<string> {
  if (/^https?:\/\//i.test(source)) return fetchPac(source, signal);
  const path = /^file:\/\//i.test(source) ? fileURLToPath(source) : source;
  const found = await stat(path);
  // A pipe or device might never end.
  if (!found.isFile()) throw new Error('it is not a file');
  if (found.size > FILE_MAX) throw new Error(tooLong());
  return readFile(path, { encoding: 'utf8', signal });
}

const tooLong = (): string => `it is longer than ${FILE_MAX} bytes`;

async function fetchPac(url: string, signal: AbortSignal): Promise<string> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const options = { signal, agent: false, headers: { 'User-Agent': 'kt', Accept: '*/*' } } as const;
    const request = /^https:/i.test(url)
      ? httpsGet(url, { ...options, ca: machineTrust() }, resolve)
      : httpGet(url, options, resolve);
    request.once('error', reject);
  });
  if (response.statusCode !== 200) {
    response.destroy();
    throw new Error(`the server answered ${response.statusCode ?? 0}`);
  }
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > FILE_MAX) throw new Error(tooLong());
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}
