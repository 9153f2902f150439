// The Role and RoleBinding that modes of kt need, as YAML with a note for the platform team who is to apply it. Pure.
// Called by cli/commands/doctor.ts.
import { type Right, roleYaml } from '../../cluster/access.ts';
import { KtError } from '../../errors.ts';
import { FORWARD_RIGHTS, HELPFUL_RIGHTS, modeRights } from './mode-rights.ts';

const STARTS_NOTHING = ['shared', 'agentless', 'birdseye'];

export interface RoleRequest {
  /** Empty: connect. */
  readonly modes: readonly string[];
  readonly namespace: string;
  readonly user: string;
  /** What a port-forward needs there; both verbs where the server was not asked. */
  readonly forward?: readonly Right[] | undefined;
  /** Also what nothing fails without. */
  readonly helpful?: boolean;
}

/** The rights of these modes, each once. Throws USAGE for an unknown mode. */
export function rightsOf({
  modes,
  forward = FORWARD_RIGHTS,
  helpful = false,
}: Omit<RoleRequest, 'namespace' | 'user'>): Right[] {
  const known = modeRights(forward);
  const wanted = modes.length > 0 ? modes : ['connect'];
  const rights = wanted.flatMap((mode) => {
    if (!Object.hasOwn(known, mode))
      throw new KtError('USAGE', `--rbac does not know '${mode}'`, {
        hint: `there are: ${Object.keys(known).join(', ')}`,
      });
    return known[mode]?.needs ?? [];
  });
  const all = helpful ? [...rights, ...HELPFUL_RIGHTS] : rights;
  const id = ({ verb, group, resource, subresource }: Right): string => [verb, group, resource, subresource].join();
  return [...new Map(all.map((right) => [id(right), right])).values()];
}

export function roleRequest(request: RoleRequest): string {
  const { namespace, user } = request;
  const modes = request.modes.length > 0 ? request.modes : ['connect'];
  const note = [
    `For the platform team: '${user}' asks for this in the namespace '${namespace}', for kt (${modes.join(', ')}).`,
    'It is a Role of one namespace: nothing cluster-wide, no custom resource, no operator, no webhook, no image to publish.',
    ...noteOf(modes),
    'Apply with: kubectl apply -f FILE. Take it back with: kubectl delete -f FILE.',
  ];
  return `${note.map((line) => `# ${line}\n`).join('')}${roleYaml(namespace, rightsOf(request), user)}`;
}

function noteOf(modes: readonly string[]): string[] {
  const lines: string[] = [];
  if (modes.includes('shared'))
    lines.push('kt uses the agent that `kt doctor --shared-agent` prints, and starts none.');
  if (modes.some((mode) => !STARTS_NOTHING.includes(mode)))
    lines.push(
      'kt starts a pod of a stock Node image that passes Pod Security "restricted" and has no service account token; it is',
      'reached by port-forward only and deleted at the end of the session.',
    );
  if (modes.some((mode) => mode !== 'connect' && !STARTS_NOTHING.includes(mode)))
    lines.push(
      'Taking a Service over patches its selector and keeps the original in an annotation of the Service; it is restored at the end,',
      'and the original pods answer whenever the laptop does not.',
    );
  return lines;
}
