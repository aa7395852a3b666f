import { type BatchRules, checkMessage } from '../core/acceptance/batch-check.ts';
import { unframe } from '../core/avro/framing.ts';
import { LOG } from '../core/base/log-lines.ts';
import { parseTraceparent, TRACEPARENT } from '../core/base/traceparent.ts';
import { Turns } from '../core/base/turns.ts';
import { ENTRY_OFFSETS } from '../core/formats/evidence.ts';
import type { Clock } from '../core/ports/clock.ts';
import { isRecord, type Log, type LogEntry, type LogRecord, offsetAfter, TOPICS } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { SchemaRegistry } from '../core/ports/schema-registry.ts';
import { mustReach } from './last-input.ts';
import type { Intake } from './order.ts';

const KNOWN_IDS = 4096;
/** Time for which the registry is not asked again about an id that it does not know. */
const UNKNOWN_MS = 5_000;
/** New ids about which one read asks the registry, and requests under way at a time: each is a connection of its own. */
const ASKS_OF_READ = 256;
const ASKS_AT_ONCE = 16;

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

  /**
   * Asks the registry for ids of `values` that are new. Returns how many of the first values can be judged then: strangers may write thousands of ids,
   * and the work on a shard must not wait for all of them at once. Throws UNAVAILABLE when the registry does not answer: then the shard waits.
   */
  async learn(values: readonly Uint8Array[]): Promise<number> {
    const wanted = new Set<number>();
    let known = 0;
    for (; known < values.length; known++) {
      const id = framedId(values[known] as Uint8Array);
      if (id === undefined || this.#good.has(id) || this.#isBad(id) || wanted.has(id)) continue;
      if (wanted.size === ASKS_OF_READ) break;
      wanted.add(id);
    }
    const ids = [...wanted];
    for (let at = 0; at < ids.length; at += ASKS_AT_ONCE) await Promise.all(ids.slice(at, at + ASKS_AT_ONCE).map((id) => this.#ask(id)));
    return known;
  }

  async #ask(id: number): Promise<void> {
    const text = await this.#registry.get(id);
    if (text !== undefined && this.#isBatchSchema(text)) {
      this.#good.add(id);
      return;
    }
    if (this.#bad.size >= KNOWN_IDS) this.#bad.clear();
    this.#bad.set(id, this.#clock.monotonicMs());
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
  readonly metrics: Metrics;
}

export interface ReadFrom {
  readonly offset: number;
  /** Whether the input before `offset` was consumed from this same topic, so that the topic cannot end before `offset`. */
  readonly consumed: boolean;
  readonly maxBytes: number;
  readonly waitMs: number;
}

/** Result of a read of the input: judged stretches from the wanted offset on without a hole, or the fact that the log no longer holds that offset. */
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
  const entries = await log.read(TOPICS.events, shard, from.offset, { maxBytes: from.maxBytes, waitMs: from.waitMs, signal });
  const first = entries[0];
  if (first === undefined || first.offset > from.offset) {
    const { start, end } = await log.bounds(TOPICS.events, shard);
    if (start > from.offset) return { kind: 'trimmed', start };
    if (from.consumed) mustReach(shard, end, from.offset);
  }
  const records = entries.filter(isRecord);
  const unknown = records[await ids.learn(records.map(({ value }) => value))];
  tellLead(options, entries, rules);
  return judge(options, unknown === undefined ? entries : entries.slice(0, entries.indexOf(unknown)), from.offset, rules);
}

/** Judges entries one by one, as stretches from `offset` on. Other work of the process gets its turn in between: judging may take seconds. */
async function judge({ ids, clock }: IntakeOptions, entries: readonly LogEntry[], from: number, rules: BatchRules): Promise<IntakeRead> {
  const intakes: Intake[] = [];
  let offset = from;
  const turns = new Turns(clock);
  for (const entry of entries) {
    await turns.next();
    const intake = entry.kind === 'record' ? intakeOf(entry, rules, ids) : entry;
    if (typeof intake === 'string') return { kind: 'read', intakes, held: intake };
    if (entry.offset > offset) intakes.push({ kind: 'empty', offset, span: Math.min(entry.offset - offset, ENTRY_OFFSETS) });
    // The next read begins with the rest of what is too long for one entry.
    if (entry.offset - offset > ENTRY_OFFSETS) break;
    intakes.push(intake.kind === 'unreadable' ? { ...intake, span: Math.min(intake.span, ENTRY_OFFSETS) } : intake);
    if (intake.kind === 'unreadable' && intake.span > ENTRY_OFFSETS) break;
    offset = offsetAfter(entry);
  }
  return { kind: 'read', intakes, held: undefined };
}

/** The judged message, or the digest of the event schema that it needs. */
function intakeOf({ offset, timestampMicros, value, headers }: LogRecord, rules: BatchRules, ids: BatchSchemaIds): Intake | string {
  const check = checkMessage(value, rules, ids.has);
  if (check.kind === 'hold') return check.schema;
  const traceparent = check.kind === 'proven' ? parseTraceparent(headers[TRACEPARENT]) : undefined;
  return { kind: 'message', offset, timestampMicros, value, check, traceparent };
}

/** Says how far times of the log lead our clock. More than the skew, which ordering does not take over, is an error: one of the two clocks is wrong. */
function tellLead({ logger, metrics, shard, clock }: IntakeOptions, entries: readonly LogEntry[], { policy }: BatchRules): void {
  if (entries.length === 0) return;
  const now = clock.nowMicros();
  const lead = entries.reduce((most, { timestampMicros }) => Math.max(most, timestampMicros - now), 0);
  metrics.set('lineproof_chainer_input_lead_seconds', lead / 1e6, { shard: String(shard) });
  const leadMs = Math.round(lead / 1000);
  if (leadMs > policy.policy.clockSkewMs) logger.error(LOG.inputTimeLowered, { shard, offset: entries[0]?.offset, leadMs });
}
