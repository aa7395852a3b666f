import { beforeAll, describe, expect, test } from '@jest/globals';
import { frame, unframe } from '../../core/avro/framing.ts';
import { LineproofError } from '../../core/base/errors.ts';
import { LIMITS } from '../../core/base/limits.ts';
import { type Block, decodeBlock, encodeBlock } from '../../core/formats/block.ts';
import { encodeEvidence } from '../../core/formats/evidence.ts';
import { dedupKeyOfEvent } from '../../core/formats/identity.ts';
import { decodeLeaf, encodeLink, type Link } from '../../core/formats/leaf.ts';
import { isTimeProbe } from '../../core/formats/rejected.ts';
import { TOPICS } from '../../core/ports/log.ts';
import { auditProblems, ChainOracle, readChain } from '../support/chain-oracle.ts';
import { type CallFault, type CallName, ChainerSim, NO_FAULT } from '../support/chainer-sim.ts';
import { forge, honest } from '../support/forged-block.ts';
import { BLOCK_SCHEMA_ID, makeWorld, START_MICROS, type TestMessage, testId, type World } from '../support/producer.ts';
import { Random } from '../support/random.ts';
import { required } from '../support/rich-archive.ts';
import type { SimRecord } from '../support/sim-log.ts';

const SECOND = 1_000_000;

let world: World;
/** Three batches of one lane, and its end. */
let messages: TestMessage[];

beforeAll(async () => {
  world = await smallWorld();
  const lane = world.lane('stops');
  messages = [];
  for (const word of ['1', '2', '3']) messages.push(await lane.next(world.events('a', word)));
  messages.push(await lane.next([], { lanes: [{ epoch: lane.epoch, shard: 0, number: 4, seq: 3, final: true }] }));
});

function smallWorld(): Promise<World> {
  return makeWorld({
    policy: (policy) => ({ ...policy, segmentMaxAgeMs: 10_000, dedupWindowMs: 60_000, clockSkewMs: 1000, laneRetentionMs: 600_000 }),
  });
}

/** A shard whose blocks hold one message each, 20 s apart, worked on by one process that still lives. */
async function makeShard(
  given = world,
  input: readonly TestMessage[] = messages,
  fault?: (name: CallName) => CallFault,
): Promise<ChainerSim> {
  const sim = new ChainerSim({ world: given, random: new Random(1), fault });
  await sim.publishPolicies(1);
  sim.start();
  for (const message of input) await send(sim, message.value);
  return sim;
}

/** Sends a message and waits until it is in a block; time passes. */
async function send(sim: ChainerSim, value: Uint8Array): Promise<void> {
  await sim.log.append(TOPICS.events, 0, [{ key: null, value }]);
  sim.now += 20 * SECOND;
  await consumed(sim);
}

async function consumed(sim: ChainerSim): Promise<void> {
  const { end } = await sim.log.bounds(TOPICS.events, 0);
  await sim.run(() => sim.living.every(({ sequencer }) => sequencer.state.head.inputTo === end));
}

/** Ends the process and starts another, which has its memory or none. */
async function restart(sim: ChainerSim, memory: 'kept' | 'lost'): Promise<void> {
  const last = sim.processes.at(-1);
  if (last?.alive && last.failure === undefined) await sim.stopAll();
  for (const process of sim.living) sim.kill(process);
  sim.start(memory === 'kept' ? last?.store.copy() : undefined);
}

/** What the one living process dies of. */
async function stop(sim: ChainerSim): Promise<string> {
  try {
    await sim.run(() => false, 500);
  } catch (error) {
    if (error instanceof LineproofError) return `${error.code}: ${error.message}`;
    throw error;
  }
  throw new Error('the process should have stopped');
}

/** All goes on: what comes is linked, and nothing is wrong in the end. */
async function goesOn(sim: ChainerSim, given = world): Promise<void> {
  await sim.log.append(TOPICS.events, 0, [{ key: null, value: new Uint8Array([4, 2]) }]);
  await consumed(sim);
  await sim.beSilent();
  await sim.stopAll();
  await sim.archive();
  expect(new ChainOracle(sim.log, given).check()).toEqual([]);
  expect(await auditProblems(sim.objects, given)).toEqual([]);
}

