import { join } from 'node:path';
import { openFolderObjectStore } from '../../adapters/folder-object-store.ts';
import { systemClock } from '../../adapters/system-clock.ts';
import { queryArchive } from '../../auditor/query.ts';
import type { Verdict } from '../../auditor/verdict.ts';
import { verifyArchive } from '../../auditor/verify.ts';
import { type Collector, openCollector } from '../../collector/collector.ts';
import type { CollectorOptions } from '../../collector/collector-options.ts';
import { EVENT_SCHEMA } from '../../core/formats/event-schema.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import { EmbeddedPipeline } from '../../embedded/pipeline.ts';
import { defaultSettings } from '../../settings/embedded-settings.ts';
import { noMetrics, quietLogger } from './memory-log.ts';

/** What the archive of a data folder says in the end. */
export interface ArchiveSays {
  readonly verdict: Verdict;
  /** How often each event was linked, by id (UUID). */
  readonly links: ReadonlyMap<string, number>;
}

/** Chainer and archiver on real stores in a folder, without a collector. */
export interface TestPipeline {
  readonly pipeline: EmbeddedPipeline;
  /** A collector of the pipeline's producer; `options` override the defaults. */
  collect(options: Partial<CollectorOptions> & Pick<CollectorOptions, 'spool'>): Promise<Collector>;
  /** Waits until everything is archived, stops, and has the auditor look at what is on disk, by the pinned root key. */
  end(): Promise<ArchiveSays>;
}

export async function openPipeline(data: string): Promise<TestPipeline> {
  const settings = { ...defaultSettings(), data, segmentMaxAgeMs: 1000 };
  const pipeline = await EmbeddedPipeline.open(settings, quietLogger, noMetrics);
  const { keys, stores, shards } = pipeline;
  return {
    pipeline,
    collect: (options) =>
      openCollector({
        origin: keys.origin,
        shards,
        signer: keys.collector,
        eventSchema: EVENT_SCHEMA,
        registry: stores.registry,
        log: stores.log,
        clock: systemClock,
        logger: quietLogger,
        metrics: noMetrics,
        ...options,
      }),
    end: async () => {
      await pipeline.idle(new AbortController().signal);
      await pipeline.close();
      return auditFolder(join(data, 'archive'), keys.root.verifierKey);
    },
  };
}

async function auditFolder(archive: string, rootKey: string): Promise<ArchiveSays> {
  const objects = await openFolderObjectStore(archive);
  const verdict = await verifyArchive(objects, { keys: [parseVerifierKey(rootKey)] });
  const links = new Map<string, number>();
  for await (const { event } of queryArchive(objects, {})) if (event !== null) links.set(event.id, (links.get(event.id) ?? 0) + 1);
  await objects.close();
  return { verdict, links };
}
