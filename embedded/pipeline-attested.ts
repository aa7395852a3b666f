import { systemClock } from '../adapters/system-clock.ts';
import { parseVerifierKey } from '../core/keys/key.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import { AttestedRecording, type ObjectReader } from '../sdk/attested-recording.ts';
import type { EmbeddedPipeline } from './pipeline.ts';

/** The single objects of a store. */
export function objectReader(store: ObjectStore): ObjectReader {
  return { get: async (key) => (await store.get(key))?.bytes };
}

/** Attested recording into this process's own log: each proof must be OK by its root key. */
export function attestedRecording({ keys, shards, stores }: EmbeddedPipeline): AttestedRecording {
  return new AttestedRecording({
    log: stores.log,
    archive: objectReader(stores.objects),
    clock: systemClock,
    keys: [parseVerifierKey(keys.root.verifierKey)],
    shards,
    signer: keys.collector,
  });
}
