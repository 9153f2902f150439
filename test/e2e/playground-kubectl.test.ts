// kubectl, a client that shares nothing with us, against the playground: what a visitor of `kt demo` types. Needs kubectl, no cluster.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Playground, startPlayground } from '../../src/playground/start.ts';

const run = promisify(execFile);
let playground: Playground;
let scratch: string;

beforeAll(async () => {
  playground = await startPlayground();
  scratch = mkdtempSync(join(tmpdir(), 'kt-kubectl-'));
});
afterAll(async () => {
  await playground.close();
  rmSync(scratch, { recursive: true, force: true });
});

/** Output of kubectl; the text of its error where it fails. */
async function kubectl(...args: string[]): Promise<string> {
  const env = { ...process.env, KUBECONFIG: playground.kubeconfig, HOME: scratch };
  try {
    return (await run('kubectl', args, { env, timeout: 60_000 })).stdout.trim();
  } catch (error) {
    return (error as { stderr: string }).stderr.trim();
  }
}

const MANIFEST = (version: string): string => `
apiVersion: v1
kind: Service
metadata: {name: hello}
spec: {selector: {app: hello}, ports: [{port: 80, targetPort: web}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: hello}
spec:
  selector: {matchLabels: {app: hello}}
  template:
    metadata: {labels: {app: hello}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: hello
        image: node:24-slim
        args: ["-e", "require('http').createServer((q, s) => s.end(process.env.V)).listen(3000, () => console.log('up ' + process.env.V))"]
        env: [{name: V, value: ${version}}]
        ports: [{name: web, containerPort: 3000}]
        readinessProbe: {tcpSocket: {port: web}}
`;

test('get', async () => {
  const table = await kubectl('get', 'pods');
  expect(table).toMatch(/^NAME +READY +STATUS +RESTARTS +AGE\n/);
  expect(table).toMatch(/\ndb-0 +1\/1 +Running +0 +\d+s/);
  expect(await kubectl('get', 'svc,deploy,sts,ep', '-o', 'name')).toContain('deployment.apps/orders');
  expect(await kubectl('get', 'pod', 'db-0', '-o', 'jsonpath={.status.phase}')).toBe('Running');
  expect(await kubectl('get', 'pod', 'nope')).toBe('Error from server (NotFound): pods "nope" not found');
  expect(await kubectl('logs', 'db-0')).toBe('db-0 on 5432');
  expect(await kubectl('describe', 'pod', 'db-0')).toMatch(/Successfully assigned shop\/db-0 to playground/);
});

test('the rights of the other users', async () => {
  expect(await kubectl('--context', 'reader', 'delete', 'pod', 'db-0')).toBe(
    'Error from server (Forbidden): pods "db-0" is forbidden: User "reader" cannot delete resource "pods" in API group "" in the namespace "shop"',
  );
  expect(await kubectl('--context', 'forwarder', 'get', 'deploy')).toContain(
    'deployments.apps is forbidden: User "forwarder" cannot list',
  );
  expect(await kubectl('--context', 'expired', 'get', 'pods')).toBe(
    'error: You must be logged in to the server (Unauthorized)',
  );
});

test('apply, roll out, scale, wait, delete', async () => {
  const file = join(scratch, 'hello.yaml');
  writeFileSync(file, MANIFEST('one'));
  expect(await kubectl('apply', '-f', file)).toBe('service/hello created\ndeployment.apps/hello created');
  expect(await kubectl('rollout', 'status', 'deploy/hello', '--timeout=30s')).toContain('successfully rolled out');
  expect(await kubectl('apply', '-f', file)).toBe('service/hello unchanged\ndeployment.apps/hello unchanged');
  writeFileSync(file, MANIFEST('two'));
  expect(await kubectl('apply', '-f', file)).toBe('service/hello unchanged\ndeployment.apps/hello configured');
  expect(await kubectl('rollout', 'status', 'deploy/hello', '--timeout=30s')).toContain('successfully rolled out');
  expect(await kubectl('scale', 'deploy/hello', '--replicas=2')).toBe('deployment.apps/hello scaled');
  expect(await kubectl('wait', 'deploy/hello', '--for=jsonpath={.status.readyReplicas}=2', '--timeout=30s')).toContain(
    'condition met',
  );
  expect(await kubectl('logs', '-l', 'app=hello')).toContain('up two');
  expect(await kubectl('delete', '-f', file)).toBe('service "hello" deleted\ndeployment.apps "hello" deleted');
  expect(await kubectl('wait', 'pod', '-l', 'app=hello', '--for=delete', '--timeout=30s')).toMatch(/condition met|^$/);
  expect(await kubectl('get', 'pods', '-l', 'app=hello')).toMatch(/No resources found|^$/);
});

test('apply into the restricted namespace says what Pod Security says', async () => {
  const file = join(scratch, 'locked.yaml');
  writeFileSync(file, MANIFEST('one'));
  const env = { ...process.env, KUBECONFIG: playground.kubeconfig, HOME: scratch };
  const { stderr } = await run('kubectl', ['apply', '-n', 'locked', '-f', file], { env });
  expect(stderr).toMatch(/^Warning: would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false/);
  await kubectl('delete', '-n', 'locked', '-f', file);
});

test('patch, label, annotate', async () => {
  expect(await kubectl('patch', 'svc', 'orders', '-p', '{"spec":{"selector":{"version":"v1"}}}')).toBe(
    'service/orders patched',
  );
  expect(
    await kubectl('patch', 'svc', 'orders', '--type=json', '-p', '[{"op":"remove","path":"/spec/selector/version"}]'),
  ).toBe('service/orders patched');
  expect(await kubectl('get', 'svc', 'orders', '-o', 'jsonpath={.spec.selector}')).toBe('{"app":"orders"}');
  expect(await kubectl('label', 'svc', 'orders', 'a=b')).toBe('service/orders labeled');
  expect(await kubectl('annotate', 'svc', 'orders', 'c=d')).toBe('service/orders annotated');
});
