import { equal, toHex } from '../core/base/bytes.ts';
import type { PastVisitor } from '../core/chain/chain-history.ts';
import type { EventHead, EventSchema } from '../core/formats/event-schema.ts';
import type { EvidenceInput } from '../core/formats/evidence.ts';
import { shardOf } from '../core/formats/shard.ts';
import type { RejectedEvents } from './resubmission.ts';

/** Searches the history of the log for events that were refused. */
export interface ResubmissionSearch {
  /** Shards whose history matters. */
  readonly shards: readonly number[];
  visitor(shard: number): PastVisitor;
  /** Evidence of the message that was refused, of its run, or of the message that carried the event. */
  readonly evidence: EvidenceInput | undefined;
  /** Place at which the header of the refused batch was ACCEPTED nevertheless. */
  readonly accepted: { readonly shard: number; readonly offset: number } | undefined;
  isLinked(digest: Uint8Array): boolean;
  /** Whether an event with other content has the same identity. */
  isTaken(head: EventHead): boolean;
}

/** Prepares a search; `digests` are those of the events, in their order. */
export function searchFor(
  { record, kept, batch, events }: RejectedEvents,
  digests: readonly Uint8Array[],
  schema: EventSchema,
  shards: number,
): ResubmissionSearch {
  const heads = events.map(({ bytes }) => headOf(schema, bytes)).filter((head) => head !== undefined);
  const wanted = new Set(digests.map(toHex));
  const streams = new Set(heads.map(({ stream }) => stream));
  const identities = new Set(heads.map(identity));
  const linked = new Set<string>();
  const taken = new Set<string>();
  const visited = [record.shard, batch?.header.shard ?? record.shard, ...heads.map(({ stream }) => shardOf(stream, shards))];
  const search = {
    shards: [...new Set(visited)].filter((shard) => shard < shards).toSorted((a, b) => a - b),
    evidence: undefined as EvidenceInput | undefined,
    accepted: undefined as ResubmissionSearch['accepted'],
    isLinked: (digest: Uint8Array): boolean => linked.has(toHex(digest)),
    isTaken: (head: EventHead): boolean => taken.has(identity(head)),
    visitor: (shard: number): PastVisitor => ({
      input: (generation, offset, input) => {
        if (shard === record.shard && generation === record.inputGeneration && offset === kept.inputOffset) search.evidence = input;
        if (input.outcome === 'ACCEPTED' && input.batch !== null && batch !== undefined && equal(input.batch.header, batch.bytes))
          search.accepted = { shard, offset };
      },
      link: (digest, head) => {
        const hex = toHex(digest);
        if (wanted.has(hex)) linked.add(hex);
        else if (head !== undefined && streams.has(head.stream) && identities.has(identity(head))) taken.add(identity(head));
      },
    }),
  };
  return search;
}

function headOf(schema: EventSchema, bytes: Uint8Array): EventHead | undefined {
  try {
    return schema.readHead(bytes);
  } catch {
    return undefined;
  }
}

function identity({ stream, id }: EventHead): string {
  return `${toHex(id)} ${stream}`;
}