/** Sets chain and input back to their first record, and writes another history in the place of the rest, in the given number of blocks. */
async function rewrite(sim: ChainerSim, blocks: number): Promise<void> {
  const { state } = readChain(sim.log, world, 1);
  for (const topic of [TOPICS.chain, TOPICS.events]) sim.log.setBack(topic, 0, 1);
  const lane = world.lane('rewritten');
  for (let i = 0; i < blocks; i++) {
    const message = await lane.next(world.events('a', `other ${i}`));
    await sim.log.append(TOPICS.events, 0, [{ key: null, value: message.value }]);
    const { value, accepted } = await world.block(state, { messages: [message], appendedAt: state.head.appendedAt + 20 * SECOND });
    state.apply(accepted.delta);
    await sim.log.append(TOPICS.chain, 0, [{ key: null, value }]);
  }
}

function forgetSnapshots({ objects: { objects } }: ChainerSim): void {
  for (const key of objects.keys()) if (key.includes('/snapshots/')) objects.delete(key);
}

describe('a chainer stops', () => {
  test('not, where nothing is wrong: a restart with its memory, without it, and from a snapshot', async () => {
    for (const memory of ['kept', 'lost'] as const) {
      for (const archived of [false, true]) {
        const sim = await makeShard();
        if (archived) await sim.archive();
        await restart(sim, memory);
        await send(sim, new Uint8Array(2));
        await restart(sim, 'kept');
        await goesOn(sim);
      }
    }
  });

  test('where the chain lost the block that it remembers', async () => {
    const sim = await makeShard();
    sim.log.setBack(TOPICS.chain, 0, 2);
    await restart(sim, 'kept');
    expect(await stop(sim)).toBe(
      'LOG_BEHIND: cannot go on: shard 0 of provenance.chain ends at 2, before the block at offset 3 that was read from it',
    );
  });

  test('where the chain lost it while the process runs', async () => {
    const sim = await makeShard();
    sim.log.setBack(TOPICS.chain, 0, 2);
    await sim.log.append(TOPICS.events, 0, [{ key: null, value: new Uint8Array(1) }]);
    expect(await stop(sim)).toBe(
      'LOG_BEHIND: cannot go on: shard 0 of provenance.chain ends at 3, before the block at offset 3 that was read from it',
    );
  });

  test('where another record is at the place of the block that it remembers', async () => {
    const sim = await makeShard();
    sim.log.setBack(TOPICS.chain, 0, 3);
    await sim.log.append(TOPICS.chain, 0, [{ key: null, value: new Uint8Array(9) }]);
    await restart(sim, 'kept');
    expect(await stop(sim)).toBe(
      'LOG_DIVERGED: cannot go on: shard 0 of provenance.chain holds another record at offset 3 than the block that was read from it',
    );
  });

  test('where the chain gives less than the archive attests', async () => {
    const sim = await makeShard();
    await sim.archive();
    forgetSnapshots(sim);
    sim.log.setBack(TOPICS.chain, 0, 2);
    await restart(sim, 'lost');
    expect(await stop(sim)).toBe('LOG_BEHIND: cannot go on: the archive attests 7 leaves of shard 0, the chain topic gives only 4');
  });

  test.each([
    [3, 'at 8 leaves the chain of shard 0 has another root than the archive attests'],
    [6, 'at 8 leaves the chain of shard 0 has another root than the archive attests'],
  ])('where the archive attests another history than the chain gives, in %s blocks', async (blocks, fact) => {
    const sim = await makeShard();
    await sim.archive();
    forgetSnapshots(sim);
    await rewrite(sim, blocks);
    await restart(sim, 'lost');
    expect(await stop(sim)).toBe(`ARCHIVE_DIVERGED: cannot go on: ${fact}`);
  });

  test('where the dedup index knows more than the chain gives', async () => {
    const sim = await makeShard();
    sim.log.setBack(TOPICS.chain, 0, 2);
    await restart(sim, 'lost');
    expect(await stop(sim)).toBe('LOG_BEHIND: cannot go on: the dedup index knows 6 leaves of shard 0, the chain topic gives only 4');
  });

  test('where the dedup index is at a block, and the chain holds another one there', async () => {
    const sim = await makeShard();
    await rewrite(sim, 4);
    await sim.log.append(TOPICS.events, 0, [{ key: null, value: new Uint8Array(1) }]);
    await restart(sim, 'lost');
    expect(await stop(sim)).toBe(
      'LOG_DIVERGED: cannot go on: the dedup index of shard 0 is at a block that is not on the chain; find out whether the log was set back',
    );
  });

  test('not, where the dedup index is at a block that the chain no longer has: it is filled again', async () => {
    const sim = await makeShard();
    const lane = world.lane('new');
    const message = await lane.next([world.schema.encode(world.event('a', 'new'))]);
    const entry = { key: dedupKeyOfEvent('a', testId('a new')), logIndex: 0, digest: new Uint8Array(16), slot: 1e9 };
    const next = { kind: 'at', size: 5, seal: '00'.repeat(32), chainOffset: 1000 } as const;
    const expected = await sim.dedup.watermark(0);
    await sim.dedup.window({ shard: 0, expect: expected, next, add: [entry], wipe: false, lookup: [] });
    await send(sim, message.value);
    await send(sim, (await lane.next([], { lanes: [{ epoch: lane.epoch, shard: 0, number: 2, seq: 1, final: true }] })).value);
    await goesOn(sim);
  });

  test('not, where the dedup index is at a block older than the window that is twice on the chain', async () => {
    const sim = await makeShard(world, messages.slice(0, 1));
    const [first] = sim.log.history(TOPICS.chain, 0);
    await sim.log.append(TOPICS.chain, 0, [{ key: null, value: (first as SimRecord).value }]);
    await send(sim, (messages[1] as TestMessage).value);
    const setBack = sim.dedup.copy();
    sim.now += 200 * SECOND;
    for (const message of messages.slice(2)) await send(sim, message.value);
    setBack();
    await goesOn(sim);
  });

  /** A change to the first link's fields. */
  const firstLink = (change: (link: Link) => Partial<Link>) => (block: Block) => {
    const [link] = block.links.map((bytes) => decodeLeaf(bytes) as Link);
    return { links: [encodeLink({ ...(link as Link), ...change(link as Link) }), ...block.links.slice(1)] };
  };
  test.each<[string, (block: Block) => Partial<Block>]>([
    ['evidence that nobody can read', () => ({ evidence: new Uint8Array([1, 2, 3]) })],
    ['evidence of nothing', () => ({ evidence: encodeEvidence([]), links: [], events: [] })],
    ['no links', () => ({ links: [], events: [] })],
    ['a link less', ({ links, events }) => ({ links: links.slice(1), events: events.slice(1) })],
    ['links that nobody can read', ({ links }) => ({ links: links.map(() => new Uint8Array([9])) })],
    ['seals for links', ({ seal, links }) => ({ links: links.map(() => seal) })],
    ['links in another order', ({ links, events }) => ({ links: links.toReversed(), events: events.toReversed() })],
    ['a link on another stream', firstLink(() => ({ stream: 'b' }))],
    ['a link of another event', firstLink(() => ({ event: new Uint8Array(32) }))],
    ['a link under another schema', firstLink(() => ({ schema: new Uint8Array(32) }))],
    ['a link of another message', firstLink(({ inputOffset }) => ({ inputOffset: inputOffset + 1 }))],
    ['a link at another position', firstLink(() => ({ position: 2 ** 31 - 1 }))],
    ['another event', ({ events }) => ({ events: [world.schema.encode(world.event('a', 'other')), ...events.slice(1)] })],
  ])('not, where accepted seals were appended again with %s: the dedup index is filled from the true blocks', async (_, change) => {
    const sim = await makeShard(world, []);
    const [lane, again] = [world.lane('true'), world.lane('again')];
    await send(sim, (await lane.next(world.events('a', 'x', 'y'))).value);
    const [first] = sim.log.history(TOPICS.chain, 0);
    const block = decodeBlock(unframe((first as SimRecord).value).payload);
    const value = frame(BLOCK_SCHEMA_ID, encodeBlock({ ...block, ...change(block) }));
    await sim.log.append(TOPICS.chain, 0, [{ key: null, value }]);
    const end = (epoch: Uint8Array) => ({ lanes: [{ epoch, shard: 0, number: 2, seq: 2, final: true }] });
    await send(sim, (await lane.next([], end(lane.epoch))).value);
    sim.dedup.flush();
    await send(sim, (await again.next(world.events('a', 'x', 'y'))).value);
    await send(sim, (await again.next([], end(again.epoch))).value);
    await goesOn(sim);
    expect(readChain(sim.log, world).blocks.flatMap(({ accepted }) => accepted.links)).toHaveLength(2);
  });

  test('not, where the chain is trimmed behind a new snapshot while it is read', async () => {
    let meanwhile: (() => void) | undefined;
    const sim = await makeShard(world, messages, (name) => {
      if (name === `log.read ${TOPICS.chain}`) meanwhile?.();
      return NO_FAULT;
    });
    await sim.archive();
    const { objects } = sim.objects;
    const snapshots = [...objects].filter(([key]) => key.includes('/snapshots/'));
    expect(snapshots.length).toBeGreaterThan(0);
    forgetSnapshots(sim);
    await restart(sim, 'lost');
    meanwhile = () => {
      for (const [key, bytes] of snapshots) objects.set(key, bytes);
      void sim.log.trim(TOPICS.chain, 0, 1);
      meanwhile = undefined;
    };
    await goesOn(sim);
    expect(meanwhile).toBeUndefined();
  });

  test('not, where that recovery is interrupted: it is made again, and only then the shard is ready', async () => {
    let recovers = (): boolean => false;
    let interrupted = false;
    const sim = await makeShard(world, messages.slice(0, 1), (name) => {
      if (interrupted || !recovers() || name !== `log.bounds ${TOPICS.chain}`) return NO_FAULT;
      interrupted = true;
      return { now: 0, late: 0, fails: true };
    });
    const [first, other] = [required(sim.processes[0]), sim.start()];
    first.owns = false;
    for (const value of [...messages.slice(1).map((message) => message.value), new Uint8Array(1), new Uint8Array(2)]) {
      const offset = (await sim.log.append(TOPICS.events, 0, [{ key: null, value }])).offset;
      sim.now += 40 * SECOND;
      await sim.run(() => other.sequencer.state.head.inputTo > offset);
    }
    await sim.archive();
    await sim.log.trim(TOPICS.chain, 0, 2);
    sim.kill(other);
    recovers = () => first.logger.lines.includes('warn chain trimmed before it was read: recovering');
    first.owns = true;
    await goesOn(sim);
    const { end } = await sim.log.bounds(TOPICS.events, 0);
    expect([interrupted, first.sequencer.consumedTo]).toEqual([true, end]);
  });

  test('not, where a policy makes the window longer than what was trimmed behind the old one', async () => {
    const given = await smallWorld();
    const sim = await makeShard(given, []);
    for (let i = 0; i < 3; i++) await send(sim, new Uint8Array([i]));
    sim.now += 200 * SECOND;
    await send(sim, new Uint8Array([3]));
    await sim.log.trim(TOPICS.chain, 0, 2);
    await given.nextPolicy((policy) => ({ ...policy, dedupWindowMs: 290_000 }));
    await sim.publishPolicies(2);
    await send(sim, new Uint8Array([4]));
    sim.dedup.flush();
    await send(sim, new Uint8Array([5]));
    expect(readChain(sim.log, given).state.head.policy).toBe(given.policy.hex);
  });

  test('where input was trimmed before it was consumed', async () => {
    const sim = await makeShard();
    for (let i = 0; i < 3; i++) await sim.log.append(TOPICS.events, 0, [{ key: null, value: new Uint8Array(1) }]);
    await sim.log.trim(TOPICS.events, 0, 6);
    expect(await stop(sim)).toBe(
      'LOG_DIVERGED: cannot go on: shard 0 of provenance.events starts at 6, messages from 4 on were trimmed before they were consumed',
    );
  });

  test('where the input topic ends before what was consumed, at a restart and while it runs', async () => {
    for (const again of [true, false]) {
      const sim = await makeShard();
      sim.log.setBack(TOPICS.events, 0, 2);
      if (again) await restart(sim, 'kept');
      expect(await stop(sim)).toBe(
        'LOG_BEHIND: cannot go on: shard 0 of provenance.events ends at 2, before offset 4 up to which it was consumed',
      );
    }
  });

  test('where the input holds another message than the one that was consumed last', async () => {
    const sim = await makeShard();
    sim.log.setBack(TOPICS.events, 0, 3);
    await sim.log.append(TOPICS.events, 0, [{ key: null, value: new Uint8Array(1) }]);
    await restart(sim, 'kept');
    expect(await stop(sim)).toBe(
      'LOG_DIVERGED: cannot go on: shard 0 of provenance.events holds another message at offset 3 than the one that was consumed; name a new input generation in the policy if the topic was recreated on purpose',
    );
  });

  test('where garbage came last in one go, or records that nobody can read, and the input holds other ones in their place; not, where it holds the same', async () => {
    const bursts: readonly ((sim: ChainerSim, other: boolean) => Promise<void>)[] = [
      async ({ log }, other) => {
        const values = [[1], [2], [other ? 4 : 3]].map((bytes) => ({ key: null, value: Uint8Array.from(bytes) }));
        await log.append(TOPICS.events, 0, values);
      },
      async ({ log }, other) => log.spoil(TOPICS.events, 0, 7, new Uint8Array(32).fill(other ? 2 : 1)),
    ];
    for (const [i, burst] of bursts.entries()) {
      for (const other of [false, true]) {
        const sim = await makeShard();
        await burst(sim, false);
        await consumed(sim);
        const { end } = await sim.log.bounds(TOPICS.events, 0);
        // The archiver keeps the last consumed offset only.
        if (other) sim.log.setBack(TOPICS.events, 0, 4);
        else await sim.log.trim(TOPICS.events, 0, end - 1);
        if (other) await burst(sim, true);
        await restart(sim, 'kept');
        if (other)
          expect([i, await stop(sim)]).toEqual([i, expect.stringMatching(`LOG_DIVERGED: .* holds another message at offset ${end - 1} `)]);
        else await goesOn(sim);
      }
    }
  });

  test('where blocks are missing inside the dedup window, and leaves the index as it is', async () => {
    const sim = await makeShard();
    await sim.log.trim(TOPICS.chain, 0, 2);
    sim.dedup.flush();
    await sim.log.append(TOPICS.events, 0, [{ key: null, value: new Uint8Array(1) }]);
    for (const again of [false, true]) {
      if (again) await restart(sim, 'kept');
      expect(await stop(sim)).toBe(
        'CHAIN_TRIMMED: cannot rebuild the dedup index: shard 0 of provenance.chain lost blocks below leaf 4, which are inside the dedup window',
      );
      expect(await sim.dedup.watermark(0)).toEqual({ kind: 'absent' });
    }
  });

  test('where blocks inside the dedup window are lost while the index is filled from them', async () => {
    let calls = 0;
    let flushed = false;
    const sim = await makeShard(world, messages, (name) => {
      // The look-up that finds the index empty, then the first step of filling it.
      if (flushed && name === 'dedup.window' && ++calls === 2) void sim.log.trim(TOPICS.chain, 0, 2);
      return NO_FAULT;
    });
    sim.dedup.flush();
    flushed = true;
    await sim.log.append(TOPICS.events, 0, [{ key: null, value: new Uint8Array(1) }]);
    expect(await stop(sim)).toBe(
      'CHAIN_TRIMMED: cannot rebuild the dedup index: shard 0 of provenance.chain lost blocks below leaf 4, which are inside the dedup window',
    );
    expect(await sim.dedup.watermark(0)).toMatchObject({ kind: 'building' });
  });

  test('where a chainer key signed a block in a format that it does not know', async () => {
    const sim = await makeShard();
    const { state } = readChain(sim.log, world);
    const forgery = honest(world, state, { messages: [] });
    const value = await forge(state, { ...forgery, sealBytes: new Uint8Array([2, 0]) });
    await sim.log.append(TOPICS.chain, 0, [{ key: null, value }]);
    await restart(sim, 'kept');
    expect(await stop(sim)).toBe(
      'FORMAT_UNKNOWN: cannot go on: the block at offset 4 is signed by a chainer key in a format that this version does not know; upgrade this process',
    );
  });

  test('where the newest policy calls its key retired', async () => {
    const given = await smallWorld();
    const sim = await makeShard(given, []);
    await given.nextPolicy((policy) => ({ ...policy, chainers: policy.chainers.map((key) => ({ ...key, status: 'RETIRED' })) }));
    await sim.publishPolicies(2);
    await sim.log.append(TOPICS.events, 0, [{ key: null, value: new Uint8Array(1) }]);
    expect(await stop(sim)).toBe(
      `CONFIG_INVALID: cannot order shard 0: ${given.chainer.verifierKey} is not an ACTIVE chainer key in the newest policy`,
    );
  });
});

