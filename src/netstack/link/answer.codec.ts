// The answer to a name as it comes from an agent: JSON of a ResolveAnswer, checked field by field. Sans-io; used by agent-dialer.ts.
import { KtError } from '../../errors.ts';
import type { DnsRecord, RecordType, ResolveAnswer } from '../dialer.ts';

const TYPES: readonly unknown[] = ['A', 'AAAA', 'SRV', 'CNAME', 'PTR'];

/** Records of types that this version does not know (a newer agent) are left out. Throws LINK_PROTOCOL. */
export function parseAnswer(bytes: Buffer): ResolveAnswer {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new KtError('LINK_PROTOCOL', 'the answer to a name is not JSON', { cause });
  }
  const { found, records } = (value ?? {}) as Partial<Record<keyof ResolveAnswer, unknown>>;
  if (typeof found !== 'boolean' || !Array.isArray(records))
    throw new KtError('LINK_PROTOCOL', 'the answer to a name lacks a field');
  return {
    found,
    records: records.filter((one) => TYPES.includes((one as { type?: unknown } | null)?.type)).map(record),
  };
}

function record(value: unknown): DnsRecord {
  const { type, name, ttl, data } = value as Record<keyof DnsRecord, unknown>;
  if (typeof name !== 'string' || typeof data !== 'string' || typeof ttl !== 'number' || !(ttl >= 0))
    throw new KtError('LINK_PROTOCOL', 'a record of the answer to a name lacks a field');
  return { type: type as RecordType, name, ttl, data };
}
