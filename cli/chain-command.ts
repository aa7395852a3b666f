import { join } from 'node:path';
import { openDataFolder } from '../adapters/data-folder.ts';
import { openLmdbStateStore } from '../adapters/lmdb-state-store.ts';
import { type PrometheusMetrics, prometheusMetrics } from '../adapters/prometheus-metrics.ts';
import { systemClock } from '../adapters/system-clock.ts';
import { Chainer } from '../chainer/chainer.ts';
import { privateFolder, readKey } from '../cluster/keys.ts';
import { explainDedupIndex, openDedupIndex } from '../cluster/open-dedup-index.ts';
import { checkTopics, explainLog, openShardGroup } from '../cluster/open-log.ts';
import { openObjectStore } from '../cluster/open-object-store.ts';
import { refusingRegistry } from '../cluster/open-registry.ts';
import { type ClusterReaders, openClusterReaders } from '../cluster/readers.ts';
import { runService } from '../cluster/service.ts';
import { openStartup, type Startup } from '../cluster/startup.ts';
import { archiveAnchor } from '../core/archive/archive-anchor.ts';
import { hasCode, type LineproofError } from '../core/base/errors.ts';
import type { HoldState } from '../core/base/hold.ts';
import { TOPICS } from '../core/ports/log.ts';
import type { Signer } from '../core/ports/signer.ts';
import { diskProblem } from '../platform/disk-room.ts';
import type { ClusterSettings } from '../settings/cluster-settings.ts';
import type { Command, Invocation } from './command.ts';
import { clusterSettings, SERVERS } from './command-settings.ts';
import { EXIT } from './exit-codes.ts';
import { loadClusterSettings } from './invocation-settings.ts';

/** A fetch answers as soon as there is something; asking less often costs an idle shard nothing. An append to three brokers takes its time. */
const SETTINGS = { pollMs: 250, depth: 4, handsOver: ['DISK_FULL'] } as const;

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
    const { logger } = cluster;
    const metrics = prometheusMetrics();
    const { signal } = invocation.terminal;
    const startup = await openStartup(values, { metrics, logger, signal });
    try {
      await serve(values, { signer, cluster, metrics, startup, signal });
    } catch (error) {
      if (!(signal.aborted && hasCode(error, 'CLOSED'))) throw error;
    } finally {
      await startup.close();
      await cluster.close();
      await folder.close();
    }
    return EXIT.ok;
  },
};

interface ChainService {
  readonly signer: Signer;
  readonly cluster: ClusterReaders;
  readonly metrics: PrometheusMetrics;
  readonly startup: Startup;
  readonly signal: AbortSignal;
}

/** Waits for every server, then works until the signal aborts. */
async function serve(values: ClusterSettings, { signer, cluster, metrics, startup, signal }: ChainService): Promise<void> {
  const { log, registry, logger } = cluster;
  const { waiting } = startup;
  const sources = await waiting.until(
    'Kafka',
    () => cluster.sources(),
    () => explainLog(values),
  );
  const { origin, shards } = sources.policies.latest.policy;
  await waiting.until('Kafka', () => checkTopics(values, shards, logger));
  const dedup = await waiting.until(
    'Redis',
    () => openDedupIndex(values, origin, logger),
    () => explainDedupIndex(values),
  );
  const objects = await openObjectStore(values);
  const state = privateFolder(join(values.data, 'state'));
  const store = await waiting.until('the state folder', () => openLmdbStateStore(state));
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
  const topic = TOPICS.events;
  const run = (shard: number, until: AbortSignal): Promise<void> => chainer.runShard(shard, until, () => shared.group.owns(shard));
  const consumedTo = (shard: number): number | undefined => chainer.consumedTo(shard);
  const hold = (shard: number): HoldState | undefined => chainer.hold(shard);
  const obstacle = (): LineproofError | undefined => diskProblem(state);
  const shared = openShardGroup(values, { name: values.chainGroup, topic, shards, logger });
  try {
    await waiting.until('the registry', () => refusingRegistry(() => chainer.prepare()));
    await runService(
      { ...shared, log, topic, logger, metrics, run, consumedTo, hold, heldMetric: 'lineproof_chainer_held', obstacle },
      startup,
      signal,
    );
  } finally {
    await store.close();
    await dedup.close();
    await objects.close();
  }
}
