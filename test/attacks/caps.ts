import { REASONS } from '../../core/base/reasons.ts';
import { eventDigest } from '../../core/formats/event.ts';
import { shardOf } from '../../core/formats/shard.ts';
import type { Policy } from '../../core/policy/policy-document.ts';
import { acceptAnyway } from '../support/forged-batch.ts';
import type { TestMessage } from '../support/producer.ts';
import { required } from '../support/rich-archive.ts';
import { changeInput, firstOf, refuse } from '../support/violation.ts';
import type { Attack } from './attack.ts';
import { byChainer, type ForgedStep } from './forging.ts';
import { type Messages, type Spoil, type Stage, scenePolicy } from './stage.ts';

/** The first producer has as many streams and lanes in each shard as it may. */
const atCap = (policy: Policy): Policy => {
  const scene = scenePolicy(policy);
  return { ...scene, producers: scene.producers.map((each, i) => (i === 0 ? { ...each, maxStreams: 1, maxLanes: 1 } : each)) };
};

/** A stream of shard 0 that nobody has begun. */
const NEW = required(['new 1', 'new 2', 'new 3', 'new 4', 'new 5', 'new 6'].find((name) => shardOf(name, 2) === 0));

const onNewStream = async ({ world, wide }: Stage): Promise<Messages> => [await wide.lanes[0].next(world.events(NEW, 'x'))];
const onNewLane = async ({ world }: Stage): Promise<Messages> => [await world.lane('another').next(world.events('a', 'x'))];

const linked: Spoil = (forgery, { archive }, given) => {
  const message = firstOf(given);
  changeInput(forgery, 0, { receipts: [] });
  acceptAnyway(archive.state, forgery, message, { stream: NEW });
};

/** Leaves the batch's only event out, for the cap of streams. */
const capped: Spoil = (forgery, { world }, given) => {
  const [event] = firstOf(given).events as [Uint8Array];
  const digest = eventDigest(world.schema.digest, event);
  const { id } = world.schema.readHead(event);
  changeInput(forgery, 0, { receipts: [{ position: 0, digest, id, outcome: 'REJECTED', reason: REASONS.STREAM_CAP, original: null }] });
  [forgery.links, forgery.events, forgery.refused] = [[], [], [event]];
};

const UNACCEPTABLE = { seen: 'POLICY EVENT_UNACCEPTABLE', failed: 'POLICY' };
const HIDDEN = { stopped: 'RECEIPT', seen: 'COMPLETE RECEIPT_REASON', failed: 'COMPLETE' };
const LANE_HIDDEN = { stopped: 'LANE', seen: 'POLICY REASON_WRONG' };

/** What a chainer does about the caps; `policy` is that of the scene. */
const STEPS: readonly (ForgedStep & Pick<Attack, 'policy'>)[] = [
  { name: 'stream-begun-beyond-the-cap', policy: atCap, messages: onNewStream, spoil: linked, stopped: 'EVENT', ...UNACCEPTABLE },
  { name: 'event-of-a-new-stream-called-capped', messages: onNewStream, spoil: capped, ...HIDDEN },
  {
    name: 'event-of-an-old-stream-called-capped',
    policy: atCap,
    spoil: capped,
    messages: async ({ wide }) => [await wide.say(0, 'x')],
    ...HIDDEN,
  },
  {
    name: 'lane-begun-beyond-the-cap',
    policy: atCap,
    messages: onNewLane,
    spoil: (forgery, { archive }, given) => acceptAnyway(archive.state, forgery, firstOf(given)),
    stopped: 'LANE',
    seen: 'POLICY BATCH_UNACCEPTABLE',
    failed: 'POLICY',
    open: 'COMPLETE',
  },
  {
    name: 'new-lane-called-capped',
    messages: onNewLane,
    spoil: (forgery, _, given) => refuse(forgery, firstOf(given), { outcome: 'REJECTED', reason: REASONS.LANE_CAP }),
    honest: { seen: 'COMPLETE LANE_OPEN', open: 'COMPLETE' },
    failed: 'POLICY',
    ...LANE_HIDDEN,
  },
  {
    name: 'held-lane-called-capped',
    policy: atCap,
    messages: async ({ wide }) => [await wide.say(0, 'x')],
    spoil: (forgery, _, given) => refuse(forgery, firstOf(given), { outcome: 'REJECTED', reason: REASONS.LANE_CAP }),
    failed: 'POLICY COMPLETE',
    ...LANE_HIDDEN,
  },
];

/** What a producer does beyond its caps: it is refused, and goes on with what it has. */
function beyond(name: string, refused: 'STREAM_CAP' | 'LANE_CAP', first: (stage: Stage) => Promise<readonly TestMessage[]>): Attack {
  const play = async (stage: Stage): Promise<void> => stage.block([...(await first(stage)), await stage.wide.say(0, 'goes on')]);
  return { name, keys: ['producer'], policy: atCap, play, refused, seen: null };
}

const PRODUCERS: readonly Attack[] = [
  beyond('producer-begins-streams-beyond-its-cap', 'STREAM_CAP', async ({ world, wide }) => [
    await wide.lanes[0].next([...world.events(NEW, 'x', 'y'), ...world.events('a', 'between'), ...world.events(`${NEW}0`, 'z')]),
  ]),
  beyond('producer-begins-lanes-beyond-its-cap', 'LANE_CAP', async ({ world }) => [
    await world.lane('another').next(world.events('a', 'x')),
    await world.lane('third').next(world.events('a', 'y')),
  ]),
];

export const CAP_ATTACKS: readonly Attack[] = [
  ...STEPS.flatMap(({ policy, ...step }) => byChainer(step).map((attack) => (policy === undefined ? attack : { ...attack, policy }))),
  ...PRODUCERS,
];
