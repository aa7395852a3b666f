import { beforeAll, describe, expect, test } from '@jest/globals';
import { chainEnd } from '../../../cluster/chain-end.ts';
import type { LogState } from '../../../core/acceptance/log-state.ts';
import { TOPICS } from '../../../core/ports/log.ts';
import { MemoryLog } from '../../support/memory.ts';
import { makeWorld, START_MICROS, type TestLane, type World } from '../../support/producer.ts';

const SECOND = 1_000_000;

let world: World;
beforeAll(async () => {
  world = await makeWorld();
});

/** A chainer's state and lane, from which several chains can go on. */
class Chainer {
  readonly state: LogState = world.state();
  readonly #lane: TestLane;
  readonly #words: string;

  constructor(words: string) {
    this.#words = words;
    this.#lane = world.lane(words);
  }

  /** The next block with so many events. */
  async next(events: number, seconds = 1, appendedAt?: number): Promise<Uint8Array> {
    const words = Array.from({ length: events }, (_, i) => `${this.#words} ${this.state.head.size} ${i}`);
    const acceptedAt = Math.max(this.state.head.acceptedAt, START_MICROS) + seconds * SECOND;
    const messages = [await this.#lane.next(world.events('a', ...words))];
    const { value, accepted } = await world.block(this.state, {
      messages,
      acceptedAt,
      ...(appendedAt === undefined ? {} : { appendedAt }),
    });
    this.state.apply(accepted.delta);
    return value;
  }
}

async function logOf(...values: readonly Uint8Array[]): Promise<MemoryLog> {
  const log = new MemoryLog();
  for (const value of values) await log.append(TOPICS.chain, 0, [{ key: null, value }]);
  return log;
}

/** Two chainers that made the same first blocks, and then each their own. */
async function forked(common: number): Promise<{ readonly first: Uint8Array[]; readonly ours: Chainer; readonly theirs: Chainer }> {
  const [ours, theirs] = [new Chainer('same'), new Chainer('same')];
  const first: Uint8Array[] = [];
  for (let i = 0; i < common; i++) {
    first.push(await ours.next(1));
    await theirs.next(1);
  }
  return { first, ours, theirs };
}

describe('the end of a chain', () => {
  test('is that of its last block, and the newest block within what is attested tells when', async () => {
    const chainer = new Chainer('alone');
    const blocks = [await chainer.next(3), await chainer.next(1), await chainer.next(2)];
    const log = await logOf(...blocks);
    expect(await chainEnd(log, 0, 6)).toMatchObject({ size: 9, coveredAt: START_MICROS + 2 * SECOND });
    expect(await chainEnd(log, 0, 8)).toMatchObject({ size: 9, coveredAt: START_MICROS + 2 * SECOND });
    expect(await chainEnd(log, 0, 0)).toMatchObject({ size: 9, coveredAt: undefined });
    expect(await chainEnd(await logOf(), 0, 0)).toEqual({ size: 0, coveredAt: undefined, input: undefined, times: undefined });
  });

  test('tells the times of block and input that come last', async () => {
    const ahead = START_MICROS + 3_600 * SECOND;
    const chainer = new Chainer('ahead');
    const blocks = [await chainer.next(1), await chainer.next(1, 3_600, ahead)];
    const { acceptedAt } = chainer.state.head;
    expect((await chainEnd(await logOf(...blocks), 0, 0)).times).toEqual({ acceptedAt, appendedAt: ahead });
    // A block that only ends a segment has no input, and no time of its own for it.
    const { value } = await world.block(chainer.state, { messages: [], acceptedAt: acceptedAt + 1 });
    expect((await chainEnd(await logOf(...blocks, value), 0, 0)).times).toEqual({ acceptedAt: acceptedAt + 1, appendedAt: ahead });
    expect((await chainEnd(await logOf(value), 0, 0)).times).toEqual({ acceptedAt: acceptedAt + 1, appendedAt: 0 });
  });

  test('is not that of larger blocks that lost the race, nor of those that their chainer had sent behind them', async () => {
    const { first, ours, theirs } = await forked(3);
    const won = await ours.next(1);
    const lost = [await theirs.next(20), await theirs.next(20), await theirs.next(20)];
    expect((await chainEnd(await logOf(...first, won, ...lost), 0, 0)).size).toBe(ours.state.head.size);
    const later = await ours.next(1);
    expect((await chainEnd(await logOf(...first, won, ...lost, later), 0, 0)).size).toBe(ours.state.head.size);
    expect((await chainEnd(await logOf(...first, ...lost, won), 0, 0)).size).toBe(theirs.state.head.size);
  });

  test('is found where a block was appended twice, and beside records that are not blocks', async () => {
    const { first, ours } = await forked(2);
    const next = await ours.next(1);
    const log = await logOf(...first, next, next, ...first, new Uint8Array(3), await ours.next(4));
    expect((await chainEnd(log, 0, 0)).size).toBe(ours.state.head.size);
  });

  test('is found by the last records alone, though they begin with blocks that were beaten before', async () => {
    const { first, ours, theirs } = await forked(2);
    const beaten = [await theirs.next(500), await theirs.next(1), await theirs.next(1)];
    const blocks = [...first, await ours.next(1), ...beaten];
    while (blocks.length < 36) blocks.push(await ours.next(1));
    expect((await chainEnd(await logOf(...blocks), 0, 0)).size).toBe(ours.state.head.size);
  });
});
