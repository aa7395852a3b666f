import { expect } from '@jest/globals';
import { sha256 } from '#crypto';
import { unframe } from '../../core/avro/framing.ts';
import { toHex } from '../../core/base/bytes.ts';
import { type BatchHeader, decodeBatchHeader, decodeSignedBatch, type SignedBatch } from '../../core/formats/batch.ts';
import { eventDigest } from '../../core/formats/event.ts';
import { EVENT_SCHEMA } from '../../core/formats/event-schema.ts';
import { batchRoot } from '../../core/tree/batch-tree.ts';
import type { MemoryLog } from './memory-log.ts';

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