describe('an input topic that was recreated', () => {
  test('is read from where the policy says, at a restart and while the process runs', async () => {
    for (const again of [true, false]) {
      const given = await smallWorld();
      const lane = given.lane('generations');
      const sim = await makeShard(given, [await lane.next(given.events('a', '1')), await lane.next(given.events('a', '2'))]);
      const old = sim.log.renew(TOPICS.events, 0);
      sim.log.skip(TOPICS.events, 0, 5);
      await given.nextPolicy((policy) => ({ ...policy, inputGeneration: { generation: 1, firstOffsets: [5] } }));
      await sim.publishPolicies(2);
      if (again) await restart(sim, 'kept');
      const end = { epoch: lane.epoch, shard: 0, number: 4, seq: 3, final: true };
      for (const { value } of [await lane.next(given.events('a', '3')), await lane.next([], { lanes: [end] })]) {
        await send(sim, value);
        await restart(sim, 'kept');
      }
      const { blocks } = readChain(sim.log, given);
      expect(blocks.map(({ accepted: { seal } }) => [seal.inputGeneration, seal.inputFrom, seal.inputTo])).toEqual([
        [0, 0, 1],
        [0, 1, 2],
        [1, 5, 6],
        [1, 6, 7],
      ]);
      expect(old).toHaveLength(2);
      await sim.stopAll();
      await sim.archive();
      expect(await auditProblems(sim.objects, given)).toEqual([]);
    }
  });
});

