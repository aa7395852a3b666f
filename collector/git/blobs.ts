import { sha256Stream } from '#crypto';
import type { Change } from './changes.ts';
import { ObjectReader } from './objects.ts';
import type { Presence } from './presence.ts';

const MAX_KNOWN = 65_536;
/** Ids that are asked for before an answer is read. */
const AHEAD = 1_024;

/** A blob's SHA-256 and size, or why there are none. */
export type BlobDigest = { readonly digest: Uint8Array; readonly size: number } | 'missing' | 'not a blob';
/** By the blobs' ids. */
export type BlobDigests = ReadonlyMap<string, BlobDigest>;

/** SHA-256 of blobs; the last ones are remembered. */
export class BlobHasher {
  readonly #objects: ObjectReader;
  readonly #presence: Presence;
  #known = new Map<string, BlobDigest>();

  constructor(folder: string, presence: Presence) {
    this.#objects = new ObjectReader(folder);
    this.#presence = presence;
  }

  /** Digests of all files before and after `changes`, but those of submodules. */
  async digests(changes: readonly Change[]): Promise<BlobDigests> {
    const found = new Map<string, BlobDigest>();
    const unknown = new Set<string>();
    for (const side of changes.flatMap(({ before, after }) => [before, after])) {
      if (side === undefined || side.mode === '160000') continue;
      const known = this.#known.get(side.id);
      if (known === undefined) unknown.add(side.id);
      else found.set(side.id, known);
    }
    const missing: string[] = [];
    const ids = [...(await this.#withoutPromised(unknown, found))];
    for (let from = 0; from < ids.length; from += AHEAD) {
      const next = ids.slice(from, from + AHEAD);
      this.#objects.ask(next);
      for (const id of next) {
        const digest = await this.#read(id);
        if (digest === 'missing') missing.push(id);
        found.set(id, digest);
        if (this.#known.size >= MAX_KNOWN) this.#known = new Map();
        this.#known.set(id, digest);
      }
    }
    await this.#presence.refuseDamaged(missing);
    return found;
  }

  /** In a partial clone, git fails at an object that it may not fetch, so only objects that are there are asked for. */
  async #withoutPromised(ids: ReadonlySet<string>, found: Map<string, BlobDigest>): Promise<ReadonlySet<string>> {
    if (!this.#presence.isPartial) return ids;
    const present = await this.#presence.of([...ids]);
    for (const id of ids) if (!present.has(id)) found.set(id, 'missing');
    return present;
  }

  async #read(id: string): Promise<BlobDigest> {
    const hash = sha256Stream();
    const head = await this.#objects.read(id, (part) => hash.update(part));
    if (head === undefined) return 'missing';
    // A tree may call any object a file; only a blob has content that can be checked.
    return head.type === 'blob' ? { digest: hash.digest(), size: head.size } : 'not a blob';
  }

  /** Ends git; nothing can be read afterwards. */
  close(): void {
    this.#objects.close();
  }
}
