import type { AcceptedBlock } from '../core/acceptance/accept.ts';
import { LOG } from '../core/base/log-lines.ts';
import { REASONS, reasonName } from '../core/base/reasons.ts';
import type { Traceparent } from '../core/base/traceparent.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { Flight } from './flights.ts';

export interface ReportOptions {
  readonly shard: number;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Tells operators the outcome of one shard's blocks: metrics, and log lines with the traces that the blocks carry. */
export class BlockReport {
  readonly #o: ReportOptions;
  readonly #labels: { readonly shard: string };
  /** Whether the last word about appends was that the chain topic does not take them. */
  #isStuck = false;

  constructor(options: ReportOptions) {
    this.#o = options;
    this.#labels = { shard: String(options.shard) };
  }

  built(value: Uint8Array): void {
    this.#o.metrics.observe('lineproof_chainer_block_bytes', value.length, this.#labels);
  }

  /** Counts and logs a block that is on the chain now. `traces` may hold undefined for a block without a trace. */
  accepted(accepted: AcceptedBlock, offset: number, traces: readonly (Traceparent | undefined)[]): void {
    if (this.#isStuck) this.#o.logger.info(LOG.shardGoesOn, { shard: this.#o.shard });
    this.#isStuck = false;
    this.#count(accepted);
    this.#tell(accepted, offset, traces);
  }

  /** Another block was accepted in the place of ours. */
  lostRace(): void {
    this.#o.metrics.add('lineproof_chainer_lost_races_total', 1, this.#labels);
  }

  /** The append of our block was not confirmed: it may have taken effect or not. */
  unconfirmed({ traces }: Flight, error: unknown): void {
    this.#o.logger.warn(LOG.appendUnconfirmed, {
      shard: this.#o.shard,
      reason: String(error),
      trace_id: traces[0]?.traceId,
    });
  }

  /** Our block was appended again and again, but the chain topic does not hold it. */
  stuck({ traces }: Flight): void {
    this.#isStuck = true;
    this.#o.logger.error(LOG.shardHolds, {
      shard: this.#o.shard,
      reason: 'the chain topic does not take the next block',
      trace_id: traces[0]?.traceId,
    });
  }

  #count({ seal, links, inputs, delta }: AcceptedBlock): void {
    const { metrics } = this.#o;
    const labels = this.#labels;
    metrics.add('lineproof_chainer_blocks_total', 1, labels);
    metrics.add('lineproof_chainer_links_total', links.length, labels);
    let offset = seal.inputFrom;
    for (const input of inputs) {
      metrics.add('lineproof_chainer_inputs_total', input.span, { ...labels, outcome: input.outcome });
      if (input.outcome === 'REJECTED') this.#countRefused(input.reason, offset, input.span);
      for (const { outcome, reason } of input.receipts) {
        metrics.add('lineproof_chainer_receipts_total', 1, { ...labels, outcome });
        if (outcome === 'REJECTED') this.#countRefused(reason, offset, 1);
      }
      offset += input.span;
    }
    metrics.set('lineproof_chainer_size', delta.head.size, labels);
  }

  #countRefused(reason: number, offset: number, count: number): void {
    const { shard, logger, metrics } = this.#o;
    metrics.add('lineproof_chainer_refused_total', count, { ...this.#labels, reason: reasonName(reason) ?? String(reason) });
    if (reason === REASONS.LANE_FORK) logger.error(LOG.laneForked, { shard, offset });
  }

  /** A line for each trace that the block carries, so that a reader with a trace id finds its block. */
  #tell({ seal, links, delta }: AcceptedBlock, offset: number, traces: readonly (Traceparent | undefined)[]): void {
    const { firstIndex, inputFrom, inputTo } = seal;
    const block = { shard: this.#o.shard, offset, firstIndex, size: delta.head.size, links: links.length, inputFrom, inputTo };
    for (const trace of traces.length === 0 ? [undefined] : traces)
      this.#o.logger.debug('block accepted', { ...block, trace_id: trace?.traceId });
  }
}
