// The flags that say where an agent's pod runs and with what, with kt-connect's names for them, and what they become. A part of the flags of
// a session (options.ts). Throws USAGE before anything is done.
import type { AgentPlacement } from '../cluster/agent-placement.ts';
import { KtError } from '../errors.ts';
import { type Arguments, text } from './arguments.ts';

export const PLACEMENT_OPTIONS = {
  image: { type: 'string', alias: 'i', describe: 'a Node image, 20 or newer (default node:24-slim)', group: 'Agent:' },
  'image-pull-secret': { type: 'string', describe: 'Secret to pull it with', group: 'Agent:' },
  'force-update': {
    type: 'boolean',
    default: false,
    describe: 'pull it although the node has it',
    group: 'Agent:',
  },
  'service-account': {
    type: 'string',
    describe: "service account of the agent's pods, for policies; its token is not mounted",
    group: 'Agent:',
  },
  'node-selector': { type: 'string', describe: 'labels of the node: key=value,key=value', group: 'Agent:' },
  'pod-quota': {
    type: 'string',
    describe: "cores and memory of an agent's pod, requests and limits alike: 0.5c,256m",
    group: 'Agent:',
  },
  'with-label': {
    type: 'string',
    alias: 'l',
    describe: "labels on agents' pods: key=value,key=value",
    group: 'Agent:',
  },
  'with-annotation': {
    type: 'string',
    describe: "annotations on agents' pods: key=value,key=value",
    group: 'Agent:',
  },
} as const;

/** MiB. The program itself takes some 60, the rest is buffers, whose bounds are made for 256 (agent-placement.ts). */
const MEMORY_MIN_MIB = 128;
const MEBIBYTES = { k: 1 / 1024, m: 1, g: 1024 } as const;

export function placement(args: Arguments): AgentPlacement {
  const labels = pairs(args, 'withLabel', 'withLabel');
  const own = Object.keys(labels ?? {}).find((name) => name.startsWith('kt/'));
  if (own !== undefined) throw new KtError('USAGE', `--withLabel can't set '${own}': labels of kt/ are kt's own`);
  return {
    image: text(args, 'image'),
    imagePullSecret: text(args, 'imagePullSecret'),
    alwaysPull: args['forceUpdate'] === true,
    serviceAccount: text(args, 'serviceAccount'),
    nodeSelector: pairs(args, 'nodeSelector', 'nodeSelector'),
    resources: quota(text(args, 'podQuota')),
    labels,
    annotations: pairs(args, 'withAnnotation', 'withAnnotation'),
  };
}

/** `0.5c,512m`, as kt-connect writes it: cores with `c`, memory with `k`, `m` or `g` (powers of 1024). */
function quota(value: string | undefined): AgentPlacement['resources'] {
  if (value === undefined) return undefined;
  const read: { cpu?: string; memory?: string } = {};
  for (const part of value.split(',')) {
    const [, amount = '', unit = ''] = /^\s*(\d+(?:\.\d+)?)([ckmg])\s*$/i.exec(part) ?? [];
    const of = unit.toLowerCase();
    const mebibytes = of in MEBIBYTES ? Number(amount) * MEBIBYTES[of as keyof typeof MEBIBYTES] : undefined;
    if (amount === '' || Number(amount) === 0)
      throw new KtError('USAGE', `--podQuota takes cores and memory, such as 0.5c,256m, and got '${part.trim()}'`);
    if (mebibytes === undefined) read.cpu = amount;
    else if (mebibytes < MEMORY_MIN_MIB)
      throw new KtError('USAGE', `an agent needs ${MEMORY_MIN_MIB}m of memory and --podQuota gives it ${part.trim()}`);
    else read.memory = `${Math.floor(mebibytes)}Mi`;
  }
  return read;
}

function pairs(args: Arguments, name: string, flag: string): Record<string, string> | undefined {
  const value = text(args, name);
  if (value === undefined) return undefined;
  return Object.fromEntries(
    value.split(',').map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw new KtError('USAGE', `--${flag} takes key=value,key=value and got '${pair}'`);
      return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
    }),
  );
}
