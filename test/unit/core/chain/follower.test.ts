import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { LineproofError } from '../../../../core/base/errors.ts';
import type { ChainFollower } from '../../../../core/chain/follower.ts';
import type { RecoveryPoint } from '../../../../core/chain/recovery-point.ts';
import { type Log, TOPICS } from '../../../../core/ports/log.ts';
import type { Signer } from '../../../../core/ports/signer.ts';
import { forge, honest } from '../../../support/forged-block.ts';
import { makeWorld, START_MICROS, testSigner, type World } from '../../../support/producer.ts';
import { follow } from '../../../support/shard-parts.ts';
import { SimLog } from '../../../support/sim-log.ts';
import { otherTurns, slowClock } from '../../../support/turns.ts';

const SECOND = 1_000_000;
const JUNK = new Uint8Array([1, 2, 3]);
const { signal } = new AbortController();

let world: World;
/** Five blocks, of which the third ends a segment: values as they lie on the chain topic, and the size of the log after each. */
let values: Uint8Array[];
let sizes: number[];
let log: SimLog;

beforeAll(async () => {
  world = await makeWorld({ policy: (policy) => ({ ...policy, segmentMaxAgeMs: 10_000 }) });
  const lane = world.lane('followed');
  const state = world.state();
  values = [];
  sizes = [];
  for (const [i, second] of [0, 4, 12, 14, 16].entries()) {
    const messages = [await lane.next(world.events('a', `${i}`))];
    const { value, accepted } = await world.block(state, { messages, acceptedAt: START_MICROS + second * SECOND });
    state.apply(accepted.delta);
    values.push(value);
    sizes.push(state.head.size);
  }
});

beforeEach(async () => {
  log = new SimLog(() => START_MICROS);
  await append(...values);
});

async function append(...given: readonly Uint8Array[]): Promise<void> {
  for (const value of given) await log.append(TOPICS.chain, 0, [{ key: null, value }]);
}

/** Reads to the end; the size of the log after each accepted block. */
async function readAll(chain: ChainFollower): Promise<number[]> {
  const seen: number[] = [];
  for await (const { accepted } of chain.readToEnd(100_000, signal)) seen.push(accepted.delta.head.size);
  return seen;
}

/** How reading ends, as a code. */
async function outcome(chain: ChainFollower): Promise<string> {
  try {
    await readAll(chain);
    return 'read';
  } catch (error) {
    if (error instanceof LineproofError) return error.code;
    throw error;
  }
}

/** A follower that read so many blocks. */
async function readSome(count: number, through: Log = log): Promise<ChainFollower> {
  const chain = follow(world, through);
  for await (const { accepted } of chain.readToEnd(1, signal)) if (accepted.delta.head.size === sizes[count - 1]) break;
  return chain;
}

function pointOf({ state, chainOffset, segment }: ChainFollower): RecoveryPoint {
  return { head: state.head, streams: [...state.streams], lanes: [...state.lanes], chainOffset, segment };
}

describe('a follower of the chain', () => {
  test('accepts block after block and ignores other records', async () => {
    await append(JUNK, values[1] as Uint8Array);
    const chain = follow(world, log);
    expect(await readAll(chain)).toEqual(sizes);
    expect([chain.chainOffset, chain.readPos]).toEqual([4, 7]);
  });

  test('passes over records that cannot be read, before, between and behind blocks', async () => {
    log = new SimLog(() => START_MICROS);
    log.spoil(TOPICS.chain, 0, 2);
    await append(...values.slice(0, 2));
    log.spoil(TOPICS.chain, 0, 3);
    await append(...values.slice(2));
    log.spoil(TOPICS.chain, 0, 1);
    const chain = follow(world, log);
    expect(await readAll(chain)).toEqual(sizes);
    expect([chain.chainOffset, chain.readPos]).toEqual([9, 11]);
  });

  test('reads on where it stopped, each time to the end as it is then', async () => {
    const chain = await readSome(2);
    expect([chain.chainOffset, chain.readPos]).toEqual([1, 2]);
    expect(await readAll(chain)).toEqual(sizes.slice(2));
    expect(await readAll(chain)).toEqual([]);
  });

  test('resumes from a recovery point, in the middle of a segment too, and comes to the same state, lanes, and segments', async () => {
    const whole = follow(world, log);
    const ends: boolean[] = [];
    for await (const { endsSegment } of whole.readToEnd(100_000, signal)) ends.push(endsSegment);
    expect(ends).toEqual([false, false, true, false, false]);
    for (let count = 1; count <= values.length; count++) {
      const resumed = follow(world, log);
      resumed.resume(pointOf(await readSome(count)));
      const rest: boolean[] = [];
      for await (const { endsSegment } of resumed.readToEnd(100_000, signal)) rest.push(endsSegment);
      expect(rest).toEqual(ends.slice(count));
      expect(pointOf(resumed)).toEqual(pointOf(whole));
    }
  });

  test('resumed from no point, begins again at the start of the log', async () => {
    const chain = await readSome(3);
    chain.resume(undefined);
    expect(await readAll(chain)).toEqual(sizes);
  });

  test('moves over a block that its caller appended itself', async () => {
    const chain = await readSome(4);
    const { accepted } = await world.block((await readSome(4)).state, { messages: [] });
    const block = chain.accept(accepted, 7);
    expect([block.accepted, block.offset, block.headers]).toEqual([accepted, 7, undefined]);
    expect([chain.state.head, chain.chainOffset, chain.readPos]).toEqual([accepted.delta.head, 7, 8]);
  });
});

