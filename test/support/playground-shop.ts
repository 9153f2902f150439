// The playground's shop as its tests ask it: a request to one of its pods over a port-forward, and from there through the cluster.
// Tests only.
import { once } from 'node:events';
import http from 'node:http';
import type { PlaygroundClient } from './playground-client.ts';

export async function podOf(client: PlaygroundClient, app: string): Promise<string> {
  const list = await client.get(`/api/v1/namespaces/shop/pods?labelSelector=app%3D${app}`);
  return list.body.items[0].metadata.name;
}

export async function ask(
  client: PlaygroundClient,
  pod: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string }> {
  const connection = await client.forward('shop', pod, 8080);
  const request = http.get({ path, headers: { host: 'gateway', ...headers }, createConnection: () => connection });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  connection.destroy();
  return { status: response.statusCode ?? 0, text };
}

/** The names of those who answered, from the gateway on. */
export async function chain(client: PlaygroundClient, headers: Record<string, string> = {}): Promise<string[]> {
  const names: string[] = [];
  const first = JSON.parse((await ask(client, await podOf(client, 'gateway'), '/', headers)).text);
  for (let one = first; one?.name !== undefined; one = one.next) names.push(one.name);
  return names;
}
