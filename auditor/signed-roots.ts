import { logKeysOf, parseArchiveKey } from '../core/archive/archive-keys.ts';
import { equal, utf8Text } from '../core/base/bytes.ts';
import { largest } from '../core/base/largest.ts';
import type { Checkpoint } from '../core/keys/checkpoint.ts';
import type { VerifierKey } from '../core/keys/key.ts';
import { readNote } from '../core/keys/note.ts';
import type { PolicyInForce } from '../core/policy/policy-history.ts';
import { attestedNote, isOutOfUse, NOTE_FINDINGS } from './attestation.ts';
import type { Audit } from './audit.ts';
import { checkTreeHead } from './tree-heads.ts';
import { WitnessAudit } from './witness-audit.ts';

/** How far the notes of a shard go. */
export interface NoteSizes {
  /** Leaves that `checkpoint` covers; undefined where it cannot be used. */
  readonly published: number | undefined;
  /** Leaves that the largest rightly signed note covers: so many are checked. */
  readonly size: number;
}

interface SignedRoot {
  readonly root: Uint8Array;
  readonly object: string;
  readonly signers: readonly VerifierKey[];
}

/** The roots that were signed for a shard's log, by size. The leaves must give all of them. */
export class SignedRoots {
  readonly #audit: Audit;
  readonly #keys: ReturnType<typeof logKeysOf>;
  readonly #roots = new Map<number, SignedRoot[]>();
  readonly witnesses: WitnessAudit;

  constructor(audit: Audit) {
    this.#audit = audit;
    this.witnesses = new WitnessAudit(audit);
    this.#keys = logKeysOf(audit.shard);
  }

  /** Reads `signed`, `checkpoint` and all of `checkpoints/`. */
  async readNotes(): Promise<NoteSizes> {
    const signed = await this.#readNote(this.#keys.signed);
    const checkpoint = await this.#readNote(this.#keys.checkpoint);
    const placed = new Map<number, Checkpoint>();
    for (const key of this.#audit.listed.keys()) {
      const named = parseArchiveKey(key);
      if (named.kind === 'cosignature') await this.#readPlacedNote(key, named.size);
      const note = named.kind === 'checkpointAt' ? await this.#readPlacedNote(key, named.size) : undefined;
      if (named.kind === 'checkpointAt' && note !== undefined) placed.set(named.size, note);
    }
    await this.#readTreeHeads(placed);
    const newest = largest([...placed.values()].map(({ size }) => size));
    if (checkpoint !== undefined && newest > checkpoint.size) this.reportOld(`checkpoints/${newest} is newer`, checkpoint.size);
    if (checkpoint !== undefined && signed !== undefined) this.#compareNotes(signed, checkpoint);
    return { published: checkpoint?.size, size: Math.max(signed?.size ?? 0, checkpoint?.size ?? 0, newest) };
  }

  /** A root that `object` states for `size` leaves. */
  expect(size: number, signed: SignedRoot): void {
    const stated = this.#roots.get(size);
    if (stated === undefined) this.#roots.set(size, [signed]);
    else stated.push(signed);
  }

  has(size: number): boolean {
    return this.#roots.has(size);
  }

  /** The first root that was stated for `size` leaves. */
  at(size: number): Uint8Array | undefined {
    return this.#roots.get(size)?.[0]?.root;
  }

  /** Compares the root of the first `size` leaves with every root that was stated for them, by keys that `policy`, that of the last block among them, has in use. */
  check(size: number, rootOfLeaves: () => Uint8Array, policy: PolicyInForce | undefined): void {
    const stated = this.#roots.get(size);
    if (stated === undefined) return;
    const right = rootOfLeaves();
    for (const { root, object, signers } of stated) {
      if (isOutOfUse(signers, policy)) {
        const message = `only a log key signed it that the policy in force at these ${size} leaves calls RETIRED`;
        this.#audit.findings.add('KEY_RETIRED', message, { shard: this.#audit.shard, object, leaf: size });
      }
      if (equal(root, right)) {
        this.witnesses.prove(object, policy);
        continue;
      }
      const message = `the object states another root than the first ${size} leaves give`;
      this.#audit.findings.add('ROOT_WRONG', message, { shard: this.#audit.shard, object, leaf: size });
    }
  }

  /** Reports that the published checkpoint is older than `what`: it was set back, or the policy wanted no checkpoint without its witnesses. */
  reportOld(what: string, published: number): void {
    const { findings, shard, governance } = this.#audit;
    if (governance.history.versions.some(({ policy }) => policy.witnessing?.required === true)) {
      const message = `the checkpoint covers ${published} leaves, but ${what}: it waits for its witnesses, or was set back`;
      findings.add('CHECKPOINT_BEHIND', message, { shard, object: this.#keys.checkpoint });
      return;
    }
    const message = `the checkpoint covers ${published} leaves, but ${what}: it was set back`;
    findings.add('CHECKPOINT_OLD', message, { shard, object: this.#keys.checkpoint });
  }

  async #readTreeHeads(notes: ReadonlyMap<number, Checkpoint>): Promise<void> {
    for (const key of this.#audit.listed.keys()) {
      const named = parseArchiveKey(key);
      if (named.kind !== 'coseAt') continue;
      const note = notes.get(named.size);
      const signers = await checkTreeHead(this.#audit, named.size, note);
      if (note !== undefined && signers.length > 0) this.expect(named.size, { root: note.root, object: key, signers });
    }
  }

  async #readPlacedNote(key: string, size: number): Promise<Checkpoint | undefined> {
    const note = await this.#readNote(key);
    if (note !== undefined && note.size !== size) {
      const message = `the checkpoint covers ${note.size} leaves; its name states ${size}`;
      this.#audit.findings.add('CHECKPOINT_PLACE', message, { shard: this.#audit.shard, object: key });
    }
    return note;
  }

  #compareNotes(signed: Checkpoint, checkpoint: Checkpoint): void {
    const { shard, findings } = this.#audit;
    if (signed.size < checkpoint.size) {
      const message = `the newest signed note covers ${signed.size} leaves; the published checkpoint covers ${checkpoint.size}: the note was set back`;
      findings.add('SIGNED_OLD', message, { shard, object: this.#keys.signed });
    } else if (signed.size > checkpoint.size) {
      const message = `the published checkpoint covers ${checkpoint.size} leaves and ${signed.size} are signed: it was not published yet, or was set back`;
      findings.add('CHECKPOINT_BEHIND', message, { shard, object: this.#keys.checkpoint });
    }
  }

  async #readNote(object: string): Promise<Checkpoint | undefined> {
    const { objects, origin, shard, governance, findings } = this.#audit;
    const place = { shard, object };
    const stored = await objects.get(object);
    if (stored === undefined) {
      findings.add('MISSING', 'the log does not have this note', place, { property: 'ARCHIVE' });
      return undefined;
    }
    const { value, faults, signers } = attestedNote(stored.bytes, `${origin}/${shard}`, shard, governance.logKeys(shard));
    for (const { code, message } of faults) findings.add(NOTE_FINDINGS[code], `the note cannot be used: ${message}`, place);
    if (value !== undefined) {
      this.expect(value.size, { root: value.root, object, signers });
      this.witnesses.read(object, value.size, readNote(utf8Text(stored.bytes)));
    }
    return value;
  }
}
