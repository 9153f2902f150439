// Access reviews, and the words and Roles for rights that are missing.
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { checkAccess, missingRights, type Right, rightsText, roleYaml } from '../../src/cluster/access.ts';
import { ClusterApi } from '../../src/cluster/rest.ts';
import { configFor, failure, startFakeApi, statusBody } from './support/fake-api.ts';

const FORWARD: Right = { verb: 'get', resource: 'pods', subresource: 'portforward' };
const CREATE: Right = { verb: 'create', resource: 'pods' };
const DELETE: Right = { verb: 'delete', resource: 'pods' };
const DEPLOY: Right = { verb: 'create', resource: 'deployments', group: 'apps' };

describe('checkAccess', () => {
  test('asks each right once, all at once, and gives back the missing ones', async () => {
    const asked: { spec: { resourceAttributes: Record<string, string> } }[] = [];
    const held: (() => void)[] = [];
    const server = await startFakeApi(async (request, response) => {
      let body = '';
      for await (const piece of request as AsyncIterable<Buffer>) body += piece.toString();
      const review = JSON.parse(body) as (typeof asked)[number];
      asked.push(review);
      const { verb } = review.spec.resourceAttributes;
      held.push(() => response.writeHead(201).end(JSON.stringify({ status: { allowed: verb === 'get' } })));
      if (held.length === 3) for (const answer of held) answer();
    });
    const api = new ClusterApi(configFor(server.url));
    const denied = await checkAccess(api, 'shop', [FORWARD, CREATE, DEPLOY]);
    api.close();
    expect(denied).toEqual([CREATE, DEPLOY]);
    expect(denied[0]).toBe(CREATE);
    expect(asked.map(({ spec }) => spec.resourceAttributes)).toContainEqual({
      namespace: 'shop',
      verb: 'get',
      resource: 'pods',
      subresource: 'portforward',
      group: '',
    });
    expect(asked.map(({ spec }) => spec.resourceAttributes.group)).toContain('apps');
  });

  test('an answer without a verdict is a no', async () => {
    const server = await startFakeApi((_, response) => response.end('{}'));
    const api = new ClusterApi(configFor(server.url));
    expect(await checkAccess(api, 'shop', [CREATE])).toEqual([CREATE]);
    api.close();
  });

  test('refused credentials are said, not taken as missing rights', async () => {
    const server = await startFakeApi((_, response) =>
      response.writeHead(401).end(statusBody(401, 'Unauthorized', 'Unauthorized')),
    );
    const api = new ClusterApi(configFor(server.url));
    expect((await failure(checkAccess(api, 'shop', [CREATE, DELETE]))).code).toBe('CREDENTIALS_REJECTED');
    api.close();
  });
});

describe('words', () => {
  test('verbs of one resource come together, resources of the same verbs too', () => {
    expect(rightsText([CREATE])).toBe('create pods');
    expect(rightsText([FORWARD, CREATE, DELETE])).toBe('get pods/portforward and create, delete pods');
    expect(rightsText([CREATE, { verb: 'create', resource: 'services' }, DEPLOY, FORWARD])).toBe(
      'create pods, services, create deployments and get pods/portforward',
    );
  });

  test('RIGHTS_MISSING', () => {
    const error = missingRights('shop', [FORWARD, CREATE]);
    expect(error.code).toBe('RIGHTS_MISSING');
    expect(error.exitCode).toBe(4);
    expect(error.message).toBe("you may not get pods/portforward and create pods in the namespace 'shop'");
    expect(error.hint).toBe(
      'ask who runs the cluster for a Role in \'shop\' with: {apiGroups: [""], resources: [pods/portforward], verbs: [get]}; {apiGroups: [""], resources: [pods], verbs: [create]}',
    );
  });

  test('the Role is YAML that says the same, bound to the user', () => {
    const [role, binding] = parseAllDocuments(roleYaml('shop', [FORWARD, CREATE, DELETE, DEPLOY], 'jane "x"')).map(
      (document) => document.toJS() as unknown,
    );
    expect(role).toEqual({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: { name: 'kt', namespace: 'shop' },
      rules: [
        { apiGroups: [''], resources: ['pods/portforward'], verbs: ['get'] },
        { apiGroups: [''], resources: ['pods'], verbs: ['create', 'delete'] },
        { apiGroups: ['apps'], resources: ['deployments'], verbs: ['create'] },
      ],
    });
    expect(binding).toMatchObject({ kind: 'RoleBinding', subjects: [{ kind: 'User', name: 'jane "x"' }] });
  });
});
