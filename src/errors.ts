// The one error type that users see, and the list of its codes.
// Every code has an entry in docs/errors.md (a test checks it). Modules throw KtError where a cause is known; anything else that
// reaches the CLI is a defect and is printed as INTERNAL. Imports nothing, so that the agent's bundle can carry it.

/** code → [process exit code]. Exit codes: 1 general, 2 usage, 3 cluster refused or not reachable, 4 rights missing, 5 local resource. */
export const ERROR_CODES = {
  INTERNAL: 1,
  USAGE: 2,
  CANCELLED: 130,
  // configuration
  CONFIG_INVALID: 2,
  CONFIG_UNTRUSTED: 2,
  // kubeconfig and API server
  KUBECONFIG_MISSING: 3,
  KUBECONFIG_INVALID: 3,
  CREDENTIALS_REJECTED: 4,
  CREDENTIALS_PLUGIN: 4,
  RIGHTS_MISSING: 4,
  API_UNREACHABLE: 3,
  API_TLS: 3,
  API_STATUS: 3,
  API_PROXY: 3,
  UPGRADE_REFUSED: 3,
  // agent pod
  AGENT_REFUSED: 3,
  AGENT_IMAGE: 3,
  AGENT_START: 3,
  AGENT_VERSION: 3,
  // link
  LINK_LOST: 3,
  LINK_DEAD: 3,
  LINK_PARKED: 3,
  LINK_PROTOCOL: 3,
  STREAM_RESET: 1,
  STREAM_LIMIT: 1,
  // dials, in the order in which SOCKS and HTTP report them
  DIAL_REFUSED: 1,
  DIAL_NOT_FOUND: 1,
  DIAL_TIMEOUT: 1,
  DIAL_UNREACHABLE: 1,
  DIAL_DENIED: 1,
  DIAL_FAILED: 1,
  UNSUPPORTED: 1,
  // taking Services over
  SERVICE_NOT_FOUND: 3,
  SERVICE_REFUSED: 3,
  SERVICE_HELD: 3,
  SERVICE_NOT_RESTORED: 3,
  // the workload whose environment a program gets
  WORKLOAD_NOT_FOUND: 3,
  WORKLOAD_INCOMPLETE: 3,
  // laptop
  LISTEN_FAILED: 5,
  SESSION_EXISTS: 5,
  SESSION_NONE: 5,
  SESSION_LOST: 5,
  COMMAND_NOT_FOUND: 127,
  CORPORATE_PROXY: 3,
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface KtErrorOptions {
  /** The next step for the user, one sentence. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/** `message` names the cause, `hint` the next step, `code` is stable (docs/errors.md). */
export class KtError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: KtErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'KtError';
    this.code = code;
    this.hint = options.hint;
  }

  get exitCode(): number {
    return ERROR_CODES[this.code];
  }
}

/** The error as a KtError: itself, or wrapped under `code` with its message kept. */
export function asKtError(error: unknown, code: ErrorCode = 'INTERNAL'): KtError {
  if (error instanceof KtError) return error;
  return new KtError(code, error instanceof Error ? error.message : String(error), { cause: error });
}
