import { sha256 } from '#crypto';
import { decodeSignedBatch } from '../core/batch.ts';
import { type BatchRules, checkMessage } from '../core/batch-check.ts';
import { equal } from '../core/bytes.ts';
import { LineproofError } from '../core/errors.ts';
import type { EvidenceInput } from '../core/evidence.ts';
import { unframe } from '../core/framing.ts';
import type { Clock } from '../core/ports/clock.ts';
import { type Log, type LogRecord, TOPICS } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { SchemaRegistry } from '../core/ports/schema-registry.ts';
import type { Sources } from '../core/sources.ts';
import type { Intake } from './order.ts';

const KNOWN_IDS = 4096;

/** Tells whether a registry id stands for the SignedBatch schema; remembers what it was told, within a bound that hostile ids cannot outgrow. */
export class BatchSchemaIds {
  readonly #registry: SchemaRegistry;
  readonly #isBatchSchema: (text: string) => boolean;
  readonly #known = new Map<number, boolean>();

  constructor(registry: SchemaRegistry, isBatchSchema: (text: string) => boolean) {
    this.#registry = registry;
    this.#isBatchSchema = isBatchSchema;
  }

  /** Asks the registry for the ids of `values` that are new. Throws UNAVAILABLE when it does not answer: then the shard waits. */
  async learn(values: readonly Uint8Array[]): Promise<void> {
    for (const value of values) {
      const id = framedId(value);
      if (id === undefined || this.#known.has(id)) continue;
      const text = await this.#registry.get(id);
      if (this.#known.size >= KNOWN_IDS) for (const [old, good] of this.#known) if (!good) this.#known.delete(old);
      this.#known.set(id, text !== undefined && this.#isBatchSchema(text));
    }
  }

  readonly has = (id: number): boolean => this.#known.get(id) === true;
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
  readonly sources: Sources;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface ReadFrom {
  readonly offset: number;
  /** Whether the input before `offset` was consumed from this very topic, so that it cannot end before. */
  readonly consumed: boolean;
  /** `appendedAt` of the input before. */
  readonly appendedAt: number;
  readonly maxBytes: number;
  readonly waitMs: number;
}

/** What a read of the input gave: judged stretches from the wanted offset on, or the news that the log no longer holds it. */
export type IntakeRead =
  | { readonly kind: 'read'; readonly intakes: readonly Intake[] }
  | { readonly kind: 'trimmed'; readonly start: number };

/** Reads on in the input log and judges each message by itself. Throws LOG_BEHIND where the log ends before what was consumed. `appendedAt` never falls and never leads the clock by more than the skew. */
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
  const intakes: Intake[] = [];
  let { offset, appendedAt } = from;
  for (const record of records) {
    if (record.offset > offset) intakes.push({ kind: 'empty', offset, span: record.offset - offset, appendedAt });
    appendedAt = Math.max(appendedAt, boundedTime(options, record, rules));
    intakes.push({
      kind: 'message',
      offset: record.offset,
      appendedAt,
      value: record.value,
      check: await judge(options, record.value, rules, signal),
    });
    offset = record.offset + 1;
  }
  return { kind: 'read', intakes };
}

async function judge(
  options: IntakeOptions,
  value: Uint8Array,
  rules: BatchRules,
  signal: AbortSignal,
): Promise<Extract<Intake, { kind: 'message' }>['check']> {
  for (;;) {
    const check = checkMessage(value, rules, options.ids.has);
    if (check.kind !== 'hold') return check;
    await options.sources.obtain('schema', check.schema, signal);
  }
}

/** The log's time, lowered to the chainer's clock plus the skew where it leads by more. */
function boundedTime(options: IntakeOptions, record: LogRecord, rules: BatchRules): number {
  const limit = options.clock.nowMicros() + rules.policy.policy.clockSkewMs * 1000;
  if (record.timestampMicros <= limit) return record.timestampMicros;
  options.logger.error('time of the input log lowered: it leads this clock by more than clockSkew', {
    shard: options.shard,
    offset: record.offset,
    leadMs: Math.round((record.timestampMicros - limit) / 1000),
  });
  return limit;
}

function mustReach(shard: number, end: number, inputTo: number): void {
  if (inputTo <= end) return;
  throw new LineproofError(
    'LOG_BEHIND',
    `cannot go on: shard ${shard} of ${TOPICS.events} ends at ${end}, before offset ${inputTo} up to which it was consumed`,
    { shard, end, inputTo },
  );
}

/**
 * Makes sure that the input log still holds, before `inputTo`, the message that the last block consumed there:
 * an input topic that was made anew without a new generation is not read on. Throws LOG_BEHIND or LOG_DIVERGED.
 */
export async function checkInputAnchor(log: Log, shard: number, inputTo: number, last: EvidenceInput | undefined): Promise<void> {
  const { start, end } = await log.bounds(TOPICS.events, shard);
  mustReach(shard, end, inputTo);
  if (last === undefined || last.outcome === 'EMPTY' || inputTo - 1 < start) return;
  const [record] = await log.read(TOPICS.events, shard, inputTo - 1, { maxBytes: 1, waitMs: 0 });
  if (record?.offset === inputTo - 1 && isThatInput(record.value, last)) return;
  throw new LineproofError(
    'LOG_DIVERGED',
    `cannot go on: shard ${shard} of ${TOPICS.events} holds another message at offset ${inputTo - 1} than the one that was consumed; name a new input generation in the policy if the topic was made anew`,
    { shard, offset: inputTo - 1 },
  );
}

function isThatInput(value: Uint8Array, input: EvidenceInput): boolean {
  if (input.message !== null) return equal(sha256(value), input.message);
  try {
    return input.batch !== null && equal(decodeSignedBatch(unframe(value).payload).header, input.batch.header);
  } catch {
    return false;
  }
}
