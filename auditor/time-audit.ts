import { logKeysOf, parseArchiveKey } from '../core/archive/archive-keys.ts';
import { utf8Text } from '../core/base/bytes.ts';
import type { Certificate } from '../core/keys/certificate.ts';
import { parseCertificates } from '../core/keys/certificate-text.ts';
import { formatCheckpoint } from '../core/keys/checkpoint.ts';
import { checkStamp, type ProvenStamp, type StampFaultCode } from '../core/keys/time-stamp-check.ts';
import type { Audit } from './audit.ts';
import type { FindingCode } from './findings-table.ts';
import { listedStamps } from './listed-stamps.ts';
import type { StampRoots } from './stamp-roots.ts';
import { type StampedSize, type TimeCounts, timeCounts } from './time-brackets.ts';

/** Faults that fail TIME. `ROOT` and `ALGORITHM` are told apart: there, nobody showed anything wrong. */
const FAULT_FINDINGS = {
  MALFORMED: 'STAMP_MALFORMED',
  REFUSED: 'STAMP_REFUSED',
  IMPRINT: 'STAMP_IMPRINT',
  NONCE: 'STAMP_IMPRINT',
  POLICY: 'STAMP_POLICY',
  ACCURACY: 'STAMP_ACCURACY',
  CERTIFICATE: 'STAMP_CERTIFICATE',
  SIGNATURE: 'STAMP_SIGNATURE',
} as const satisfies Record<Exclude<StampFaultCode, 'ROOT' | 'ALGORITHM'>, FindingCode>;

/** A block's end, where a note may have been stamped. */
export interface BlockEnd {
  /** Leaves of the log up to and with the block. */
  readonly size: number;
  /** Microseconds, by the chainer. */
  readonly acceptedAt: number;
  readonly root: () => Uint8Array;
}

/**
 * Checks the time stamps of one shard against its leaves, and the times of its blocks against them. A time stamp proves that leaves were there at a time at the
 * latest; docs/verdict.md says what the bracket between two of them is. Its fields change in `#take` and `block` only.
 */
export class TimeAudit {
  readonly #audit: Audit;
  readonly #roots: StampRoots;
  readonly #keys: ReturnType<typeof logKeysOf>;
  readonly #skew: number;
  /** Names of the time stamps of each size that no block has reached yet. */
  readonly #waiting: Map<number, string[]>;
  readonly #stamped: StampedSize[] = [];
  /** End of the last block, and the latest accepted time of a block. */
  #size = 0;
  #acceptedAt = 0;
  /** The latest time at which a time stamp shows no leaf from `#size` on. */
  #provenTo = 0;

  constructor(audit: Audit, roots: StampRoots) {
    this.#audit = audit;
    this.#roots = roots;
    this.#keys = logKeysOf(audit.shard);
    this.#skew = audit.governance.history.latest.policy.clockSkewMs * 1000;
    this.#waiting = listedStamps(audit);
  }

  /** Takes the end of the next block. */
  async block(end: BlockEnd): Promise<void> {
    this.#compareBlock(end.acceptedAt);
    this.#acceptedAt = Math.max(this.#acceptedAt, end.acceptedAt);
    this.#size = end.size;
    const keys = this.#waiting.get(end.size);
    if (keys === undefined) return;
    this.#waiting.delete(end.size);
    const text = formatCheckpoint({ origin: `${this.#audit.origin}/${this.#audit.shard}`, size: end.size, root: end.root() });
    await this.#checkNote(end.size, text);
    for (const key of keys) await this.#check(key, end.size, text);
  }

