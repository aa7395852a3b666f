import { expect, test } from '@jest/globals';
import { BlockReport } from '../../../chainer/block-report.ts';
import type { Flight } from '../../../chainer/flights.ts';
import { TestLogger, TestMetrics } from '../../support/memory.ts';
import { makeWorld } from '../../support/producer.ts';

/** Keeps information too. */
class FullLogger extends TestLogger {
  override info(message = ''): void {
    this.lines.push(`info ${message}`);
  }
}

test('a shard whose appends were not taken says once that it goes on', async () => {
  const world = await makeWorld();
  const { accepted } = await world.block(world.state(), { messages: [] });
  const logger = new FullLogger();
  const report = new BlockReport({ shard: 0, logger, metrics: new TestMetrics() });
  report.accepted(accepted, 0, []);
  expect(logger.lines).toEqual([]);
  report.stuck({ traces: [] } as unknown as Flight);
  report.accepted(accepted, 1, []);
  report.accepted(accepted, 2, []);
  expect(logger.lines).toEqual([expect.stringMatching(/^error shard holds/), expect.stringMatching(/^info .*goes on/)]);
});
