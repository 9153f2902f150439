// Names the cause of a connection to the API server that could not be made or broke: DNS, refused, reset, time-out, TLS. Pure.
// Called by api-connection.ts, rest.ts and upgrade.ts.
import { asKtError, KtError } from '../errors.ts';
import { proxyName } from '../netstack/http/proxy-url.ts';
import type { ClusterConfig } from './config.ts';

const CAUSES: Readonly<Record<string, string>> = {
  ENOTFOUND: 'its name is not known to the resolver',
  EAI_AGAIN: 'the resolver does not answer',
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was reset',
  ETIMEDOUT: 'no answer in time',
  EHOSTUNREACH: 'there is no route to it',
  ENETUNREACH: 'there is no network',
  EADDRNOTAVAIL: 'there is no network',
};

/** What Node's TLS calls a certificate that it does not believe; and TLS alerts, whose codes start with ERR_SSL. */
const UNTRUSTED =
  /^(?:UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|ERR_TLS_CERT|HOSTNAME_MISMATCH|INVALID_CA|PATH_LENGTH_EXCEEDED|CRL_)/;

/** The error as a KtError: API_TLS or API_UNREACHABLE. One that is a KtError already is returned as it is. */
export function connectionError(error: unknown, config: Pick<ClusterConfig, 'server' | 'proxy'>): KtError {
  if (error instanceof KtError) return error;
  const server = `${config.server}${config.proxy ? ` through the proxy ${proxyName(config.proxy)}` : ''}`;
  const { code = '', message } = (
    error instanceof AggregateError ? (error.errors[0] ?? error) : error
  ) as NodeJS.ErrnoException;
  // Errors of the system and of Node carry a code; what has none is a defect of ours and must not look like a bad network.
  if (code === '') return asKtError(error);
  if (UNTRUSTED.test(code)) {
    const expired = code === 'CERT_HAS_EXPIRED';
    return new KtError('API_TLS', `the certificate of the API server ${server} is not trusted: ${message}`, {
      hint: expired
        ? 'its certificate has ended: tell who runs the cluster (or set the clock of this machine)'
        : 'is the certificate-authority of the kubeconfig current, and is no proxy in between that breaks TLS?',
      cause: error,
    });
  }
  if (/^(?:ERR_SSL|ERR_TLS|EPROTO)/.test(code)) {
    const plain = /WRONG_VERSION_NUMBER|PACKET_LENGTH/.test(code) || /wrong version number/.test(message);
    return new KtError(
      'API_TLS',
      `no TLS with the API server ${server}: ${plain ? 'what answers there does not speak TLS' : plainReason(message)}`,
      { cause: error },
    );
  }
  const cause = CAUSES[code] ?? message;
  return new KtError('API_UNREACHABLE', `can't reach the API server ${server}: ${cause}`, {
    hint: 'is the network (VPN, proxy) up, and does kubectl reach it?',
    cause: error,
  });
}

/** OpenSSL's `C0…:error:0A000412:SSL routines:ssl3_read_bytes:ssl/tls alert bad certificate:file:line:…` → the reason. */
function plainReason(message: string): string {
  return message.split(':')[4] ?? message;
}

export function timedOut(config: Pick<ClusterConfig, 'server' | 'proxy'>, cause?: unknown): KtError {
  return connectionError(Object.assign(new Error('no answer in time', { cause }), { code: 'ETIMEDOUT' }), config);
}
