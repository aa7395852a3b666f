import { afterEach, expect, jest, test } from '@jest/globals';
import { sha256 } from '#crypto';
import { frame } from '../../core/avro/framing.ts';
import { toHex } from '../../core/base/bytes.ts';
import { REASONS } from '../../core/base/reasons.ts';
import { encodeSignedBatch } from '../../core/formats/batch.ts';
import type { Rejected } from '../../core/formats/rejected.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import { TOPICS } from '../../core/ports/log.ts';
import { planResubmission, type RecordPlan } from '../../resubmit/plan.ts';
import { referenceEvent } from '../../resubmit/resubmission.ts';
import { EmbeddedShard } from '../support/embedded-shard.ts';
import { testSources } from '../support/memory.ts';
import { makeWorld, START_MICROS, type TestMessage, testId } from '../support/producer.ts';

// Real folders: a busy disk takes its time.
jest.setTimeout(60_000);

const UNKNOWN_ID = 99;

let shard: EmbeddedShard | undefined;
afterEach(async () => {
  await shard?.close();
  shard = undefined;
});

/** A batch under a registry id that nobody registered. */
function misframed(message: TestMessage): Uint8Array {
  return frame(UNKNOWN_ID, encodeSignedBatch(message));
}

test('a run of batches under an unknown registry id is planned message by message: what is linked or a copy is not sent again, and garbage says what it is', async () => {
  const world = await makeWorld({ policy: (policy) => ({ ...policy, segmentMaxAgeMs: 10_000 }) });
  const opened = await EmbeddedShard.open(world);
  shard = opened;
  const { log, objects } = opened.stores;
  const batch = (word: string, events: readonly Uint8Array[]): Promise<TestMessage> => world.batch(events, { epoch: testId(word) });
  const [one, two, heartbeat, good] = await Promise.all([
    batch('one', world.events('s', 'a', 'b')),
    batch('two', world.events('s', 'c', 'd')),
    batch('three', []),
    batch('four', world.events('s', 'c')),
  ]);
  const garbage = frame(UNKNOWN_ID, Uint8Array.of(1));
  const values = [misframed(one), misframed(one), garbage, misframed(heartbeat), misframed(two), good.value];
  await log.append(
    TOPICS.events,
    0,
    values.slice(0, -1).map((value) => ({ key: null, value })),
  );
  await opened.send(good.value);
  await opened.closeSegment();
  const records = await opened.rejected();
  expect(records.map(({ reason }) => reason)).toEqual(records.map(() => REASONS.SCHEMA_ID_UNKNOWN));
  expect(records.reduce((sum, { span }) => sum + span, 0)).toBe(5);
  // A run of four or five, as the chainer read: the last message of a block stands alone.
  const run = records[0] as Rejected;
  expect(run.span).toBeGreaterThanOrEqual(4);

  const sources = await testSources(world, log);
  const pinned = [parseVerifierKey(world.root.verifierKey)];
  const { signal } = new AbortController();
  const plan = (record: Rejected): Promise<RecordPlan> =>
    planResubmission(record, { log, objects, sources, pinned, signer: world.producer, partialHistory: false, signal });
  const made = await Promise.all(records.map(plan));
  const plans = made.flatMap((each) => each.plans);
  expect(plans.map(({ opened: { record }, sent, linked }) => [record.inputOffset, sent.length, linked])).toEqual([
    [0, 2, 0],
    [1, 0, 0],
    [4, 1, 1],
  ]);
  expect(plans.map(({ withheld }) => withheld)).toEqual([[], [0, 1].map((position) => ({ position, reason: 'DUPLICATE' })), []]);
  expect(plans.flatMap(({ sights }) => sights)).toEqual([{ shard: 0 }, { shard: 0 }, { shard: 0 }]);
  expect(made.flatMap(({ refusals }) => refusals.map(({ message }) => message))).toEqual([
    'cannot resubmit message 2 of shard 0: it cannot be read as a batch, so its signer is unknown',
    'cannot resubmit message 3 of shard 0: it is a heartbeat, which has no events',
  ]);

  const [first] = plans;
  if (first === undefined) throw new Error('there is a first plan');
  const options = { id: testId('reference'), occurredAt: START_MICROS, sender: world.producer.name, shard: 0, digests: first.digests };
  const [input] = referenceEvent(first.opened.record, first.origin, options).inputs;
  expect([input?.name, toHex(input?.digest?.value as Uint8Array)]).toEqual([
    'provenance.events/0/0',
    toHex(sha256(values[0] as Uint8Array)),
  ]);

  for (const change of [{ span: run.span - 1 }, { inputOffset: 1 }, { digest: new Uint8Array(32) }])
    await expect(plan({ ...run, ...change })).rejects.toMatchObject({ code: 'NOT_RESUBMITTABLE' });
});
