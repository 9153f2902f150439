// Reads a request whole, notes it, and gives the text that the test's web server answers: `METHOD url bytes`. Used by the HTTP proxy's tests.
import type { IncomingMessage } from 'node:http';

export interface SeenRequest {
  method: string;
  url: string;
  raw: string[];
  body: Buffer;
  trailers: string[];
}

export async function recordRequest(incoming: IncomingMessage, seen: SeenRequest[]): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const { method = '', url = '', rawHeaders, rawTrailers } = incoming;
  seen.push({ method, url, raw: rawHeaders, body, trailers: rawTrailers });
  return `${method} ${url} ${body.length}\n`;
}
