import type { AcceptedBlock } from '../core/acceptance/accept.ts';
import { type LogView, overlay } from '../core/acceptance/log-state.ts';
import { equal } from '../core/base/bytes.ts';
import { LineproofError, messageOf } from '../core/base/errors.ts';
import type { Hold } from '../core/base/hold.ts';
import { RefusalWatch } from '../core/base/retry.ts';
import { TRACEPARENT, type Traceparent } from '../core/base/traceparent.ts';
import { type Log, TOPICS } from '../core/ports/log.ts';
import type { BlockIdentities } from './block-identities.ts';

/** A block of ours that was built and that the acceptance function accepts. */
export interface BuiltFlight {
  /** The framed Kafka value. */
  readonly value: Uint8Array;
  readonly accepted: AcceptedBlock;
  readonly traces: readonly Traceparent[];
  readonly identities: BlockIdentities;
}

/** The outcome of an append. */
type AppendOutcome = { readonly offset: number } | { readonly error: unknown };

/** A block of ours that was appended and is not judged yet. */
export interface Flight extends BuiltFlight {
  /** View of the log after it. */
  readonly view: LogView;
  /** Offset that the append answered, or its error. Never rejects. */
  readonly append: Promise<AppendOutcome>;
  /** How often the chain was read to its end and showed neither this block nor another in its place. */
  readonly tries: number;
}

type MutableFlight = { -readonly [K in keyof Flight]: Flight[K] };

/** Our blocks in flight, oldest first. Only the methods of this class change the list and its items; the sequencer calls them. */
export class Flights {
  readonly #log: Pick<Log, 'append'>;
  readonly #shard: number;
  readonly #hold: Hold;
  #inflight: MutableFlight[] = [];
  /** Refusals of appends since a block last landed. */
  #refusals = new RefusalWatch();

  constructor(log: Pick<Log, 'append'>, shard: number, hold: Hold) {
    this.#log = log;
    this.#shard = shard;
    this.#hold = hold;
  }

  get count(): number {
    return this.#inflight.length;
  }

  get oldest(): Flight | undefined {
    return this.#inflight[0];
  }

  /** The view at the end of everything appended by us; `judged` if nothing is in flight. */
  top(judged: LogView): LogView {
    return this.#inflight.at(-1)?.view ?? judged;
  }

  /** Identities of each block in flight, oldest first. */
  get identities(): readonly BlockIdentities[] {
    return this.#inflight.map(({ identities }) => identities);
  }

  /** Appends a block that follows {@link top}, without waiting for the answer. */
  launch(built: BuiltFlight, top: LogView): void {
    const after = this.#inflight.at(-1)?.append;
    this.#inflight.push({ ...built, view: overlay(top, built.accepted.delta), append: this.#append(built, after), tries: 0 });
  }

  /** Removes and returns the oldest flight if its block has this seal. Otherwise removes nothing and returns undefined. */
  land(seal: Uint8Array): Flight | undefined {
    const [flight] = this.#inflight;
    if (flight === undefined || !equal(flight.accepted.delta.head.seal, seal)) return undefined;
    this.#inflight.shift();
    this.#hold.wait(this, undefined);
    this.#refusals = new RefusalWatch();
    return flight;
  }

  /** Forgets all flights: they follow a block that was not accepted. */
  forget(): void {
    this.#inflight = [];
    this.#hold.wait(this, undefined);
  }

  /** Notes the error of an append. Throws CONFIG_INVALID if the log refuses appends for so long that a person must act. */
  checkRefusal(error: unknown, nowMs: number): void {
    if (!(error instanceof LineproofError)) return;
    const judged = this.#refusals.judge(error, nowMs);
    if (judged !== error) throw judged;
  }

  /** Counts a try of the oldest flight, which the chain does not hold after this outcome, and holds the shard for it. Returns its number of tries so far. */
  countTry(outcome: AppendOutcome): number {
    const [flight] = this.#inflight;
    if (flight === undefined) return 0;
    const why = 'error' in outcome ? messageOf(outcome.error) : 'its append was answered, but the block is not there';
    this.#hold.wait(this, { reason: 'APPEND_UNCONFIRMED', text: `the chain topic does not take the next block: ${why}` });
    return ++flight.tries;
  }

  /** Appends all flights again, in order and with the same bytes: other blocks in their place could compete with them. */
  appendAgain(): void {
    let after: Promise<AppendOutcome> | undefined;
    for (const flight of this.#inflight) {
      flight.append = this.#append(flight, after);
      after = flight.append;
    }
  }

  /** Appends a block after the flight before it. If that append failed, this block is not sent, so that it cannot overtake the one before. */
  async #append({ value, traces }: BuiltFlight, after: Promise<AppendOutcome> | undefined): Promise<AppendOutcome> {
    const before = await after;
    if (before !== undefined && 'error' in before) return before;
    try {
      const headers = traces[0] === undefined ? {} : { [TRACEPARENT]: traces[0].header };
      return await this.#log.append(TOPICS.chain, this.#shard, [{ key: null, value, headers }]);
    } catch (error) {
      return { error };
    }
  }
}
