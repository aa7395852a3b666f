import { systemClock } from '../adapters/system-clock.ts';
import { parseVerifierKey } from '../core/keys/key.ts';
import type { Policy } from '../core/policy/policy-document.ts';
import type { Signer } from '../core/ports/signer.ts';
import { AttestedRecording } from '../sdk/attested-recording.ts';
import type { ClusterSettings } from '../settings/cluster-settings.ts';
import { pinnedRoot } from './keys.ts';
import { openObjectStore } from './open-object-store.ts';
import type { ClusterReaders } from './readers.ts';

/** Attested recording on a cluster, with the connection that it reads the archive by. */
export interface ClusterAttesting {
  readonly attesting: AttestedRecording;
  close(): Promise<void>;
}

/** Opens what an attested recording on a cluster reads: the chain topic, and the archive in the settings' bucket. Proofs must be OK by the root key, where one is pinned. */
export async function openClusterAttesting(
  settings: ClusterSettings,
  { log }: ClusterReaders,
  { shards }: Policy,
  signer: Signer,
): Promise<ClusterAttesting> {
  const store = await openObjectStore(settings);
  const root = pinnedRoot(settings);
  const attesting = new AttestedRecording({
    log,
    archive: { get: async (key) => (await store.get(key))?.bytes },
    clock: systemClock,
    keys: root === undefined ? [] : [parseVerifierKey(root)],
    shards,
    signer,
  });
  return {
    attesting,
    close: async () => {
      await attesting.close();
      await store.close();
    },
  };
}
