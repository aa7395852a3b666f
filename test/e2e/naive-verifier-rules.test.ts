import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { logKeysOf } from '../../core/archive/archive-keys.ts';
import type { HeartbeatLane } from '../../core/formats/batch.ts';
import type { EvidenceInput } from '../../core/formats/evidence.ts';
import { shardOf } from '../../core/formats/shard.ts';
import type { Policy } from '../../core/policy/policy-document.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { temporaryFolder } from '../support/command.ts';
import { ForgedArchive } from '../support/forged-archive.ts';
import { carrying } from '../support/forged-batch.ts';
import { NaiveVerifier, testWithPython, writeArchive } from '../support/naive-verifier.ts';
import { makeWorld, START_MICROS, type TestLane, testSigner, type World } from '../support/producer.ts';
import { retireSegment } from '../support/retired-segment.ts';
import { required, SECOND, SEGMENT_MS } from '../support/rich-archive.ts';

const TIMEOUT_MS = 600_000;
const folder = temporaryFolder('naive-rules');
const verifier = new NaiveVerifier();

/** Two shards with an honest archiver; `home` is the shard that the producer's heartbeats go to. */
interface Play {
  readonly world: World;
  readonly archives: readonly ForgedArchive[];
  readonly home: number;
  readonly lane: TestLane;
  readonly away: TestLane;
  /** One event of a stream that lives in the lane's shard. */
  event(lane: TestLane, word: string): Uint8Array[];
  /** A block in the shard, everything in it at `seconds`. */
  block(shard: number, seconds: number, messages: Parameters<ForgedArchive['block']>[0]['messages'], more?: object): Promise<void>;
  /** A final heartbeat for lanes of the home epoch. */
  end(...lanes: HeartbeatLane[]): ReturnType<TestLane['next']>;
  /** The statement that a lane of that epoch has come so far. */
  said(shard: number, number: number, seq: number, final?: boolean): HeartbeatLane;
}

async function play(policy: Partial<Policy>): Promise<Play> {
  const world = await makeWorld({
    shards: 2,
    policy: (first) => ({
      ...first,
      segmentMaxAgeMs: SEGMENT_MS,
      dedupWindowMs: 60_000,
      clockSkewMs: 1000,
      laneRetentionMs: 600_000,
      ...policy,
    }),
  });
  const first = new ForgedArchive(world, 0);
  const archives = [first, new ForgedArchive(world, 1, first.objects)];
  const home = shardOf(world.producer.name, 2);
  const lane = world.lane('epoch', world.producer, home);
  const away = world.lane('epoch', world.producer, 1 - home);
  const streams = ['a', 'b', 'c', 'd', 'e', 'f'];
  return {
    world,
    archives,
    home,
    lane,
    away,
    event: (of, word) => world.events(required(streams.find((name) => shardOf(name, 2) === (of === lane ? home : 1 - home))), word),
    block: (shard, seconds, messages, more) => {
      const time = START_MICROS + seconds * SECOND;
      return required(archives[shard]).block({ messages, appendedAt: time, acceptedAt: time, ...more });
    },
    end: (...lanes) => lane.next([], { lanes }),
    said: (shard, number, seq, final = true) => ({ epoch: lane.epoch, shard, number, seq, final }),
  };
}

const heard = (policy: Policy): Policy => ({ ...policy, producers: policy.producers.map((each) => ({ ...each, heartbeatMs: 10_000 })) });

/** The home lane says one thing at 0 s and its end at `seconds`, under a policy that wants to hear it every 10 s. */
const silentFor =
  (seconds: number) =>
  async ({ world, home, lane, event, block, end, said }: Play): Promise<void> => {
    await world.nextPolicy(heard);
    // A shard without anything would leave COMPLETE open.
    await block(1 - home, 0, [1]);
    await block(home, 0, [await lane.next(event(lane, 'one'))]);
    await block(home, seconds, [await end(said(home, 2, 1))]);
  };

/** Heartbeats of two epochs in turn, each signed at the first of its times and in a block at the second, under a policy that wants one every 10 s. */
const heardAt =
  (until: number, ...times: readonly (readonly [signed: number, arrived: number])[]) =>
  async ({ world, home, lane, block, said }: Play): Promise<void> => {
    await world.nextPolicy(heard);
    await block(1 - home, 0, [1]);
    await block(home, 0, [1]);
    const lanes = [lane, world.lane('other', world.producer, home)];
    for (const [i, [signed, arrived]] of times.entries()) {
      const own = required(lanes[i % 2]);
      const end = { ...said(home, own.number + 1, 0), epoch: own.epoch };
      await block(home, arrived, [await own.next([], { lanes: [end], createdAt: START_MICROS + signed * SECOND })]);
    }
    for (const shard of [home, 1 - home]) await block(shard, until, [1]);
  };

