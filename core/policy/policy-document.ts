import type { Witnessing } from './witnessing.ts';

export type KeyStatus = 'ACTIVE' | 'RETIRED' | 'COMPROMISED';
/** In the order in which a key's status may change. */
export const KEY_STATUSES: readonly KeyStatus[] = ['ACTIVE', 'RETIRED', 'COMPROMISED'];

/** A key in one role. `believed`: per shard, the size up to which a COMPROMISED key is believed; null otherwise. */
export interface KeyEntry {
  readonly key: string;
  readonly status: KeyStatus;
  readonly believed: readonly number[] | null;
}

/** Leaves of a shard's log up to which a key is believed: all of them, unless it is COMPROMISED. */
export function believedUntil({ believed }: KeyEntry, shard: number): number {
  return believed === null ? Infinity : (believed[shard] ?? 0);
}

export interface ProducerEntry extends KeyEntry {
  /** Exact names, or prefixes that end in `*`. */
  readonly streams: readonly string[];
  /** Event types; empty: all. */
  readonly types: readonly string[];
  /** Longest silence that is not a finding; null: the policy demands no heartbeats. */
  readonly heartbeatMs: number | null;
  /** Streams that may begin with a link of this producer, in each shard. */
  readonly maxStreams: number;
  /** Lanes of this producer that a shard holds at a time. */
  readonly maxLanes: number;
}

/** The policy document (docs/formats.md §6). Every field is always present. */
export interface Policy {
  readonly origin: string;
  readonly shards: number;
  readonly version: number;
  /** Digest of the version before, hex; null in version 1. */
  readonly previous: string | null;
  readonly formatLevel: number;
  readonly roots: { readonly keys: readonly string[]; readonly threshold: number };
  readonly producers: readonly ProducerEntry[];
  readonly chainers: readonly KeyEntry[];
  readonly logs: readonly KeyEntry[];
  readonly readers: readonly { readonly name: string; readonly roles: readonly string[]; readonly streams: readonly string[] }[];
  readonly schemas: readonly string[];
  readonly requiredFields: readonly { readonly streams: readonly string[]; readonly fields: readonly string[] }[];
  readonly sampling: readonly { readonly streams: readonly string[]; readonly types: readonly string[]; readonly keepOneIn: number }[];
  readonly clockSkewMs: number;
  readonly dedupWindowMs: number;
  readonly laneRetentionMs: number;
  readonly segmentMaxAgeMs: number;
  readonly retention: { readonly eventsKeepMs: number | null; readonly refusedKeepMs: number | null };
  readonly objectLock: { readonly mode: string; readonly days: number } | null;
  /** Null: nobody has to witness. */
  readonly witnessing: Witnessing | null;
  readonly inputGeneration: { readonly generation: number; readonly firstOffsets: readonly number[] };
  readonly predecessor: { readonly origin: string; readonly checkpoints: readonly string[] } | null;
}

/** Fields of an event that a policy can require: those that may be absent or empty. */
export const REQUIRABLE_FIELDS = [
  'actor.onBehalfOf',
  'activity',
  'activity.runId',
  'activity.version',
  'activity.environment',
  'inputs',
  'outputs',
  'parents',
  'trace',
  'attributes',
  'facets',
] as const;

/** Whether a key's status may go from one to the other. */
export function statusMayGo(from: KeyStatus, to: KeyStatus): boolean {
  return KEY_STATUSES.indexOf(to) >= KEY_STATUSES.indexOf(from);
}
