import { describe, expect, test } from '@jest/globals';
import { SCHEMA_TEXTS } from '../../core/avro/schema-texts.ts';
import type { HoldReason } from '../../core/base/hold-reasons.ts';
import { REASONS } from '../../core/base/reasons.ts';
import { eventDigest } from '../../core/formats/event.ts';
import { EVENT_SCHEMA } from '../../core/formats/event-schema.ts';
import { isTimeProbe } from '../../core/formats/rejected.ts';
import { TOPICS } from '../../core/ports/log.ts';
import { batchRoot } from '../../core/tree/batch-tree.ts';
import { auditProblems, ChainOracle, readChain } from '../support/chain-oracle.ts';
import { type CallFault, ChainerSim, NO_FAULT } from '../support/chainer-sim.ts';
import { EVENT_SCHEMA_V2 } from '../support/event-v2.ts';
import type { TestMetrics } from '../support/memory.ts';
import { BATCH_SCHEMA_ID, makeWorld, type TestLane, type TestMessage, type World } from '../support/producer.ts';
import { Random } from '../support/random.ts';

const SECOND = 1_000_000;
const LOST: CallFault = { now: 0, late: 0, fails: true };

interface Shard {
  readonly world: World;
  readonly sim: ChainerSim;
  readonly lane: TestLane;
}

/** A shard on which nothing happened yet; calls whose name begins with one of `away` get no answer. */
async function makeShard(away: Set<string> = new Set()): Promise<Shard> {
  const world = await makeWorld({
    schemas: [EVENT_SCHEMA, EVENT_SCHEMA_V2],
    policy: (policy) => ({ ...policy, segmentMaxAgeMs: 10_000, clockSkewMs: 1000 }),
  });
  const fault = (name: string): CallFault => ([...away].some((prefix) => name.startsWith(prefix)) ? LOST : NO_FAULT);
  const sim = new ChainerSim({ world, random: new Random(1), fault });
  await sim.publishPolicies(1);
  return { world, sim, lane: world.lane('own failures') };
}

async function send({ sim }: Shard, message: TestMessage): Promise<void> {
  await sim.log.append(TOPICS.events, 0, [{ key: null, value: message.value }]);
}

/** A batch of events of the later schema. */
function later({ world, lane }: Shard, word: string): Promise<TestMessage> {
  const { digest: schema } = EVENT_SCHEMA_V2;
  const bytes = EVENT_SCHEMA_V2.encode(world.event('a', word));
  return lane.next([bytes], { schema, root: batchRoot([eventDigest(schema, bytes)]) });
}

function consumed({ sim }: Shard): number {
  return Math.max(0, ...sim.living.map(({ sequencer }) => sequencer.state.head.inputTo));
}

async function turns({ sim }: Shard, count: number): Promise<void> {
  const end = sim.turns + count;
  await sim.run(() => sim.turns >= end);
}

/** Nothing goes on and nothing is refused, while alarms are raised and the processes say why they wait. */
async function holds(shard: Shard, at: number, alarm: RegExp, reason: HoldReason): Promise<void> {
  await turns(shard, 300);
  saysWhy(shard, reason);
  expect(consumed(shard)).toBe(at);
  expect(shard.sim.log.history(TOPICS.rejected, 0).filter((record) => !isTimeProbe(record))).toEqual([]);
  const alarms = shard.sim.processes.flatMap(({ logger }) => logger.lines.filter((line) => line.startsWith('error')));
  expect([...new Set(alarms)]).toEqual([expect.stringMatching(alarm)]);
}

/** What readiness, health and the metric `…_held` read: for health, the wait is noted again and again. */
function saysWhy({ sim }: Shard, reason: HoldReason): void {
  expect(sim.living.map(({ sequencer }) => sequencer.hold)).toEqual([
    { held: { reason, text: expect.any(String), forMs: expect.any(Number) }, restMs: expect.any(Number) },
  ]);
  for (const { sequencer } of sim.living) {
    expect(sequencer.hold.held?.forMs).toBeGreaterThan(2_000);
    expect(sequencer.hold.restMs).toBeLessThan(10_000);
  }
}

