import { beforeAll, describe, expect, test } from '@jest/globals';
import { PRODUCER_CAPS } from '../../core/policy/new-policy.ts';
import type { Policy } from '../../core/policy/policy-document.ts';
import { TOPICS } from '../../core/ports/log.ts';
import { auditProblems, ChainOracle } from '../support/chain-oracle.ts';
import { type CallFault, type CallName, ChainerSim, NO_FAULT } from '../support/chainer-sim.ts';
import { makeWorld, type TestLane, type TestMessage, testSigner, type World } from '../support/producer.ts';
import { Random } from '../support/random.ts';
import { HAPPENINGS, type Happening, Play, type PlayInput } from '../support/sequencer-play.ts';

/** A failure names its seed: `LINEPROOF_FAULT_SEED=41 LINEPROOF_FAULT_RUNS=1` plays that run alone. */
const RUNS = Number(process.env['LINEPROOF_FAULT_RUNS'] ?? 300);
const FIRST_SEED = Number(process.env['LINEPROOF_FAULT_SEED'] ?? 1);
const SECOND = 1_000_000;
const TIME_LIMIT = 300_000;

/** What becomes of a call: not done, done and not answered, done later, done twice, done and done again later. */
const FAULTS: readonly CallFault[] = [
  { now: 0, late: 0, fails: true },
  { now: 1, late: 0, fails: true },
  { now: 0, late: 1, fails: true },
  { now: 2, late: 0, fails: true },
  { now: 1, late: 1, fails: true },
  { now: 1, late: 1, fails: false },
];
const LOST_ANSWERS = FAULTS.slice(0, 2);
const GARBAGE = new Uint8Array([9, 9]);
const EMPTY = new Uint8Array(0);

/** Three versions of the policy: the second retires a producer, the third has shorter segments and a longer window. */
let world: World;
let lanes: TestMessage[][];
/** A window of one minute, and batches that say the same again and again. */
let forgetful: World;
let chatter: TestMessage[];
/** Caps that fall and rise with the versions of the policy, and lanes that pass them. */
let narrow: World;
let crowd: TestMessage[][];

beforeAll(async () => {
  const retiring = testSigner('example.org/log/retiring');
  const entry = { key: retiring.verifierKey, believed: null, streams: ['*'], types: [], heartbeatMs: null, ...PRODUCER_CAPS };
  const times = { segmentMaxAgeMs: 10_000, dedupWindowMs: 3_600_000, clockSkewMs: 1000, laneRetentionMs: 8_000_000 };
  world = await makeWorld({
    policy: (policy) => ({ ...policy, ...times, producers: [...policy.producers, { ...entry, status: 'ACTIVE' }] }),
  });
  await world.nextPolicy((policy) => ({
    ...policy,
    producers: policy.producers.map((each) => (each.key === entry.key ? { ...each, status: 'RETIRED' } : each)),
  }));
  await world.nextPolicy((policy) => ({ ...policy, segmentMaxAgeMs: 8000, dedupWindowMs: 3_601_000 }));
  const other = world.schema.encode(world.event('a', '1', { attributes: [{ key: 'word', value: 'other' }] }));
  const [one, two, three] = [world.lane('one'), world.lane('two'), world.lane('three', retiring)];
  lanes = [
    [
      await one.next(world.events('a', '1', '2')),
      await one.next([...world.events('b', '1'), ...world.events('a', '1', '3', '3')]),
      await one.next([...world.events('c', '1'), new Uint8Array([1, 2, 3])]),
      await farewell(one),
    ],
    [
      await two.next([...world.events('b', '1', '2'), ...world.events('a', '2', '4')]),
      await two.next([...world.events('a', '5'), other]),
      await farewell(two),
    ],
    [await three.next(world.events('d', '1')), await farewell(three)],
  ];
  forgetful = await makeWorld({
    origin: 'example.org/forgetful',
    policy: (policy) => ({ ...policy, segmentMaxAgeMs: 30_000, dedupWindowMs: 60_000, clockSkewMs: 1000, laneRetentionMs: 600_000 }),
  });
  await forgetful.nextPolicy((policy) => ({ ...policy, dedupWindowMs: 200_000 }));
  await forgetful.nextPolicy((policy) => ({ ...policy, dedupWindowMs: 30_000 }));
  const lane = forgetful.lane('chatter');
  chatter = [];
  for (let i = 0; i < 12; i++) chatter.push(await lane.next(forgetful.events('a', `${i % 4}`, `new ${i}`, `${i % 3}`)));
  chatter.push(await farewell(lane));
  const capped =
    (maxStreams: number, maxLanes: number) =>
    (policy: Policy): Policy => ({ ...policy, producers: policy.producers.map((each) => ({ ...each, maxStreams, maxLanes })) });
  narrow = await makeWorld({
    origin: 'example.org/narrow',
    policy: (policy) => capped(3, 2)({ ...policy, segmentMaxAgeMs: 10_000, clockSkewMs: 1000 }),
  });
  await narrow.nextPolicy(capped(2, 1));
  await narrow.nextPolicy(capped(5, 3));
  crowd = await Promise.all(['first', 'second', 'third', 'fourth'].map((word, i) => walk(narrow.lane(word), i)));
});