describe('an input topic that was recreated, of which nothing came yet', () => {
  test('is not compared with the one before, after a block without input that begins it', async () => {
    for (const memory of ['kept', 'lost'] as const) {
      const given = await smallWorld();
      const lane = given.lane('generations');
      const sim = await makeShard(given, []);
      await sim.log.append(TOPICS.events, 0, [{ key: null, value: (await lane.next(given.events('a', '1'))).value }]);
      await consumed(sim);
      sim.log.renew(TOPICS.events, 0);
      for (let i = 0; i < 3; i++) await sim.log.append(TOPICS.events, 0, [{ key: null, value: new Uint8Array([i]) }]);
      await given.nextPolicy((policy) => ({ ...policy, inputGeneration: { generation: 1, firstOffsets: [3] } }));
      await sim.publishPolicies(2);
      await sim.beSilent();
      expect(readChain(sim.log, given).state.head).toMatchObject({ inputGeneration: 1, inputTo: 3 });
      await restart(sim, memory);
      const last = { epoch: lane.epoch, shard: 0, number: 2, seq: 1, final: true };
      await send(sim, (await lane.next([], { lanes: [last] })).value);
      expect(readChain(sim.log, given).state.head).toMatchObject({ inputGeneration: 1, inputTo: 4 });
      await sim.beSilent();
      await sim.stopAll();
      await sim.archive();
      expect(await auditProblems(sim.objects, given)).toEqual([]);
    }
  });
});

