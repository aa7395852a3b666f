import { toHex } from '../core/base/bytes.ts';
import type { Receipt } from '../core/formats/evidence.ts';
import { dedupKeyOfEvent, dedupKeyOfHeader } from '../core/formats/identity.ts';
import type { AuditedLink } from './audited-block.ts';
import { Column } from './column.ts';
import type { Findings } from './findings.ts';
import { KeyTable } from './key-table.ts';
import type { Place } from './verdict.ts';

/** An event that was linked. */
export interface LinkedEvent {
  readonly stream: string;
  readonly id: Uint8Array;
  readonly digest: Uint8Array;
  readonly leaf: number;
  /** `appendedAt` of its batch, microseconds. */
  readonly appendedAt: number;
}

/**
 * Follows identities through one shard: linked events, the originals of receipts, accepted headers.
 * It is exact and so remembers every event, in about 100 bytes each. It keeps 16 bytes of a digest, as the dedup index does.
 */
export class UniqueAudit {
  readonly #shard: number;
  readonly #findings: Findings;
  readonly #identities = new KeyTable();
  /** Entry n is that of identity n. */
  readonly #digests = new KeyTable();
  readonly #leaves = new Column();
  readonly #times = new Column();
  readonly #streams = new Column();
  readonly #streamNames: string[] = [];
  readonly #streamNumbers = new Map<string, number>();
  /** Leaf and digest of each link whose event is not in the archive: its identity is not known. */
  readonly #unknownLeaves = new Column();
  readonly #unknownDigests = new KeyTable();
  readonly #headers = new KeyTable();
  readonly #offsets = new Column();
  duplicates = 0;
  conflicts = 0;
  repeats = 0;
  replays = 0;

  constructor(shard: number, findings: Findings) {
    this.#shard = shard;
    this.#findings = findings;
  }

  get events(): number {
    return this.#identities.size;
  }

  /** Takes a linked event, in the order of the log. A second link of an identity fails if the first was appended at `windowFrom` or later; else it is a note. */
  link(event: LinkedEvent, windowFrom: number): void {
    const key = dedupKeyOfEvent(event.stream, event.id);
    const before = this.#identities.find(key);
    if (before !== undefined) this.#linkedTwice(event, before, windowFrom);
    const entry = this.#identities.add(key);
    this.#digests.add(event.digest.subarray(0, 16));
    this.#leaves.set(entry, event.leaf);
    this.#times.set(entry, event.appendedAt);
    this.#streams.set(entry, this.#streamNumber(event.stream));
  }

  #linkedTwice({ stream, leaf }: LinkedEvent, before: number, windowFrom: number): void {
    const place = { shard: this.#shard, leaf, stream };
    const first = `the event was linked already, as leaf ${this.#leaves.get(before)}`;
    if (this.#times.get(before) >= windowFrom) {
      this.#findings.add('LINKED_TWICE', `${first}, within the dedup window`, place);
    } else {
      this.repeats += 1;
      this.#findings.add('REPEATED_AFTER_WINDOW', `${first}, longer ago than the dedup window`, place);
    }
  }

  /** Takes a link whose event is missing, in the order of the log. Its leaf still has the event's digest. */
  unknown({ leaf, link }: AuditedLink): void {
    this.#unknownLeaves.set(this.#unknownDigests.add(link.event.subarray(0, 16)), leaf);
  }

  /**
   * Checks a receipt at input `offset`: its original must be a link before leaf `before`, of the same identity, with the same digest exactly for a DUPLICATE.
   * `stream` is that of the receipt's event, where it is known. A DUPLICATE needs none: its digest covers the stream.
   */
  receipt(receipt: Receipt, offset: number, before: number, stream?: string): void {
    const { outcome, original, id, digest } = receipt;
    // A REJECTED receipt has none.
    if (original === null) return undefined;
    const place = { shard: this.#shard, offset, leaf: original };
    const unknown = original < before ? this.#unknownLeaves.indexOf(original, this.#unknownDigests.size) : undefined;
    if (unknown !== undefined) return this.#checkDigest(receipt, this.#unknownDigests.has(unknown, digest), place);
    const entry = original < before ? this.#leaves.indexOf(original, this.#identities.size) : undefined;
    if (entry === undefined)
      return this.#findings.add('ORIGINAL_MISSING', `a ${outcome} receipt points to a leaf that is not a link before it`, place);
    const linked = this.#streamNames[this.#streams.get(entry)] as string;
    if (id === null || !this.#identities.has(entry, dedupKeyOfEvent(stream ?? linked, id)))
      return this.#findings.add('ORIGINAL_OTHER', `a ${outcome} receipt points to a link of another identity`, place);
    return this.#checkDigest(receipt, this.#digests.has(entry, digest), { ...place, stream: linked });
  }

  /** A digest covers identity and content, so one that is the same proves a DUPLICATE, also of an event that retention removed. */
  #checkDigest({ outcome, digest }: Receipt, same: boolean, place: Place): void {
    if (same !== (outcome === 'DUPLICATE'))
      return this.#findings.add('RECEIPT_WRONG', `a receipt says ${outcome}, and its original shows the opposite`, place);
    if (same) this.duplicates += 1;
    // Without the original's event nothing shows that the identity is the same.
    else if (place.stream !== undefined) {
      this.conflicts += 1;
      this.#findings.add('CONFLICT', `the same identity came again with other content: event digest ${toHex(digest)}`, place);
    }
    return undefined;
  }

  #streamNumber(stream: string): number {
    let number = this.#streamNumbers.get(stream);
    if (number === undefined) {
      number = this.#streamNames.push(stream) - 1;
      this.#streamNumbers.set(stream, number);
    }
    return number;
  }

  /** Takes an ACCEPTED header. True where it was accepted before, which is reported as a replay. */
  accepted(header: Uint8Array, offset: number): boolean {
    const key = dedupKeyOfHeader(header);
    const before = this.#headers.find(key);
    if (before !== undefined) {
      this.replays += 1;
      const message = `the batch was accepted already, at input offset ${this.#offsets.get(before)}: its header was replayed`;
      this.#findings.add('REPLAY', message, { shard: this.#shard, offset });
    }
    this.#offsets.set(this.#headers.add(key), offset);
    return before !== undefined;
  }

  /** Whether a header was accepted before. A REPEATED header must have been. */
  wasAccepted(header: Uint8Array): boolean {
    return this.#headers.find(dedupKeyOfHeader(header)) !== undefined;
  }
}
