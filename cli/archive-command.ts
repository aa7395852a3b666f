import { httpWitness } from '../adapters/http-witness.ts';
import { prometheusMetrics } from '../adapters/prometheus-metrics.ts';
import { systemClock } from '../adapters/system-clock.ts';
import { Archiver } from '../archiver/archiver.ts';
import { readLogKeys } from '../cluster/keys.ts';
import { checkTopics, explainLog, openShardGroup } from '../cluster/open-log.ts';
import { checkObjectStore, openObjectStore } from '../cluster/open-object-store.ts';
import { refusingRegistry } from '../cluster/open-registry.ts';
import { openClusterReaders } from '../cluster/readers.ts';
import { runService } from '../cluster/service.ts';
import { openStartup } from '../cluster/startup.ts';
import { hasCode } from '../core/base/errors.ts';
import type { HoldState } from '../core/base/hold.ts';
import { TOPICS } from '../core/ports/log.ts';
import type { Command, Invocation } from './command.ts';
import { clusterSettings, SERVERS } from './command-settings.ts';
import { EXIT } from './exit-codes.ts';
import { loadClusterSettings } from './invocation-settings.ts';

/** A fetch answers as soon as there is something: an idle shard need not ask often. */
const SETTINGS = { pollMs: 250 };

/** `lineproof archive`: the archiver as a service. */
export const archiveCommand: Command = {
  name: 'archive',
  summary: 'Check the chain again, store and attest it, as one of any number of archivers',
  usage: ['archive [OPTIONS]'],
  options: [],
  ...clusterSettings([
    'data',
    'keys',
    'rootKey',
    'name',
    'logLevel',
    ...SERVERS.kafka,
    ...SERVERS.registry,
    ...SERVERS.s3,
    'archiveGroup',
    'httpHost',
    'httpPort',
  ]),
  notes: [
    'Needs the log keys, log-<shard>.key. Runs until SIGINT or SIGTERM; then it finishes its current work and hands its shards over.',
    'It may be killed at any instant. It keeps nothing on its own disk.',
  ],
  run: async (invocation: Invocation): Promise<number> => {
    const { values } = loadClusterSettings(invocation);
    const cluster = await openClusterReaders(values);
    const { log, logger } = cluster;
    const metrics = prometheusMetrics();
    const { signal } = invocation.terminal;
    const startup = await openStartup(values, { metrics, logger, signal });
    const { waiting } = startup;
    try {
      const sources = await waiting.until(
        'Kafka',
        () => cluster.sources(),
        () => explainLog(values),
      );
      const { origin, shards, objectLock } = sources.policies.latest.policy;
      const signers = await readLogKeys(values, shards);
      await waiting.until('Kafka', () => checkTopics(values, shards, logger));
      await waiting.until('the registry', () => refusingRegistry(() => sources.refreshSchemas()));
      await waiting.until('the object store', () => checkObjectStore(values, objectLock));
      const objects = await openObjectStore(values, objectLock);
      const archiver = new Archiver({
        origin,
        shards,
        log,
        objects,
        sources,
        openWitness: httpWitness,
        signers,
        clock: systemClock,
        logger,
        metrics,
        settings: SETTINGS,
      });
      const topic = TOPICS.chain;
      const shared = openShardGroup(values, { name: values.archiveGroup, topic, shards, logger });
      const run = (shard: number, until: AbortSignal): Promise<void> => archiver.runShard(shard, until);
      const consumedTo = (shard: number): number | undefined => archiver.attestedTo(shard);
      const hold = (shard: number): HoldState | undefined => archiver.hold(shard);
      try {
        await runService(
          { ...shared, log, topic, logger, metrics, run, consumedTo, hold, heldMetric: 'lineproof_archiver_held' },
          startup,
          signal,
        );
      } finally {
        await objects.close();
      }
    } catch (error) {
      if (!(signal.aborted && hasCode(error, 'CLOSED'))) throw error;
    } finally {
      await startup.close();
      await cluster.close();
    }
    return EXIT.ok;
  },
};
