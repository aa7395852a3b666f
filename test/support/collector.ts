import { expect } from '@jest/globals';
import { sha256 } from '#crypto';
import { systemClock } from '../../adapters/system-clock.ts';
import { type Collector, type CollectorOptions, openCollector } from '../../collector/collector.ts';
import { type BatchHeader, decodeBatchHeader, decodeSignedBatch, type SignedBatch } from '../../core/batch.ts';
import { batchRoot } from '../../core/batch-tree.ts';
import { toHex } from '../../core/bytes.ts';
import { type Event, eventDigest } from '../../core/event.ts';
import { EVENT_SCHEMA } from '../../core/event-schema.ts';
import { unframe } from '../../core/framing.ts';
import { idFromKey } from '../../core/identity.ts';
import { keySigner } from '../../core/key.ts';
import type { Log } from '../../core/ports/log.ts';
import { type MemoryLog, memoryRegistry, noMetrics, quietLogger } from './memory-log.ts';

export const signer = keySigner('test/collector', new Uint8Array(32).fill(7));

/** A collector of the tests' producer on `log`, with its spool in that folder or in memory. */
export function openOn(log: Log | null, spool: string | null, more: Partial<CollectorOptions> = {}): Promise<Collector> {
  return openCollector({
    origin: 'test',
    shards: 3,
    signer,
    eventSchema: EVENT_SCHEMA,
    registry: memoryRegistry,
    log,
    clock: systemClock,
    logger: quietLogger,
    metrics: noMetrics,
    spool: { folder: spool },
    ...more,
  });
}

/** An event with an id of its own for each number, on one of seven streams. */
export function event(number: number, more: Partial<Event> = {}): Event {
  const stream = `s/${number % 7}`;
  return {
    id: idFromKey(stream, String(number)),
    stream,
    type: 'CREATE',
    importance: 'ESSENTIAL',
    occurredAt: number,
    actor: { id: 'a', kind: 'SERVICE', onBehalfOf: null },
    activity: null,
    inputs: [],
    outputs: [],
    parents: [],
    trace: null,
    attributes: [],
    facets: [],
    ...more,
  };
}

/** A batch as the log took it. */
export interface Sent extends SignedBatch {
  readonly parsed: BatchHeader;
}

/** All batches that the log took, each with a root that fits. */
export function sentTo(log: MemoryLog): Sent[] {
  return log.records.map(({ value, partition }) => {
    const batch = decodeSignedBatch(unframe(value).payload);
    const parsed = decodeBatchHeader(batch.header);
    expect(parsed.shard).toBe(partition);
    expect(batch.events.length).toBe(parsed.count);
    expect(toHex(batchRoot(batch.events.map((bytes) => eventDigest(EVENT_SCHEMA.digest, bytes))))).toBe(toHex(parsed.root));
    return { ...batch, parsed };
  });
}

/** Ids of all events in the log, once the lanes were found whole: numbers and sequence without holes, each header after its previous. */
export function idsIn(log: MemoryLog): Set<string> {
  const lanes = new Map<string, Sent[]>();
  const ids = new Set<string>();
  for (const batch of sentTo(log)) {
    for (const bytes of batch.events) ids.add(toHex(EVENT_SCHEMA.readHead(bytes).id));
    const key = `${toHex(batch.parsed.epoch)}/${batch.parsed.shard}`;
    const lane = lanes.get(key) ?? [];
    lanes.set(key, lane);
    const known = lane.find(({ parsed }) => parsed.number === batch.parsed.number);
    if (known === undefined) lane.push(batch);
    else expect(toHex(known.header)).toBe(toHex(batch.header));
  }
  for (const lane of lanes.values()) {
    let seq = 0;
    for (const [i, { parsed }] of lane.entries()) {
      expect([parsed.number, parsed.firstSeq]).toEqual([i, seq]);
      const before = lane[i - 1];
      expect(toHex(parsed.previous)).toBe(toHex(before === undefined ? new Uint8Array(32) : sha256(before.header)));
      seq += parsed.count;
    }
  }
  return ids;
}

/** Ids of {@link event} `from` and those after it. */
export const idsOf = (count: number, from = 0): Set<string> => new Set(Array.from({ length: count }, (_, i) => toHex(event(from + i).id)));
