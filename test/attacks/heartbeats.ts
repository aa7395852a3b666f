import { compileSchema } from '../../core/avro/schema.ts';
import { SCHEMA_TEXTS } from '../../core/avro/schema-texts.ts';
import { LIMITS } from '../../core/base/limits.ts';
import { type BatchHeader, decodeBatchHeader, type HeartbeatLane } from '../../core/formats/batch.ts';
import type { Policy } from '../../core/policy/policy-document.ts';
import { type TestLane, type TestMessage, testSigner } from '../support/producer.ts';
import { required } from '../support/rich-archive.ts';
import type { Attack } from './attack.ts';
import { type Stage, scenePolicy } from './stage.ts';

/** A lane of another epoch of the first producer, in the shard that takes its heartbeats. */
function laneOf(stage: Stage, word: string): TestLane {
  return stage.world.lane(word, stage.world.producer, 1);
}

/** A heartbeat of the first producer on its home lane. */
function beat(stage: Stage, ...lanes: readonly HeartbeatLane[]): Promise<TestMessage> {
  return stage.wide.lanes[1].next([], { lanes });
}

function said(lane: TestLane, number: number, seq: number, final = true): HeartbeatLane {
  return { epoch: lane.epoch, shard: 1, number, seq, final };
}

const there = async (stage: Stage, ...messages: readonly TestMessage[]): Promise<void> => stage.block(messages, undefined, { shard: 1 });

/** One batch of another epoch, and these statements about it, one after another. */
function stated(
  name: string,
  ends: readonly (readonly [number: number, seq: number, final: boolean])[],
  more: Omit<Attack, 'name' | 'keys'>,
): Attack {
  return {
    name,
    keys: ['producer'],
    play: async (stage) => {
      const lane = laneOf(stage, 'other');
      await there(stage, await lane.next(stage.wide.events(1, 'x')));
      for (const [number, seq, final] of ends) await there(stage, await beat(stage, said(lane, number, seq, final)));
    },
    ...more,
  };
}

/** Headers without a check of their rules. */
const HEADER = compileSchema<BatchHeader>(JSON.parse(SCHEMA_TEXTS.BatchHeader));
const SILENT = testSigner('example.org/log/silent').verifierKey;
const GAP = { seen: 'COMPLETE GAP', failed: 'COMPLETE' };
const OK = { seen: null };

/** The scene's policy, which demands heartbeats of the first producer, or of another one that never speaks. */
const demanding =
  (heartbeatMs: number, key?: string) =>
  (policy: Policy): Policy => {
    const scene = scenePolicy(policy);
    const first = required(scene.producers[0]);
    const others = key === undefined ? scene.producers.slice(1) : scene.producers;
    return { ...scene, producers: [...others, { ...first, heartbeatMs, ...(key !== undefined && { key }) }] };
  };

