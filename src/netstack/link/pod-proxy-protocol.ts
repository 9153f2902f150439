// The name of the protocol of links that come by the API server's proxy. Used by pod-proxy-port.ts and agent/proxy-port.ts.
export const POD_PROXY_PROTOCOL = 'kt-link';