/** A lane that goes from stream to stream. */
async function walk(lane: TestLane, from: number): Promise<TestMessage[]> {
  const messages: TestMessage[] = [];
  for (let i = 0; i < 3; i++) {
    const streams = [0, 1, 2].map((step) => `s${(from + i + step) % 7}`);
    messages.push(await lane.next(streams.flatMap((stream) => narrow.events(stream, `${from} ${i}`))));
  }
  return [...messages, await farewell(lane)];
}

/** The message that states the end of a lane. */
function farewell(lane: TestLane): Promise<TestMessage> {
  return lane.next([], { lanes: [{ epoch: lane.epoch, shard: 0, number: lane.number + 1, seq: lane.seq, final: true }] });
}

/** An order of all messages that keeps each lane's, with repeats, garbage, holes and records that nobody can read between them. */
function shuffled(random: Random, all: readonly (readonly TestMessage[])[]): PlayInput[] {
  const left = all.map((lane) => [...lane]);
  const sent: TestMessage[] = [];
  const input: PlayInput[] = [];
  while (left.some(({ length }) => length > 0)) {
    const message = random.pick(left.filter(({ length }) => length > 0)).shift() as TestMessage;
    sent.push(message);
    input.push(message.value);
    if (random.chance(0.3)) input.push(random.pick(sent).value);
    if (random.chance(0.15)) input.push(random.pick([GARBAGE, message.value.slice(0, 200)]));
    if (random.chance(0.1)) input.push(1 + random.below(3), GARBAGE);
    if (random.chance(0.1)) input.push({ unreadable: 1 + random.below(1000) });
    if (random.chance(0.2))
      input.push(Array.from({ length: 2 + random.below(6) }, () => random.pick([GARBAGE, GARBAGE, EMPTY, message.value.slice(0, 200)])));
  }
  return input;
}

function randomFaults(random: Random): (name: CallName) => CallFault {
  const rate = random.pick([0, 0.05, 0.2, 0.5]);
  return (name) => {
    if (!random.chance(rate)) return NO_FAULT;
    return random.pick(/^(?:log\.append|dedup\.window)/.test(name) ? FAULTS : LOST_ANSWERS);
  };
}

/** Some happenings at turns that the seed decides. */
function somehow(random: Random, happenings: readonly Happening[]): { turn: number; what: Happening }[] {
  return Array.from({ length: random.below(8) }, () => ({ turn: random.below(250), what: random.pick(happenings) }));
}

/** Plays a run for each seed and expects nothing to be wrong after any of them. */
async function play(makeRun: (random: Random, seed: number) => Play): Promise<void> {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
    let problems: readonly string[];
    try {
      problems = await makeRun(new Random(seed), seed).run();
    } catch (error) {
      problems = [String(error)];
    }
    expect({ seed, problems }).toEqual({ seed, problems: [] });
  }
}

