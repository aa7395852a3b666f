import { shardOf } from '../../core/formats/shard.ts';
import type { KeyEntry } from '../../core/policy/policy-document.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { type ArchiveObjects, ForgedArchive } from './forged-archive.ts';
import { carrying, forgedSignature } from './forged-batch.ts';
import { type BlockOptions, START_MICROS, type TestLane, type TestMessage, testSigner, type World } from './producer.ts';
import { narrow, required, richWorld, SECOND } from './rich-archive.ts';

const GARBAGE = Uint8Array.of(1, 2, 3);

/** What test/golden holds: an archive of two shards, and the key that its reader pins. */
export interface Golden {
  readonly objects: ArchiveObjects;
  readonly rootKey: string;
}

/** Two shards; times are seconds after the start. */
class GoldenScene {
  readonly world: World;
  readonly home: number;
  readonly archives: readonly ForgedArchive[];
  chainer: Signer | undefined;

  constructor(world: World) {
    this.world = world;
    this.home = shardOf(world.producer.name, 2);
    const first = new ForgedArchive(world, 0);
    this.archives = [first, new ForgedArchive(world, 1, first.objects)];
  }

  /** Producers date by this time what they make next. */
  at(seconds: number): void {
    this.world.now = START_MICROS + seconds * SECOND;
  }

  async block(shard: number, seconds: number, messages: BlockOptions['messages']): Promise<void> {
    const time = START_MICROS + seconds * SECOND;
    const signer = this.chainer === undefined ? {} : { signer: this.chainer };
    await required(this.archives[shard]).block({ messages, acceptedAt: time, appendedAt: time, ...signer });
  }

  /** A tick in both shards, which ends their segments. */
  async close(seconds: number): Promise<void> {
    for (const [shard, archive] of this.archives.entries()) {
      await this.block(shard, seconds, []);
      await archive.close({ snapshot: true });
    }
  }

  /** The first stream of that shard which begins so. */
  stream(shard: number, prefix = ''): string {
    return required(Array.from({ length: 99 }, (_, i) => `${prefix}${i}`).find((name) => shardOf(name, 2) === shard));
  }

  /** The lanes of an epoch in both shards. */
  epoch(word: string, signer?: Signer): { readonly here: TestLane; readonly away: TestLane } {
    return { here: this.world.lane(word, signer, this.home), away: this.world.lane(word, signer, 1 - this.home) };
  }

  /** A heartbeat that states both lanes of an epoch. */
  beat({ here, away }: ReturnType<GoldenScene['epoch']>, final: boolean): Promise<TestMessage> {
    const own = { epoch: here.epoch, shard: this.home, number: here.number + 1, seq: here.seq, final };
    return here.next([], { lanes: [own, { epoch: away.epoch, shard: 1 - this.home, number: away.number, seq: away.seq, final }] });
  }
}

/**
 * An honest archive in which everything is OK: two shards of two segments, a duplicate, a conflict, a repeated batch, refusals of every kind, heartbeats that a
 * policy demands, and a second policy that rotates the keys of producer, chainer and logs. The same bytes in every run of one zlib.
 */
export async function goldenArchive(): Promise<Golden> {
  const world = await richWorld(2);
  await world.nextPolicy((policy) => ({
    ...policy,
    producers: policy.producers.map((each, i) => (i === 0 ? { ...each, heartbeatMs: 10_000 } : each)),
  }));
  const scene = new GoldenScene(world);
  await firstSegments(scene);
  const producer = await rotateKeys(scene);
  await secondSegments(scene, producer);
  return { objects: required(scene.archives[0]).objects, rootKey: world.root.verifierKey };
}

async function firstSegments(scene: GoldenScene): Promise<void> {
  const { world, home } = scene;
  const away = 1 - home;
  const epoch = scene.epoch('first');
  const [a, b] = [scene.stream(home), scene.stream(away)];
  const first = await epoch.here.next(world.events(a, 'one', 'two', 'three'));
  await scene.block(home, 0, [first]);
  await scene.block(away, 0, [await epoch.away.next(world.events(b, 'one', 'two'))]);
  const good = await epoch.here.next(world.events(a, 'four'));
  const stranger = world.lane('stranger', testSigner('example.org/stranger'), home);
  await scene.block(home, 2, [
    GARBAGE,
    GARBAGE,
    GARBAGE,
    2,
    { span: 100, section: GARBAGE },
    carrying(good, []),
    forgedSignature(good),
    good,
    first,
    await stranger.next(world.events(a, 'five')),
    await world.batch(world.events(a, 'fork'), { epoch: epoch.here.epoch, shard: home }),
  ]);
  scene.at(4);
  await scene.block(home, 4, [await scene.beat(epoch, false)]);
  const conflict = world.schema.encode(world.event(a, 'two', { attributes: [{ key: 'word', value: 'other' }] }));
  await scene.block(home, 6, [await epoch.here.next([...world.events(a, 'one'), conflict, ...world.events(a, 'six')])]);
  await narrowLane(scene);
  scene.at(9);
  await scene.block(home, 9, [await scene.beat(epoch, true)]);
  await scene.close(10);
}

/** The second producer says one thing that it may say, and one that it may not, and ends. */
async function narrowLane(scene: GoldenScene): Promise<void> {
  const { world } = scene;
  const shard = shardOf(narrow().name, 2);
  const lane = world.lane('narrow', narrow(), shard);
  const said = await lane.next([...world.events(scene.stream(shard, 'b/'), 'mine'), ...world.events(scene.stream(shard), 'not mine')]);
  const end = { epoch: lane.epoch, shard, number: 2, seq: 2, final: true };
  await scene.block(shard, 7, [said, await lane.next([], { lanes: [end] })]);
}

/** The next policy retires the keys of producer, chainer and logs, and names one more for each. Gives the producer's. */
async function rotateKeys(scene: GoldenScene): Promise<Signer> {
  const { world, archives } = scene;
  const next = (signer: Signer): Signer => testSigner(signer.name, `next ${signer.name}`);
  const rotated = <E extends KeyEntry>(entries: readonly E[], signers: readonly Signer[]): E[] =>
    entries.flatMap((entry) => {
      const signer = signers.find(({ verifierKey }) => verifierKey === entry.key);
      return signer === undefined
        ? [entry]
        : [
            { ...entry, status: 'RETIRED' },
            { ...entry, key: next(signer).verifierKey },
          ];
    });
  await world.nextPolicy((policy) => ({
    ...policy,
    producers: rotated(policy.producers, [world.producer]),
    chainers: rotated(policy.chainers, [world.chainer]),
    logs: rotated(policy.logs, world.logs),
  }));
  scene.chainer = next(world.chainer);
  for (const archive of archives) archive.signer = next(archive.signer);
  return next(world.producer);
}

async function secondSegments(scene: GoldenScene, producer: Signer): Promise<void> {
  const { world, home } = scene;
  const away = 1 - home;
  const epoch = scene.epoch('second', producer);
  scene.at(14);
  await scene.block(home, 14, [await epoch.here.next(world.events(scene.stream(home), 'seven'), { sampledOut: 2 })]);
  await scene.block(away, 14, [await epoch.away.next(world.events(scene.stream(away), 'three', 'four'))]);
  scene.at(16);
  await scene.block(home, 16, [await scene.beat(epoch, false)]);
  scene.at(22);
  await scene.block(home, 22, [await scene.beat(epoch, true)]);
  await scene.close(24);
}
