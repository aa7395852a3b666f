import { join } from 'node:path';
import { openDataFolder } from '../adapters/data-folder.ts';
import { openLmdbStateStore } from '../adapters/lmdb-state-store.ts';
import { prometheusMetrics } from '../adapters/prometheus-metrics.ts';
import { systemClock } from '../adapters/system-clock.ts';
import { Chainer } from '../chainer/chainer.ts';
import { privateFolder, readKey } from '../cluster/keys.ts';
import { openDedupIndex } from '../cluster/open-dedup-index.ts';
import { checkTopics, openShardGroup } from '../cluster/open-log.ts';
import { openObjectStore } from '../cluster/open-object-store.ts';
import { refusingRegistry } from '../cluster/open-registry.ts';
import { openClusterReaders } from '../cluster/readers.ts';
import { runService } from '../cluster/service.ts';
import { archiveAnchor } from '../core/archive/archive-anchor.ts';
import type { WaitState } from '../core/base/waits.ts';
import { TOPICS } from '../core/ports/log.ts';
import type { Command, Invocation } from './command.ts';
import { clusterSettings, SERVERS } from './command-settings.ts';
import { EXIT } from './exit-codes.ts';
import { loadClusterSettings } from './invocation-settings.ts';

/** A fetch answers as soon as there is something; asking less often costs an idle shard nothing. An append to three brokers takes its time. */
const SETTINGS = { pollMs: 250, depth: 4 };

/** `lineproof chain`: the chainer as a service. */
export const chainCommand: Command = {
  name: 'chain',
  summary: 'Order events into the chain, as one of any number of chainers',
  usage: ['chain [OPTIONS]'],
  options: [],
  ...clusterSettings([
    'data',
    'keys',
    'rootKey',
    'name',
    'logLevel',
    ...SERVERS.kafka,
    ...SERVERS.redis,
    ...SERVERS.registry,
    ...SERVERS.s3,
    'chainGroup',
    'httpHost',
    'httpPort',
  ]),
  notes: [
    'Needs chainer.key. Runs until SIGINT or SIGTERM; then it finishes its current work and hands its shards over.',
    'It may be killed at any instant. Its data folder holds only derived state. Each process needs a data folder that no other process uses.',
  ],
  run: async (invocation: Invocation): Promise<number> => {
    const { values } = loadClusterSettings(invocation);
    const signer = await readKey(values, 'chainer');
    const folder = await openDataFolder(values.data);
    const cluster = await openClusterReaders(values);
    const { log, registry, logger } = cluster;
    const metrics = prometheusMetrics();
    try {
      const sources = await cluster.sources();
      const { origin, shards } = sources.policies.latest.policy;
      await checkTopics(values, shards, logger);
      const dedup = await openDedupIndex(values, origin, logger);
      const objects = await openObjectStore(values);
      const store = await openLmdbStateStore(privateFolder(join(values.data, 'state')));
      const anchor = archiveAnchor(objects, sources, origin, shards);
      const chainer = new Chainer({
        origin,
        shards,
        log,
        dedup,
        store,
        registry,
        anchor,
        sources,
        signer,
        clock: systemClock,
        logger,
        metrics,
        settings: SETTINGS,
      });
      await refusingRegistry(() => chainer.prepare());
      const topic = TOPICS.events;
      const shared = openShardGroup(values, { name: values.chainGroup, topic, shards, logger });
      const run = (shard: number, signal: AbortSignal): Promise<void> => chainer.runShard(shard, signal, () => shared.group.owns(shard));
      const consumedTo = (shard: number): number | undefined => chainer.consumedTo(shard);
      const waits = (shard: number): WaitState | undefined => chainer.waits(shard);
      try {
        await runService({ ...shared, log, topic, logger, metrics, run, consumedTo, waits }, values, invocation.terminal.signal);
      } finally {
        await store.close();
        await dedup.close();
        await objects.close();
      }
    } finally {
      await cluster.close();
      await folder.close();
    }
    return EXIT.ok;
  },
};
