// The expected texts are those of a real API server (Kubernetes 1.34.4, `--dry-run=server`).
import { describe, expect, test } from 'vitest';
import { violations } from '../../src/playground/api/pod-security.ts';
import type { PodSpec } from '../../src/playground/types.ts';

const container = (name: string, securityContext: object = {}, more: object = {}): object => ({
  name,
  image: 'node:24',
  securityContext,
  ...more,
});
const spec = (value: object): PodSpec => value as PodSpec;
const good = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };

describe('restricted', () => {
  test('a pod without any security context', () => {
    expect(violations('restricted', spec({ containers: [container('psa-x')] }))).toBe(
      'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "psa-x" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "psa-x" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "psa-x" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "psa-x" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
    );
  });

  test('everything at once', () => {
    const pod = spec({
      hostNetwork: true,
      hostPID: true,
      securityContext: { runAsUser: 0, sysctls: [{ name: 'kernel.msgmax', value: '1' }] },
      volumes: [
        { name: 'h', hostPath: { path: '/' } },
        { name: 'n', nfs: { server: 'a', path: '/' } },
      ],
      containers: [
        container(
          'a',
          { privileged: true, runAsUser: 0, capabilities: { add: ['NET_ADMIN'] } },
          { ports: [{ containerPort: 80, hostPort: 80 }] },
        ),
        container('b', {
          runAsNonRoot: false,
          seccompProfile: { type: 'Unconfined' },
          capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE', 'SYS_TIME'] },
        }),
      ],
    });
    expect(violations('restricted', pod)).toBe(
      'violates PodSecurity "restricted:latest": host namespaces (hostNetwork=true, hostPID=true), hostPort (container "a" uses hostPort 80), privileged (container "a" must not set securityContext.privileged=true), forbidden sysctls (kernel.msgmax), allowPrivilegeEscalation != false (containers "a", "b" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "a" must set securityContext.capabilities.drop=["ALL"]; containers "a", "b" must not include "NET_ADMIN", "SYS_TIME" in securityContext.capabilities.add), restricted volume types (volumes "h", "n" use restricted volume types "hostPath", "nfs"), runAsNonRoot != true (container "b" must not set securityContext.runAsNonRoot=false), runAsUser=0 (pod and container "a" must not set runAsUser=0), seccompProfile (container "b" must not set securityContext.seccompProfile.type to "Unconfined")',
    );
  });

  test('the pod says no', () => {
    const pod = spec({
      securityContext: { runAsNonRoot: false, seccompProfile: { type: 'Unconfined' } },
      containers: [container('a'), container('b')],
    });
    expect(violations('restricted', pod)).toBe(
      'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (containers "a", "b" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (containers "a", "b" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false), seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
    );
  });

  test('one container says no', () => {
    const pod = spec({
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [container('a', good), container('b', { ...good, runAsNonRoot: false })],
    });
    expect(violations('restricted', pod)).toBe(
      'violates PodSecurity "restricted:latest": runAsNonRoot != true (container "b" must not set securityContext.runAsNonRoot=false)',
    );
  });

  test('a pod that may run', () => {
    const pod = spec({
      securityContext: {
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
        sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '0' }],
      },
      volumes: [{ name: 'c', configMap: { name: 'c' } }, { name: 'e' }],
      containers: [container('a', { ...good, capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] } })],
    });
    expect(violations('restricted', pod)).toBeUndefined();
  });
});

test('baseline', () => {
  const pod = spec({
    hostNetwork: true,
    containers: [container('a', { privileged: true, capabilities: { add: ['NET_ADMIN'] } })],
  });
  expect(violations('baseline', pod)).toBe(
    'violates PodSecurity "baseline:latest": non-default capabilities (container "a" must not include "NET_ADMIN" in securityContext.capabilities.add), host namespaces (hostNetwork=true), privileged (container "a" must not set securityContext.privileged=true)',
  );
  expect(violations('baseline', spec({ containers: [container('a')] }))).toBeUndefined();
  expect(violations('privileged', pod)).toBeUndefined();
});
