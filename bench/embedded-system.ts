import { join } from 'node:path';
import { openFolderObjectStore } from '../adapters/folder-object-store.ts';
import { pinoLogger } from '../adapters/pino-logger.ts';
import { verifyArchive } from '../auditor/verify.ts';
import { shardOf } from '../core/formats/shard.ts';
import { parseVerifierKey } from '../core/keys/key.ts';
import { EmbeddedSystem } from '../embedded/system.ts';
import { friendlyCollector } from '../sdk/friendly-collector.ts';
import { defaultSettings, type Settings } from '../settings/embedded-settings.ts';
import { checkedOf } from './checked.ts';
import { ObservedMetrics } from './observed-metrics.ts';
import { OVERRIDES } from './overrides.ts';
import type { BenchSystem, Checked } from './system.ts';

/** The settings of a measured system in `folder`. */
export function benchSettings(folder: string, shards: number): Settings {
  return { ...defaultSettings(), ...OVERRIDES, data: folder, shards };
}

/** The settings that are printed: those that matter for the figures. */
export function shownSettings({ shards, lingerMs, segmentMaxAgeMs, spoolMaxBytes }: Settings): BenchSystem['settings'] {
  return { shards, lingerMs, segmentMaxAgeMs, spoolMaxBytes };
}

/** The embedded system, whole, in this process. */
export async function openEmbeddedSystem(folder: string, shards: number): Promise<BenchSystem> {
  const settings = benchSettings(folder, shards);
  const metrics = new ObservedMetrics();
  const system = await EmbeddedSystem.open(settings, pinoLogger(settings.logLevel), metrics);
  const collector = friendlyCollector(system.collector);
  return {
    name: 'embedded',
    settings: shownSettings(settings),
    record: (event) => collector.record(event),
    recordDurably: (event) => collector.recordDurably(event),
    shardOf: (stream) => shardOf(stream, shards),
    othersMicros: () => ({}),
    acceptedAtMs: () => metrics.acceptedAtMs,
    attestations: () => metrics.attestations(),
    finish: () => system.finish(new AbortController().signal),
    verify: () => verifyFolder(join(folder, 'archive'), system.pipeline.keys.root.verifierKey),
    close: () => system.close(),
  };
}

/** Verifies an archive with its root key and takes the number of links from the verdict. */
export async function verifyFolder(folder: string, rootKey: string): Promise<Checked> {
  const objects = await openFolderObjectStore(folder);
  try {
    return checkedOf(await verifyArchive(objects, { keys: [parseVerifierKey(rootKey)] }));
  } finally {
    await objects.close();
  }
}
