import { accept } from '../../core/acceptance/accept.ts';
import type { Policy } from '../../core/policy/policy-document.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { ForgedArchive, type SegmentForgery } from '../support/forged-archive.ts';
import type { Forgery } from '../support/forged-block.ts';
import {
  type BlockOptions,
  makeWorld,
  START_MICROS,
  type TestLane,
  type TestMessage,
  testSigner,
  type World,
} from '../support/producer.ts';
import { required, SECOND } from '../support/rich-archive.ts';
import type { Holder } from './holder.ts';

const BLOCK_MICROS = 2 * SECOND;
const SEGMENT_MS = 60_000;
const HOUR_MICROS = 3600 * SECOND;
const ORIGIN = 'example.org/log';

export type Shard = 0 | 1;
export type Messages = BlockOptions['messages'];
export type Spoil = (forgery: Forgery, stage: Stage, given: Messages) => void;

/** Streams that a producer may use, one in each shard. */
export const STREAMS = { wide: ['a', 'd'], narrow: ['b/1', 'b/2'], third: ['c/4', 'c/1'] } as const satisfies Readonly<
  Record<string, readonly [string, string]>
>;
export const NARROW: Signer = testSigner(`${ORIGIN}/narrow`);
export const THIRD: Signer = testSigner(`${ORIGIN}/third`);
/** The keys after the rotation. */
export const NEXT_CHAINER: Signer = testSigner(`${ORIGIN}/chainer`, 'next chainer');
export const NEXT_LOG: Signer = testSigner(`${ORIGIN}/0`, 'next log');

/** One producer: a lane in each shard, of which `home` takes its heartbeats. */
export class Speaker {
  readonly lanes: readonly [TestLane, TestLane];
  readonly home: Shard;
  readonly #world: World;
  readonly #streams: readonly [string, string];

  constructor(world: World, name: keyof typeof STREAMS, signer: Signer, home: Shard, epoch: string = name) {
    this.#world = world;
    this.#streams = STREAMS[name];
    this.home = home;
    this.lanes = [world.lane(epoch, signer, 0), world.lane(epoch, signer, 1)];
  }

  /** Events on the producer's stream in the shard. */
  events(shard: Shard, ...words: readonly string[]): Uint8Array[] {
    return this.#world.events(this.#streams[shard], ...words);
  }

  say(shard: Shard, ...words: readonly string[]): Promise<TestMessage> {
    return this.lanes[shard].next(this.events(shard, ...words));
  }

  /** The statement that both lanes end here, to be logged in the home shard. */
  bye(): Promise<TestMessage> {
    const home = this.lanes[this.home];
    const lanes = ([0, 1] as const)
      .map((shard) => ({ lane: this.lanes[shard], shard }))
      .filter(({ lane }) => lane === home || lane.number > 0)
      .map(({ lane, shard }) => ({ epoch: lane.epoch, shard, number: lane.number + (lane === home ? 1 : 0), seq: lane.seq, final: true }));
    return home.next([], { lanes });
  }
}

export interface StageBlock extends Partial<BlockOptions> {
  readonly shard?: Shard;
}

/**
 * The scene of all attacks: two shards, three producers, two policies (the second rotates the chainer's key and a log key), a duplicate, a conflict,
 * refusals, a quiet hour, two closed segments in each shard, and an open tail where it is asked for. Blocks that an attacker without a log key forges
 * are judged by acceptance first, as an honest archiver does; what it refuses is in `stopped`, and the honest block follows instead.
 */
export class Stage {
  readonly world: World;
  readonly archives: readonly [ForgedArchive, ForgedArchive];
  readonly wide: Speaker;
  readonly narrow: Speaker;
  readonly third: Speaker;
  readonly stopped: string[] = [];
  chainer: Signer;
  readonly #keys: ReadonlySet<Holder>;
  #time = START_MICROS;

  constructor(world: World, keys: readonly Holder[]) {
    this.world = world;
    this.#keys = new Set(keys);
    const first = new ForgedArchive(world, 0);
    this.archives = [first, new ForgedArchive(world, 1, first.objects)];
    this.wide = new Speaker(world, 'wide', world.producer, 1);
    this.narrow = new Speaker(world, 'narrow', NARROW, 0);
    this.third = new Speaker(world, 'third', THIRD, 1);
    this.chainer = world.chainer;
    this.time = START_MICROS;
  }

  get archive(): ForgedArchive {
    return this.archives[0];
  }

  /** Accepted time of the last block, microseconds. Producers date what they say by the time of the block that comes next. */
  get time(): number {
    return this.#time;
  }

  set time(time: number) {
    this.#time = time;
    this.world.now = time + BLOCK_MICROS;
  }

