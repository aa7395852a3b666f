import type { BatchRules } from '../core/acceptance/batch-check.ts';
import type { LogView } from '../core/acceptance/log-state.ts';
import { LineproofError } from '../core/base/errors.ts';
import type { Hold } from '../core/base/hold.ts';
import type { Sources } from '../core/chain/governance-source.ts';
import type { PolicyInForce } from '../core/policy/policy-history.ts';
import { TOPICS } from '../core/ports/log.ts';
import { type IntakeOptions, type IntakeRead, readIntake } from './intake.ts';
import { fitting, type Intake } from './order.ts';

/** Input for a few blocks. More judged input in memory would outlive the young generation of the heap, which costs more than reading it later. */
const READ_BYTES = 2 * 1024 * 1024;

export interface IntakeQueueOptions extends IntakeOptions {
  readonly origin: string;
  readonly shards: number;
  readonly sources: Sources;
  readonly hold: Hold;
}

/** The parts of the sequencer that decide from where input is read. */
export interface IntakeNeighbours {
  /** The view at the end of everything appended by us. */
  readonly top: () => LogView;
  /** Judges the chain up to its present end. */
  readonly tail: (signal: AbortSignal) => Promise<void>;
}

/** Where a block's input starts. */
interface InputStart {
  readonly inputGeneration: number;
  readonly inputTo: number;
}

/**
 * Input that was judged and is in no block yet, from the end of the last flight on. Its fields change only here: `fill` sets all three,
 * `remove` and `drop` shorten the input, and `obtainSchema` clears the missing schema that held it.
 */
export class IntakeQueue {
  readonly #o: IntakeQueueOptions;
  readonly #near: IntakeNeighbours;
  #intakes: readonly Intake[] = [];
  /**
   * The policy by which the input was judged and under which its block is sealed. A newer policy may become known between any two calls,
   * because the process's other shards read policies too. Then the input is judged again.
   */
  #policy: PolicyInForce | undefined;
  /** Digest of the missing event schema that is needed to judge the next message. */
  #held: string | undefined;

  constructor(options: IntakeQueueOptions, neighbours: IntakeNeighbours) {
    this.#o = options;
    this.#near = neighbours;
  }

  /** The policy that the input was judged by; set once {@link fill} was called. */
  get policy(): PolicyInForce {
    return this.#policy as PolicyInForce;
  }

  /** Whether a missing event schema holds the input. */
  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  /** The start of the next block's input: where the last block ended, or where the new input generation starts that the policy names. */
  get start(): InputStart {
    const { head } = this.#near.top();
    const { generation, firstOffsets } = this.policy.policy.inputGeneration;
    if (generation <= head.inputGeneration) return head;
    return { inputGeneration: generation, inputTo: firstOffsets[head.shard] ?? 0 };
  }

  /** As much input as surely fits into `maxBytes` of a block, in whole batches; at least one intake if there is any. It stays in the queue. */
  next(maxBytes: number): readonly Intake[] {
    return this.#intakes.slice(0, fitting(this.#intakes, maxBytes));
  }

  /** Removes the first `count` intakes, which are in a block now. */
  remove(count: number): void {
    this.#intakes = this.#intakes.slice(count);
  }

  /** Forgets the input: another block than ours may have consumed it. */
  drop(): void {
    this.#intakes = [];
  }

  /** Reads more input if none is left in the queue, and waits up to `waitMs` for it. STOP if the log lost input that was not consumed. */
  async fill(waitMs: number, signal: AbortSignal): Promise<void> {
    const policy = this.#o.sources.policies.latest;
    if (this.#policy !== policy) this.#intakes = [];
    this.#policy = policy;
    if (this.#intakes.length > 0) return;
    let read = await this.#read(waitMs, signal);
    if (read.kind === 'trimmed') {
      await this.#near.tail(signal);
      read = await this.#read(waitMs, signal);
    }
    if (read.kind === 'trimmed') {
      const { shard } = this.#o;
      const { inputTo } = this.start;
      throw new LineproofError(
        'LOG_DIVERGED',
        `cannot go on: shard ${shard} of ${TOPICS.events} starts at ${read.start}, messages from ${inputTo} on were trimmed before they were consumed`,
        { shard, start: read.start, inputTo },
      );
    }
    this.#intakes = read.intakes;
    this.#held = read.held;
    if (read.held === undefined || read.intakes.length > 0) this.#o.hold.wait(this, undefined);
  }

  /** Reads the missing event schema that holds up the input. Throws UNAVAILABLE if it cannot be read: this is our failure, so no producer's batch is rejected for it. */
  async obtainSchema(): Promise<void> {
    const { sources, hold } = this.#o;
    const hex = this.#held;
    this.#held = undefined;
    if (hex === undefined) return;
    await sources.refreshSchemas();
    if (sources.eventSchema(hex) !== undefined || !sources.policies.latest.schemaInForce(hex)) return;
    const text = `cannot judge the next message: the registry does not give event schema ${hex}, which is in force`;
    hold.wait(this, { reason: 'SCHEMA_MISSING', text });
    throw new LineproofError('UNAVAILABLE', text, { schema: hex });
  }

  #read(waitMs: number, signal: AbortSignal): Promise<IntakeRead> {
    const { inputGeneration, inputTo } = this.start;
    const consumed = inputGeneration === this.#near.top().head.inputGeneration;
    const { origin, shard, shards, sources } = this.#o;
    const rules: BatchRules = { origin, shard, shards, policy: this.policy, eventSchema: (hex) => sources.eventSchema(hex) };
    return readIntake(this.#o, { offset: inputTo, consumed, maxBytes: READ_BYTES, waitMs }, rules, signal);
  }
}