export const HEARTBEAT_ATTACKS: readonly Attack[] = [
  stated('statement-true', [[1, 1, true]], OK),
  stated('statement-of-more-batches', [[3, 1, true]], GAP),
  stated('statement-of-more-events', [[1, 5, true]], GAP),
  stated('statement-of-more-that-may-come', [[3, 5, false]], { seen: 'COMPLETE LANE_SHORT', open: 'COMPLETE' }),
  stated(
    'statement-lowered',
    [
      [3, 3, true],
      [1, 1, true],
    ],
    GAP,
  ),
  stated(
    'statement-lowered-and-true',
    [
      [1, 1, true],
      [0, 0, true],
    ],
    { seen: 'COMPLETE STATEMENT_BACK' },
  ),
  stated(
    'statement-lowered-though-it-was-not-final',
    [
      [3, 3, false],
      [1, 1, true],
    ],
    { seen: 'COMPLETE LANE_SHORT', open: 'COMPLETE' },
  ),
  stated(
    'statement-taken-back',
    [
      [1, 1, true],
      [1, 1, false],
    ],
    OK,
  ),
  stated('statement-of-less-than-there-is', [[0, 0, true]], { seen: 'COMPLETE COPIED_SPOOL' }),
  stated('statement-near-2-48', [[LIMITS.laneNumber, LIMITS.laneNumber, true]], GAP),
  stated('statement-of-nothing', [[1, 1, false]], { seen: 'COMPLETE LANE_OPEN', open: 'COMPLETE' }),
  {
    name: 'statement-of-a-lane-that-was-never-there',
    keys: ['topics'],
    play: async (stage) => there(stage, await beat(stage, said(laneOf(stage, 'lost'), 2, 7))),
    ...GAP,
  },
  {
    name: 'statement-of-a-lane-of-a-shard-that-does-not-exist',
    keys: ['producer'],
    play: async (stage) => there(stage, await beat(stage, { ...said(laneOf(stage, 'lost'), 1, 1), shard: 7 })),
    seen: 'COMPLETE LANE_SHORT',
    open: 'COMPLETE',
  },
  {
    name: 'statement-about-the-lane-of-another-producer',
    keys: ['producer'],
    play: async (stage) => there(stage, await stage.third.lanes[1].next([], { lanes: [{ ...said(stage.wide.lanes[1], 99, 99) }] })),
    ...GAP,
  },
  {
    name: 'statement-outside-the-home-lane',
    keys: ['producer'],
    play: async (stage) => stage.block([await stage.wide.lanes[0].next([], { lanes: [] })]),
    ...GAP,
  },
  {
    name: 'statement-twice-about-one-lane',
    keys: ['producer'],
    play: async (stage) => {
      const lane = laneOf(stage, 'other');
      await there(stage, await lane.next(stage.wide.events(1, 'x')));
      await there(stage, await beat(stage, said(lane, 1, 1), said(lane, 9, 9)));
    },
    ...GAP,
  },
  {
    name: 'heartbeat-with-more-lanes-than-it-may-have',
    keys: ['producer'],
    play: async (stage) => {
      const lanes = Array.from({ length: LIMITS.heartbeatLanes }, (_, i) => said(laneOf(stage, `lane ${i}`), 0, 0));
      await there(stage, await beat(stage, ...lanes));
    },
    seen: null,
  },
  {
    name: 'heartbeat-left-out-by-the-chainer',
    keys: ['chainer'],
    play: async (stage) => {
      await beat(stage);
      await stage.block([1], undefined, { shard: 1 });
    },
    ...GAP,
  },
  {
    name: 'sampled-out-lowered',
    keys: ['producer'],
    play: async (stage) => {
      await stage.block([await stage.wide.lanes[0].next(stage.wide.events(0, 'x'), { sampledOut: 7 })]);
      await stage.block([await stage.wide.lanes[0].next(stage.wide.events(0, 'y'), { sampledOut: 6 })]);
    },
    seen: 'COMPLETE STATEMENT_BACK',
  },
  {
    name: 'sampled-out-near-2-48',
    keys: ['producer'],
    play: async (stage) => {
      for (let i = 0; i < 3; i++) {
        const lane = stage.world.lane(`sampled ${i}`, stage.world.producer, 1);
        await there(stage, await lane.next(stage.wide.events(1, `x ${i}`), { sampledOut: LIMITS.laneNumber }));
        await there(stage, await beat(stage, said(lane, 1, 1)));
      }
    },
    seen: null,
  },
  {
    name: 'number-near-2-48',
    keys: ['producer'],
    play: async (stage) => {
      const lane = laneOf(stage, 'far');
      Object.assign(lane, { number: LIMITS.laneNumber, seq: LIMITS.laneNumber, previous: new Uint8Array(32).fill(7) });
      await there(stage, await lane.next(stage.wide.events(1, 'x')));
    },
    seen: 'COMPLETE GAP',
    failed: 'COMPLETE',
  },
  ...[LIMITS.laneNumber + 1, 2 ** 53 - 1].map(
    (number): Attack => ({
      name: `number-${number}`,
      keys: ['producer'],
      play: async (stage) => {
        const { header, events } = await laneOf(stage, 'far').next(stage.wide.events(1, 'x'));
        const changed = HEADER.encode({ ...decodeBatchHeader(header), number, previous: new Uint8Array(32).fill(7) });
        await there(stage, await stage.world.message(changed, events));
      },
      seen: null,
    }),
  ),
  {
    name: 'silence-shorter-than-the-policy-allows',
    keys: ['producer'],
    policy: demanding(5_000_000),
    seen: null,
  },
  {
    name: 'silence',
    keys: ['producer'],
    policy: demanding(60_000),
    seen: 'COMPLETE SILENCE',
    open: 'COMPLETE',
  },
  {
    name: 'silence-of-one-that-never-spoke',
    keys: ['producer'],
    policy: demanding(60_000, SILENT),
    seen: 'COMPLETE SILENCE',
    open: 'COMPLETE',
  },
];