/** A heartbeat of as many lanes as it can state, and if `complete`, the one after it; both were signed at 8 s. */
const heardInPages =
  (complete: boolean) =>
  async ({ world, home, lane, block, said }: Play): Promise<void> => {
    await world.nextPolicy(heard);
    await block(1 - home, 0, [1]);
    await block(home, 0, [1]);
    const createdAt = START_MICROS + 8 * SECOND;
    const epochs = Array.from({ length: 79 }, (_, i) => ({ ...said(home, 0, 0), epoch: world.lane(`${i}`).epoch }));
    await block(home, 9, [await lane.next([], { createdAt, lanes: [...epochs, said(home, 1, 0)] })]);
    if (complete) await block(home, 9, [await lane.next([], { createdAt, lanes: [said(home, 2, 0)] })]);
    for (const shard of [home, 1 - home]) await block(shard, 12, [1]);
  };

/** The policy under which the segment that begins at 0 s ends at that time. */
const endsAt = (seconds: number): Partial<Policy> => ({ segmentMaxAgeMs: seconds * 1000 });

/** The home shard ends at 10 s with a heartbeat that was signed at 9 s, and the other one at `seconds`. */
const homeBehind =
  (seconds: number) =>
  async ({ world, home, lane, block, said }: Play): Promise<void> => {
    await world.nextPolicy(heard);
    for (const shard of [home, 1 - home]) await block(shard, 0, [1]);
    await block(home, 10, [await lane.next([], { lanes: [said(home, 1, 0)], createdAt: START_MICROS + 9 * SECOND })]);
    await block(1 - home, seconds, [1]);
  };

/** Nobody must be heard; then every 10 s, every 30 s and not at all, from blocks at these times on; and the fourth is the end of the logs. */
const obliged =
  (...times: readonly [number, number, number, number]) =>
  async ({ world, home, block }: Play): Promise<void> => {
    for (const shard of [home, 1 - home]) await block(shard, 0, [1]);
    for (const [i, heartbeatMs] of [10_000, 30_000, null].entries()) {
      await world.nextPolicy((policy) => ({ ...policy, producers: policy.producers.map((each) => ({ ...each, heartbeatMs })) }));
      await block(home, required(times[i]), [1]);
      if (i === 1) await block(home, required(times[i]) + 1, [1]);
    }
    for (const shard of [home, 1 - home]) await block(shard, times[3], [1]);
  };

/** The lane of the other shard is stated to be longer than it is, and that shard goes on until `seconds`. */
const shortUntil =
  (seconds: number, final: boolean) =>
  async ({ home, lane, away, event, block, end, said }: Play): Promise<void> => {
    await block(1 - home, 0, [await away.next(event(away, 'one'))]);
    await block(home, 1, [await lane.next(event(lane, 'one')), await end(said(home, 2, 1), said(1 - home, 3, 4, final))]);
    // A message that is refused; offsets without one have no time of their own.
    await block(1 - home, seconds, [new Uint8Array([1])]);
  };

/** A lane with one batch is stated as ended, or as going on, at each of these numbers in turn. */
const statedAs =
  (...ends: readonly (readonly [number: number, final: boolean])[]) =>
  async ({ world, home, lane, block, end, event, said }: Play): Promise<void> => {
    const other = world.lane('earlier', world.producer, home);
    await block(1 - home, 0, [1]);
    await block(home, 0, [await other.next(event(lane, 'one'))]);
    for (const [number, final] of ends) await block(home, 1, [await end({ ...said(home, number, number, final), epoch: other.epoch })]);
    await block(home, 1, [await end(said(home, ends.length + 1, 0))]);
  };

/** The next policy retires the shard's log key for another one. */
async function rotateLogKey(world: World, shard: number): Promise<Signer> {
  const before = required(world.logs[shard]);
  const after = testSigner(before.name, 'after');
  await world.nextPolicy((policy) => ({
    ...policy,
    logs: policy.logs.flatMap((entry) =>
      entry.key === before.verifierKey
        ? [
            { ...entry, status: 'RETIRED' as const },
            { ...entry, key: after.verifierKey },
          ]
        : [entry],
    ),
  }));
  return after;
}

