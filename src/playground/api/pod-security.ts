// Pod Security admission: what a pod spec violates at level `baseline` or `restricted`, in the words of Kubernetes 1.34 (compared
// with a real API server). The checks that kt's agent or a newcomer's pod can run into; AppArmor, SELinux and procMount are left out.
// Pure; used by api/admission.ts.
import type { Container, PodSpec, SecurityContext } from '../types.ts';

export type Level = 'privileged' | 'baseline' | 'restricted';

/** Capabilities that baseline allows to add: those of a container runtime's default set. */
const DEFAULT_CAPABILITIES = [
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
];

const SAFE_SYSCTLS = [
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ping_group_range',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.tcp_wmem',
];

const RESTRICTED_VOLUMES = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'image',
  'persistentVolumeClaim',
  'projected',
  'secret',
];

const quote = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(', ');
const named = (what: string, names: readonly string[]): string =>
  `${what}${names.length === 1 ? '' : 's'} ${quote(names)}`;

class Checks {
  readonly #spec: PodSpec;
  readonly #all: readonly Container[];
  readonly #pod: SecurityContext;

  constructor(spec: PodSpec) {
    this.#spec = spec;
    this.#all = [...(spec.initContainers ?? []), ...spec.containers];
    this.#pod = spec.securityContext ?? {};
  }

