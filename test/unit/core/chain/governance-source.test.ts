import { expect, test } from '@jest/globals';
import { Sources } from '../../../../core/chain/governance-source.ts';
import { TOPICS } from '../../../../core/ports/log.ts';
import { MemoryLog, TestLogger, testClock } from '../../../support/memory.ts';
import { memoryRegistry } from '../../../support/memory-log.ts';
import { makeWorld } from '../../../support/producer.ts';

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
