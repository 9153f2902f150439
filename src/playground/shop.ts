// The manifests of the playground's shop: gateway → orders → stock → vault (namespace `locked`, Pod Security restricted), and the
// database-like db-0.db. Each Service shows another way to a pod: named target port, port ≠ targetPort, headless.
// Pure; the programs are in programs/shop.mjs and programs/db.mjs.
import type { Manifest } from './types.ts';

interface Program {
  readonly name: string;
  readonly namespace: string;
  readonly file: 'shop.mjs' | 'db.mjs';
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;
}

const IMAGE = 'node:24-slim';
const RESTRICTED = {
  pod: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
  container: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
};

function podTemplate(program: Program): unknown {
  return {
    metadata: { labels: { app: program.name, version: 'v1' } },
    spec: {
      terminationGracePeriodSeconds: 1,
      securityContext: RESTRICTED.pod,
      containers: [
        {
          name: program.name,
          image: IMAGE,
          command: ['node', `/app/${program.file}`],
          env: Object.entries({ NAME: program.name, PORT: String(program.port), ...program.env }).map(
            ([name, value]) => ({
              name,
              value,
            }),
          ),
          ports: [{ name: program.file === 'db.mjs' ? 'db' : 'http', containerPort: program.port }],
          readinessProbe: { tcpSocket: { port: program.port }, periodSeconds: 2 },
          resources: { requests: { cpu: '10m', memory: '32Mi' }, limits: { memory: '256Mi' } },
          securityContext: RESTRICTED.container,
          volumeMounts: [{ name: 'app', mountPath: '/app', readOnly: true }],
        },
      ],
      volumes: [{ name: 'app', configMap: { name: 'app' } }],
    },
  };
}

function workload(kind: 'Deployment' | 'StatefulSet', program: Program, replicas: number): Manifest {
  return {
    apiVersion: 'apps/v1',
    kind,
    metadata: { name: program.name, namespace: program.namespace, labels: { app: program.name } },
    spec: {
      replicas,
      selector: { matchLabels: { app: program.name } },
      ...(kind === 'StatefulSet' ? { serviceName: program.name } : {}),
      template: podTemplate(program),
    },
  };
}

function service(program: Program, port: object, more: object = {}): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: program.name, namespace: program.namespace, labels: { app: program.name } },
    spec: { selector: { app: program.name }, ports: [port], ...more },
  };
}

/** `readProgram` gives the text of a file of programs/. */
export function shopManifests(namespace: string, locked: string, readProgram: (name: string) => string): Manifest[] {
  const http = (name: string, where: string, env: Readonly<Record<string, string>>): Program => ({
    name,
    namespace: where,
    file: 'shop.mjs',
    port: 8080,
    env,
  });
  const gateway = http('gateway', namespace, { NEXT: 'http://orders/' });
  const orders = http('orders', namespace, { NEXT: 'http://stock:8080/' });
  const stock = http('stock', namespace, { NEXT: `http://vault.${locked}/`, DATABASE: 'db-0.db:5432' });
  const vault = http('vault', locked, {});
  const db: Program = { name: 'db', namespace, file: 'db.mjs', port: 5432, env: {} };
  const code = (where: string): Manifest => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'app', namespace: where },
    data: { 'shop.mjs': readProgram('shop.mjs'), 'db.mjs': readProgram('db.mjs') },
  });
  return [
    code(namespace),
    code(locked),
    service(gateway, { name: 'web', port: 80, targetPort: 'http' }),
    service(orders, { name: 'http', port: 80, targetPort: 8080 }),
    service(stock, { name: 'http', port: 8080 }),
    service(vault, { name: 'http', port: 80, targetPort: 'http' }),
    service(db, { name: 'db', port: 5432 }, { clusterIP: 'None' }),
    workload('Deployment', gateway, 1),
    workload('Deployment', orders, 2),
    workload('Deployment', stock, 1),
    workload('Deployment', vault, 1),
    workload('StatefulSet', db, 1),
  ];
}
