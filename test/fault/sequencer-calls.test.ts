import { beforeAll, describe, expect, test } from '@jest/globals';
import { type CallFault, NO_FAULT, type SimProcess } from '../support/chainer-sim.ts';
import { makeWorld, type World } from '../support/producer.ts';
import { Random } from '../support/random.ts';
import { Play } from '../support/sequencer-play.ts';

const LOST: CallFault = { now: 1, late: 0, fails: true };
const UNDONE: CallFault = { now: 0, late: 0, fails: true };

let world: World;
let input: Uint8Array[];

beforeAll(async () => {
  world = await makeWorld({ policy: (policy) => ({ ...policy, segmentMaxAgeMs: 10_000, clockSkewMs: 1000 }) });
  const lane = world.lane('calls');
  const first = await lane.next(world.events('a', '1', '2'));
  input = [
    first,
    await lane.next(world.events('a', '2', '3')),
    new Uint8Array([1]),
    first,
    await lane.next(world.events('b', '1', '1')),
  ].map((message) => (message instanceof Uint8Array ? message : message.value));
  const end = await lane.next([], { lanes: [{ epoch: lane.epoch, shard: 0, number: 4, seq: lane.seq, final: true }] });
  input.push(end.value);
});

/** What happens at one call, beside what becomes of it. */
type Act = (play: Play, process: SimProcess) => CallFault;

function death(fault: CallFault, memory: 'kept' | 'lost'): Act {
  return ({ sim }, process) => {
    sim.kill(process);
    sim.start(memory === 'kept' ? process.store.copy() : undefined);
    return fault;
  };
}

const ACTS: Readonly<Record<string, Act>> = {
  'is not done': () => UNDONE,
  'is done and not answered': () => LOST,
  'is done later': () => ({ now: 0, late: 1, fails: true }),
  'is done twice and not answered': () => ({ now: 2, late: 0, fails: true }),
  'is done, not answered, and done again later': () => ({ now: 1, late: 1, fails: true }),
  'is answered, and done again later': () => ({ now: 1, late: 1, fails: false }),
  'is the last of its process': death(UNDONE, 'kept'),
  'is the last of its process, which loses its memory': death(UNDONE, 'lost'),
  'is done, and the last of its process': death(LOST, 'kept'),
  'is done, and the last of its process, which loses its memory': death(LOST, 'lost'),
  'is done later, and the last of its process': death({ now: 0, late: 1, fails: true }, 'kept'),
  'meets an index that was flushed': ({ sim }) => {
    sim.dedup.flush();
    return NO_FAULT;
  },
  'meets an index that was set back': (play) => {
    play.setIndexBack?.();
    return NO_FAULT;
  },
  'is where another process takes over, and this one wakes when that has finished': ({ sim }, process) => {
    process.stalledTo = sim.turns + 120;
    sim.start();
    return NO_FAULT;
  },
  'is where another process starts, and both go on': ({ sim }) => {
    sim.start();
    return NO_FAULT;
  },
};

/** Plays the input through one process, at whose call number `at` something happens. True where it made so many calls before all was done. */
async function playWith(act: Act, at: number, depth: number): Promise<boolean> {
  let calls = 0;
  let consumed = false;
  const play: Play = new Play({
    world,
    // The same run for every call, up to that call.
    random: new Random(depth),
    input,
    depth,
    atStart: 1,
    feedChance: 0.15,
    fault: (_, process) => {
      if (calls === Math.floor(at / 2)) play.setIndexBack = play.sim.dedup.copy();
      if (calls++ !== at) return NO_FAULT;
      consumed = process.sequencer.state.head.inputTo === input.length;
      return act(play, process);
    },
    until: () => calls > at,
    audit: at % 4 === 0,
  });
  expect({ at, depth, problems: await play.run() }).toEqual({ at, depth, problems: [] });
  return !consumed;
}

describe('when a call of a chainer', () => {
  test.each(Object.entries(ACTS))(
    '%s: the history is the one that the input demands, whichever call it is',
    async (_, act) => {
      for (const depth of [1, 3]) {
        let at = 0;
        while (await playWith(act, at, depth)) at += 1;
        expect(at).toBeGreaterThan(30);
      }
    },
    120_000,
  );
});
