// The parts of a pod's template that say what its programs are given: variables and volumes. Types only, as the API writes them.
// Used by everything in cluster/workload/. Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/

export interface KeyReference {
  readonly name?: string;
  readonly key: string;
  readonly optional?: boolean;
}

export interface ValueSource {
  readonly configMapKeyRef?: KeyReference;
  readonly secretKeyRef?: KeyReference;
  readonly fieldRef?: { readonly fieldPath: string };
  readonly resourceFieldRef?: ResourceReference;
}

export interface ResourceReference {
  readonly containerName?: string;
  readonly resource: string;
  readonly divisor?: string | number;
}

export interface EnvVariable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: ValueSource;
}

interface ObjectReference {
  readonly name?: string;
  readonly optional?: boolean;
}

export interface EnvSource {
  readonly prefix?: string;
  readonly configMapRef?: ObjectReference;
  readonly secretRef?: ObjectReference;
}

export interface VolumeMount {
  readonly name: string;
  readonly mountPath: string;
  readonly subPath?: string;
}

export interface Container {
  readonly name: string;
  readonly env?: readonly EnvVariable[];
  readonly envFrom?: readonly EnvSource[];
  readonly volumeMounts?: readonly VolumeMount[];
  readonly resources?: {
    readonly limits?: Readonly<Record<string, string | number>>;
    readonly requests?: Readonly<Record<string, string | number>>;
  };
}

interface KeyToPath {
  readonly key: string;
  readonly path: string;
}

interface DownwardItem {
  readonly path: string;
  readonly fieldRef?: { readonly fieldPath: string };
  readonly resourceFieldRef?: ResourceReference;
}

/** What one volume, or one part of a projected volume, can be made of. Other kinds have no field here. */
export interface VolumeSource {
  readonly configMap?: ObjectReference & { readonly items?: readonly KeyToPath[] };
  readonly secret?: ObjectReference & { readonly secretName?: string; readonly items?: readonly KeyToPath[] };
  readonly downwardAPI?: { readonly items?: readonly DownwardItem[] };
  readonly serviceAccountToken?: {
    readonly path: string;
    readonly audience?: string;
    readonly expirationSeconds?: number;
  };
}

export interface Volume extends VolumeSource {
  readonly name: string;
  readonly emptyDir?: object;
  readonly projected?: { readonly sources?: readonly VolumeSource[] };
}

export interface PodTemplate {
  readonly metadata?: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: {
    readonly containers?: readonly Container[];
    readonly volumes?: readonly Volume[];
    readonly serviceAccountName?: string;
    readonly automountServiceAccountToken?: boolean;
    readonly enableServiceLinks?: boolean;
  };
}
