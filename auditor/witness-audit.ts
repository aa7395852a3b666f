import { largest } from '../core/base/largest.ts';
import { type Cosigner, cosignersOf, isQuorum } from '../core/keys/cosigners.ts';
import type { ClaimedNote } from '../core/keys/note.ts';
import type { WitnessPolicy } from '../core/keys/witness-policy.ts';
import type { PolicyInForce } from '../core/policy/policy-history.ts';
import type { Audit } from './audit.ts';
import { readersOf } from './witness-trust.ts';

/** The newest quorum of a shard's witnesses. */
export interface Witnessed {
  /** Leaves that the note covers. */
  readonly size: number;
  /** When the first and the last witness of those that count cosigned it, by their clocks: ISO 8601. */
  readonly from: string;
  readonly to: string;
}

/** What the cosignatures of one shard show. */
export interface WitnessedShard {
  readonly newest: Witnessed | null;
  /** Whether any policy demanded witnesses of this shard. */
  readonly isDemanded: boolean;
  readonly cosignatures: number;
  readonly quorums: number;
}

/** A note of the shard with the cosignatures in it that hold. */
interface ReadNote {
  readonly size: number;
  readonly cosigners: readonly Cosigner[];
}

/** A size with everybody whose cosignature of its root holds, and the policy of the last block before it. */
interface Attested {
  readonly cosigners: Map<string, Cosigner>;
  readonly policy: PolicyInForce | undefined;
}

/** The witnesses of one shard's notes. A cosignature counts if the note has a right signature of the log and the root that the leaves give. */
export class WitnessAudit {
  readonly #audit: Audit;
  /** By object. */
  readonly #notes = new Map<string, ReadNote>();
  readonly #attested = new Map<number, Attested>();

  constructor(audit: Audit) {
    this.#audit = audit;
  }

  /** Judges the cosignatures in a note that a log key signed. */
  read(object: string, size: number, { text, signatures }: ClaimedNote): void {
    const { findings, governance, shard, witnesses } = this.#audit;
    const place = { shard, object, leaf: size };
    const { good, wrong, unknown } = cosignersOf(text, signatures, witnesses.keys);
    for (const { key, fact } of wrong) findings.add('COSIGNATURE_WRONG', `${key.name} is a witness, and ${fact}`, place);
    const strangers = unknown.filter(({ name }) => !governance.logKeys(shard).some(({ verifier }) => verifier.name === name));
    if (witnesses.keys.length > 0 && strangers.length > 0)
      findings.add('COSIGNATURE_UNKNOWN', `${strangers.length} of its signatures are by keys that no policy at hand names`, place);
    this.#notes.set(object, { size, cosigners: good });
  }

  /** Called for each note whose root the leaves give, with the policy in force there. */
  prove(object: string, policy: PolicyInForce | undefined): void {
    const note = this.#notes.get(object);
    if (note === undefined) return;
    const attested = this.#attested.get(note.size) ?? { cosigners: new Map<string, Cosigner>(), policy };
    for (const cosigner of note.cosigners)
      if (!attested.cosigners.has(cosigner.key.text)) attested.cosigners.set(cosigner.key.text, cosigner);
    this.#attested.set(note.size, attested);
  }