/** Everything that was sent is linked, in its order, and nothing was refused but at the offsets named. */
async function goesOn(shard: Shard, refused: readonly (readonly [offset: number, reason: number])[] = []): Promise<void> {
  const { sim, world, lane } = shard;
  await send(shard, await lane.next([], { lanes: [{ epoch: lane.epoch, shard: 0, number: lane.number + 1, seq: lane.seq, final: true }] }));
  const { end } = await sim.log.bounds(TOPICS.events, 0);
  await sim.run(() => consumed(shard) === end);
  await sim.beSilent();
  expect(sim.living.map(({ sequencer }) => sequencer.hold.held)).toEqual(sim.living.map(() => undefined));
  await sim.stopAll();
  await sim.archive();
  const inputs = readChain(sim.log, world).blocks.flatMap(({ accepted }) => accepted.inputs);
  expect(inputs.flatMap(({ outcome, reason }, offset) => (outcome === 'REJECTED' ? [[offset, reason]] : []))).toEqual(refused);
  if (refused.length > 0) return;
  expect(new ChainOracle(sim.log, world).check()).toEqual([]);
  expect(await auditProblems(sim.objects, world)).toEqual([]);
}

describe('our own failure holds the shard with an alarm, rejects nothing, and ends by itself:', () => {
  test.each([
    ['the registry, when a message comes with an id that was not asked about', 'registry.get', 'UNAVAILABLE'],
    ['the registry at the start', 'registry.list', 'UNAVAILABLE'],
    ['the dedup index', 'dedup', 'UNAVAILABLE'],
    ['the chain topic', 'log.append provenance.chain', 'APPEND_UNCONFIRMED'],
    ['the rejected topic', 'log.append provenance.rejected', 'UNAVAILABLE'],
    ['the input topic', 'log.read provenance.events', 'UNAVAILABLE'],
    ['the policies', 'log.read provenance.control', 'UNAVAILABLE'],
  ] as const)('%s is away', async (_, name, reason) => {
    const away = new Set<string>([name]);
    const shard = await makeShard(away);
    const { sim, world, lane } = shard;
    const bad = name.includes('rejected') ? [new Uint8Array([1])] : [];
    await send(shard, await lane.next([...world.events('a', '1'), ...bad]));
    sim.start();
    await turns(shard, 20);
    await send(shard, await lane.next(world.events('a', '2')));
    await holds(shard, 0, /^error shard holds$/, reason);
    away.clear();
    await goesOn(shard);
  });

  test('an event schema that is in force is not available', async () => {
    const shard = await makeShard();
    const { sim, world, lane } = shard;
    sim.eventSchemas = [EVENT_SCHEMA.text];
    sim.start();
    await send(shard, await lane.next(world.events('a', '1')));
    await send(shard, await later(shard, '2'));
    await send(shard, await lane.next(world.events('a', '3')));
    await holds(shard, 1, /^error shard holds$/, 'SCHEMA_MISSING');
    sim.eventSchemas = world.schemas.map(({ text }) => text);
    await goesOn(shard);
    expect(readChain(sim.log, world).state.stream('a')?.index).toBe(2);
  });

  test('an event schema of a block that somebody else appended is not available', async () => {
    const shard = await makeShard();
    const { sim, world } = shard;
    sim.start();
    await send(shard, await later(shard, '1'));
    await sim.run(() => consumed(shard) === 1);
    for (const process of sim.living) sim.kill(process);
    sim.eventSchemas = [EVENT_SCHEMA.text];
    sim.start();
    await turns(shard, 300);
    expect(sim.living.map(({ logger }) => logger.lines)).toEqual([['error shard holds: a schema that it needs is not available']]);
    saysWhy(shard, 'SCHEMA_MISSING');
    sim.eventSchemas = world.schemas.map(({ text }) => text);
    await goesOn(shard);
  });

  test('a policy that a block names is not known', async () => {
    const shard = await makeShard();
    const { sim, world } = shard;
    await world.nextPolicy((policy) => ({ ...policy, dedupWindowMs: policy.dedupWindowMs + 1 }));
    const { value } = await world.block(world.state(), { messages: [] });
    await sim.log.append(TOPICS.chain, 0, [{ key: null, value }]);
    sim.start();
    await turns(shard, 300);
    expect(sim.living.map(({ logger }) => logger.lines)).toEqual([['error shard holds: a policy that it needs is not available']]);
    saysWhy(shard, 'POLICY_MISSING');
    await sim.publishPolicies(2);
    await goesOn(shard);
  });

  test('its clock and the dedup index’s differ by more than the policy allows', async () => {
    for (const differ of [-2 * SECOND, 2 * SECOND]) {
      const shard = await makeShard();
      const { sim, lane, world } = shard;
      sim.dedup.differ = differ;
      sim.start();
      await send(shard, await lane.next(world.events('a', '1')));
      await holds(shard, 0, /^error shard holds: this clock and the dedup index differ by more than clockSkew$/, 'CLOCKS_DIFFER');
      sim.dedup.differ = differ / 4;
      await goesOn(shard);
    }
  });

  test('its clock leads the log’s by more than the policy allows, from the start or later', async () => {
    for (const afterwards of [false, true]) {
      const shard = await makeShard();
      const { sim, lane, world } = shard;
      sim.logAhead = afterwards ? 0 : -2 * SECOND;
      sim.start();
      if (afterwards) {
        await send(shard, await lane.next(world.events('a', '0')));
        await sim.run(() => consumed(shard) === 1);
        sim.logAhead = -2 * SECOND;
        // The answer to its next append tells.
        await send(shard, await lane.next(world.events('a', '1')));
        await sim.run(() => consumed(shard) === 2);
      }
      const at = consumed(shard);
      await send(shard, await lane.next(world.events('a', '2')));
      await holds(shard, at, /^error shard holds: this clock leads the log's by more than clockSkew$/, 'CLOCK_LEADS_LOG');
      sim.logAhead = -SECOND / 2;
      await goesOn(shard);
    }
  });

  test('nobody tells the log’s time before the first block, while its clock leads', async () => {
    const away = new Set(['log.append provenance.rejected']);
    const shard = await makeShard(away);
    const { sim, lane, world } = shard;
    sim.logAhead = -2 * SECOND;
    sim.start();
    await send(shard, await lane.next(world.events('a', '1')));
    await turns(shard, 300);
    expect(sim.log.history(TOPICS.chain, 0)).toEqual([]);
    away.clear();
    await turns(shard, 300);
    expect(sim.log.history(TOPICS.chain, 0)).toEqual([]);
    sim.logAhead = 0;
    await goesOn(shard);
  });

  test('its machine slept, so that the time of day leapt and the time that passes did not: the log is asked again', async () => {
    const shard = await makeShard();
    const { sim, lane, world } = shard;
    sim.start();
    await send(shard, await lane.next(world.events('a', '1')));
    await sim.run(() => consumed(shard) === 1);
    sim.wallAhead = 3_600 * SECOND;
    await send(shard, await lane.next(world.events('a', '2')));
    await goesOn(shard);
  });

  test('its dedup index was reconfigured so that it may forget', async () => {
    const shard = await makeShard();
    const { sim, lane, world } = shard;
    sim.dedup.forgets = true;
    sim.start();
    await send(shard, await lane.next(world.events('a', '1')));
    await holds(shard, 0, /^error shard holds: the dedup index may forget$/, 'INDEX_FORGETS');
    sim.dedup.forgets = false;
    await goesOn(shard);
  });
});

describe('a log that stands in the future', () => {
  const HOURS_2 = 7_200 * SECOND;

  /** A shard whose only block was dated two hours ahead of the time that all clocks show now. */
  async function makeAhead(): Promise<Shard> {
    const shard = await makeShard();
    const { sim, lane, world } = shard;
    sim.wallAhead = HOURS_2;
    const process = sim.start();
    await send(shard, await lane.next(world.events('a', '1')));
    await sim.run(() => consumed(shard) === 1);
    sim.kill(process);
    sim.wallAhead = 0;
    sim.start();
    return shard;
  }

  test('keeps its date, with one alarm, and takes input', async () => {
    const shard = await makeAhead();
    const { sim, lane, world } = shard;
    for (const offset of [1, 2]) {
      await send(shard, await lane.next(world.events('a', `later ${offset}`)));
      await sim.run(() => consumed(shard) > offset);
    }
    const { blocks, state } = readChain(sim.log, world);
    expect(new Set(blocks.map(({ accepted }) => accepted.seal.acceptedAt)).size).toBe(1);
    expect(sim.living.flatMap(({ logger }) => logger.lines)).toEqual([
      'error log stands in the future: its newest block is dated ahead of this clock by more than clockSkew',
    ]);
    const { metrics } = sim.processes.at(-1) as { readonly metrics: TestMetrics };
    expect(metrics.values.get('lineproof_chainer_head_lead_seconds')).toBeGreaterThan(HOURS_2 / SECOND / 2);
    // No block is made for an age that the log has not reached.
    await turns(shard, 500);
    expect(readChain(sim.log, world).state.head.size).toBe(state.head.size);
  });

  test('is set right by the next policy version: the segment ends, its archive verifies, and time goes on from there', async () => {
    const shard = await makeAhead();
    const { sim, lane, world } = shard;
    await send(shard, await lane.next(world.events('a', '2')));
    await sim.run(() => consumed(shard) === 2);
    await world.nextPolicy((policy) => ({ ...policy, dedupWindowMs: policy.dedupWindowMs + 1 }));
    await sim.publishPolicies(2);
    // A tick: the segment would not end before the wrong time has come.
    await sim.run(() => readChain(sim.log, world).state.head.acceptedAt <= sim.wall);
    await send(shard, await lane.next(world.events('a', '3')));
    await goesOn(shard);
    const ends = [...sim.objects.objects.keys()].filter((key) => key.endsWith('.manifest.json'));
    expect(ends.length).toBeGreaterThanOrEqual(2);
    const { acceptedAt, appendedAt } = readChain(sim.log, world).state.head;
    expect(acceptedAt).toBeLessThanOrEqual(sim.wall);
    // What was appended then is not dated back: windows stand still until that time.
    expect(appendedAt).toBeGreaterThan(sim.wall + HOURS_2 / 2);
  });
});

describe('a repair takes effect without a restart:', () => {
  test('a policy that does not demand the missing schema any more: its messages are refused, and the shard goes on', async () => {
    const shard = await makeShard();
    const { sim, world, lane } = shard;
    sim.eventSchemas = [EVENT_SCHEMA.text];
    sim.start();
    await send(shard, await later(shard, '1'));
    await holds(shard, 0, /^error shard holds$/, 'SCHEMA_MISSING');
    await world.nextPolicy((policy) => ({ ...policy, schemas: [EVENT_SCHEMA.hex] }));
    await sim.publishPolicies(2);
    await send(shard, await lane.next(world.events('a', '2')));
    await goesOn(shard, [[0, REASONS.SCHEMA_NOT_IN_FORCE]]);
  });

  test('a registry id that means nothing when it is first met, and later the batch schema', async () => {
    const shard = await makeShard();
    const { sim, world, lane } = shard;
    sim.schemaOfId = () => undefined;
    sim.start();
    const early = await lane.next(world.events('a', '1'));
    await send(shard, early);
    await sim.run(() => consumed(shard) === 1);
    sim.schemaOfId = (id) => (id === BATCH_SCHEMA_ID ? SCHEMA_TEXTS.SignedBatch : undefined);
    sim.now += 10 * SECOND;
    await send(shard, early);
    await goesOn(shard, [[0, REASONS.SCHEMA_ID_UNKNOWN]]);
  });
});
