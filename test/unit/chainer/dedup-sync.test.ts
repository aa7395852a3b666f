import { beforeAll, describe, expect, test } from '@jest/globals';
import { acceptedIdentities, watermarkOf } from '../../../chainer/block-identities.ts';
import type { AcceptedBlock } from '../../../core/acceptance/accept.ts';
import { LineproofError } from '../../../core/base/errors.ts';
import { dedupKeyOfEvent } from '../../../core/formats/identity.ts';
import type { Watermark } from '../../../core/ports/dedup-index.ts';
import { TOPICS } from '../../../core/ports/log.ts';
import { makeWorld, START_MICROS, type TestLane, testId, type World } from '../../support/producer.ts';
import { required } from '../../support/rich-archive.ts';
import { ShardParts } from '../../support/shard-parts.ts';

const MINUTE = 60_000_000;
const MANY = 1_000;

let world: World;

beforeAll(async () => {
  world = await makeWorld({
    policy: (policy) => ({ ...policy, dedupWindowMs: 180_000, clockSkewMs: 60_000, laneRetentionMs: 600_000, segmentMaxAgeMs: 3_600_000 }),
  });
});

function keyOf(word: string): Uint8Array {
  return dedupKeyOfEvent('a', testId(`a ${word}`));
}

/** Looks words up, again where told to start over; tree indices, undefined for what is not known. */
async function lookup(parts: ShardParts, ...words: readonly string[]): Promise<(number | undefined)[]> {
  for (let round = 0; round < 3; round++) {
    const known = await parts.sync.lookup(words.map(keyOf), parts.signal);
    if (known !== undefined) return words.map((word) => known(keyOf(word))?.logIndex);
  }
  throw new Error('told to start over three times');
}

/** What a look-up fails with. */
async function failure(parts: ShardParts): Promise<string> {
  try {
    await lookup(parts, '1');
  } catch (error) {
    if (error instanceof LineproofError) return error.code;
    throw error;
  }
  throw new Error('the look-up should have failed');
}

/** Appends one block with one event for each word, the n-th `minutes` after the start, and judges them. */
async function grow(parts: ShardParts, lane: TestLane, words: readonly string[], minutes = 0): Promise<void> {
  for (const [i, word] of words.entries()) {
    const appendedAt = START_MICROS + i * minutes * MINUTE;
    await parts.append({ messages: [await lane.next(world.events('a', word))], appendedAt, acceptedAt: appendedAt });
    await parts.tail();
  }
}

async function makeParts(words: readonly string[], confirmIdentities = MANY, minutes = 0): Promise<ShardParts> {
  const parts = new ShardParts(world, confirmIdentities);
  await lookup(parts);
  await grow(parts, world.lane('synced'), words, minutes);
  return parts;
}

/** The watermark of the index when it is in step with the judged chain. */
function head({ chain }: ShardParts): Watermark {
  return watermarkOf(chain.state.head, chain.chainOffset);
}

describe('a look-up', () => {
  test('finds what is linked by blocks that the index has, that wait for it, and that are in flight', async () => {
    const parts = await makeParts(['1', '2'], 1);
    await lookup(parts);
    expect(await parts.index.watermark(0)).toEqual(head(parts));
    const lane = world.lane('more');
    const waiting = await parts.append({ messages: [await lane.next(world.events('a', '3'))] });
    await parts.tail();
    const flying = await parts.launch({ messages: [await lane.next(world.events('a', '4'))] });
    const indexOf = ({ seal }: AcceptedBlock): number => seal.firstIndex;
    const found = await lookup(parts, '1', '2', '3', '4', '5');
    expect(found).toEqual([0, 2, indexOf(waiting), indexOf(flying), undefined]);
  });

  test('finds a batch header that was accepted', async () => {
    const parts = new ShardParts(world, MANY);
    await lookup(parts);
    const accepted = await parts.append({ messages: [await world.lane('header').next(world.events('a', '1', '2'))] });
    await parts.tail();
    const [entry] = acceptedIdentities(accepted, 0).entries;
    const { key } = required(entry);
    const known = required(await parts.sync.lookup([key], parts.signal));
    expect(known(key)?.logIndex).toBe(2);
  });

  test('confirms the pending identities once there are enough of them, all at once', async () => {
    // Each block has two identities: its header's and its event's.
    const parts = await makeParts(['1', '2'], 6);
    const before = await parts.index.watermark(0);
    await lookup(parts);
    expect(await parts.index.watermark(0)).toEqual(before);
    await grow(parts, world.lane('more'), ['3']);
    await lookup(parts);
    expect([await parts.index.watermark(0), parts.index.size(0)]).toEqual([head(parts), 6]);
  });

  test('confirms few of them once the last confirmation is long ago', async () => {
    const parts = await makeParts(['1']);
    parts.nowMs += 1_000;
    await lookup(parts);
    const confirmed = await parts.index.watermark(0);
    await grow(parts, world.lane('more'), ['2']);
    parts.nowMs += 999;
    await lookup(parts);
    expect(await parts.index.watermark(0)).toEqual(confirmed);
    parts.nowMs += 1;
    await lookup(parts);
    expect(await parts.index.watermark(0)).toEqual(head(parts));
  });

  test('does not find what left the window, wherever it is kept', async () => {
    for (const confirmIdentities of [1, MANY]) {
      const parts = await makeParts(['1', '2', '3', '4', '5', '6'], confirmIdentities, 2);
      // Ten minutes after the first, the window of four minutes has all but the last three.
      expect(await lookup(parts, '1', '2', '3', '4', '5', '6')).toEqual([undefined, undefined, undefined, 6, 8, 10]);
    }
  });
});

