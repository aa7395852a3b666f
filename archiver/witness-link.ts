import type { SignedNote } from '../core/archive/archive-anchor.ts';
import { messageOf } from '../core/base/errors.ts';
import { type RetryPace, waitAfter } from '../core/base/retry.ts';
import { type Cosigner, cosignersOf } from '../core/keys/cosigners.ts';
import type { VerifierKey } from '../core/keys/key.ts';
import { formatNote, readNote } from '../core/keys/note.ts';
import type { Clock } from '../core/ports/clock.ts';
import { ADD_CHECKPOINT, type Witness } from '../core/ports/witness.ts';

const PACE: RetryPace = { firstMs: 250, maxMs: 5_000 };
/** Questions about one note: a witness that states another size each time is not believed for ever. */
const TRIES = 3;
/** Most notes at the ends of segments that a witness is still asked for. */
const OWED = 16;

/** Why a witness gave no cosignature; a label of the metric. */
export type WitnessFault = 'unavailable' | 'refused' | 'conflict' | 'unusable' | 'proof';

type Outcome = { readonly cosigners: readonly Cosigner[] } | { readonly fault: WitnessFault; readonly reason: string };

/** A signed note that witnesses are asked to cosign. */
export interface Offer {
  readonly note: SignedNote;
  /** Whether it ends a segment: then a later note does not take its place. */
  readonly isKept: boolean;
}

export interface WitnessLinkOptions {
  readonly witness: Witness;
  /** Keys whose cosignatures count; an answer may hold lines of several. */
  readonly keys: readonly VerifierKey[];
  /** The consistency proof between two sizes of our tree, as it is stored. */
  readonly prove: (oldSize: number, size: number) => Promise<readonly Uint8Array[]>;
  readonly clock: Clock;
  /** Ends all work. */
  readonly signal: AbortSignal;
  readonly collected: (offer: Offer, cosigners: readonly Cosigner[]) => void;
  readonly failed: (fault: WitnessFault, reason: string) => void;
}

/** The talk with one witness, one question at a time. Nothing that it answers, or does not answer, reaches anybody but through `collected` and `failed`. */
export class WitnessLink {
  readonly #o: WitnessLinkOptions;
  /** Size that the witness knows, as far as we know. Only `#ask` and `#judge` set it. */
  #known = 0;
  #newest: Offer | undefined;
  readonly #owed: Offer[] = [];
  #working = false;

  constructor(options: WitnessLinkOptions) {
    this.#o = options;
  }

  get isIdle(): boolean {
    return !this.#working;
  }

  /** Asks for a cosignature of this note once the present question is answered. A later note takes its place, unless it ends a segment. */
  offer(offer: Offer): void {
    if (offer.isKept) this.#owed.push(offer);
    else this.#newest = offer;
    if (this.#owed.length > OWED) this.#owed.shift();
    if (!this.#working) void this.#work();
  }

  /** Asks until there is nothing left to ask for; waits after each failure. Never rejects. */
  async #work(): Promise<void> {
    const { signal, clock, failed, collected } = this.#o;
    this.#working = true;
    let failures = 0;
    for (let offer = this.#next(); offer !== undefined && !signal.aborted; offer = this.#next()) {
      const outcome = await this.#ask(offer.note);
      if (signal.aborted) break;
      if ('cosigners' in outcome) {
        failures = 0;
        this.#done(offer);
        collected(offer, outcome.cosigners);
        continue;
      }
      // What a witness holds against one kept note must not keep it from newer ones.
      if (outcome.fault !== 'unavailable' && offer.isKept) this.#done(offer);
      failures += 1;
      failed(outcome.fault, outcome.reason);
      await clock.sleep(waitAfter(failures, PACE), signal);
    }
    this.#working = false;
  }

  #next(): Offer | undefined {
    return this.#owed[0] ?? this.#newest;
  }

  #done(offer: Offer): void {
    if (this.#newest === offer) this.#newest = undefined;
    if (this.#owed[0] === offer) this.#owed.shift();
  }

  /** Asks for one note, from the size that the witness states. Every failure is an outcome. */
  async #ask({ note, size, origin }: SignedNote): Promise<Outcome> {
    const { text, signatures } = readNote(note);
    // Witnesses take small bodies: the log's own signatures, and no others.
    const own = signatures.filter(({ name }) => name === origin);
    try {
      for (let tries = 0; tries < TRIES; tries++) {
        const proof = await this.#o.prove(this.#known, size);
        if (proof.length > ADD_CHECKPOINT.proofLines) return { fault: 'proof', reason: `the proof has ${proof.length} lines` };
        const answer = await this.#o.witness.addCheckpoint(formatNote(text, own), this.#known, proof, this.#o.signal);
        if (answer.kind === 'cosigned') return this.#judge(text, size, answer.signatures);
        const before = this.#known;
        // After a refusal the witness tells again what it knows.
        this.#known = answer.kind === 'conflict' && answer.size <= size ? answer.size : 0;
        if (answer.kind === 'refused') return { fault: 'refused', reason: `it answers ${answer.status}: ${answer.reason}` };
        if (answer.size > size || answer.size === before)
          return {
            fault: 'conflict',
            reason: `it was asked about ${size} leaves from ${before} on, and says that it knows ${answer.size}`,
          };
      }
      return { fault: 'conflict', reason: `it stated another size ${TRIES} times` };
    } catch (error) {
      return { fault: 'unavailable', reason: messageOf(error) };
    }
  }

  /** The cosignatures in an answer; the witness then knows this size. */
  #judge(text: string, size: number, lines: string): Outcome {
    this.#known = 0;
    let answer: ReturnType<typeof readNote>;
    try {
      answer = readNote(`${text}\n${lines}`);
    } catch (error) {
      return { fault: 'unusable', reason: `its answer is not lines of signatures: ${messageOf(error)}` };
    }
    const { good, wrong } = cosignersOf(text, answer.signatures, this.#o.keys);
    if (answer.text !== text || wrong.length > 0 || good.length === 0)
      return { fault: 'unusable', reason: wrong[0]?.fact ?? 'its answer holds no cosignature by a key of the policy' };
    this.#known = size;
    return { cosigners: good };
  }
}
