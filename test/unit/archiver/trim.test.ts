import { beforeEach, describe, expect, test } from '@jest/globals';
import { ArchivedLog } from '../../../archiver/archived-log.ts';
import { TopicTrim } from '../../../archiver/trim.ts';
import type { AcceptedBlock } from '../../../core/acceptance/accept.ts';
import type { LogHead } from '../../../core/acceptance/log-state.ts';
import { archiveAnchor } from '../../../core/archive/archive-anchor.ts';
import { TOPICS } from '../../../core/ports/log.ts';
import type { Signer } from '../../../core/ports/signer.ts';
import { archiveChain, makeChain, type TestChain } from '../../support/archive.ts';
import { type MemoryLog, MemoryObjectStore } from '../../support/memory.ts';

/** The dedup window of the chain's policy with its clock skew, microseconds. */
const WINDOW = 121_000_000;

let given: TestChain;
/** The state at the newest snapshot. */
let head: LogHead;
let trim: TopicTrim;
/** Calls of the log, each a topic and its new start. */
let trimmed: [string, number][];

beforeEach(async () => {
  given = await makeChain(9);
  const { world, sources } = given;
  const objects = new MemoryObjectStore();
  await archiveChain(given, objects);
  ({ head } = (await archiveAnchor(objects, sources, world.origin, 1).snapshot(0)) as { head: LogHead });
  trimmed = [];
  const topics: MemoryLog = Object.create(given.log);
  topics.trim = async (topic, _, before) => void trimmed.push([topic, before]);
  trim = new TopicTrim(
    new ArchivedLog({ origin: world.origin, shard: 0, shards: 1, objects, sources, signer: world.logs[0] as Signer }),
    topics,
  );
});

/** Notes a block whose last input was appended so long after the window's start. */
function remember(offset: number, micros: number): void {
  const block = given.blocks[0] as AcceptedBlock;
  const appendedAt = head.appendedAt - WINDOW + micros;
  trim.remember({ ...block, delta: { ...block.delta, head: { ...head, appendedAt } } }, offset);
}

describe('behind a snapshot', () => {
  test('the chain keeps the window, from its very start on, and one block before it', async () => {
    for (const [i, micros] of [-2, -1, 0, 1].entries()) remember(10 + i, micros);
    await trim.behind(head);
    expect(trimmed).toEqual([
      [TOPICS.chain, 11],
      [TOPICS.events, head.inputTo - 1],
    ]);
  });

  test.each([
    ['none is known', []],
    ['the oldest that is known is at the start of the window', [0, 1]],
  ])('no block is trimmed where %s', async (_, places) => {
    for (const [i, micros] of places.entries()) remember(10 + i, micros);
    await trim.behind(head);
    expect(trimmed).toEqual([[TOPICS.events, head.inputTo - 1]]);
  });

  test('the only block stays, though it is before the window', async () => {
    remember(10, -1);
    await trim.behind(head);
    expect(trimmed[0]).toEqual([TOPICS.chain, 10]);
  });

  test('the input is trimmed to its start where nothing was consumed', async () => {
    await trim.behind({ ...head, inputTo: 0 });
    expect(trimmed).toEqual([[TOPICS.events, 0]]);
  });

  test('the input is not trimmed where a policy that came meanwhile names another topic', async () => {
    await given.world.nextPolicy((policy) => ({ ...policy, inputGeneration: { generation: 1, firstOffsets: [0] } }));
    await given.log.append(TOPICS.control, 0, [{ key: null, value: given.world.envelopes[1] as Uint8Array }]);
    await trim.behind(head);
    expect(trimmed).toEqual([]);
  });
});