describe('a chainer', () => {
  test('that does not own the shard appends nothing, until it does', async () => {
    const sim = await makeShard(world, []);
    for (const process of sim.living) process.owns = false;
    for (const { value } of messages) await sim.log.append(TOPICS.events, 0, [{ key: null, value }]);
    const end = sim.turns + 200;
    await sim.run(() => sim.turns > end);
    expect(sim.log.history(TOPICS.chain, 0)).toEqual([]);
    for (const process of sim.living) process.owns = true;
    await goesOn(sim);
  });

  test('forgets identities that left the dedup window', async () => {
    const sim = await makeShard(world, []);
    for (const { value } of messages) {
      await send(sim, value);
      sim.now += 300 * SECOND;
    }
    await send(sim, new Uint8Array(1));
    expect(sim.dedup.size(0)).toBeLessThanOrEqual(2);
    await goesOn(sim);
  });

  test('that fills its index again remembers the later of two links of one identity', async () => {
    const lane = world.lane('twice');
    const again = async (): Promise<Uint8Array> => (await lane.next(world.events('a', 'twice'))).value;
    const sim = await makeShard(world, []);
    const at = async (second: number, value: Uint8Array): Promise<void> => {
      sim.now = START_MICROS + second * SECOND;
      await sim.log.append(TOPICS.events, 0, [{ key: null, value }]);
      if (sim.living.every(({ owns }) => owns)) await consumed(sim);
    };
    for (const process of sim.living) process.owns = false;
    // One block, which the window leaves with its first batch long before its last.
    await at(0, await again());
    await at(110, new Uint8Array(1));
    for (const process of sim.living) process.owns = true;
    await consumed(sim);
    await at(121, new Uint8Array(1));
    await at(122, await again());
    sim.dedup.flush();
    await at(123, new Uint8Array(1));
    await at(124, new Uint8Array(1));
    await at(140, await again());
    await at(141, (await lane.next([], { lanes: [{ epoch: lane.epoch, shard: 0, number: 4, seq: 3, final: true }] })).value);
    expect(readChain(sim.log, world).state.stream('a')?.index).toBe(1);
    await goesOn(sim);
  });

  test('puts no more into a block than it may hold, and nothing of it is lost', async () => {
    const lane = world.lane('large');
    const large: Uint8Array[] = [];
    for (let i = 0; i < 3; i++) {
      const filler = Array.from({ length: 3 }, (_, k) => ({ key: `filler${k}`, value: 'x'.repeat(LIMITS.batchBytes / 12 - 300) }));
      const events = ['1', '2', '3', '4'].map((word) => world.schema.encode(world.event('a', `${i}.${word}`, { attributes: filler })));
      large.push((await lane.next(events)).value, new Uint8Array([i]));
    }
    large.push((await lane.next([], { lanes: [{ epoch: lane.epoch, shard: 0, number: 4, seq: 12, final: true }] })).value);
    const sim = new ChainerSim({ world, random: new Random(1) });
    await sim.publishPolicies(1);
    for (const value of large) await sim.log.append(TOPICS.events, 0, [{ key: null, value }]);
    sim.start();
    await consumed(sim);
    expect(sim.log.history(TOPICS.chain, 0).map(({ value }) => value.length <= LIMITS.blockBytes)).toEqual([true, true, true]);
    await goesOn(sim);
  });

  test('keeps many refused events with few appends, none of them too large', async () => {
    const appends: number[] = [];
    const kept = (): SimRecord[] => sim.log.history(TOPICS.rejected, 0).filter((record) => !isTimeProbe(record));
    const sim = new ChainerSim({
      world,
      random: new Random(1),
      fault: (name) => {
        if (name === `log.append ${TOPICS.rejected}`) appends.push(kept().length);
        return NO_FAULT;
      },
    });
    await sim.publishPolicies(1);
    const lane = world.lane('refused');
    const small = Array.from({ length: LIMITS.batchEvents }, (_, i) => new Uint8Array([i, i >> 8]));
    const large = Array.from({ length: 2 }, (_, i) => new Uint8Array(350_000).fill(i));
    for (const events of [small, large, large])
      await sim.log.append(TOPICS.events, 0, [{ key: null, value: (await lane.next(events)).value }]);
    await sim.log.append(TOPICS.events, 0, [{ key: null, value: new Uint8Array(LIMITS.rejectedBytes + 1) }]);
    const last = { epoch: lane.epoch, shard: 0, number: 4, seq: LIMITS.batchEvents + 4, final: true };
    await sim.log.append(TOPICS.events, 0, [{ key: null, value: (await lane.next([], { lanes: [last] })).value }]);
    sim.start();
    await consumed(sim);
    const all = kept();
    expect(all).toHaveLength(LIMITS.batchEvents + 5);
    expect(appends.length).toBeLessThanOrEqual(7);
    const sizes = [...appends, all.length].map((end, i) => all.slice(i === 0 ? 0 : appends[i - 1], end).map(({ value }) => value.length));
    for (const group of sizes) if (group.length > 1) expect(group.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(900_000);
    await goesOn(sim);
  });

  test('ends with a final seal, also where somebody else set it, and again at each start', async () => {
    const sim = await makeShard(world, []);
    await consumed(sim);
    const { value } = await world.block(world.state(), { messages: [], final: true });
    await sim.log.append(TOPICS.chain, 0, [{ key: null, value }]);
    await sim.log.append(TOPICS.events, 0, [{ key: null, value: new Uint8Array(1) }]);
    await sim.run(() => sim.living.every(({ ended }) => ended));
    sim.start();
    await sim.run(() => sim.living.every(({ ended }) => ended));
    expect(readChain(sim.log, world).blocks).toHaveLength(1);
  });

  test('reports how far it consumed the input only once it knows', async () => {
    const sim = await makeShard();
    await restart(sim, 'lost');
    const next = required(sim.processes.at(-1)).sequencer;
    const told = new Set<number | undefined>();
    const { end } = await sim.log.bounds(TOPICS.events, 0);
    await sim.run(() => {
      told.add(next.consumedTo);
      return next.consumedTo === end;
    });
    expect([...told]).toEqual([undefined, end]);
  });

  test('never lets the time of the input lead its clock by more than the skew, nor fall', async () => {
    const sim = await makeShard(world, []);
    const times: number[] = [];
    const leads: (number | undefined)[] = [];
    for (const ahead of [0, 3600, -3600, 0]) {
      sim.logAhead = ahead * SECOND;
      await sim.log.append(TOPICS.events, 0, [{ key: null, value: new Uint8Array([times.length]) }]);
      await consumed(sim);
      const lead = sim.living[0]?.metrics.values.get('lineproof_chainer_input_lead_seconds');
      leads.push(lead && Math.round(lead));
      times.push(Math.round((readChain(sim.log, world).state.head.appendedAt - START_MICROS) / SECOND));
    }
    // An hour ahead counts as one second, the skew; what came then is not dated back.
    expect(times).toEqual([0, 1, 1, 1]);
    expect(leads).toEqual([0, 3600, 0, 0]);
    expect(sim.living.map(({ logger }) => logger.lines)).toEqual([
      [
        'error time of the input log lowered: it leads this clock by more than clockSkew',
        "error shard holds: this clock leads the log's by more than clockSkew",
      ],
    ]);
  });
});
