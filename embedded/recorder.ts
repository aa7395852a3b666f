import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../adapters/system-clock.ts';
import type { Collector } from '../collector/collector.ts';
import { hasCode } from '../core/base/errors.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { AttestedRecording } from '../sdk/attested-recording.ts';
import type { OpenSettings } from './fixed-settings.ts';
import { attestedRecording } from './pipeline-attested.ts';
import { EmbeddedSystem, openSpoolOnly } from './system.ts';

/** How long a first start in another process may take to make the keys. */
const KEYS_MS = 10_000;
const POLL_MS = 50;
/** How long a command waits at its end until its events are linked. */
const LINKED_MS = 2_000;

/** A collector for a command that records into a data folder, whether or not another process works on it. */
export interface Recorder {
  readonly collector: Collector;
  /** The origin, if this call made its keys and its policy. */
  readonly madeLog: string | undefined;
  /** The spool beside a folder that is in use. Its events are durable; the owner of the folder, or the next one, takes them over. */
  readonly spool: string | undefined;
  /** Attested recording into this process's log; undefined beside a folder that is in use: its owner sends the events once this process has left the spool. */
  readonly attesting: AttestedRecording | undefined;
  close(): Promise<unknown>;
}

/**
 * Opens the embedded system if no process works on the data folder, else a spool that the folder's owner takes over. `name` tells what the spool
 * is of. Throws what {@link EmbeddedSystem.open} throws, but DATA_IN_USE only for a spool.
 */
export async function openRecorder(settings: OpenSettings, name: string, logger: Logger, metrics: Metrics): Promise<Recorder> {
  try {
    const system = await EmbeddedSystem.open(settings, logger, metrics);
    const { pipeline, collector } = system;
    const { origin, made } = pipeline.keys;
    const close = async (): Promise<void> => {
      // What is linked, the next query shows. If it takes longer, nothing is lost: the next start links it.
      if (await collector.close()) await pipeline.linked(AbortSignal.timeout(LINKED_MS));
      await system.close();
    };
    const attesting = attestedRecording(pipeline);
    return {
      collector,
      madeLog: made ? origin : undefined,
      spool: undefined,
      attesting,
      close: async () => {
        await attesting.close();
        await close();
      },
    };
  } catch (error) {
    if (!hasCode(error, 'DATA_IN_USE')) throw error;
    await keysOf(settings);
    const unique = `${name}-${randomUUID()}`;
    const collector = await openSpoolOnly(settings, unique, logger, metrics);
    const spool = join(settings.data, 'spool', unique);
    return { collector, madeLog: undefined, spool, attesting: undefined, close: () => collector.close() };
  }
}

/** Resolves when the folder has keys, or its owner takes too long to make them. */
async function keysOf({ data }: OpenSettings): Promise<void> {
  const end = performance.now() + KEYS_MS;
  while (!existsSync(join(data, 'keys')) && performance.now() < end) await systemClock.sleep(POLL_MS);
}
