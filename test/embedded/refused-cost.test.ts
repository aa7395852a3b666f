import { afterEach, expect, jest, test } from '@jest/globals';
import { LIMITS } from '../../core/base/limits.ts';
import { TOPICS } from '../../core/ports/log.ts';
import { EmbeddedShard } from '../support/embedded-shard.ts';
import { recordsOf } from '../support/log-records.ts';
import { farewell, richWorld } from '../support/rich-archive.ts';

// Real folders: a busy disk takes its time.
jest.setTimeout(300_000);

/** Of a record in Kafka's record batch: lengths, deltas and counts of one that is empty (docs/formats.md §3). */
const LEAST_STORED = 7;

let shard: EmbeddedShard | undefined;
afterEach(async () => {
  await shard?.close();
  shard = undefined;
});

test('100,000 empty records cost below 64 kB of chain, and less than they took themselves on provenance.rejected; the verdict counts each', async () => {
  const world = await richWorld();
  shard = await EmbeddedShard.open(world);
  const { log } = shard.stores;
  const lane = world.lane('good');
  await shard.send((await lane.next(world.events('a', 'before'))).value);
  const count = 100_000;
  const empty = { key: null, value: new Uint8Array(0) };
  for (let i = 0; i < count; i += 10_000)
    await log.append(
      TOPICS.events,
      0,
      Array.from({ length: 10_000 }, () => empty),
    );
  await shard.send((await lane.next(world.events('a', 'after'))).value);
  await shard.send((await farewell(lane)).value);

  const chain = recordsOf(await log.read(TOPICS.chain, 0, 0, { maxBytes: 64 * 1024 * 1024, waitMs: 0 }));
  const rejected = recordsOf(await log.read(TOPICS.rejected, 0, 0, { maxBytes: 64 * 1024 * 1024, waitMs: 0 }));
  const bytesOf = (records: typeof chain): number => records.reduce((sum, { value }) => sum + value.length, 0);
  const [onChain, onRejected] = [bytesOf(chain), bytesOf(rejected)];
  const cost = `${count} empty records: ${onChain} bytes in ${chain.length} blocks, ${onRejected} bytes in ${rejected.length} rejected records`;
  // Shown where one of the numbers is wrong.
  expect([cost, onChain < 64_000, onRejected < count * LEAST_STORED]).toEqual([cost, true, true]);
  const kept = await shard.rejected();
  expect(kept.reduce((sum, { span }) => sum + span, 0)).toBe(count);
  expect(Math.max(...kept.map(({ size }) => size))).toBeLessThanOrEqual(LIMITS.runBytes);
  expect(await shard.metric('lineproof_chainer_refused_total{shard="0",reason="FRAMING_INVALID"}')).toBe(count);
  expect(await shard.metric('lineproof_chainer_inputs_total{shard="0",outcome="REJECTED"}')).toBe(count);

  await shard.closeSegment();
  const { refused, result, properties } = await shard.verify();
  expect([result, properties.COMPLETE.counts['offsets'], refused.messages]).toEqual(['OK', count + 3, count]);
});
