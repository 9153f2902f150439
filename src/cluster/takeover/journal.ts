// The journal of a taken Service: everything that is needed to give it back, kept on the Service itself, so that anybody can, at any time.
// Pure. Written by apply.ts, read by plan.ts, restore.ts and the modes recover and birdseye.
import * as v from 'valibot';
import { JOURNAL_ANNOTATION, type ServiceObject, type TakeoverOwner, type TakeoverPlan } from './types.ts';

const ListenPortSchema = v.object({
  servicePort: v.number(),
  name: v.exactOptional(v.string()),
  protocol: v.picklist(['TCP', 'UDP']),
  listen: v.number(),
  targetName: v.exactOptional(v.string()),
});

const JournalSchema = v.object({
  v: v.literal(1),
  kind: v.picklist(['exchange', 'mesh', 'preview']),
  /** The Service's own selector. */
  selector: v.record(v.string(), v.string()),
  listens: v.array(ListenPortSchema),
  linkPort: v.number(),
  /** Deployments that were scaled to no pods, and back to what. */
  scaled: v.exactOptional(v.array(v.object({ name: v.string(), replicas: v.number() }))),
  /** Who took it first, from where, with which kt. Others may have joined since: the agent knows. */
  user: v.string(),
  host: v.string(),
  session: v.string(),
  version: v.string(),
  /** ISO 8601, by that laptop's clock: for people, never compared. */
  at: v.string(),
});

export type Journal = v.InferOutput<typeof JournalSchema>;

export const encodeJournal = (journal: Journal): string => JSON.stringify(journal);

/** Of a take-over that begins now; `selector` is what will be restored. */
export function newJournal(
  { kind, listens, linkPort, scaled }: Pick<TakeoverPlan, 'kind' | 'listens' | 'linkPort' | 'scaled'>,
  owner: TakeoverOwner,
  selector: Readonly<Record<string, string>>,
): string {
  const at = new Date().toISOString();
  const more = scaled === undefined ? {} : { scaled: [...scaled] };
  return encodeJournal({
    v: 1,
    kind,
    selector: { ...selector },
    listens: [...listens],
    linkPort,
    ...more,
    ...owner,
    at,
  });
}

/** The merge patch after which restoring scales nothing. */
export function withoutScaled({ metadata: { resourceVersion } }: ServiceObject, journal: Journal): object {
  const { scaled: _, ...rest } = journal;
  return { metadata: { resourceVersion, annotations: { [JOURNAL_ANNOTATION]: encodeJournal(rest) } } };
}

/** undefined: the Service is not taken. A journal that can't be read (a newer kt) is 'unreadable'. */
export function journalOf(service: ServiceObject): Journal | 'unreadable' | undefined {
  const text = service.metadata.annotations?.[JOURNAL_ANNOTATION];
  if (text === undefined) return undefined;
  try {
    return v.parse(JournalSchema, JSON.parse(text));
  } catch {
    return 'unreadable';
  }
}