  /** Reports the time stamps that no block reached. `blindFrom`: the first leaf that could not be read. */
  finish(size: number, blindFrom: number | undefined): void {
    const { shard, findings } = this.#audit;
    for (const [of, keys] of this.#waiting)
      for (const object of keys) {
        const place = { shard, object, leaf: of };
        if (of > size)
          findings.add('BEYOND_CHECKPOINT', `it covers ${of} leaves, and notes of the archive ${size}: it was not checked`, place);
        else if (blindFrom !== undefined)
          findings.add('UNSHOWN', 'leaves that it covers cannot be read, so that it is not checked', place, { property: 'TIME' });
        else findings.add('STAMP_IMPRINT', 'no block ends at this size, so no note of it was ever published', place);
      }
    const { coveredLeaves } = this.counts(size);
    if (coveredLeaves === size) return;
    const message = `no time stamp covers the leaves ${coveredLeaves} to ${size - 1}`;
    findings.add('UNSTAMPED', message, { shard, leaf: coveredLeaves });
  }

  counts(size: number): TimeCounts {
    return timeCounts(this.#stamped, size);
  }

  /** A block that a time stamp does not cover was accepted before that time stamp, by more than the skew. */
  #compareBlock(acceptedAt: number): void {
    if (acceptedAt + this.#skew >= this.#provenTo) return;
    const message = `the block is dated ${iso(acceptedAt)}, and a time stamp of ${iso(this.#provenTo)} does not cover it: it waited for the archiver, or was dated back`;
    this.#audit.findings.add('STAMP_BEFORE', message, { shard: this.#audit.shard, leaf: this.#size });
  }

  async #check(object: string, size: number, text: string): Promise<void> {
    const { objects, shard } = this.#audit;
    const place = { shard, object, leaf: size };
    const named = parseArchiveKey(object);
    const authority = named.kind === 'timestamp' ? named.authority : '';
    const known = this.#roots.authorities.get(authority);
    const isGiven = this.#roots.given.length > 0;
    if (!isGiven && known === undefined) {
      this.#audit.findings.add('UNKNOWN_OBJECT', 'no version of the policy names this time-stamp authority', place);
      return;
    }
    const stored = await objects.get(object);
    // That it cannot be read was reported.
    if (stored === undefined) return;
    const roots = isGiven ? this.#roots.given : (known?.roots ?? []);
    const others = [...(known?.intermediates ?? []), ...(await this.#beside(size, authority))];
    const result = checkStamp(stored.bytes, { text, roots, others, policies: isGiven ? [] : (known?.entry.policies ?? []) });
    if ('fault' in result) this.#report(result.fault, place, isGiven);
    else this.#take(result, size, place);
  }

  #report({ code, message }: { readonly code: StampFaultCode; readonly message: string }, place: Place, isGiven: boolean): void {
    const { findings } = this.#audit;
    const told = `the time stamp does not count: ${message}`;
    if (code === 'ALGORITHM') findings.add('STAMP_ALGORITHM', told, place);
    else if (code === 'ROOT') findings.add('STAMP_ROOT', told, place, { severity: isGiven ? 'NOTE' : 'FAILED' });
    else findings.add(FAULT_FINDINGS[code], told, place);
  }

  #take({ genTime, accuracy }: ProvenStamp, size: number, place: Place): void {
    const { findings, now } = this.#audit;
    if (now !== undefined && genTime - accuracy - this.#skew > now) {
      findings.add('STAMP_FUTURE', `it states ${iso(genTime)}, and this machine's clock says ${iso(now)}`, place);
      return;
    }
    if (this.#acceptedAt > genTime + accuracy + this.#skew) {
      const message = `it states that its leaves were there at ${iso(genTime)}, and the last of them is dated ${iso(this.#acceptedAt)}`;
      findings.add('STAMP_CONTRADICTS', message, place);
      return;
    }
    this.#stamped.push({ size, from: genTime - accuracy, to: genTime + accuracy });
    this.#provenTo = Math.max(this.#provenTo, genTime - accuracy);
  }

  /** The certificates beside a time stamp, which prove nothing by themselves: what cannot be read is left aside. */
  async #beside(size: number, authority: string): Promise<readonly Certificate[]> {
    const key = this.#keys.stampCertificates(size, authority);
    const stored = this.#audit.listed.has(key) ? await this.#audit.objects.get(key) : undefined;
    try {
      return stored === undefined ? [] : parseCertificates(utf8Text(stored.bytes));
    } catch {
      return [];
    }
  }

  /** The note beside time stamps is there for other tools: its text must be the one that they cover. */
  async #checkNote(size: number, text: string): Promise<void> {
    const { objects, listed, shard, findings } = this.#audit;
    const object = this.#keys.stampedNote(size);
    const stored = listed.has(object) ? await objects.get(object) : undefined;
    if (stored === undefined || startsWith(stored.bytes, `${text}\n`)) return;
    findings.add('STAMPED_NOTE', 'its text is not that of the note of this size', { shard, object, leaf: size });
  }
}

interface Place {
  readonly shard: number;
  readonly object: string;
  readonly leaf: number;
}

function startsWith(bytes: Uint8Array, text: string): boolean {
  try {
    return utf8Text(bytes).startsWith(text);
  } catch {
    return false;
  }
}

function iso(micros: number): string {
  return new Date(micros / 1000).toISOString();
}
