// Who the API server takes the user for: SelfSubjectReview, there from Kubernetes 1.28 on. Called by modes/doctor.
import { asKtError } from '../errors.ts';
import type { ClusterApi } from './rest.ts';

const PATH = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
/** Milliseconds: a question that costs the server nothing. */
const LIMIT_MS = 10_000;

export interface ServerUser {
  readonly name: string;
  readonly groups: readonly string[];
}

/** undefined: an older server, which can't tell. Rejects where the credentials are refused or the server is not reached. */
export async function whoAmI(api: ClusterApi, signal?: AbortSignal): Promise<ServerUser | undefined> {
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
  try {
    const review = await api.request<{ status?: { userInfo?: { username?: string; groups?: string[] } } }>(
      'POST',
      PATH,
      { body, timeoutMs: LIMIT_MS, signal },
    );
    const { username, groups = [] } = review.status?.userInfo ?? {};
    return username === undefined ? undefined : { name: username, groups };
  } catch (error) {
    if (['API_STATUS', 'RIGHTS_MISSING'].includes(asKtError(error).code)) return undefined;
    throw error;
  }
}
