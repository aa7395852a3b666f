import { hasCode, LineproofError } from '../core/base/errors.ts';
import { LOG } from '../core/base/log-lines.ts';
import type { Sources } from '../core/chain/governance-source.ts';
import type { PolicyInForce } from '../core/policy/policy-history.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { DedupIndex } from '../core/ports/dedup-index.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Signer } from '../core/ports/signer.ts';

export interface FitnessOptions {
  readonly shard: number;
  readonly clock: Clock;
  readonly dedup: DedupIndex;
  readonly sources: Sources;
  readonly signer: Signer;
  readonly logger: Logger;
  readonly settings: {
    /** New policies are read at most this often. */
    readonly policyIntervalMs: number;
  };
}

/**
 * Whether this process is fit to order the shard: its clock dates blocks, and the index says which events were linked. If one of the two is wrong,
 * the process behaves as if it did not own the shard, until that is put right. Its fields change in `lookAround` only.
 */
export class Fitness {
  readonly #o: FitnessOptions;
  #lookedAroundMs = Number.NEGATIVE_INFINITY;
  #fit = true;
  /** Version of the policy that was logged last. */
  #toldPolicy = 0;

  constructor(options: FitnessOptions) {
    this.#o = options;
  }

  /** Whether clock and index were right at the last look. */
  get fit(): boolean {
    return this.#fit;
  }

  /** Reads new policies and checks clock and index, now and then. */
  async lookAround(): Promise<void> {
    const { clock, sources, settings } = this.#o;
    const now = clock.monotonicMs();
    if (now - this.#lookedAroundMs < settings.policyIntervalMs) return;
    this.#lookedAroundMs = now;
    if (await sources.refreshPolicies()) await sources.refreshSchemas();
    this.#tellPolicy();
    await this.#look();
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

  async #look(): Promise<void> {
    const { logger, shard } = this.#o;
    const problem = await this.#problem();
    if (problem !== undefined && this.#fit) logger.error(problem.message, { shard, ...problem.fields });
    if (problem === undefined && !this.#fit) logger.info(LOG.shardGoesOn, { shard });
    this.#fit = problem === undefined;
  }

  /** The fault of clock or index; undefined if there is none. If the two clocks differ by more than the policy allows, at least one of them is wrong. */
  async #problem(): Promise<{ readonly message: string; readonly fields: Readonly<Record<string, unknown>> } | undefined> {
    const { clock, dedup, sources } = this.#o;
    const before = clock.nowMicros();
    let theirs: number | undefined;
    try {
      theirs = await dedup.nowMicros();
    } catch (error) {
      if (!(error instanceof LineproofError && hasCode(error, 'INDEX_FORGETS'))) throw error;
      return { message: 'shard holds: the dedup index may forget', fields: { reason: error.message } };
    }
    const after = clock.nowMicros();
    const differMs = theirs === undefined ? 0 : Math.round(Math.max(0, before - theirs, theirs - after) / 1000);
    if (differMs <= sources.policies.latest.policy.clockSkewMs) return undefined;
    return { message: 'shard holds: this clock and the dedup index differ by more than clockSkew', fields: { differMs } };
  }
}
