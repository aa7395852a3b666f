import { utf8 } from '../core/bytes.ts';
import { LineproofError } from '../core/errors.ts';
import { frame } from '../core/framing.ts';
import type { Clock } from '../core/ports/clock.ts';
import { type Log, TOPICS } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { SchemaRegistry } from '../core/ports/schema-registry.ts';
import { SCHEMA_TEXTS } from '../core/schema-texts.ts';

const FIRST_BACKOFF_MS = 25;
const LAST_BACKOFF_MS = 5000;
const HEADERS = { 'content-type': utf8('application/avro') };

export interface SenderOptions {
  readonly origin: string;
  readonly producer: string;
  readonly log: Log;
  readonly registry: SchemaRegistry;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly appendTimeoutMs: number;
}

/** Sends a message until the log has acknowledged it. Its caller sends one at a time for each lane. */
export class BatchSender {
  readonly #options: SenderOptions;
  readonly #key: Uint8Array;
  #schemaId: number | undefined;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#key = utf8(options.producer);
  }

  /** Resolves once some try was acknowledged, a late answer included; rejects with CLOSED when `signal` aborts before. */
  async send(shard: number, payload: Uint8Array, signal: AbortSignal): Promise<void> {
    const { clock, metrics, logger } = this.#options;
    let backoffMs = FIRST_BACKOFF_MS;
    let arrived = false;
    const over = new AbortController();
    const attempt = async (): Promise<void> => {
      await this.#append(shard, payload);
      arrived = true;
      over.abort();
    };
    for (;;) {
      if (signal.aborted) throw new LineproofError('CLOSED', 'cannot send batch: the collector was closed');
      const timer = new AbortController();
      const fault = attempt().then(
        () => undefined,
        (error: unknown) => error ?? new LineproofError('UNAVAILABLE', 'cannot append: no reason given'),
      );
      const failed = await Promise.race([fault, this.#timeout(AbortSignal.any([signal, timer.signal, over.signal]))]);
      timer.abort();
      if (arrived) break;
      if (signal.aborted) continue;
      metrics.add('lineproof_collector_retries_total', 1);
      logger.warn('the log did not acknowledge a batch; sending it again', { shard, error: String(failed) });
      await clock.sleep(backoffMs * (0.5 + Math.random()), AbortSignal.any([signal, over.signal]));
      if (arrived) break;
      backoffMs = Math.min(2 * backoffMs, LAST_BACKOFF_MS);
    }
    metrics.add('lineproof_collector_batches_total', 1);
    metrics.add('lineproof_collector_sent_bytes_total', payload.length);
  }

  async #timeout(signal: AbortSignal): Promise<unknown> {
    await this.#options.clock.sleep(this.#options.appendTimeoutMs, signal);
    return 'no answer in time';
  }

  async #append(shard: number, payload: Uint8Array): Promise<void> {
    this.#schemaId ??= await this.#options.registry.register('lineproof.v1.SignedBatch', SCHEMA_TEXTS.SignedBatch);
    await this.#options.log.append(TOPICS.events, shard, [{ key: this.#key, value: frame(this.#schemaId, payload), headers: HEADERS }]);
  }
}