describe('offsets at which the chain topic holds nothing', () => {
  test('are a hole where the topic starts before them: in front of a block, and at the end', async () => {
    log = new SimLog(() => START_MICROS);
    log.skip(TOPICS.chain, 0, 2);
    await append(...values.slice(0, 2));
    log.skip(TOPICS.chain, 0, 3);
    await append(...values.slice(2));
    log.skip(TOPICS.chain, 0, 1);
    const chain = follow(world, log);
    expect(await readAll(chain)).toEqual(sizes);
    expect(chain.chainOffset).toBe(9);
  });

  test.each([
    ['some of what is to be read', 3],
    ['all of it', 5],
  ])('are CHAIN_TRIMMED where the topic starts after them, with %s gone, and nothing is accepted', async (_, before) => {
    const chain = await readSome(2);
    await log.trim(TOPICS.chain, 0, before);
    expect(await outcome(chain)).toBe('CHAIN_TRIMMED');
    expect([chain.readPos, chain.state.head.size]).toEqual([2, sizes[1]]);
  });

  test('are not, where only blocks that were read are gone, the last of them too', async () => {
    const chain = await readSome(2);
    await log.trim(TOPICS.chain, 0, 2);
    expect(await readAll(chain)).toEqual(sizes.slice(2));
  });

  test.each([3, 5])(
    'are CHAIN_TRIMMED, too, where the topic is trimmed to %s between a look at its bounds and the read',
    async (before) => {
      let looks = 0;
      const meanwhile: Log = {
        ensureTopic: () => log.ensureTopic(),
        append: (...args) => log.append(...args),
        read: (...args) => log.read(...args),
        trim: (...args) => log.trim(...args),
        close: () => log.close(),
        bounds: async (topic, partition) => {
          const bounds = await log.bounds(topic, partition);
          if (++looks === 1) await log.trim(TOPICS.chain, 0, before);
          return bounds;
        },
      };
      expect(await outcome(follow(world, meanwhile))).toBe('CHAIN_TRIMMED');
    },
  );
});

describe('the block that a follower goes on from', () => {
  test.each<[string, string, () => void | Promise<void>]>([
    ['LOG_BEHIND', 'the topic ends before it', () => log.setBack(TOPICS.chain, 0, 2)],
    [
      'LOG_DIVERGED',
      'what is in its place cannot be read',
      () => {
        log.setBack(TOPICS.chain, 0, 2);
        log.spoil(TOPICS.chain, 0, 3);
      },
    ],
    [
      'LOG_DIVERGED',
      'another record is in its place',
      async () => {
        log.setBack(TOPICS.chain, 0, 2);
        await append(JUNK);
      },
    ],
    [
      'LOG_DIVERGED',
      'another block is in its place',
      async () => {
        log.setBack(TOPICS.chain, 0, 2);
        await append(values[4] as Uint8Array);
      },
    ],
    [
      'LOG_DIVERGED',
      'nothing is in its place',
      async () => {
        log.setBack(TOPICS.chain, 0, 2);
        log.skip(TOPICS.chain, 0, 1);
        await append(...values.slice(3));
      },
    ],
    ['read', 'it is still there', () => undefined],
  ])('%s, where %s', async (code, _, change) => {
    const chain = await readSome(3);
    await change();
    expect(await outcome(chain)).toBe(code);
  });
});

describe('a block under a policy that is not known', () => {
  /** The chain, with a block under an unknown policy before its second block. */
  async function withForeign(signer: Signer): Promise<ChainFollower> {
    const first = await readSome(1);
    const forgery = honest(world, first.state, { messages: [] });
    Object.assign(forgery, { signer, keyId: world.chainer.keyId });
    forgery.seal.policy = new Uint8Array(32).fill(5);
    const foreign = await forge(first.state, forgery);
    log = new SimLog(() => START_MICROS);
    await append(...values.slice(0, 1), foreign, ...values.slice(1));
    return follow(world, log);
  }

  test('that nobody with a key made stops no reader', async () => {
    expect(await readAll(await withForeign(testSigner(world.chainer.name, 'another seed')))).toEqual(sizes);
  });

  test('that a chainer signed is waited for', async () => {
    const chain = await withForeign(world.chainer);
    await expect(readAll(chain)).rejects.toThrow(`the world has no policy ${'05'.repeat(32)}`);
    expect(chain.state.head.size).toBe(sizes[0]);
  });
});

test('any number of records that are not blocks leaves other work its turns', async () => {
  await append(...Array.from({ length: 500 }, () => JUNK));
  const chain = follow(world, log, slowClock());
  expect(await otherTurns(() => readAll(chain))).toBeGreaterThan(100);
  expect(chain.state.head.size).toBe(sizes.at(-1));
});
