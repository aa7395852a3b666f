import { ForgedArchive } from './forged-archive.ts';
import { makeWorld, START_MICROS, type TestLane, type TestMessage, testSigner, type World } from './producer.ts';

export const SECOND = 1_000_000;
/** Segments of ten seconds. */
export const SEGMENT_MS = 10_000;

/** A world with short segments, a second producer who may use streams `b/…` only, and heartbeats demanded of nobody. */
export function richWorld(shards = 1): Promise<World> {
  return makeWorld({
    shards,
    policy: (policy) => ({
      ...policy,
      segmentMaxAgeMs: SEGMENT_MS,
      dedupWindowMs: 60_000,
      clockSkewMs: 1000,
      laneRetentionMs: 600_000,
      producers: [
        ...policy.producers,
        { ...required(policy.producers[0]), key: narrow().verifierKey, streams: ['b/*'], types: ['CREATE'] },
      ],
    }),
  });
}

/** The second producer's key. */
export function narrow(): ReturnType<typeof testSigner> {
  return testSigner('example.org/log/narrow');
}

/** A lane's last word: everything that was sent, and nothing more. The lane is its epoch's home lane. */
export async function farewell(lane: TestLane): Promise<TestMessage> {
  return lane.next([], { lanes: [{ epoch: lane.epoch, shard: 0, number: lane.number + 1, seq: lane.seq, final: true }] });
}

export function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the test needs a value here');
  return value;
}

/**
 * An honest archive with one of everything: three segments, two policies, full and partial tiles of two levels, old partial tiles,
 * snapshots, duplicates, a conflict, a repeated batch, rejected events and messages, empty offsets, a tick.
 */
export async function richArchive(world: World): Promise<ForgedArchive> {
  const archive = new ForgedArchive(world);
  const lane = world.lane('wide');
  const second = world.lane('narrow', narrow());
  let time = START_MICROS;
  const block = (messages: readonly (TestMessage | Uint8Array | number)[]): Promise<void> => {
    time += 2 * SECOND;
    return archive.block({ messages, acceptedAt: time, appendedAt: time });
  };
  const words = (name: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${name}${i}`);
  await block([await lane.next(world.events('a', ...words('one', 100))), await second.next(world.events('b/x', ...words('one', 20)))]);
  await archive.publish();
  const repeated = await lane.next(world.events('c', ...words('two', 120)));
  await block([repeated, repeated, new Uint8Array([1, 2, 3]), 3]);
  await archive.publish();
  const doubled = world.events('a', 'one0', 'one1', 'new');
  const conflicting = world.schema.encode(world.event('a', 'one2', { attributes: [{ key: 'word', value: 'other' }] }));
  await block([await lane.next([...doubled, conflicting, ...world.events('a', 'new')]), await second.next(world.events('a', 'forbidden'))]);
  for (let i = 0; i < 3; i++) await block([await lane.next(world.events(`s/${i}`, ...words('three', 40)))]);
  await archive.close({ snapshot: true });
  await world.nextPolicy((policy) => ({ ...policy, dedupWindowMs: 61_000 }));
  for (let i = 0; i < 6; i++) await block(i === 3 ? [] : [await lane.next(world.events(`t/${i % 2}`, ...words(`four${i}`, 30)))]);
  await archive.close({ snapshot: true });
  for (let i = 0; i < 5; i++) await block([await lane.next(world.events(`t/${i % 2}`, ...words(`five${i}`, 5)))]);
  await block([await farewell(lane), await farewell(second)]);
  await archive.close();
  return archive;
}
