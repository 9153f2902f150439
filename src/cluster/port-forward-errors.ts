// What a container runtime writes on the error channel of a port-forward, as an error that says what to do. Pure.
// Called by port-forward-stream.ts. Sources: containerd internal/cri/server/sandbox_portforward_linux.go; CRI-O
// internal/oci/runtime_oci_linux.go; cri-streaming pkg/streaming/portforward ("error forwarding port P to pod ID, uid U: …").
import { type ErrorCode, KtError } from '../errors.ts';

const CAUSES: readonly (readonly [RegExp, ErrorCode, (name: string) => string])[] = [
  [/connection refused/i, 'DIAL_REFUSED', (name) => `nothing listens on the loopback address of ${name}`],
  [/connection reset|broken pipe/i, 'STREAM_RESET', (name) => `${name} reset the connection`],
  [/i\/o timeout|deadline exceeded|timed out/i, 'DIAL_TIMEOUT', (name) => `${name} did not answer in time`],
  [/no route to host|network is unreachable/i, 'DIAL_UNREACHABLE', (name) => `${name} is not reachable on its node`],
  [
    /not found|does not exist|no such|not running|not ready|is closed/i,
    'DIAL_NOT_FOUND',
    (name) => `${name} does not run`,
  ],
];

/** `name` is `namespace/pod:port`. */
export function portForwardError(text: string, name: string): KtError {
  const cause = new Error(text.trim());
  const known = CAUSES.find(([pattern]) => pattern.test(text));
  if (known) return new KtError(known[1], known[2](name), { cause });
  const line = text.replace(/[\p{Cc}\s]+/gu, ' ').trim();
  return new KtError('DIAL_FAILED', `the port-forward to ${name} failed: ${line.slice(0, 300)}`, { cause });
}
