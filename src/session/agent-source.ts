// Where the agents come from that a session's links lead to, as an interface: its own pods (own-agent.ts), or one that the platform team runs
// (shared-agent.ts). Used by agent-link.ts.

export interface Agent {
  /** Of its pod. */
  readonly name: string;
  readonly token: string;
  /** Where it takes links that come by the API server's proxy; undefined: nowhere. */
  readonly proxyPort: number | undefined;
  readonly ip: string | undefined;
}

export interface AgentSource {
  /** One whose pod runs. Rejects with AGENT_REFUSED, AGENT_IMAGE, AGENT_START or CANCELLED. */
  take(signal: AbortSignal): Promise<Agent>;
  /** It is gone, or about to go: another one will be asked for. */
  drop(agent: Agent): void;
  /** Leaves nothing behind. Never rejects. */
  close(): Promise<void>;
}
