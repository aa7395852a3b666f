import { beforeEach, expect, test } from '@jest/globals';
import { ArchivedLog } from '../../../archiver/archived-log.ts';
import { Snapshots } from '../../../archiver/snapshots.ts';
import type { Signer } from '../../../core/ports/signer.ts';
import { makeChain, type TestChain } from '../../support/archive.ts';
import { MemoryObjectStore } from '../../support/memory.ts';
import { readStateFile } from '../../support/snapshots.ts';

let given: TestChain;
let log: ArchivedLog;
let objects: MemoryObjectStore;

beforeEach(async () => {
  given = await makeChain(3);
  objects = new MemoryObjectStore();
  const { world, sources } = given;
  log = new ArchivedLog({ origin: world.origin, shard: 0, shards: 1, objects, sources, signer: world.logs[0] as Signer });
});

/** Whether a snapshot is due, as more and more bytes of segments come. */
function due(snapshots: Snapshots, ...bytes: readonly number[]): boolean[] {
  return bytes.map((each) => {
    snapshots.addSegment(each);
    return snapshots.isDue;
  });
}

test('the first snapshot is due after the first segment', async () => {
  const snapshots = new Snapshots(log);
  expect(snapshots.isDue).toBe(false);
  expect(due(snapshots, 1)).toEqual([true]);
  await snapshots.reset(0);
  expect(snapshots.isDue).toBe(false);
  expect(due(snapshots, 1)).toEqual([true]);
});

test('the next one is due when the segments since then are larger than it, after a restart too', async () => {
  const snapshots = new Snapshots(log);
  snapshots.addSegment(1_000_000);
  await snapshots.write(await snapshots.draft(given.state, 2));
  const { size } = given.state.head;
  const { length } = objects.objects.get(log.keys.state(size)) as Uint8Array;
  expect(due(snapshots, length - 1, 1, 1)).toEqual([false, false, true]);
  await snapshots.reset(size);
  expect(due(snapshots, length - 1, 1, 1)).toEqual([false, false, true]);
});

test('the next one is due at once where the last one is gone', async () => {
  const snapshots = new Snapshots(log);
  await snapshots.reset(given.state.head.size);
  expect(due(snapshots, 1)).toEqual([true]);
});

test.each([true, false])('a snapshot names the policy in force, if there is one: %s', async (some) => {
  const state = some ? given.state : given.world.state();
  const snapshots = new Snapshots(log);
  await snapshots.write(await snapshots.draft(state, 2));
  const { policy, chainOffset } = readStateFile(objects.objects.get(log.keys.state(state.head.size)) as Uint8Array);
  expect([policy, chainOffset]).toEqual([some ? given.world.policy.digest : null, 2]);
});