  /** A key that the attacker holds. */
  key(holder: 'chainer' | 'log' | 'root', shard: Shard = 0): Signer {
    if (!this.#keys.has(holder)) throw new Error(`the attack does not hold the key of ${holder}`);
    if (holder === 'root') return this.world.root;
    return holder === 'chainer' ? this.chainer : this.archives[shard].signer;
  }

  /** A block two seconds after the one before; only the holder of the chainer's key may spoil it. */
  async block(messages: Messages, spoil?: Spoil, { shard = 0, ...options }: StageBlock = {}): Promise<void> {
    this.time += BLOCK_MICROS;
    const archive = this.archives[shard];
    const given: BlockOptions = { messages, acceptedAt: this.time, appendedAt: this.time, signer: this.chainer, ...options };
    if (spoil === undefined) return archive.block(given);
    this.key('chainer');
    const value = await archive.forge(given, (forgery) => spoil(forgery, this, messages));
    if (this.#keys.has('log')) return archive.append(value);
    const judged = accept(archive.state, value, this.world.context);
    if (judged.kind === 'accepted') return archive.append(value);
    this.stopped.push(judged.kind === 'wait' ? `WAIT ${judged.missing}` : judged.rule);
    return archive.block({ messages, acceptedAt: this.time, appendedAt: this.time, signer: this.chainer });
  }

  /** A block in each shard. */
  async round(here: Messages, there: Messages): Promise<void> {
    await this.block(here);
    await this.block(there, undefined, { shard: 1 });
  }

  /** Lets a segment reach its age, and closes it in both shards. */
  async close(forgery: SegmentForgery = {}): Promise<void> {
    this.time += SEGMENT_MS * 1000;
    await this.round([], []);
    await this.archives[0].close({ snapshot: true, ...forgery });
    await this.archives[1].close({ snapshot: true });
  }
}

/** The policy of the scene's world. */
export function scenePolicy(policy: Policy): Policy {
  const [wide] = policy.producers;
  return {
    ...policy,
    segmentMaxAgeMs: SEGMENT_MS,
    dedupWindowMs: 600_000,
    clockSkewMs: 1000,
    laneRetentionMs: 7_200_000,
    producers: [
      required(wide),
      { ...required(wide), key: NARROW.verifierKey, streams: ['b/*'], types: ['CREATE'] },
      { ...required(wide), key: THIRD.verifierKey, streams: ['c/*'] },
    ],
  };
}

/** The first segment of both shards, the rotation, a quiet hour, and the first blocks of the second segment. */
export async function makeStage(keys: readonly Holder[] = [], change: (policy: Policy) => Policy = scenePolicy): Promise<Stage> {
  const world = await makeWorld({ origin: ORIGIN, shards: 2, policy: change });
  const stage = new Stage(world, keys);
  const { wide, narrow, third } = stage;
  const conflict = world.schema.encode(world.event('a', 'early 2', { attributes: [{ key: 'word', value: 'other' }] }));
  await stage.round(
    [await wide.say(0, 'early 1', 'early 2'), await narrow.say(0, 'one')],
    [await wide.say(1, 'far 1'), await third.say(1, 'one')],
  );
  const repeated = await wide.say(0, 'early 3');
  await stage.round([repeated, repeated, new Uint8Array([1, 2, 3]), 3], [await third.say(1, 'two', 'three')]);
  await stage.archives[0].publish();
  const doubled = [...wide.events(0, 'early 1'), conflict, ...wide.events(0, 'early 4')];
  const forbidden = await narrow.lanes[0].next(world.events('a', 'forbidden'));
  await stage.round([await wide.lanes[0].next(doubled), forbidden], [await wide.say(1, 'far 2', 'far 2')]);
  await stage.close();
  await rotate(stage);
  stage.time += HOUR_MICROS;
  await stage.round([await wide.say(0, 'later 1', 'later 2'), await third.say(0, 'four')], [await narrow.say(1, 'two')]);
  return stage;
}

/** The second policy: a new key for the chainer, and one for the log of shard 0. */
async function rotate(stage: Stage): Promise<void> {
  const { world } = stage;
  const retired = [world.chainer.verifierKey, required(world.logs[0]).verifierKey];
  await world.nextPolicy((policy) => ({
    ...policy,
    chainers: [...policy.chainers.map((each) => retire(each, retired)), active(NEXT_CHAINER)],
    logs: [...policy.logs.map((each) => retire(each, retired)), active(NEXT_LOG)],
  }));
  stage.chainer = NEXT_CHAINER;
  stage.archives[0].signer = NEXT_LOG;
}

function retire<Entry extends Policy['logs'][number]>(entry: Entry, keys: readonly string[]): Entry {
  return keys.includes(entry.key) ? { ...entry, status: 'RETIRED' } : entry;
}

export function active({ verifierKey }: Signer): Policy['logs'][number] {
  return { key: verifierKey, status: 'ACTIVE', believed: null };
}

/** The rest of the second segment: more of each producer, their last words, and the closing. */
export async function endStage(stage: Stage, forgery: SegmentForgery = {}): Promise<void> {
  const { wide, narrow, third } = stage;
  await stage.round([await wide.say(0, 'late 1'), await narrow.say(0, 'three')], [await wide.say(1, 'far 3'), await third.say(1, 'five')]);
  await stage.round([await narrow.bye()], [await wide.bye(), await third.bye()]);
  await stage.close(forgery);
}

/** Leaves of no closed segment, in both shards. */
export async function growTail(stage: Stage): Promise<void> {
  const { world } = stage;
  const open = new Speaker(world, 'wide', world.producer, 1, 'tail');
  await stage.round([await open.say(0, 'open 1')], [await open.say(1, 'open 2')]);
  for (const archive of stage.archives) await archive.publish();
}