describe('whatever fails, at every call, and whichever processes work on the shard: the history is the one that the input demands', () => {
  test(
    'when one process after another, or several at a time, believe that they own it',
    () =>
      play(
        (random, seed) =>
          new Play({
            world,
            random,
            input: shuffled(random, lanes),
            depth: 1 + random.below(3),
            confirmIdentities: random.pick([0, 0, 6, 4096]),
            policies: 1,
            processes: random.pick([1, 1, 2]),
            atStart: random.below(5),
            feedChance: 0.1,
            fault: randomFaults(random),
            happenings: somehow(random, Object.values(HAPPENINGS)),
            audit: seed % 3 === 0,
            // A key that was retired in mid-lane cannot say that the lane ends.
            tolerated: /^OPEN COMPLETE LANE_OPEN.*\/retiring /,
          }),
      ),
    TIME_LIMIT,
  );

  test(
    'when identities leave the dedup window while it works',
    () =>
      play(
        (random, seed) =>
          new Play({
            world: forgetful,
            random,
            input: shuffled(random, [chatter]),
            depth: 1 + random.below(3),
            confirmIdentities: random.pick([0, 0, 6, 4096]),
            policies: 1 + random.below(2),
            processes: random.pick([1, 2]),
            atStart: 1,
            feedChance: 0.05,
            fault: randomFaults(random),
            happenings: [
              ...somehow(random, Object.values(HAPPENINGS)),
              ...Array.from({ length: 10 }, (_, i) => ({
                turn: 25 * i,
                what: ({ sim }: Play) => {
                  sim.now += random.below(50) * SECOND;
                },
              })),
            ],
            audit: seed % 3 === 0,
          }),
      ),
    TIME_LIMIT,
  );

  test(
    'when a producer begins more streams and lanes than it may',
    () =>
      play(
        (random, seed) =>
          new Play({
            world: narrow,
            random,
            input: shuffled(random, crowd),
            depth: 1 + random.below(3),
            policies: 1 + random.below(3),
            processes: random.pick([1, 2]),
            atStart: random.below(12),
            feedChance: 0.1,
            fault: randomFaults(random),
            happenings: somehow(random, Object.values(HAPPENINGS)),
            audit: seed % 3 === 0,
            // A lane of which the beginning was refused.
            tolerated: /^FAILED COMPLETE GAP/,
          }),
      ),
    TIME_LIMIT,
  );

  test(
    'when two of them fill the dedup index at the same time, one of which is further back',
    async () => {
      const lane = forgetful.lane('filling');
      const batches: TestMessage[] = [];
      for (let i = 0; i < 9; i++) batches.push(await lane.next(forgetful.events('a', `filled ${i}`)));
      for (let seed = 1; seed <= 40; seed++) {
        const sim = new ChainerSim({ world: forgetful, random: new Random(seed) });
        await sim.publishPolicies(1);
        const [ahead, behind] = [sim.start(), sim.start()];
        for (const [i, { value }] of batches.entries()) {
          behind.owns = i < 8;
          const { offset } = await sim.log.append(TOPICS.events, 0, [{ key: null, value }]);
          await sim.run(() => [ahead, behind].every(({ owns, sequencer }) => !owns || sequencer.state.head.inputTo > offset));
          sim.now += 14 * SECOND;
        }
        sim.dedup.flush();
        behind.owns = true;
        for (const { value } of batches.slice(4)) await sim.log.append(TOPICS.events, 0, [{ key: null, value }]);
        const { end } = await sim.log.bounds(TOPICS.events, 0);
        await sim.run(() => sim.living.every(({ sequencer }) => sequencer.state.head.inputTo === end));
        await sim.beSilent();
        await sim.stopAll();
        await sim.archive();
        // The lane goes on.
        const found = (await auditProblems(sim.objects, forgetful)).filter((problem) => !problem.startsWith('OPEN COMPLETE LANE_OPEN'));
        expect({ seed, problems: [...new ChainOracle(sim.log, forgetful).check(), ...found] }).toEqual({ seed, problems: [] });
      }
    },
    TIME_LIMIT,
  );
});
