import type { ArchiveReader } from '../../auditor/archive-reader.ts';
import { logKeysOf, policyKey } from '../../core/archive/archive-keys.ts';
import { toHex, utf8Text } from '../../core/base/bytes.ts';
import { LineproofError } from '../../core/base/errors.ts';
import { LIMITS } from '../../core/base/limits.ts';
import { type Checkpoint, parseCheckpoint } from '../../core/keys/checkpoint.ts';
import { decodeEnvelope } from '../../core/keys/dsse.ts';
import { readNote } from '../../core/keys/note.ts';
import { parsePolicy } from '../../core/policy/policy.ts';
import { PolicyInForce } from '../../core/policy/policy-history.ts';
import { tileHashReader } from '../../core/tree/build/proof.ts';
import { LeafReader } from '../block-lookup.ts';
import type { NotedTree } from '../proof-maker.ts';

/** What a reader of single objects of an archive is: a folder, a bucket, a web server in front of one. */
export interface ObjectReader {
  /** The object's bytes; undefined where there is none. Rejects while it cannot be told. */
  get(key: string): Promise<Uint8Array | undefined>;
}

/** A published note with what proofs over it need. Nothing is verified: whoever uses it checks the proof. */
export interface PublishedTree extends NotedTree {
  readonly checkpoint: Checkpoint;
}

/** One shard's log as its newest published note shows it. */
export class NotedArchive {
  readonly #objects: ObjectReader;
  readonly #shard: number;
  readonly #policies = new Map<string, Uint8Array>();

  constructor(objects: ObjectReader, shard: number) {
    this.#objects = objects;
    this.#shard = shard;
  }

  /** The newest published note; undefined before the first. Throws FORMAT_INVALID or LIMIT_EXCEEDED for one that cannot be read. */
  async note(): Promise<{ readonly note: string; readonly checkpoint: Checkpoint } | undefined> {
    const bytes = await this.#objects.get(logKeysOf(this.#shard).checkpoint);
    if (bytes === undefined) return undefined;
    const note = utf8Text(bytes);
    return { note, checkpoint: parseCheckpoint(readNote(note).text) };
  }

  /** The tree of a note, with all versions of the policy up to the one of its last seal. Throws NOT_FOUND where the archive lacks a part. */
  async tree({ note, checkpoint }: { readonly note: string; readonly checkpoint: Checkpoint }): Promise<PublishedTree> {
    const { size } = checkpoint;
    const { folder } = logKeysOf(this.#shard);
    const readHash = tileHashReader(size, (path) => this.#objects.get(`${folder}/${path}`));
    const { leaf } = await new LeafReader(this.#reader(), this.#shard, size).leaf(size - 1);
    if (leaf.kind !== 'seal') throw new LineproofError('NOT_FOUND', `cannot use the note of ${size} leaves: its last leaf is not a seal`);
    const policies = await this.#versionsTo(toHex(leaf.policy));
    const newest = policies.at(-1) as Uint8Array;
    return { note, checkpoint, size, readHash, policies, policy: new PolicyInForce(decodeEnvelope(newest, 'policy').payload) };
  }

  #reader(): ArchiveReader {
    return {
      get: async (key) => {
        const bytes = await this.#objects.get(key);
        return bytes === undefined ? undefined : { bytes, etag: '' };
      },
    };
  }

  /** The versions from 1 to the one with this digest: each names the one before it. */
  async #versionsTo(newest: string): Promise<Uint8Array[]> {
    const versions: Uint8Array[] = [];
    for (let hex: string | null = newest; hex !== null; ) {
      const bytes = await this.#version(hex);
      versions.unshift(bytes);
      if (versions.length > LIMITS.policyItems)
        throw new LineproofError('LIMIT_EXCEEDED', `cannot prove an event under more than ${LIMITS.policyItems} versions of the policy`);
      hex = parsePolicy(decodeEnvelope(bytes, 'policy').payload).previous;
    }
    return versions;
  }

  async #version(hex: string): Promise<Uint8Array> {
    const bytes = this.#policies.get(hex) ?? (await this.#objects.get(policyKey(hex)));
    if (bytes === undefined) throw new LineproofError('NOT_FOUND', `cannot prove an event: the archive lacks the policy ${hex}`);
    this.#policies.set(hex, bytes);
    return bytes;
  }
}
