import { ARCHIVE_JSON, policyKey, schemaKey } from '../core/archive/archive-keys.ts';
import { equal, utf8 } from '../core/base/bytes.ts';
import { canonicalJson } from '../core/base/jcs.ts';
import type { Sources } from '../core/chain/governance-source.ts';
import { decodeEnvelope } from '../core/keys/dsse.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import { putOnce } from './write-once.ts';

/** The archive's policies and event schemas, which leaves name, and its table of contents. Remembers the objects that it stored, so that each is stored once. */
export class NamedObjects {
  readonly #objects: ObjectStore;
  readonly #sources: Sources;
  readonly #policies = new Set<string>();
  readonly #schemas = new Set<string>();
  /** The table of contents that is known to be in the store. */
  #archiveJson: string | undefined;

  constructor(objects: ObjectStore, sources: Sources) {
    this.#objects = objects;
    this.#sources = sources;
  }

  /** Stores every policy and schema that a leaf can name by now. Called before the note that covers such a leaf is signed. */
  async store(): Promise<void> {
    await this.#storePolicies();
    await this.#storeSchemas();
    await this.#showContents();
  }

  async #storePolicies(): Promise<void> {
    const { policies, envelopes } = this.#sources;
    for (const [i, version] of policies.versions.entries()) {
      if (this.#policies.has(version.hex)) continue;
      const envelope = envelopes[i] as Uint8Array;
      const { payload } = decodeEnvelope(envelope, 'policy');
      await putOnce(this.#objects, policyKey(version.hex), envelope, (stored) => equal(decodeEnvelope(stored, 'policy').payload, payload));
      this.#policies.add(version.hex);
    }
  }

  async #storeSchemas(): Promise<void> {
    for (const hex of this.#sources.policies.versions.flatMap(({ policy }) => policy.schemas)) {
      const schema = this.#schemas.has(hex) ? undefined : this.#sources.eventSchema(hex);
      if (schema === undefined) continue;
      await putOnce(this.#objects, schemaKey(hex), utf8(schema.text));
      this.#schemas.add(hex);
    }
  }

  /** Brings the table of contents up to date with the newest policy. */
  async #showContents(): Promise<void> {
    const { origin, shards, roots, logs } = this.#sources.policies.latest.policy;
    const text = canonicalJson({ origin, shards, roots: roots.keys, logs: logs.map(({ key }) => key) });
    while (text !== this.#archiveJson) {
      const stored = await this.#objects.get(ARCHIVE_JSON);
      const isThere = stored !== undefined && equal(stored.bytes, utf8(text));
      if (isThere || (await this.#objects.replace(ARCHIVE_JSON, utf8(text), stored?.etag)) !== undefined) this.#archiveJson = text;
    }
  }
}
