import { describe, expect, test } from '@jest/globals';
import { LineproofError } from '../../../../core/base/errors.ts';
import { Sources } from '../../../../core/chain/governance-source.ts';
import { TOPICS } from '../../../../core/ports/log.ts';
import { MemoryLog, TestLogger, testClock } from '../../../support/memory.ts';
import { memoryRegistry } from '../../../support/memory-log.ts';
import { makeWorld, START_MICROS } from '../../../support/producer.ts';
import { SimLog } from '../../../support/sim-log.ts';
import { otherTurns, slowClock } from '../../../support/turns.ts';

test('two shards that look for policies at the same time take a new version once, and both learn of it', async () => {
  const world = await makeWorld();
  await world.nextPolicy();
  const [log, logger] = [new MemoryLog(), new TestLogger()];
  const sources = new Sources({ origin: world.origin, log, registry: memoryRegistry, clock: testClock(), logger });
  for (const [version, value] of world.envelopes.entries()) {
    await log.append(TOPICS.control, 0, [{ key: null, value }]);
    expect(await Promise.all([sources.refreshPolicies(), sources.refreshPolicies()])).toEqual([true, true]);
    expect(sources.policies.versions).toHaveLength(version + 1);
  }
  expect(logger.lines).toEqual([]);
});

test('records of the control topic that cannot be read are passed over and logged', async () => {
  const world = await makeWorld();
  const [log, logger] = [new SimLog(() => START_MICROS), new TestLogger()];
  log.spoil(TOPICS.control, 0, 5);
  await log.append(TOPICS.control, 0, [{ key: null, value: world.envelopes[0] as Uint8Array }]);
  const sources = new Sources({ origin: world.origin, log, registry: memoryRegistry, clock: testClock(), logger });
  expect(await sources.refreshPolicies()).toBe(true);
  expect(sources.policies.versions).toHaveLength(1);
  expect(logger.lines).toHaveLength(1);
});

test('any number of records that are not policies leaves other work its turns, and no earlier version is verified again', async () => {
  const world = await makeWorld();
  const clock = slowClock();
  const log = new MemoryLog();
  const sources = new Sources({ origin: world.origin, log, registry: memoryRegistry, clock, logger: new TestLogger() });
  for (const value of [world.envelopes[0] as Uint8Array, ...Array.from({ length: 500 }, () => new Uint8Array(0))])
    await log.append(TOPICS.control, 0, [{ key: null, value }]);
  const turns = await otherTurns(() => sources.refreshPolicies());
  expect(turns).toBeGreaterThan(100);
  const { latest } = sources.policies;
  await log.append(TOPICS.control, 0, [{ key: null, value: new Uint8Array(1) }]);
  await sources.refreshPolicies();
  expect(sources.policies.latest).toBe(latest);
});

describe('a policy that a block names', () => {
  const { signal } = new AbortController();

  async function given(): Promise<{ sources: Sources; log: MemoryLog; digests: string[]; publish: (version: number) => Promise<unknown> }> {
    const world = await makeWorld();
    await world.nextPolicy();
    const log = new MemoryLog();
    const sources = new Sources({ origin: world.origin, log, registry: memoryRegistry, clock: testClock(), logger: new TestLogger() });
    const publish = (version: number): Promise<unknown> =>
      log.append(TOPICS.control, 0, [{ key: null, value: world.envelopes[version - 1] as Uint8Array }]);
    await publish(1);
    await sources.refreshPolicies();
    return { sources, log, digests: world.policies.versions.map(({ hex }) => hex), publish };
  }

  test('is found if it is published, and not before', async () => {
    const { sources, digests, publish } = await given();
    expect(await sources.findPolicy(digests[1] as string, signal)).toBe(false);
    await publish(2);
    expect(await sources.findPolicy(digests[1] as string, signal)).toBe(true);
  });

  test('is found though another read of the topic is under way that saw its end before', async () => {
    const { sources, log, digests, publish } = await given();
    const read = log.read.bind(log);
    let release = (): void => undefined;
    const seen = new Promise<void>((resolve) => (release = resolve));
    let held = 0;
    log.read = async (...args) => {
      const records = await read(...args);
      if (held++ === 0) await seen;
      return records;
    };
    const early = sources.refreshPolicies();
    await new Promise((resolve) => setImmediate(resolve));
    await publish(2);
    const found = sources.findPolicy(digests[1] as string, signal);
    release();
    expect([await early, await found]).toEqual([false, true]);
  });

  test('is looked for until the topic can be read', async () => {
    const { sources, log, digests, publish } = await given();
    await publish(2);
    const read = log.read.bind(log);
    let failures = 0;
    log.read = async (...args) => {
      if (failures++ < 3) throw new LineproofError('UNAVAILABLE', 'the log is away');
      return read(...args);
    };
    expect(await sources.findPolicy(digests[1] as string, signal)).toBe(true);
    expect(failures).toBeGreaterThan(3);
  });
});
