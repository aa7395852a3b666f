import { join } from 'node:path';
import { pinoLogger } from '../adapters/pino-logger.ts';
import { prometheusMetrics } from '../adapters/prometheus-metrics.ts';
import { type Collector as FriendlyCollector, friendlyCollector } from '../sdk/friendly-collector.ts';
import type { Settings } from '../settings/embedded-settings.ts';
import { openSettings } from './fixed-settings.ts';
import { attestedRecording } from './pipeline-attested.ts';
import { EmbeddedSystem } from './system.ts';

/** Options of an embedded system for callers of the library; all other settings have the defaults of `lineproof config`. */
export type EmbeddedOptions = Partial<Settings>;

/** An embedded system for a process that is not a command: records through the friendly collector of the SDK. */
export interface EmbeddedHandle {
  readonly collector: FriendlyCollector;
  readonly origin: string;
  /** Verifier key of the root, which an auditor pins. */
  readonly rootKey: string;
  /** Folder of the archive. */
  readonly archive: string;
  /** Sends everything, states the end, and resolves when all of it is archived. */
  finish(): Promise<void>;
  close(): Promise<void>;
}

/** Opens the whole system in this process; the first start makes its keys and its policy. Throws DATA_IN_USE, CONFIG_INVALID, KEY_UNREADABLE, DISK_FULL, IO_FAILED. */
export async function openEmbedded(options: EmbeddedOptions = {}): Promise<EmbeddedHandle> {
  const settings = openSettings(options);
  const system = await EmbeddedSystem.open(settings, pinoLogger(settings.logLevel), prometheusMetrics());
  const { keys } = system.pipeline;
  const attesting = attestedRecording(system.pipeline);
  return {
    collector: friendlyCollector(system.collector, attesting),
    origin: keys.origin,
    rootKey: keys.root.verifierKey,
    archive: join(settings.data, 'archive'),
    finish: () => system.finish(new AbortController().signal),
    close: async () => {
      await attesting.close();
      await system.close();
    },
  };
}