describe('an index whose watermark is not the expected one', () => {
  test('is filled from the chain where it is empty, in counted steps, and only then answers', async () => {
    const parts = await makeParts(['1', '2', '3']);
    parts.index.flush();
    expect(await parts.sync.lookup([keyOf('2')], parts.signal)).toBeUndefined();
    expect([await parts.index.watermark(0), parts.index.size(0), parts.rebuilds]).toEqual([head(parts), 6, 2]);
    expect(await lookup(parts, '1', '2', '3')).toEqual([0, 2, 4]);
  });

  test('is filled from the start of the window only', async () => {
    const parts = await makeParts(['1', '2', '3', '4', '5', '6'], MANY, 2);
    await parts.log.trim(TOPICS.chain, 0, 2);
    parts.index.flush();
    expect(await lookup(parts, '4', '5', '6')).toEqual([6, 8, 10]);
    expect(parts.index.size(0)).toBe(6);
  });

  test('is emptied first where somebody left half a rebuild', async () => {
    const parts = await makeParts(['1', '2']);
    parts.index.setWatermark(0, { kind: 'building', token: 'somebody', step: 3 });
    expect(await lookup(parts, '1', '2')).toEqual([0, 2]);
    expect([await parts.index.watermark(0), parts.index.size(0)]).toEqual([head(parts), 4]);
  });

  test('gets its missing blocks if it is further back on our chain', async () => {
    const parts = await makeParts(['1', '2'], 1);
    await lookup(parts);
    const setBack = parts.index.copy();
    await grow(parts, world.lane('more'), ['3', '4']);
    await lookup(parts);
    setBack();
    expect(await lookup(parts, '1', '2', '3', '4')).toEqual([0, 2, 4, 6]);
    // Confirmed from old to new; the one rebuild was that of the empty index at the start.
    expect([await parts.index.watermark(0), parts.rebuilds]).toEqual([head(parts), 1]);
  });

  test('gets all blocks, without being emptied, if it is at the empty log', async () => {
    const parts = await makeParts(['1', '2']);
    expect(await parts.index.watermark(0)).toMatchObject({ kind: 'at', size: 0 });
    parts.sync.reset();
    expect(await lookup(parts, '1', '2')).toEqual([0, 2]);
    expect(parts.rebuilds).toBe(1);
  });

  test('makes the chain be read on where it is ahead of what was judged', async () => {
    const parts = await makeParts(['1']);
    await parts.append({ messages: [await world.lane('ahead').next(world.events('a', '2'))] });
    const other = new ShardParts(world, 1);
    for (const { value } of parts.log.history(TOPICS.chain, 0)) await other.log.append(TOPICS.chain, 0, [{ key: null, value }]);
    await other.tail();
    await lookup(other);
    parts.index.setWatermark(0, head(other));
    await lookup(parts);
    expect(parts.chain.state.head.size).toBe(4);
  });

  test('is LOG_BEHIND where it knows more than the chain gives', async () => {
    const parts = await makeParts(['1']);
    parts.index.setWatermark(0, { kind: 'at', size: 9, seal: '00'.repeat(32), chainOffset: 3 });
    expect(await failure(parts)).toBe('LOG_BEHIND');
  });

  test('is LOG_DIVERGED where the chain holds another block in its place, and filled where the chain holds none', async () => {
    const parts = await makeParts(['1', '2', '3']);
    parts.index.setWatermark(0, { kind: 'at', size: 3, seal: '00'.repeat(32), chainOffset: 1 });
    expect(await failure(parts)).toBe('LOG_DIVERGED');
    parts.index.setWatermark(0, { kind: 'at', size: 3, seal: '00'.repeat(32), chainOffset: 77 });
    parts.sync.reset();
    expect(await lookup(parts, '1', '2', '3')).toEqual([0, 2, 4]);
  });

  test('is left as it is, CHAIN_TRIMMED, where the chain lost a block of the window', async () => {
    const parts = await makeParts(['1', '2', '3']);
    await parts.log.trim(TOPICS.chain, 0, 1);
    parts.index.flush();
    expect(await failure(parts)).toBe('CHAIN_TRIMMED');
    expect(await parts.index.watermark(0)).toEqual({ kind: 'absent' });
  });

  test('is asked again after a reset', async () => {
    const parts = await makeParts(['1', '2'], 1);
    await lookup(parts);
    parts.sync.reset();
    expect(await parts.sync.lookup([keyOf('1')], parts.signal)).toBeUndefined();
    expect(await lookup(parts, '1', '2')).toEqual([0, 2]);
  });
});
