import type { LogHead } from '../core/acceptance/log-state.ts';
import { hasCode, LineproofError } from '../core/base/errors.ts';
import type { Held, Hold } from '../core/base/hold.ts';
import { LOG } from '../core/base/log-lines.ts';
import type { Sources } from '../core/chain/governance-source.ts';
import type { PolicyInForce } from '../core/policy/policy-history.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { DedupIndex } from '../core/ports/dedup-index.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { Signer } from '../core/ports/signer.ts';
import type { LogTime } from './log-time.ts';
import { isAhead, sealTime } from './seal-time.ts';

/** While the clocks of process and log differ, the log is asked for its time this often. */
const ASK_AGAIN_MS = 30_000;

export interface FitnessOptions {
  readonly shard: number;
  readonly clock: Clock;
  readonly dedup: DedupIndex;
  readonly sources: Sources;
  readonly signer: Signer;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Gets what is wrong, at each look. */
  readonly hold: Hold;
  readonly logTime: LogTime;
  readonly settings: {
    /** New policies are read at most this often. */
    readonly policyIntervalMs: number;
    /** False where the log dates records by this process's own clock. */
    readonly asksLogTime: boolean;
  };
}

interface Problem extends Held {
  readonly line: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/**
 * Whether this process is fit to order the shard: its clock dates blocks, and the index says which events were linked. If one of the two is wrong,
 * the process behaves as if it did not own the shard, until that is put right. Its fields change in `lookAround` and `dateSeal` only.
 */
export class Fitness {
  readonly #o: FitnessOptions;
  #lookedAroundMs = Number.NEGATIVE_INFINITY;
  #fit = true;
  /** Version of the policy that was logged last. */
  #toldPolicy = 0;
  #askedMs = Number.NEGATIVE_INFINITY;
  /** Whether the log's newest block was dated ahead of this clock when we looked last. */
  #isAhead = false;

  constructor(options: FitnessOptions) {
    this.#o = options;
  }

  /** Whether clock and index were right at the last look. */
  get fit(): boolean {
    return this.#fit;
  }

  /** Reads new policies and checks clock and index, now and then. */
  async lookAround(head: LogHead): Promise<void> {
    const { clock, sources, settings } = this.#o;
    const now = clock.monotonicMs();
    if (now - this.#lookedAroundMs < settings.policyIntervalMs) return;
    // Without an answer this look does not count as made: no block may come before it.
    await this.#askLogTime(now);
    this.#lookedAroundMs = now;
    if (await sources.refreshPolicies()) await sources.refreshSchemas();
    this.#tellPolicy();
    await this.#look(head);
  }

  /**
   * The `acceptedAt` of a block after `head`; undefined if our clock leads the log's by more than the policy's `clockSkew`, and then nothing is sealed:
   * a date in the future would stop segments from closing until that time has come.
   */
  dateSeal(head: LogHead, policy: PolicyInForce): number | undefined {
    const { clock, logger, shard } = this.#o;
    const now = clock.nowMicros();
    const problem = this.#lead(now, policy);
    if (problem !== undefined) {
      this.#tell(problem);
      return undefined;
    }
    const acceptedAt = sealTime(head, policy, now);
    const ahead = isAhead(acceptedAt, policy, now);
    if (ahead && !this.#isAhead) logger.error(LOG.logAhead, { shard, aheadSeconds: Math.round((acceptedAt - now) / 1e6) });
    this.#isAhead = ahead;
    return acceptedAt;
  }

  /** Asks for the log's time before the first seal, and again while a difference of the clocks holds the shard. */
  async #askLogTime(now: number): Promise<void> {
    const { logTime, settings, shard, clock, sources } = this.#o;
    const isKnown = logTime.latestMicros !== undefined && this.#lead(clock.nowMicros(), sources.policies.latest) === undefined;
    if (!settings.asksLogTime || isKnown || now - this.#askedMs < ASK_AGAIN_MS) return;
    await logTime.ask(shard);
    this.#askedMs = now;
  }

  /** The fault that this clock leads the log's by more than the policy allows. A log that dates records by this clock has no other. */
  #lead(now: number, { policy }: PolicyInForce): Problem | undefined {
    const { logTime, settings } = this.#o;
    const latest = settings.asksLogTime ? logTime.latestMicros : undefined;
    const leadMs = latest === undefined ? 0 : Math.round((now - latest) / 1000);
    if (leadMs <= policy.clockSkewMs) return undefined;
    const text = `this clock leads the log's by ${leadMs} ms, more than clockSkew`;
    return { reason: 'CLOCK_LEADS_LOG', text, line: LOG.clockLeadsLog, fields: { leadMs } };
  }

  /** STOP unless our key is an ACTIVE chainer key of the policy: otherwise every reader would ignore our blocks. */
  checkKey(policy: PolicyInForce): void {
    const { signer, shard } = this.#o;
    if (policy.chainer(signer.name, signer.keyId)?.active === true) return;
    throw new LineproofError(
      'CONFIG_INVALID',
      `cannot order shard ${shard}: ${signer.verifierKey} is not an ACTIVE chainer key in the newest policy`,
      { shard },
    );
  }

  /** Logs the policy that judges input from now on: an operator who publishes a policy waits for this line. */
  #tellPolicy(): void {
    const { logger, shard, sources } = this.#o;
    const { version } = sources.policies.latest.policy;
    if (version === this.#toldPolicy) return;
    this.#toldPolicy = version;
    logger.info(LOG.policyInForce, { shard, version });
  }

  async #look({ acceptedAt }: LogHead): Promise<void> {
    const { clock, sources, metrics, shard } = this.#o;
    metrics.set('lineproof_chainer_head_lead_seconds', Math.max(0, acceptedAt - clock.nowMicros()) / 1e6, { shard: String(shard) });
    this.#tell((await this.#problem()) ?? this.#lead(clock.nowMicros(), sources.policies.latest));
  }

  #tell(problem: Problem | undefined): void {
    const { logger, shard, hold } = this.#o;
    if (problem !== undefined && this.#fit) logger.error(problem.line, { shard, ...problem.fields });
    if (problem === undefined && !this.#fit) logger.info(LOG.shardGoesOn, { shard });
    hold.wait(this, problem);
    this.#fit = problem === undefined;
  }

  /** The fault of clock or index; undefined if there is none. If the two clocks differ by more than the policy allows, at least one of them is wrong. */
  async #problem(): Promise<Problem | undefined> {
    const { clock, dedup, sources } = this.#o;
    const before = clock.nowMicros();
    let theirs: number | undefined;
    try {
      theirs = await dedup.nowMicros();
    } catch (error) {
      if (!(error instanceof LineproofError && hasCode(error, 'INDEX_FORGETS'))) throw error;
      return { reason: 'INDEX_FORGETS', text: error.message, line: LOG.indexForgets, fields: { reason: error.message } };
    }
    const after = clock.nowMicros();
    const differMs = theirs === undefined ? 0 : Math.round(Math.max(0, before - theirs, theirs - after) / 1000);
    if (differMs <= sources.policies.latest.policy.clockSkewMs) return undefined;
    const text = `this clock and the dedup index differ by ${differMs} ms, more than clockSkew`;
    return { reason: 'CLOCKS_DIFFER', text, line: LOG.clocksDiffer, fields: { differMs } };
  }
}
