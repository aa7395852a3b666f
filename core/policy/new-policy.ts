import type { KeyEntry, Policy } from './policy-document.ts';
import type { Witnessing } from './witnessing.ts';

/** Caps of a producer in each shard unless the policy says otherwise: a job that starts every minute has 129,600 lanes in the 90 days of an embedded system. */
export const PRODUCER_CAPS = { maxStreams: 100_000, maxLanes: 200_000 };

const HOUR_MS = 3600_000;
const DAY_MS = 24 * HOUR_MS;

/** The fields of a policy that a caller must give; all others have a default. */
export interface NewPolicyOptions {
  readonly origin: string;
  readonly shards: number;
  readonly roots: readonly string[];
  readonly threshold?: number;
  readonly producers: readonly {
    readonly key: string;
    readonly streams: readonly string[];
    readonly types?: readonly string[];
    readonly heartbeatMs?: number | null;
    readonly maxStreams?: number;
    readonly maxLanes?: number;
  }[];
  readonly chainers: readonly string[];
  readonly logs: readonly string[];
  readonly schemas: readonly string[];
  readonly clockSkewMs?: number;
  readonly dedupWindowMs?: number;
  readonly laneRetentionMs?: number;
  readonly segmentMaxAgeMs?: number;
  readonly witnessing?: Witnessing | null;
}

function active(key: string): KeyEntry {
  return { key, status: 'ACTIVE', believed: null };
}

/** Version 1 of a policy, with the defaults of a cluster: dedup window 1 h, segments of 1 h. */
export function newPolicy(options: NewPolicyOptions): Policy {
  const clockSkewMs = options.clockSkewMs ?? 5 * 60_000;
  const dedupWindowMs = options.dedupWindowMs ?? HOUR_MS;
  return {
    origin: options.origin,
    shards: options.shards,
    version: 1,
    previous: null,
    formatLevel: 1,
    roots: { keys: options.roots, threshold: options.threshold ?? 1 },
    producers: options.producers.map(({ key, streams, types, heartbeatMs, maxStreams, maxLanes }) => ({
      ...active(key),
      streams,
      types: types ?? [],
      heartbeatMs: heartbeatMs ?? null,
      maxStreams: maxStreams ?? PRODUCER_CAPS.maxStreams,
      maxLanes: maxLanes ?? PRODUCER_CAPS.maxLanes,
    })),
    chainers: options.chainers.map(active),
    logs: options.logs.map(active),
    readers: [],
    schemas: options.schemas,
    requiredFields: [],
    sampling: [],
    clockSkewMs,
    dedupWindowMs,
    laneRetentionMs: options.laneRetentionMs ?? Math.max(7 * DAY_MS, 3 * (dedupWindowMs + clockSkewMs)),
    segmentMaxAgeMs: options.segmentMaxAgeMs ?? HOUR_MS,
    retention: { eventsKeepMs: null, refusedKeepMs: null },
    objectLock: null,
    witnessing: options.witnessing ?? null,
    inputGeneration: { generation: 0, firstOffsets: Array.from({ length: options.shards }, () => 0) },
    predecessor: null,
  };
}