/** The events of a segment are removed as the policy allows, by a statement of the log key that is retired since then, or of the one after it. */
const removedBy =
  (which: 'before' | 'after') =>
  async ({ world, archives, home, lane, event, block, end, said }: Play): Promise<void> => {
    for (const shard of [home, 1 - home]) await block(shard, 0, shard === home ? [await lane.next(event(lane, 'one'))] : [1]);
    for (const shard of [home, 1 - home]) await block(shard, 10, []);
    const archive = required(archives[home]);
    await archive.close();
    const [before, after] = [archive.signer, await rotateLogKey(world, home)];
    archive.signer = after;
    await block(home, 12, [await end(said(home, 2, 1))]);
    await block(home, 22, []);
    const signer = which === 'before' ? before : after;
    await retireSegment(archive.objects.map, logKeysOf(home).manifest(0, 3), { signer, policy: world.policy.hex });
  };

/** The log key is retired for another one, and one of the two signs what follows. */
const attestedBy =
  (which: 'before' | 'after') =>
  async ({ world, archives, home, lane, event, block, end, said }: Play): Promise<void> => {
    await block(home, 0, [await lane.next(event(lane, 'one'))]);
    const after = await rotateLogKey(world, home);
    await block(home, 1, [await lane.next(event(lane, 'two')), await end(said(home, 3, 2))]);
    if (which === 'after') required(archives[home]).signer = after;
  };

/** The producer's key was stolen, and is believed up to so many leaves: the home shard has a link, a seal, a link and a seal. */
const believedUpTo =
  (size: number) =>
  async ({ world, home, lane, event, end, said, block }: Play): Promise<void> => {
    await block(1 - home, 0, [1]);
    await block(home, 0, [await lane.next(event(lane, 'one'))]);
    await block(home, 1, [await lane.next(event(lane, 'two')), await end(said(home, 3, 2))]);
    const fresh = testSigner(world.producer.name, 'fresh').verifierKey;
    await world.nextPolicy((policy) => ({
      ...policy,
      producers: policy.producers.flatMap((entry) => [
        { ...entry, status: 'COMPROMISED' as const, believed: [size, size] },
        { ...entry, key: fresh },
      ]),
    }));
    for (const shard of [home, 1 - home]) await block(shard, 2, []);
  };

/** One identity is linked again `seconds` later by a chainer that forgot it. */
const twiceAfter =
  (seconds: number, change?: (policy: Policy) => Policy) =>
  async ({ world, archives, home, lane, event, block, end, said }: Play): Promise<void> => {
    await block(home, 0, [await lane.next(event(lane, 'one'))]);
    required(archives[home]).forget();
    if (change !== undefined) await world.nextPolicy(change);
    await block(home, seconds, [await lane.next(event(lane, 'one')), await end(said(home, 3, 2))]);
  };

/** The lane goes on `seconds` after its last header. */
const resumedAfter =
  (seconds: number) =>
  async ({ home, lane, event, block, end, said }: Play): Promise<void> => {
    await block(home, 0, [await lane.next(event(lane, 'one'))]);
    await block(home, seconds, [await lane.next(event(lane, 'two')), await end(said(home, 3, 2))]);
  };

/** The block's evidence states an input `seconds` ahead of the block. */
const aheadBy =
  (seconds: number) =>
  async ({ archives, home, end, said }: Play): Promise<void> =>
    required(archives[home]).block({ messages: [await end(said(home, 1, 0))], acceptedAt: START_MICROS }, (forgery) => {
      forgery.inputs = forgery.inputs.map((input) => ({ ...input, appendedAt: START_MICROS + seconds * SECOND }));
    });

const GARBAGE = new Uint8Array([1]);
const RETENTION = { eventsKeepMs: 1000, refusedKeepMs: null };

/** A run of three messages, a message alone, and 1,000 unreadable records; `part` changes one entry of the honest evidence. */
const refusedInput =
  (at?: number, part: (entry: EvidenceInput, all: readonly EvidenceInput[]) => Partial<EvidenceInput> = () => ({})) =>
  async ({ archives, home, lane, event, end, said, block }: Play): Promise<void> => {
    await block(1 - home, 0, [1]);
    const first = await lane.next(event(lane, 'one'));
    const messages = [first, GARBAGE, GARBAGE, GARBAGE, { span: 1000, section: GARBAGE }, GARBAGE, GARBAGE];
    await required(archives[home]).block({ messages, appendedAt: START_MICROS, acceptedAt: START_MICROS + SECOND }, ({ inputs }) => {
      if (at !== undefined) inputs[at] = { ...required(inputs[at]), ...part(required(inputs[at]), inputs) };
    });
    await block(home, 2, [await end(said(home, 2, 1))]);
    // Else ARCHIVE would fail anyway: a segment ends where its age is reached.
    for (const shard of [home, 1 - home]) await block(shard, 2 + SEGMENT_MS / 1000, []);
  };

