import { frame } from '../core/avro/framing.ts';
import { SCHEMA_TEXTS } from '../core/avro/schema-texts.ts';
import { utf8 } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { LOG } from '../core/base/log-lines.ts';
import { TRACEPARENT } from '../core/base/traceparent.ts';
import type { Clock } from '../core/ports/clock.ts';
import { type Log, TOPICS } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { SchemaRegistry } from '../core/ports/schema-registry.ts';
import { LogClock } from './log-clock.ts';

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

/** Sends a message until the log has acknowledged it. The caller sends one message at a time for each lane. */
export class BatchSender {
  readonly #options: SenderOptions;
  readonly #key: Uint8Array;
  readonly logClock: LogClock;
  #schemaId: number | undefined;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#key = utf8(options.producer);
    this.logClock = new LogClock(options);
  }

  /** Resolves when any try was acknowledged, also by a late answer; rejects with CLOSED when `signal` aborts before. `traceparent` goes into the header of that name. */
  async send(shard: number, payload: Uint8Array, signal: AbortSignal, traceparent?: Uint8Array): Promise<void> {
    const { clock, metrics, logger, appendTimeoutMs } = this.#options;
    let backoffMs = FIRST_BACKOFF_MS;
    let arrived = false;
    // One controller for each wait, not AbortSignal.any: Node 20 leaks memory for every signal that is made from a signal with a long life.
    let wait = new AbortController();
    const wake = (): void => wait.abort();
    // Framed once: tries that the log never answers share these bytes.
    let value: Uint8Array | undefined;
    const headers = traceparent === undefined ? HEADERS : { ...HEADERS, [TRACEPARENT]: traceparent };
    const attempt = async (): Promise<void> => {
      value ??= frame(await this.#schema(), payload);
      const askedAt = clock.nowMicros();
      const { timestampMicros } = await this.#options.log.append(TOPICS.events, shard, [{ key: this.#key, value, headers }]);
      if (timestampMicros !== undefined) this.logClock.heard(askedAt, timestampMicros);
      arrived = true;
      wake();
    };
    signal.addEventListener('abort', wake);
    try {
      for (;;) {
        if (signal.aborted) throw new LineproofError('CLOSED', 'cannot send batch: the collector was closed');
        const timer = new AbortController();
        wait = timer;
        let failure: unknown = 'no answer in time';
        attempt().catch((error: unknown) => {
          failure = error;
          timer.abort();
        });
        await clock.sleep(appendTimeoutMs, timer.signal);
        if (arrived) break;
        if (signal.aborted) continue;
        metrics.add('lineproof_collector_retries_total', 1);
        logger.warn(LOG.batchSentAgain, { shard, error: String(failure) });
        wait = new AbortController();
        await clock.sleep(backoffMs * (0.5 + Math.random()), wait.signal);
        if (arrived) break;
        backoffMs = Math.min(2 * backoffMs, LAST_BACKOFF_MS);
      }
    } finally {
      signal.removeEventListener('abort', wake);
    }
    metrics.add('lineproof_collector_batches_total', 1);
    metrics.add('lineproof_collector_sent_bytes_total', payload.length);
  }

  async #schema(): Promise<number> {
    this.#schemaId ??= await this.#options.registry.register('lineproof.v1.SignedBatch', SCHEMA_TEXTS.SignedBatch);
    return this.#schemaId;
  }
}
