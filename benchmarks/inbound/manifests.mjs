// What the inbound benchmark runs in the cluster: an origin (nginx) with the Service that is taken and one that never is, nginx as a reverse
// proxy in a pod of the agent's size, and a pod for the callers.

export const NAMES = {
  origin: 'kt-bench-in',
  direct: 'kt-bench-in-direct',
  proxy: 'kt-bench-in-nginx',
  caller: 'kt-bench-in-caller',
};
/** As the ingress agent's pod. */
const AGENT_SIZE = { requests: { cpu: '10m', memory: '64Mi' }, limits: { cpu: '1', memory: '256Mi' } };
const SMALL = { requests: { cpu: '10m', memory: '32Mi' } };

const common = `worker_processes 1; pid /tmp/nginx.pid; error_log stderr error;
events { worker_connections 4096; }
http {
  access_log off; keepalive_timeout 600; keepalive_requests 1000000000; tcp_nodelay on;
  client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s;`;
const originConfig = `${common}
  server { listen 8080; location / { default_type application/json; return 200 '{"name":"pod"}'; } }
}`;
const proxyConfig = `${common}
  upstream origin { server ${NAMES.direct}:80; keepalive 256; keepalive_requests 1000000000; }
  server {
    listen 8080;
    location / {
      proxy_pass http://origin; proxy_http_version 1.1; proxy_buffering off;
      proxy_set_header Connection ""; proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
  }
}`;

function nginx(name, config, resources) {
  const labels = { app: name };
  const container = {
    name: 'nginx',
    image: 'nginx:stable',
    command: ['nginx', '-c', '/conf/nginx.conf', '-g', 'daemon off;'],
    ports: [{ containerPort: 8080 }],
    readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
    resources,
    volumeMounts: [{ name: 'conf', mountPath: '/conf' }],
  };
  const spec = {
    terminationGracePeriodSeconds: 1,
    securityContext: { runAsUser: 1000, runAsGroup: 1000 },
    containers: [container],
    volumes: [{ name: 'conf', configMap: { name } }],
  };
  return [
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { 'nginx.conf': config } },
    deployment(name, labels, spec),
    service(name, labels),
  ];
}

const deployment = (name, labels, spec) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec: { replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
});
const service = (name, selector) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
});

/** The proxy starts only where the name of its origin resolves. */
export const origins = () => [
  ...nginx(NAMES.origin, originConfig, SMALL),
  service(NAMES.direct, { app: NAMES.origin }),
  deployment(
    NAMES.caller,
    { app: NAMES.caller },
    {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'caller', image: 'node:24-slim', command: ['sleep', '100000'], resources: SMALL }],
    },
  ),
];
export const proxy = () => nginx(NAMES.proxy, proxyConfig, AGENT_SIZE);
