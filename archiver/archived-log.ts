import { logKeysOf } from '../core/archive/archive-keys.ts';
import type { Sources } from '../core/chain/governance-source.ts';
import type { VerifierKey } from '../core/keys/key.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import type { Signer } from '../core/ports/signer.ts';
import type { StoredTree } from './stored-tree.ts';
import type { LogKeys } from './write-once.ts';

export interface ArchivedLogOptions {
  readonly origin: string;
  readonly shard: number;
  readonly shards: number;
  readonly objects: ObjectStore;
  readonly sources: Sources;
  /** The log key. */
  readonly signer: Signer;
}

/** One shard's log in the archive: its name, the keys of its objects, and the log keys. Only the policies in it change. */
export class ArchivedLog {
  readonly origin: string;
  readonly shard: number;
  readonly shards: number;
  readonly objects: ObjectStore;
  readonly sources: Sources;
  readonly signer: Signer;
  /** `<origin>/<shard>`. */
  readonly name: string;
  readonly keys: ReturnType<typeof logKeysOf>;

  constructor({ origin, shard, shards, objects, sources, signer }: ArchivedLogOptions) {
    this.origin = origin;
    this.shard = shard;
    this.shards = shards;
    this.objects = objects;
    this.sources = sources;
    this.signer = signer;
    this.name = `${origin}/${shard}`;
    this.keys = logKeysOf(shard);
  }

  /** The log keys of this shard in the newest policy, by which its signatures are verified. */
  get verifiers(): readonly VerifierKey[] {
    return this.sources.policies.latest.logKeys(this.shard);
  }

  get signing(): LogKeys {
    return { signer: this.signer, verifiers: this.verifiers };
  }

  get tree(): StoredTree {
    return { objects: this.objects, folder: this.keys.folder };
  }
}