/** A batch between two others, which its chainer refuses as something whose header nobody can read. */
const leftOutAs =
  (...messages: Parameters<Play['block']>[2]) =>
  async ({ home, lane, event, end, said, block }: Play): Promise<void> => {
    await block(1 - home, 0, [1]);
    await block(home, 0, [await lane.next(event(lane, 'one'))]);
    await lane.next(event(lane, 'two'));
    await block(home, 1, messages);
    await block(home, 2, [await end(said(home, 3, 2))]);
  };

/** The first batch of a lane comes with other events, and then, if at all, as its producer sent it. */
const swappedEvents =
  (settled: boolean) =>
  async ({ world, home, lane, event, end, said, block }: Play): Promise<void> => {
    await block(1 - home, 0, [1]);
    const other = world.lane('swapped', world.producer, home);
    const good = await other.next(event(lane, 'one'));
    await block(home, 0, [carrying(good, event(lane, 'two')), carrying(good, []), ...(settled ? [good] : [])]);
    await block(home, 1, [await end(said(home, 1, 0), ...(settled ? [{ ...said(home, 1, 1), epoch: other.epoch }] : []))]);
  };

type Row = readonly [name: string, body: (play: Play) => Promise<void>, property: string, result: string, policy?: Partial<Policy>];

const ROWS: readonly Row[] = [
  ['a producer is heard at the last moment', silentFor(11), 'COMPLETE', 'OK'],
  ['a producer is heard too late', silentFor(11.5), 'COMPLETE', 'OPEN'],
  ['heartbeats of two epochs come late and in another order', heardAt(35, [20, 30], [10, 30], [30, 31]), 'COMPLETE', 'OK', endsAt(35)],
  ['heartbeats leave a gap that is as long as it may be', heardAt(20, [8, 8], [19, 19]), 'COMPLETE', 'OK', endsAt(20)],
  ['heartbeats come in time and were signed with a gap', heardAt(20, [7, 8], [18.5, 19]), 'COMPLETE', 'OPEN', endsAt(20)],
  ['a producer that must be heard is never heard', heardAt(12), 'COMPLETE', 'OPEN', endsAt(12)],
  ['a statement in pages is complete', heardInPages(true), 'COMPLETE', 'OK', endsAt(12)],
  ['only the first page of a statement came', heardInPages(false), 'COMPLETE', 'OPEN', endsAt(12)],
  ['the home shard is behind by as much as segments may be old', homeBehind(20), 'COMPLETE', 'OK'],
  ['the home shard is behind by more, and its producer was silent', homeBehind(20.5), 'COMPLETE', 'OPEN'],
  ['nobody is obliged before and after certain policies', obliged(50, 80, 150, 200), 'COMPLETE', 'OK', endsAt(200)],
  ['a duty is longer than the longest gap of its policies', obliged(50, 81, 150, 200), 'COMPLETE', 'OPEN', endsAt(200)],
  ['the rest of a lane can be on its way', shortUntil(1.5, true), 'COMPLETE', 'OPEN'],
  ['the rest of an ended lane cannot be on its way any more', shortUntil(2.5, true), 'COMPLETE', 'FAILED'],
  ['the rest of an open lane is missing', shortUntil(2.5, false), 'COMPLETE', 'OPEN'],
  ['an end is stated, and later a nearer one', statedAs([3, true], [1, true]), 'COMPLETE', 'FAILED'],
  ['an end is stated, and later a further one', statedAs([1, true], [3, true]), 'COMPLETE', 'FAILED'],
  ['a lane is stated as further, and later as ended before', statedAs([3, false], [1, true]), 'COMPLETE', 'OPEN'],
  ['a lane is stated as ended, and later as further', statedAs([1, true], [3, false]), 'COMPLETE', 'OPEN'],
  ['a retired log key signs leaves after it was retired', attestedBy('before'), 'LOG', 'FAILED'],
  ['the log key that follows a retired one signs them', attestedBy('after'), 'LOG', 'OK'],
  ['a stolen key is believed up to the last seal of what it signed', believedUpTo(4), 'SIGNATURES', 'OK'],
  ['a stolen key is believed up to before that seal', believedUpTo(3), 'SIGNATURES', 'FAILED'],
  ['a log key that is retired states that events were removed', removedBy('before'), 'ARCHIVE', 'FAILED', { retention: RETENTION }],
  ['the log key that follows it states that', removedBy('after'), 'ARCHIVE', 'OK', { retention: RETENTION }],
  ['a lane is stated as it is', statedAs([1, false], [1, true]), 'COMPLETE', 'OK'],
  ['an identity is linked twice at the end of the window', twiceAfter(61), 'UNIQUE', 'FAILED'],
  ['an identity is linked again after the window', twiceAfter(61.5), 'UNIQUE', 'OK'],
  ['a policy made the window shorter', twiceAfter(20, (policy) => ({ ...policy, dedupWindowMs: 1000 })), 'UNIQUE', 'OK'],
  ['a lane goes on while it is held', resumedAfter(600), 'POLICY', 'OK'],
  ['a lane goes on when it is forgotten', resumedAfter(601), 'POLICY', 'OK'],
  ['an input is as far ahead of its block as clocks may be', aheadBy(1), 'ORDER', 'OK'],
  ['an input is further ahead of its block than clocks may be', aheadBy(1.5), 'ORDER', 'FAILED'],
  [
    'the input begins in a later generation',
    ({ home, lane, event, block }) =>
      lane.next(event(lane, 'one')).then((message) => block(home, 0, [message], { inputGeneration: 3, inputFrom: 5 })),
    'COMPLETE',
    'OPEN',
    { inputGeneration: { generation: 3, firstOffsets: [5, 5] } },
  ],
  [
    'generation 0 begins at the offset that the first policy states',
    ({ home, lane, event, block }) => lane.next(event(lane, 'one')).then((message) => block(home, 0, [message], { inputFrom: 5 })),
    'COMPLETE',
    'FAILED',
    { inputGeneration: { generation: 0, firstOffsets: [5, 5] } },
  ],
  ['messages of a run and unreadable records take their offsets', refusedInput(), 'COMPLETE', 'OK'],
  ['a run has as many messages as one may have', refusedInput(1, () => ({ span: 16_384 })), 'ARCHIVE', 'OK'],
  ['a run has one message more', refusedInput(1, () => ({ span: 16_385 })), 'ARCHIVE', 'FAILED'],
  ['a run has no message', refusedInput(1, () => ({ span: 0 })), 'ARCHIVE', 'FAILED'],
  ['a run has a batch', refusedInput(1, (_, all) => ({ batch: required(all[0]).batch })), 'ARCHIVE', 'FAILED'],
  ['a run is of a reason that a header shows', refusedInput(1, () => ({ reason: 11 })), 'ARCHIVE', 'FAILED'],
  ['a run is at the end of its block', refusedInput(4, () => ({ span: 2 })), 'ARCHIVE', 'FAILED'],
  ['an accepted message takes two offsets', refusedInput(0, () => ({ span: 2 })), 'ARCHIVE', 'FAILED'],
  ['unreadable records take any number of offsets', refusedInput(2, () => ({ span: 2 ** 31 - 1 })), 'ARCHIVE', 'OK'],
  ['unreadable records have a batch', refusedInput(2, (_, all) => ({ batch: required(all[0]).batch })), 'ARCHIVE', 'FAILED'],
  ['unreadable records have no digest', refusedInput(2, () => ({ message: null })), 'ARCHIVE', 'FAILED'],
  ['a reason is not in the list', refusedInput(3, () => ({ reason: 19 })), 'ARCHIVE', 'FAILED'],
  ['events of a signed header were swapped', swappedEvents(false), 'COMPLETE', 'OPEN'],
  ['the batch whose events were swapped is accepted later', swappedEvents(true), 'COMPLETE', 'OK'],
  ['a good batch is called unreadable', leftOutAs({ span: 1, section: GARBAGE }), 'COMPLETE', 'FAILED'],
  ['a good batch is called a message of a run', leftOutAs(GARBAGE, GARBAGE, 1), 'COMPLETE', 'FAILED'],
];

beforeAll(() => verifier.install(), TIMEOUT_MS);
afterAll(() => folder.release());

describe('rules of the document that hold over a whole log', () => {
  testWithPython.each(ROWS.map((row, i) => [row[0], i] as const))(
    'both verifiers agree where %s',
    async (_, i) => {
      const [, body, property, result, policy] = required(ROWS[i]);
      const played = await play(policy ?? {});
      await body(played);
      for (const archive of played.archives) if (archive.size > 0) await archive.close({ snapshot: true });
      const path = join(folder.path, `${i}`);
      writeArchive(required(played.archives[0]), path);
      expect((await verifier.agreed(path, played.world.root.verifierKey))[property]).toBe(result);
    },
    TIMEOUT_MS,
  );
});
