import type { SignedNote } from '../core/archive/archive-anchor.ts';
import { utf8 } from '../core/base/bytes.ts';
import { LOG } from '../core/base/log-lines.ts';
import { type Cosigner, isQuorum } from '../core/keys/cosigners.ts';
import { formatNote, readNote } from '../core/keys/note.ts';
import type { WitnessPolicy } from '../core/keys/witness-policy.ts';
import type { PolicyInForce } from '../core/policy/policy-history.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { OpenWitness } from '../core/ports/witness.ts';
import { proveConsistency, tileHashReader } from '../core/tree/build/proof.ts';
import type { ArchivedLog } from './archived-log.ts';
import { Publication } from './publication.ts';
import { type WitnessFault, WitnessLink } from './witness-link.ts';

/** Kept notes whose late cosignatures are still written beside them. */
const KEPT = 16;
/** What is told where witnesses are named. */
const QUORUM_GAUGES = [
  'lineproof_archiver_published_size',
  'lineproof_archiver_quorum_size',
  'lineproof_archiver_quorum_timestamp_seconds',
] as const;
/** Longest wait for a quorum when the work ends. */
const FINISH_MS = 3_000;

export interface WitnessingOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly openWitness: OpenWitness;
}

/** A signed note on its way to the readers. */
interface Waiting {
  readonly note: SignedNote;
  readonly isKept: boolean;
  readonly policy: WitnessPolicy;
  readonly required: boolean;
  /** Until when it waits for its quorum, by the monotonic clock. */
  dueMs: number;
  /** By the text of the witness's key. */
  readonly cosigners: Map<string, Cosigner>;
  /** How many of its cosignatures are published. */
  shown: number;
  /** Keys in the note that was kept at a segment's end; undefined until it is written. */
  keptWith: ReadonlySet<string> | undefined;
}

/**
 * Publishes the signed notes of one log, with the cosignatures of the witnesses that the policy names. Witnesses are asked in the background; what they answer
 * is gathered here, and written only by `take` and `publishDue`, which the archiver calls. All witnesses are asked for the same note, so that a quorum comes together:
 * the next one when that one has its quorum or its time is over. Its fields change in `take`, `kept`, `#collected` and `#forget` only.
 */
export class Witnessing {
  readonly #log: ArchivedLog;
  readonly #o: WitnessingOptions;
  readonly #publication: Publication;
  /** In the order of their sizes. */
  #waiting: Waiting[] = [];
  /** The note that witnesses are asked for. */
  #round: Waiting | undefined;
  /** By the text of the key. */
  #links = new Map<string, WitnessLink>();
  readonly #failing = new Set<string>();
  #stop = new AbortController();
  #policy: WitnessPolicy | undefined;

  constructor(log: ArchivedLog, options: WitnessingOptions) {
    this.#log = log;
    this.#o = options;
    this.#publication = new Publication(log);
  }

  /** Ends the talk with all witnesses and forgets what waits: a start takes the stored note up again. */
  stop(): void {
    this.#stop.abort();
    this.#waiting = [];
    this.#round = undefined;
    this.#links.clear();
    this.#policy = undefined;
  }

  /**
   * Takes a signed note, of which `inForce` is the policy at its size. It is published at once where nobody has to witness; else with its quorum, or when it
   * has waited since `sinceMs` for as long as the policy says. `isKept`: it ends a segment.
   */
  async take(
    note: SignedNote,
    inForce: PolicyInForce | undefined,
    { isKept, sinceMs }: { isKept: boolean; sinceMs: number },
  ): Promise<void> {
    const {
      witnesses: policy,
      policy: { witnessing },
    } = inForce ?? { witnesses: null, policy: { witnessing: null } };
    if (policy === null || witnessing === null) {
      this.stop();
      for (const gauge of QUORUM_GAUGES) this.#o.metrics.forget(gauge, this.#labels());
      return this.#publication.show(note, []);
    }
    if (policy !== this.#policy) this.#meet(policy);
    if (!this.#waiting.some((each) => each.note.size >= note.size)) {
      const { required, deadlineMs } = witnessing;
      const dueMs = sinceMs + deadlineMs;
      this.#waiting.push({ note, isKept, policy, required, dueMs, cosigners: new Map(), shown: -1, keptWith: undefined });
    }
    return this.publishDue();
  }

  /** Whether the note of this size has its quorum, or its time is over. */
  isSettled(size: number): boolean {
    const waiting = this.#waiting.find((each) => each.note.size === size);
    return waiting === undefined || this.#isOver(waiting);
  }

  /** The cosignatures of the note of this size, for the note that is kept at a segment's end: what comes later is written beside it. */
  kept(size: number): readonly Cosigner[] {
    const waiting = this.#waiting.find((each) => each.note.size === size);
    if (waiting === undefined) return [];
    waiting.keptWith = new Set(waiting.cosigners.keys());
    return [...waiting.cosigners.values()];
  }

  /** Publishes the newest note that has its quorum, or may be published without. Writes late cosignatures of kept notes. Can be called again after a failure. */
  async publishDue(): Promise<void> {
    const ready = this.#waiting.findLast((each) => this.#isPublishable(each));
    if (ready !== undefined && ready.shown < ready.cosigners.size) {
      const cosigners = [...ready.cosigners.values()];
      await this.#publication.show(
        ready.note,
        cosigners.map(({ line }) => line),
      );
      ready.shown = cosigners.length;
      this.#o.metrics.set('lineproof_archiver_published_size', ready.note.size, this.#labels());
    }
    for (const each of this.#waiting) await this.#writeLate(each);
    this.#forget(ready);
    this.#beginRound();
  }

  /** At the end of the work: waits a moment for the newest note's quorum, publishes it without where it may be, and ends all talk. */
  async finish(): Promise<void> {
    const { clock } = this.#o;
    const newest = this.#waiting.at(-1);
    if (newest !== undefined) {
      const untilMs = clock.monotonicMs() + FINISH_MS;
      // A note that must have its quorum can use a moment more than its time.
      const mayCome = (): boolean => (newest.required ? !this.#hasQuorum(newest) : !this.#isOver(newest));
      while (mayCome() && clock.monotonicMs() < untilMs) await clock.sleep(FINISH_MS / 100);
      newest.dueMs = Math.min(newest.dueMs, clock.monotonicMs());
    }
    await this.publishDue();
    this.stop();
  }

  #hasQuorum({ policy, cosigners }: Waiting): boolean {
    return isQuorum(policy, [...cosigners.values()]);
  }

  #isOver(waiting: Waiting): boolean {
    return this.#hasQuorum(waiting) || this.#o.clock.monotonicMs() >= waiting.dueMs;
  }

