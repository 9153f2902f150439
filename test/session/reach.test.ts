// Which way the user's rights allow, and what is said where they allow none. Kubernetes 1.35 wants one verb more for a port-forward.
import { expect, test } from 'vitest';
import { ClusterApi } from '../../src/cluster/rest.ts';
import { checkRights } from '../../src/session/reach.ts';
import { configFor, failure, startFakeApi } from '../cluster/support/fake-api.ts';

/** An API server of a version whose user has these rights (`verb resource/subresource`), with these shared agents. */
async function cluster(
  minor: string | undefined,
  rights: readonly string[],
  pods: readonly object[] = [],
): Promise<ClusterApi> {
  const server = await startFakeApi(async (request, response) => {
    if (request.url === '/version') {
      if (minor === undefined) response.writeHead(403).end('{}');
      else response.end(JSON.stringify({ major: '1', minor }));
      return;
    }
    if (request.url?.startsWith('/api/v1/namespaces/shop/pods?')) {
      expect(decodeURIComponent(request.url)).toContain('kt/role=shared');
      response.end(JSON.stringify({ items: pods }));
      return;
    }
    let body = '';
    for await (const piece of request as AsyncIterable<Buffer>) body += piece.toString();
    const { verb, resource, subresource } = (
      JSON.parse(body) as { spec: { resourceAttributes: Record<string, string> } }
    ).spec.resourceAttributes;
    const allowed = rights.includes(`${verb} ${resource}${subresource ? `/${subresource}` : ''}`);
    response.writeHead(201).end(JSON.stringify({ status: { allowed } }));
  });
  return new ClusterApi(configFor(server.url));
}

const GET = 'get pods/portforward';
const CREATE = 'create pods/portforward';
const PODS = ['create pods', 'get pods', 'delete pods'];
const LISTS = ['list pods', 'list services'];

test.each([
  ['34', [GET, ...PODS], 'agent'],
  ['34', [GET, ...LISTS], 'agentless'],
  ['35', [GET, CREATE, ...PODS], 'agent'],
  ['35+', [GET, CREATE, ...LISTS], 'agentless'],
  [undefined, [GET, ...PODS], 'agent'],
  // SPDY is a POST.
  ['34', [CREATE, ...PODS], 'agent'],
  ['36', [CREATE, ...LISTS], 'agentless'],
  ['34', ['get pods/exec', ...PODS], 'agent'],
  ['35', ['get pods/exec', 'create pods/exec', ...PODS], 'agent'],
  ['35', ['get pods/proxy', ...PODS], 'agent'],
])('Kubernetes 1.%s with %j: %s', async (minor, rights, mode) => {
  const api = await cluster(minor, rights);
  await expect(checkRights(api, 'shop', 'auto')).resolves.toBe(mode);
  api.close();
});

test.each([
  ['35', [GET, ...PODS, ...LISTS], 'you may not create pods/portforward'],
  ['36', [...PODS], 'you may not get, create pods/portforward'],
  ['34', [...PODS], 'you may not get pods/portforward'],
  // An exec needs a Node in the pod, so it is no way without an agent.
  ['34', ['get pods/exec', ...LISTS], 'you may not create, get, delete pods'],
])('Kubernetes 1.%s with %j: refused, naming the verb', async (minor, rights, message) => {
  const api = await cluster(minor, rights);
  const error = await failure(checkRights(api, 'shop', 'auto'));
  expect(error).toMatchObject({ code: 'RIGHTS_MISSING' });
  expect(error.message).toContain(message);
  api.close();
});

const agent = (ready: 'True' | 'False', more: object = {}): object => ({
  metadata: { name: 'kt-shared-agent-x', ...more },
  status: { podIP: '10.1.2.3', conditions: [{ type: 'Ready', status: ready }] },
});

test.each([
  ['is taken by who may create no pods', LISTS, 'auto', [agent('True')], 'shared'],
  ['is not taken by who may', [...PODS, ...LISTS], 'auto', [agent('True')], 'agent'],
  ['is taken by who may, where it is asked for', [...PODS, ...LISTS], 'shared', [agent('True')], 'shared'],
  ['that is not ready is none', LISTS, 'auto', [agent('False')], 'agentless'],
  ['that is being deleted is none', LISTS, 'auto', [agent('True', { deletionTimestamp: 'now' })], 'agentless'],
  ['is not taken where port-forwards alone are asked for', LISTS, 'agentless', [agent('True')], 'agentless'],
] as const)('a shared agent %s', async (_, rights, wanted, pods, mode) => {
  const api = await cluster('34', [GET, 'get pods', ...rights], pods);
  await expect(checkRights(api, 'shop', wanted)).resolves.toBe(mode);
  api.close();
});

test('a shared agent that was asked for and is not there: says what the platform team can do', async () => {
  const api = await cluster('34', [GET, 'get pods', ...LISTS]);
  const error = await failure(checkRights(api, 'shop', 'shared'));
  expect(error).toMatchObject({ code: 'AGENT_START', hint: expect.stringContaining('kt doctor --shared-agent') });
  api.close();
});
