// Must: `kt run --env-from` and `--files-from` on the real cluster, as dev: variables and files of a Deployment, the way to the API with
// the user's rights, and clear words for a missing ConfigMap and for Secrets that may not be read.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kubectl, Laptop } from './support/kt.ts';
import { ktRunWith, type Outcome, runAs } from './support/programs.ts';

const NAME = 'kt-t-workload';
const laptop = new Laptop();

const configMap = (greeting: string): string => `
apiVersion: v1
kind: ConfigMap
metadata: {name: ${NAME}, namespace: shop}
data: {GREETING: ${greeting}, app.yaml: "greeting: ${greeting}", JAVA_OPTS: -Xmx100g}`;
const manifests = `${configMap('hello')}
---
apiVersion: v1
kind: Secret
metadata: {name: ${NAME}, namespace: shop}
stringData: {password: geheim}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: ${NAME}, namespace: shop}
rules: [{apiGroups: [""], resources: [secrets], resourceNames: [${NAME}], verbs: [get]}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${NAME}, namespace: shop}
spec:
  replicas: 0
  selector: {matchLabels: {app: ${NAME}}}
  template:
    metadata: {labels: {app: ${NAME}}}
    spec:
      containers:
      - name: main
        image: node:24-slim
        envFrom: [{configMapRef: {name: ${NAME}}}]
        env:
        - {name: URL, value: "http://orders/$(GREETING)"}
        - {name: CONFIG, value: /etc/app/app.yaml}
        - {name: MISSING, valueFrom: {configMapKeyRef: {name: ${NAME}-gone, key: x}}}
        - {name: PASSWORD, valueFrom: {secretKeyRef: {name: ${NAME}, key: password}}}
        - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        volumeMounts: [{name: app, mountPath: /etc/app}]
      volumes: [{name: app, configMap: {name: ${NAME}}}]
`;
const BINDING = ['create', 'rolebinding', NAME, '-n', 'shop', '--role', NAME, '--group', 'developers'];
const FROM = ['--env-from', `deploy/${NAME}`, '--env-exclude', 'MISSING'];

const run = (flags: string[], script: string, onOutput?: Parameters<typeof runAs>[2]): Promise<Outcome> =>
  runAs(laptop, ktRunWith(laptop, flags, 'sh', '-c', script), { input: '', ...onOutput });

beforeAll(async () => {
  await kubectl(['apply', '-f', '-'], 'admin', manifests);
});
afterAll(async () => {
  const kinds = 'deployment,configmap,secret,role,rolebinding';
  await kubectl(['delete', kinds, NAME, '-n', 'shop', '--ignore-not-found', '--wait=false'], 'admin');
  await laptop.close();
});

describe('variables', () => {
  test('of the template, the ConfigMap and the Services; what may not be read is said', async () => {
    const script =
      'echo "$GREETING $URL $POD [$PASSWORD] [$JAVA_OPTS]"; test -n "$PATH" && curl -s "http://$ORDERS_SERVICE_HOST/"';
    const outcome = await run(FROM, script);
    expect(outcome.stdout).toContain(`hello http://orders/hello ${NAME}-kt-`);
    expect(outcome.stdout).toContain('[] []\n');
    expect(outcome.stderr).toContain(
      `PASSWORD of deploy/${NAME} is not set: key 'password' of the Secret '${NAME}': the user 'dev' may not get secrets in the namespace 'shop'`,
    );
    expect(outcome.stderr).toContain('resources: [secrets], verbs: [get]');
    expect(outcome.stderr).toMatch(
      /env +deploy\/kt-t-workload \(container main\): .* the laptop keeps its own JAVA_OPTS/,
    );
  });

  test('a ConfigMap that is not there ends it before the program starts', async () => {
    const outcome = await run(['--env-from', `deploy/${NAME}`], 'echo started');
    expect([outcome.code, outcome.stdout]).toEqual([3, '']);
    expect(outcome.stderr).toContain(`names what is not there: the ConfigMap '${NAME}-gone' (MISSING)`);
    expect(outcome.stderr).toContain('(WORKLOAD_INCOMPLETE)');
  });

  test('with the right to read the Secret: its value comes, and is masked where it is shown', async () => {
    await kubectl(BINDING, 'admin');
    const outcome = await run([...FROM, '--env-diff', '--env', 'URL=mine'], 'echo "$PASSWORD $URL"');
    expect(outcome.stdout).toBe('geheim mine\n');
    expect(outcome.stderr).toContain(`+ PASSWORD=••••  (Secret ${NAME})`);
    expect(outcome.stderr).not.toContain('geheim');
  });
});

describe('files', () => {
  test('the ConfigMap in a folder, the variable leads to it, a change arrives, nothing is left', async () => {
    const script =
      'echo "in $KT_FILES"; cat "$CONFIG"; read -r _; while ! grep -q bye "$CONFIG"; do sleep 0.2; done; cat "$CONFIG"';
    let changed = false;
    const outcome = await run([...FROM, '--files-from', `deploy/${NAME}`], script, {
      onOutput: (stdout, child) => {
        if (changed || !stdout.includes('greeting: hello')) return;
        changed = true;
        void kubectl(['apply', '-f', '-'], 'admin', configMap('bye')).then(() => child.stdin?.end('go\n'));
      },
    });
    expect(outcome.stdout, outcome.stderr).toContain('greeting: hello');
    expect(outcome.stdout).toContain('greeting: bye');
    const folder = /in (\S+)/.exec(outcome.stdout)?.[1] ?? '';
    const left = await runAs(laptop, ['ls', folder]);
    expect(left.stderr).toContain('No such file');
  });

  test('programs find the API server as in a pod, with the user’s rights', async () => {
    const script = `
      kubectl get configmap ${NAME} -o name
      kubectl auth can-i create nodes
      account=$KT_FILES/var/run/secrets/kubernetes.io/serviceaccount
      curl -s --cacert $account/ca.crt -H "Authorization: Bearer $(cat $account/token)" \\
        https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT/api/v1/namespaces/$(cat $account/namespace)/pods?limit=1 | grep '"kind": "PodList"'`;
    const outcome = await run([...FROM, '--files-from', `deploy/${NAME}`], script);
    expect(outcome.stdout, outcome.stderr).toContain(`configmap/${NAME}\nno\n`);
    expect(outcome.stdout).toContain('PodList');
  });
});