  #isPublishable(waiting: Waiting): boolean {
    return waiting.required ? this.#hasQuorum(waiting) : this.#isOver(waiting);
  }

  /** Asks all witnesses for the newest note, unless they are at one that can still get its quorum in time. A note that ends a segment does not wait. */
  #beginRound(): void {
    const newest = this.#waiting.at(-1);
    if (newest === undefined || newest === this.#round) return;
    if (this.#round !== undefined && !newest.isKept && !this.#isOver(this.#round)) return;
    this.#round = newest;
    for (const link of this.#links.values()) link.offer({ note: newest.note, isKept: newest.isKept });
  }

  /** Keeps what can still be published or completed: the newest notes, those in their time, and kept notes that witnesses still owe something. */
  #forget(published: Waiting | undefined): void {
    const kept = this.#waiting.filter(({ isKept, cosigners }) => isKept && cosigners.size < this.#links.size).slice(-KEPT);
    const [newest, size] = [this.#waiting.at(-1), published?.note.size ?? 0];
    this.#waiting = this.#waiting.filter(
      (each) =>
        each === newest ||
        each === this.#round ||
        kept.includes(each) ||
        each === published ||
        (each.note.size > size && !this.#isOver(each)),
    );
  }

  async #writeLate({ note, cosigners, keptWith }: Waiting): Promise<void> {
    if (keptWith === undefined) return;
    const { objects, keys } = this.#log;
    const { text, signatures } = readNote(note.note);
    for (const [key, { line }] of cosigners) {
      if (keptWith.has(key)) continue;
      // Another archiver may have written one of another second: the first stays.
      await objects.create(keys.cosignature(note.size, key), utf8(formatNote(text, [...signatures, line])));
      (keptWith as Set<string>).add(key);
    }
  }

  /** Opens the talk with each witness of a policy that has an address. */
  #meet(policy: WitnessPolicy): void {
    this.stop();
    this.#stop = new AbortController();
    this.#policy = policy;
    const keys = policy.witnesses.map(({ key }) => key);
    for (const { name, key, url } of policy.witnesses) {
      if (url === null) continue;
      const link = new WitnessLink({
        witness: this.#o.openWitness(url),
        keys,
        prove: (oldSize, size) => this.#prove(oldSize, size),
        clock: this.#o.clock,
        signal: this.#stop.signal,
        collected: (offer, cosigners) => this.#collected(name, offer.note.size, cosigners),
        failed: (fault, reason) => this.#failed(name, fault, reason),
      });
      this.#links.set(key.text, link);
    }
  }

  #prove(oldSize: number, size: number): Promise<readonly Uint8Array[]> {
    const { objects, folder } = this.#log.tree;
    const read = async (path: string): Promise<Uint8Array | undefined> => (await objects.get(`${folder}/${path}`))?.bytes;
    return proveConsistency(oldSize, size, tileHashReader(size, read));
  }

  #collected(witness: string, size: number, cosigners: readonly Cosigner[]): void {
    if (this.#failing.delete(witness)) this.#o.logger.info(LOG.witnessGoesOn, { shard: this.#log.shard, witness });
    const waiting = this.#waiting.find((each) => each.note.size === size);
    if (waiting === undefined) return;
    const before = this.#hasQuorum(waiting);
    for (const cosigner of cosigners) if (!waiting.cosigners.has(cosigner.key.text)) waiting.cosigners.set(cosigner.key.text, cosigner);
    if (before || !this.#hasQuorum(waiting)) return;
    this.#o.metrics.set('lineproof_archiver_quorum_size', size, this.#labels());
    this.#o.metrics.set('lineproof_archiver_quorum_timestamp_seconds', this.#o.clock.nowMicros() / 1e6, this.#labels());
  }

  #failed(witness: string, error: WitnessFault, reason: string): void {
    const { metrics, logger } = this.#o;
    metrics.add('lineproof_archiver_witness_errors_total', 1, { ...this.#labels(), witness, error });
    if (this.#failing.has(witness)) return;
    this.#failing.add(witness);
    logger.warn(LOG.witnessFails, { shard: this.#log.shard, witness, error, reason });
  }

  #labels(): { shard: string } {
    return { shard: String(this.#log.shard) };
  }
}
