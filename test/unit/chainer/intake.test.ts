import { beforeAll, beforeEach, expect, test } from '@jest/globals';
import { sha256 } from '#crypto';
import { BatchSchemaIds, type IntakeRead, readIntake } from '../../../chainer/intake.ts';
import { checkLastInput } from '../../../chainer/last-input.ts';
import type { ChainFollower } from '../../../core/chain/follower.ts';
import { TOPICS } from '../../../core/ports/log.ts';
import { TestLogger, TestMetrics, testClock } from '../../support/memory.ts';
import { memoryRegistry } from '../../support/memory-log.ts';
import { makeWorld, START_MICROS, type World } from '../../support/producer.ts';
import { follow } from '../../support/shard-parts.ts';
import { SimLog } from '../../support/sim-log.ts';
import { otherTurns, slowClock } from '../../support/turns.ts';

const { signal } = new AbortController();
const JUNK = new Uint8Array([1, 2, 3]);

let world: World;
let log: SimLog;

beforeAll(async () => {
  world = await makeWorld();
});

beforeEach(() => {
  log = new SimLog(() => START_MICROS);
});

async function send(value: Uint8Array): Promise<void> {
  await log.append(TOPICS.events, 0, [{ key: null, value }]);
}

async function read(offset: number): Promise<IntakeRead> {
  const clock = testClock();
  const ids = new BatchSchemaIds(memoryRegistry, () => false, clock);
  const from = { offset, consumed: offset > 0, maxBytes: 1_000_000, waitMs: 0 };
  return readIntake({ shard: 0, log, ids, clock, logger: new TestLogger(), metrics: new TestMetrics() }, from, world.rules(0), signal);
}

/** `kind offset+span` of each stretch. */
function stretches(result: IntakeRead): readonly string[] {
  if (result.kind === 'trimmed') return [`trimmed ${result.start}`];
  return result.intakes.map((intake) => `${intake.kind} ${intake.offset}+${intake.kind === 'message' ? 1 : intake.span}`);
}

test('records that cannot be read are a stretch of input, between messages and holes', async () => {
  await send(JUNK);
  log.spoil(TOPICS.events, 0, 4);
  log.skip(TOPICS.events, 0, 2);
  log.spoil(TOPICS.events, 0, 1);
  await send(JUNK);
  const all = ['message 0+1', 'unreadable 1+4', 'empty 5+2', 'unreadable 7+1', 'message 8+1'];
  expect(stretches(await read(0))).toEqual(all);
  expect(stretches(await read(7))).toEqual(all.slice(3));
});

test('such a stretch is passed on with its facts', async () => {
  log.spoil(TOPICS.events, 0, 2, sha256(JUNK));
  const result = await read(0);
  expect(result.kind === 'read' && result.intakes[0]).toEqual({
    kind: 'unreadable',
    offset: 0,
    span: 2,
    timestampMicros: START_MICROS,
    digest: sha256(JUNK),
    size: 3,
    bytes: new Uint8Array(3),
  });
});

test('input that was trimmed within such a stretch is read from the start of the log on', async () => {
  log.spoil(TOPICS.events, 0, 5);
  await log.trim(TOPICS.events, 0, 3);
  expect(stretches(await read(0))).toEqual(['trimmed 3']);
  expect(stretches(await read(3))).toEqual(['unreadable 3+2']);
});

test('what is too long for one entry of evidence is read in parts', async () => {
  const most = 2 ** 31 - 1;
  log.spoil(TOPICS.events, 0, most + 1);
  log.skip(TOPICS.events, 0, 2 * most + 3);
  await send(JUNK);
  expect(stretches(await read(0))).toEqual([`unreadable 0+${most}`]);
  expect(stretches(await read(most))).toEqual([`unreadable ${most}+1`, `empty ${most + 1}+${most}`]);
  expect(stretches(await read(2 * most + 1))).toEqual([`empty ${2 * most + 1}+${most}`]);
  expect(stretches(await read(3 * most + 1))).toEqual([`empty ${3 * most + 1}+3`, `message ${3 * most + 4}+1`]);
});

test('a read asks the registry about 256 new ids at most, 16 at a time, and leaves the rest to the next', async () => {
  const framed = (id: number): Uint8Array => Uint8Array.of(0, 0, 0, id >> 8, id & 255);
  for (let id = 0; id < 600; id++) await send(framed(Math.floor(id / 2)));
  const underWay = { now: 0, most: 0, all: 0 };
  const get = async (): Promise<undefined> => {
    underWay.all += 1;
    underWay.most = Math.max(underWay.most, ++underWay.now);
    await new Promise(setImmediate);
    underWay.now -= 1;
  };
  const clock = testClock();
  const ids = new BatchSchemaIds({ ...memoryRegistry, get }, () => false, clock);
  const next = (offset: number): Promise<IntakeRead> =>
    readIntake(
      { shard: 0, log, ids, clock, logger: new TestLogger(), metrics: new TestMetrics() },
      { offset, consumed: offset > 0, maxBytes: 1_000_000, waitMs: 0 },
      world.rules(0),
      signal,
    );
  const first = stretches(await next(0));
  expect([first.length, first.at(-1), underWay]).toEqual([512, 'message 511+1', { now: 0, most: 16, all: 256 }]);
  const second = stretches(await next(512));
  expect([second[0], second.at(-1), underWay.all]).toEqual(['message 512+1', 'message 599+1', 300]);
});

test('judging many messages leaves other work its turns', async () => {
  for (let i = 0; i < 50; i++) await send(JUNK);
  const clock = slowClock();
  const ids = new BatchSchemaIds(memoryRegistry, () => false, clock);
  const from = { offset: 0, consumed: false, maxBytes: 1_000_000, waitMs: 0 };
  let result: IntakeRead | undefined;
  const options = { shard: 0, log, ids, clock, logger: new TestLogger(), metrics: new TestMetrics() };
  const turns = await otherTurns(async () => {
    result = await readIntake(options, from, world.rules(0), signal);
  });
  expect(stretches(result as IntakeRead)).toHaveLength(50);
  expect(turns).toBeGreaterThan(10);
});

/** A chain whose last input is a message that was rejected as a whole, which is stated by its digest. */
async function chainOfJunk(): Promise<ChainFollower> {
  const chain = follow(world, log);
  const { value, accepted } = await world.block(chain.state, { messages: [JUNK] });
  await log.append(TOPICS.chain, 0, [{ key: null, value }]);
  chain.accept(accepted, 0);
  return chain;
}

test('the last input is found again where it could not be read, by its digest', async () => {
  const chain = await chainOfJunk();
  log.spoil(TOPICS.events, 0, 1, sha256(JUNK));
  await checkLastInput(log, chain);
});

test('other records that cannot be read in its place are LOG_DIVERGED', async () => {
  const chain = await chainOfJunk();
  log.spoil(TOPICS.events, 0, 1, sha256(new Uint8Array([4])));
  await expect(checkLastInput(log, chain)).rejects.toMatchObject({ code: 'LOG_DIVERGED' });
});
