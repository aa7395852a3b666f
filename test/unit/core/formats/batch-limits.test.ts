import { describe, expect, test } from '@jest/globals';
import { LIMITS } from '../../../../core/base/limits.ts';
import { type BatchHeader, decodeBatchHeader, encodeBatchHeader, type HeartbeatLane } from '../../../../core/formats/batch.ts';
import { EMPTY_ROOT } from '../../../../core/tree/hash.ts';
import { codeOf } from '../keys/support.ts';

const ONES = new Uint8Array(32).fill(1);
const MOST = LIMITS.laneNumber;

/** The longest heartbeat that can be: every number and name as large as it may be. */
function longest(change: Partial<BatchHeader> = {}, lane: Partial<HeartbeatLane> = {}): BatchHeader {
  const one: HeartbeatLane = { epoch: ONES.slice(0, 16), shard: 2 ** 31 - 1, number: MOST, seq: MOST, final: true, ...lane };
  return {
    origin: 'ä'.repeat(127),
    shard: 2 ** 31 - 1,
    producer: 'ö'.repeat(127),
    epoch: ONES.slice(0, 16),
    number: MOST,
    firstSeq: MOST,
    count: 0,
    root: EMPTY_ROOT,
    previous: ONES,
    schema: ONES,
    createdAt: Number.MAX_SAFE_INTEGER,
    sampledOut: MOST,
    lanes: Array.from({ length: LIMITS.heartbeatLanes }, () => one),
    ...change,
  };
}

describe('the limits of a header', () => {
  test('leave room for as many lanes as a heartbeat may state, with every number at its most', () => {
    const bytes = encodeBatchHeader(longest());
    expect(bytes.length).toBeLessThanOrEqual(665 + 36 * LIMITS.heartbeatLanes);
    expect(bytes.length).toBeLessThanOrEqual(LIMITS.headerBytes);
    expect(decodeBatchHeader(bytes)).toEqual(longest());
  });

  test.each(['number', 'firstSeq', 'sampledOut'] as const)(
    '%s: one more is refused, so that what is derived from it can be written',
    (name) => {
      expect(codeOf(() => encodeBatchHeader(longest({ [name]: MOST + 1 })))).toBe('FORMAT_INVALID');
      expect(codeOf(() => encodeBatchHeader(longest({ [name]: -1 })))).toBe('FORMAT_INVALID');
    },
  );

  test.each(['number', 'seq'] as const)("a lane's %s: one more is refused", (name) => {
    expect(codeOf(() => encodeBatchHeader(longest({}, { [name]: MOST + 1 })))).toBe('FORMAT_INVALID');
  });

  test('one lane more is refused', () => {
    const { lanes } = longest();
    expect(codeOf(() => encodeBatchHeader(longest({ lanes: [...lanes, ...lanes.slice(0, 1)] })))).toBe('FORMAT_INVALID');
  });
});