  #containers(bad: (security: SecurityContext, container: Container) => boolean): string[] {
    return this.#all.filter((one) => bad(one.securityContext ?? {}, one)).map((one) => one.name);
  }

  #addsBeyond(allowed: readonly string[]): string | undefined {
    const extra = (security: SecurityContext): string[] =>
      (security.capabilities?.add ?? []).filter((capability) => !allowed.includes(capability));
    const names = this.#containers((security) => extra(security).length > 0);
    if (names.length === 0) return undefined;
    const added = [...new Set(this.#all.flatMap((one) => extra(one.securityContext ?? {})))].sort();
    return `${named('container', names)} must not include ${quote(added)} in securityContext.capabilities.add`;
  }

  hostNamespaces(): string | undefined {
    const used = ['hostNetwork', 'hostPID', 'hostIPC'].filter((field) => this.#spec[field] === true);
    return used.length === 0 ? undefined : `host namespaces (${used.map((field) => `${field}=true`).join(', ')})`;
  }

  hostPorts(): string | undefined {
    const ports = (one: Container): number[] =>
      (one.ports ?? []).map((port) => (port as { hostPort?: number }).hostPort ?? 0).filter((port) => port !== 0);
    const names = this.#containers((_, one) => ports(one).length > 0);
    if (names.length === 0) return undefined;
    const used = this.#all.flatMap(ports);
    return `hostPort (${named('container', names)} ${names.length === 1 ? 'uses' : 'use'} hostPort${used.length === 1 ? '' : 's'} ${used.join(', ')})`;
  }

  privileged(): string | undefined {
    const names = this.#containers((security) => security.privileged === true);
    return names.length === 0
      ? undefined
      : `privileged (${named('container', names)} must not set securityContext.privileged=true)`;
  }

  sysctls(): string | undefined {
    const set = (this.#pod as { sysctls?: readonly { name: string }[] }).sysctls ?? [];
    const bad = set.map((one) => one.name).filter((name) => !SAFE_SYSCTLS.includes(name));
    return bad.length === 0 ? undefined : `forbidden sysctls (${bad.join(', ')})`;
  }

  defaultCapabilities(): string | undefined {
    const added = this.#addsBeyond(DEFAULT_CAPABILITIES);
    return added === undefined ? undefined : `non-default capabilities (${added})`;
  }

  hostPaths(): string | undefined {
    const names = (this.#spec.volumes ?? []).filter((volume) => 'hostPath' in volume).map((volume) => volume.name);
    return names.length === 0 ? undefined : `hostPath volumes (${named('volume', names)})`;
  }

  privilegeEscalation(): string | undefined {
    const names = this.#containers((security) => security.allowPrivilegeEscalation !== false);
    return names.length === 0
      ? undefined
      : `allowPrivilegeEscalation != false (${named('container', names)} must set securityContext.allowPrivilegeEscalation=false)`;
  }

  noCapabilities(): string | undefined {
    const keeping = this.#containers((security) => !security.capabilities?.drop?.includes('ALL'));
    const parts = [
      keeping.length === 0
        ? undefined
        : `${named('container', keeping)} must set securityContext.capabilities.drop=["ALL"]`,
      this.#addsBeyond(['NET_BIND_SERVICE']),
    ].filter((part) => part !== undefined);
    return parts.length === 0 ? undefined : `unrestricted capabilities (${parts.join('; ')})`;
  }

  volumeTypes(): string | undefined {
    const kindOf = (volume: object): string | undefined => Object.keys(volume).find((key) => key !== 'name');
    const bad = (this.#spec.volumes ?? []).filter(
      (volume) => !RESTRICTED_VOLUMES.includes(kindOf(volume) ?? 'emptyDir'),
    );
    if (bad.length === 0) return undefined;
    const kinds = [...new Set(bad.map((volume) => kindOf(volume) ?? ''))].sort();
    const use = bad.length === 1 ? 'uses' : 'use';
    return `restricted volume types (${named(
      'volume',
      bad.map((volume) => volume.name),
    )} ${use} restricted ${named('volume type', kinds)})`;
  }

  runAsNonRoot(): string | undefined {
    const explicit = this.#containers((security) => security.runAsNonRoot === false);
    const unset = this.#containers((security) => security.runAsNonRoot === undefined);
    if (this.#pod.runAsNonRoot === false || explicit.length > 0) {
      const who = [
        this.#pod.runAsNonRoot === false ? 'pod' : '',
        explicit.length > 0 ? named('container', explicit) : '',
      ];
      return `runAsNonRoot != true (${who.filter(Boolean).join(' and ')} must not set securityContext.runAsNonRoot=false)`;
    }
    if (this.#pod.runAsNonRoot === true || unset.length === 0) return undefined;
    return `runAsNonRoot != true (pod or ${named('container', unset)} must set securityContext.runAsNonRoot=true)`;
  }

  runAsUser(): string | undefined {
    const names = this.#containers((security) => security.runAsUser === 0);
    const who = [this.#pod.runAsUser === 0 ? 'pod' : '', names.length > 0 ? named('container', names) : ''].filter(
      Boolean,
    );
    return who.length === 0 ? undefined : `runAsUser=0 (${who.join(' and ')} must not set runAsUser=0)`;
  }

  seccomp(): string | undefined {
    const typeOf = (security: SecurityContext): string | undefined => security.seccompProfile?.type;
    const good = (type: string | undefined): boolean => type === 'RuntimeDefault' || type === 'Localhost';
    const pod = typeOf(this.#pod);
    const explicit = this.#containers((security) => typeOf(security) !== undefined && !good(typeOf(security)));
    const badPod = pod !== undefined && !good(pod);
    if (badPod || explicit.length > 0) {
      const types = [...(badPod ? [pod] : []), ...this.#all.map((one) => typeOf(one.securityContext ?? {}))];
      const bad = [...new Set(types.filter((type) => type !== undefined && !good(type)))] as string[];
      const who = [badPod ? 'pod' : '', explicit.length > 0 ? named('container', explicit) : ''].filter(Boolean);
      return `seccompProfile (${who.join(' and ')} must not set securityContext.seccompProfile.type to ${quote(bad)})`;
    }
    const unset = this.#containers((security) => typeOf(security) === undefined);
    if (good(pod) || unset.length === 0) return undefined;
    return `seccompProfile (pod or ${named('container', unset)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")`;
  }
}

/** The text after `is forbidden: `, or undefined where the pod may run. */
export function violations(level: Level, spec: PodSpec): string | undefined {
  if (level === 'privileged') return undefined;
  const check = new Checks(spec);
  const always = [check.hostNamespaces(), check.hostPorts(), check.privileged(), check.sysctls()];
  const found =
    level === 'baseline'
      ? [check.defaultCapabilities(), check.hostNamespaces(), check.hostPaths(), ...always.slice(1)]
      : [
          ...always,
          check.privilegeEscalation(),
          check.noCapabilities(),
          check.volumeTypes(),
          check.runAsNonRoot(),
          check.runAsUser(),
          check.seccomp(),
        ];
  const texts = found.filter((text) => text !== undefined);
  return texts.length === 0 ? undefined : `violates PodSecurity "${level}:latest": ${texts.join(', ')}`;
}
