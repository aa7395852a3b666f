import { expect, test } from '@jest/globals';
import { prometheusMetrics } from '../../../adapters/prometheus-metrics.ts';
import { systemClock } from '../../../adapters/system-clock.ts';
import { ArchivedLog } from '../../../archiver/archived-log.ts';
import { Witnessing } from '../../../archiver/witnessing.ts';
import type { Signer } from '../../../core/ports/signer.ts';
import { EMPTY_ROOT } from '../../../core/tree/hash.ts';
import { noteOf } from '../../support/archive.ts';
import { MemoryLog, MemoryObjectStore, testSources } from '../../support/memory.ts';
import { listen } from '../../support/memory-log.ts';
import { makeWorld } from '../../support/producer.ts';

test('a policy that names no witnesses any more ends what is told of their quorum, and no alert waits for it', async () => {
  const world = await makeWorld();
  const signer = world.logs[0] as Signer;
  const objects = new MemoryObjectStore();
  const sources = await testSources(world, new MemoryLog());
  const log = new ArchivedLog({ origin: world.origin, shard: 0, shards: 1, objects, sources, signer });
  const metrics = prometheusMetrics();
  const witnessing = new Witnessing(log, {
    clock: systemClock,
    logger: listen().logger,
    metrics,
    openWitness: () => {
      throw new Error('nobody is asked');
    },
  });
  metrics.set('lineproof_archiver_quorum_size', 5, { shard: '0' });
  metrics.set('lineproof_archiver_published_size', 5, { shard: '0' });
  metrics.set('lineproof_archiver_quorum_timestamp_seconds', 5, { shard: '0' });
  const note = { origin: signer.name, size: 0, root: EMPTY_ROOT, note: await noteOf(signer, 0, EMPTY_ROOT) };
  await witnessing.take(note, undefined, { isKept: false, sinceMs: 0 });
  expect(objects.objects.has(log.keys.checkpoint)).toBe(true);
  expect(await metrics.text()).not.toMatch(/^lineproof_archiver_(?:quorum|published)_\w+\{/m);
});