  /** Judges the quorums, once all leaves are read: `shown` is the size that the archive shows, `published` that of its published note. */
  finish(shown: number, published: number | undefined): WitnessedShard {
    const { origin, shard, witnesses, findings } = this.#audit;
    const own = readersOf(witnesses.readers, `${origin}/${shard}`);
    if (witnesses.readers.length > own.length && own.length === 0)
      findings.add('WITNESS_POLICY_FOREIGN', 'no witness policy that was given is for this log', { shard });
    const byReaders = own.map(({ name, policy }) => {
      const found = this.#quorums(() => policy);
      this.#judgeReader(name, policy, found, shown);
      return { found, policy };
    });
    const ours = this.#quorums(({ policy }) => (witnesses.isProven ? (policy?.witnesses ?? null) : null));
    const isDemanded = this.#judgeOwn(ours, shown, published);
    const decisive = byReaders[0]?.found ?? ours;
    return {
      newest: newestOf(decisive),
      isDemanded: isDemanded || byReaders.some(({ policy }) => policy.quorum !== 'none'),
      cosignatures: [...this.#attested.values()].reduce((sum, { cosigners }) => sum + cosigners.size, 0),
      quorums: decisive.size,
    };
  }

  /** The sizes whose notes have a quorum of the policy for them, with those of its witnesses that cosigned. */
  #quorums(policyOf: (attested: Attested) => WitnessPolicy | null): Map<number, readonly Cosigner[]> {
    const found = new Map<number, readonly Cosigner[]>();
    for (const [size, attested] of this.#attested) {
      const policy = policyOf(attested);
      if (policy === null || policy.quorum === 'none') continue;
      const named = [...attested.cosigners.values()].filter(({ key }) => policy.witnesses.some((witness) => witness.key.text === key.text));
      if (isQuorum(policy, named)) found.set(size, named);
    }
    return found;
  }

  #judgeReader(name: string, policy: WitnessPolicy, found: ReadonlyMap<number, unknown>, shown: number): void {
    const { shard, findings } = this.#audit;
    if (policy.quorum === 'none') return;
    const newest = largest(found.keys());
    if (newest < 0) findings.add('QUORUM_MISSING', `no note has a quorum of the witnesses that ${name} names`, { shard });
    else if (newest < shown) this.#open(newest, `that ${name} names`);
  }

  /**
   * By the policy in force at each size: a checkpoint that must not be published without a quorum and was is wrong; one that may be is open. So is a log
   * whose blocks are not under the newest version yet, if that one demands witnesses: its chainer can put that off for ever.
   */
  #judgeOwn(found: ReadonlyMap<number, unknown>, shown: number, published: number | undefined): boolean {
    const { shard, findings, governance } = this.#audit;
    const inForce = this.#attested.get(largest(this.#attested.keys()))?.policy;
    if (!this.#demands(inForce) && !this.#demands(governance.history.latest)) return false;
    const isRequired = published !== undefined && this.#attested.get(published)?.policy?.policy.witnessing?.required === true;
    if (isRequired && this.#demands(this.#attested.get(published)?.policy) && !found.has(published)) {
      const message = 'the published note has no quorum of witnesses, and the policy wants none published without';
      findings.add('QUORUM_MISSING', message, { shard, leaf: published });
    }
    const newest = largest(found.keys());
    if (newest < 0) findings.add('QUORUM_OPEN', 'no note has a quorum of the witnesses of the policy yet', { shard });
    else if (newest < shown) this.#open(newest, 'of the policy');
    return true;
  }

  #demands(policy: PolicyInForce | undefined): boolean {
    return this.#audit.witnesses.isProven && policy !== undefined && policy.witnesses !== null && policy.witnesses.quorum !== 'none';
  }

  #open(newest: number, whose: string): void {
    const message = `the newest note with a quorum of the witnesses ${whose} covers ${newest} leaves: those behind it are not witnessed yet`;
    this.#audit.findings.add('QUORUM_OPEN', message, { shard: this.#audit.shard, leaf: newest });
  }
}

function newestOf(quorums: ReadonlyMap<number, readonly Cosigner[]>): Witnessed | null {
  if (quorums.size === 0) return null;
  const size = largest(quorums.keys());
  const times = (quorums.get(size) ?? []).map(({ time }) => time);
  return { size, from: isoOf(Math.min(...times)), to: isoOf(Math.max(...times)) };
}

/** ISO 8601 of seconds; the number itself where no calendar has the day. */
export function isoOf(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? `${seconds} s since 1970` : date.toISOString();
}
