// Reads an answer of the API server to its end, with a limit. Called by rest.ts.
import type { IncomingMessage } from 'node:http';
import { KtError } from '../errors.ts';

/** A list of all pods of a big namespace is some MiB. */
const RESPONSE_MAX_BYTES = 64 * 1024 * 1024;

/** Rejects with API_STATUS where the body is longer than `limit` bytes or, by readJson, no JSON. An empty body is undefined. */
export async function readJson<T>(response: IncomingMessage): Promise<T> {
  const text = await readText(response, RESPONSE_MAX_BYTES);
  try {
    return (text === '' ? undefined : JSON.parse(text)) as T;
  } catch (error) {
    throw new KtError('API_STATUS', 'the API server answered with something that is not JSON', {
      hint: 'is the server of the kubeconfig a Kubernetes API server, and not a proxy that shows a page?',
      cause: error,
    });
  }
}

export async function readText(response: IncomingMessage, limit: number): Promise<string> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    length += piece.length;
    // Leaving the loop destroys the connection.
    if (length > limit) throw new KtError('API_STATUS', `the API server's answer is larger than ${limit / 1024} KiB`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}
