import type { Finding, Verdict } from '../../auditor/verdict.ts';
import { verifyArchive } from '../../auditor/verify.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import { ForgedArchive, type SegmentForgery } from './forged-archive.ts';
import type { Forgery } from './forged-block.ts';
import { type BlockOptions, START_MICROS, type TestLane, type TestMessage, type World } from './producer.ts';
import { farewell, richWorld, SECOND } from './rich-archive.ts';

/** Between blocks. */
const BLOCK_MICROS = 2 * SECOND;

/** An archive in the making: six honest blocks in a closed segment, and a lane to go on with. */
export class Scene {
  readonly world: World;
  readonly archive: ForgedArchive;
  readonly lane: TestLane;
  #time = START_MICROS;

  constructor(world: World) {
    this.world = world;
    this.archive = new ForgedArchive(world);
    this.lane = world.lane('scene');
    this.time = START_MICROS;
  }

  /** Accepted time of the last block, microseconds. */
  get time(): number {
    return this.#time;
  }

  /** Producers date what they say by the time of the block that comes next. */
  set time(time: number) {
    this.#time = time;
    this.world.now = time + BLOCK_MICROS;
  }

  /** A block two seconds after the one before. */
  async block(messages: BlockOptions['messages'], spoil?: (forgery: Forgery) => void, options: Partial<BlockOptions> = {}): Promise<void> {
    this.time += BLOCK_MICROS;
    await this.archive.block({ messages, acceptedAt: this.time, appendedAt: this.time, ...options }, spoil);
  }

  /** The lane's next batch: events on stream `a`. */
  say(...words: readonly string[]): Promise<TestMessage> {
    return this.lane.next(this.world.events('a', ...words));
  }

  /** Honest blocks to the end of the lane and of the segment; then the verdict by the pinned root key. */
  async end(forgery: SegmentForgery = {}, options: Partial<BlockOptions> = {}): Promise<Verdict> {
    await this.block([await this.say('later 1')], undefined, options);
    await this.block([await this.say('later 2'), await farewell(this.lane)], undefined, options);
    this.time += 20 * SECOND;
    await this.block([], undefined, options);
    await this.archive.close(forgery);
    return this.verify();
  }

  verify(...keys: readonly string[]): Promise<Verdict> {
    return verifyArchive(this.archive.objects, { keys: (keys.length > 0 ? keys : [this.world.root.verifierKey]).map(parseVerifierKey) });
  }
}

export async function makeScene(world?: World): Promise<Scene> {
  const scene = new Scene(world ?? (await richWorld()));
  for (let i = 0; i < 6; i++) await scene.block([await scene.say(`early ${i}`, `early ${i} too`)]);
  await scene.archive.close();
  return scene;
}

/** `PROPERTY CODE` of all findings of a severity, each once. */
export function codes({ findings }: Verdict, severity: Finding['severity'] = 'FAILED'): string[] {
  return [
    ...new Set(findings.filter((finding) => finding.severity === severity).map(({ property, code }) => `${property} ${code}`)),
  ].toSorted();
}
