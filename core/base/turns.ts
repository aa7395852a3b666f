/** A loop gives way this often: a record batch of Kafka holds thousands of records, and strangers may write any number of them. */
const TURN_MS = 20;

interface TurnClock {
  monotonicMs(): number;
  sleep(ms: number): Promise<void>;
}

/** Gives the other work of the process its turn within a long loop, such as the heartbeats that keep it in its group. */
export class Turns {
  readonly #clock: TurnClock;
  #endMs: number;

  constructor(clock: TurnClock) {
    this.#clock = clock;
    this.#endMs = clock.monotonicMs() + TURN_MS;
  }

  /** Called at each step of the loop; waits only if the turn is over. */
  async next(): Promise<void> {
    if (this.#clock.monotonicMs() < this.#endMs) return;
    await this.#clock.sleep(0);
    this.#endMs = this.#clock.monotonicMs() + TURN_MS;
  }
}
