import { type BatchRules, checkMessage } from '../core/acceptance/batch-check.ts';
import { unframe } from '../core/avro/framing.ts';
import { LOG } from '../core/base/log-lines.ts';
import { parseTraceparent, TRACEPARENT } from '../core/base/traceparent.ts';
import type { Clock } from '../core/ports/clock.ts';
import { type Log, type LogRecord, TOPICS } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { SchemaRegistry } from '../core/ports/schema-registry.ts';
import { mustReach } from './last-input.ts';
import type { Intake } from './order.ts';

const KNOWN_IDS = 4096;
/** Time for which the registry is not asked again about an id that it does not know. */
const UNKNOWN_MS = 5_000;

/** Tells whether a registry id means the SignedBatch schema. It remembers answers, within a bound that hostile ids cannot exceed. */
export class BatchSchemaIds {
  readonly #registry: SchemaRegistry;
  readonly #isBatchSchema: (text: string) => boolean;
  readonly #clock: Clock;
  readonly #good = new Set<number>();
  /** Ids that are unknown or mean another schema, with the time of the request: a schema may be registered later. */
  readonly #bad = new Map<number, number>();

  constructor(registry: SchemaRegistry, isBatchSchema: (text: string) => boolean, clock: Clock) {
    this.#registry = registry;
    this.#isBatchSchema = isBatchSchema;
    this.#clock = clock;
  }

  /** Asks the registry for the ids of `values` that are new. Throws UNAVAILABLE when it does not answer: then the shard waits. */
  async learn(values: readonly Uint8Array[]): Promise<void> {
    for (const value of values) {
      const id = framedId(value);
      if (id === undefined || this.#good.has(id) || this.#isBad(id)) continue;
      const text = await this.#registry.get(id);
      if (text !== undefined && this.#isBatchSchema(text)) {
        this.#good.add(id);
        continue;
      }
      if (this.#bad.size >= KNOWN_IDS) this.#bad.clear();
      this.#bad.set(id, this.#clock.monotonicMs());
    }
  }

  readonly has = (id: number): boolean => this.#good.has(id);

  #isBad(id: number): boolean {
    const askedMs = this.#bad.get(id);
    return askedMs !== undefined && this.#clock.monotonicMs() - askedMs < UNKNOWN_MS;
  }
}

function framedId(value: Uint8Array): number | undefined {
  try {
    return unframe(value).schemaId;
  } catch {
    return undefined;
  }
}

export interface IntakeOptions {
  readonly shard: number;
  readonly log: Log;
  readonly ids: BatchSchemaIds;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface ReadFrom {
  readonly offset: number;
  /** Whether the input before `offset` was consumed from this same topic, so that the topic cannot end before `offset`. */
  readonly consumed: boolean;
  readonly maxBytes: number;
  readonly waitMs: number;
}

/** Result of a read of the input: judged stretches from the wanted offset on, or the fact that the log no longer holds that offset. */
export type IntakeRead =
  | {
      readonly kind: 'read';
      readonly intakes: readonly Intake[];
      /** Digest of the event schema that the next message needs: it is in force, but not available right now. */
      readonly held: string | undefined;
    }
  | { readonly kind: 'trimmed'; readonly start: number };

/**
 * Reads on in the input log and judges each message by itself.
 * Throws LOG_BEHIND if the log ends before the consumed offset.
 */
export async function readIntake(options: IntakeOptions, from: ReadFrom, rules: BatchRules, signal: AbortSignal): Promise<IntakeRead> {
  const { log, shard, ids } = options;
  const records = await log.read(TOPICS.events, shard, from.offset, { maxBytes: from.maxBytes, waitMs: from.waitMs, signal });
  const first = records[0];
  if (first === undefined || first.offset > from.offset) {
    const { start, end } = await log.bounds(TOPICS.events, shard);
    if (start > from.offset) return { kind: 'trimmed', start };
    if (from.consumed) mustReach(shard, end, from.offset);
  }
  await ids.learn(records.map(({ value }) => value));
  alarmOfLead(options, records, options.clock.nowMicros() + rules.policy.policy.clockSkewMs * 1000);
  const intakes: Intake[] = [];
  let { offset } = from;
  for (const record of records) {
    const check = checkMessage(record.value, rules, ids.has);
    if (check.kind === 'hold') return { kind: 'read', intakes, held: check.schema };
    if (record.offset > offset) intakes.push({ kind: 'empty', offset, span: record.offset - offset });
    const traceparent = check.kind === 'proven' ? parseTraceparent(record.headers[TRACEPARENT]) : undefined;
    const { timestampMicros, value } = record;
    intakes.push({ kind: 'message', offset: record.offset, timestampMicros, value, check, traceparent });
    offset = record.offset + 1;
  }
  return { kind: 'read', intakes, held: undefined };
}

/** Logs an error if times of the log lead our clock by more than the skew, which ordering does not take over: one of the two clocks is wrong. */
function alarmOfLead({ logger, shard }: IntakeOptions, records: readonly LogRecord[], latest: number): void {
  const lead = records.reduce((most, { timestampMicros }) => Math.max(most, timestampMicros - latest), 0);
  if (lead === 0) return;
  logger.error(LOG.inputTimeLowered, {
    shard,
    offset: records[0]?.offset,
    leadMs: Math.round(lead / 1000),
  });
}
