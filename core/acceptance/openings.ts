import { Tally } from '../base/tally.ts';
import type { ProducerInForce } from '../policy/policy-history.ts';
import type { LogView } from './log-state.ts';

/**
 * The streams and lanes that a block opens, in the order of its input, under the caps of its policy. A stream counts for the producer of its first link, a lane
 * for its own, both by name; the cap is that of the key that signed the batch. What the block makes the state forget still counts.
 */
export class Openings {
  readonly #view: LogView;
  readonly #streams = new Tally();
  readonly #lanes = new Tally();

  constructor(view: LogView) {
    this.#view = view;
  }

  /** Whether the producer may open one more stream in this shard. */
  mayOpenStream({ verifier: { name }, entry }: ProducerInForce): boolean {
    return this.#view.streamsOf(name) + this.#streams.of(name) < entry.maxStreams;
  }

  /** Counts a stream that the producer opens, if it may. */
  openStream(producer: ProducerInForce): boolean {
    const may = this.mayOpenStream(producer);
    if (may) this.#streams.add(producer.verifier.name, 1);
    return may;
  }

  /** Whether the producer may open one more lane in this shard. */
  mayOpenLane({ verifier: { name }, entry }: ProducerInForce): boolean {
    return this.#view.lanesOf(name) + this.#lanes.of(name) < entry.maxLanes;
  }

  /** Counts a lane that the producer opens, if it may. */
  openLane(producer: ProducerInForce): boolean {
    const may = this.mayOpenLane(producer);
    if (may) this.#lanes.add(producer.verifier.name, 1);
    return may;
  }
}
