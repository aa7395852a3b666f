import type { HeaderCheck } from '../core/acceptance/batch-check.ts';
import { isJudgedBefore, REASONS, type ReasonName, reasonName, reasonTraits } from '../core/base/reasons.ts';
import type { EvidenceInput } from '../core/formats/evidence.ts';
import { headerOf } from './proven-batch.ts';
import type { Refused, RefusedCounts } from './verdict.ts';

const KEPT_NAMES = 100;
const NONE: RefusedCounts = { messages: 0, events: 0, records: 0 };

/** Counts the refusals of an archive by reason and by producer. Its memory is bounded by the policies' keys and {@link KEPT_NAMES}. */
export class Refusals {
  readonly #byReason = new Map<number, RefusedCounts>();
  readonly #proven = new Map<string, RefusedCounts>();
  readonly #claimed = new Map<string, RefusedCounts>();
  #otherNames = NONE;
  #nameless = NONE;

  /** Takes an input of a block, with the check of its header. */
  take(input: EvidenceInput, check: HeaderCheck | undefined): void {
    const events = input.receipts.filter(({ outcome }) => outcome !== 'DUPLICATE');
    if (input.outcome !== 'REJECTED' && events.length === 0) return;
    const producer = check?.kind === 'proven' ? check.proven.header.producer : headerOf(input)?.producer;
    const whole = input.outcome === 'REJECTED' ? wholeCounts(input) : NONE;
    if (input.outcome === 'REJECTED') add(this.#byReason, input.reason, whole);
    for (const { reason } of events) add(this.#byReason, reason, { ...NONE, events: 1 });
    this.#attribute(producer, isSigned(check), { ...whole, events: events.length });
  }

  #attribute(producer: string | undefined, proven: boolean, refused: RefusedCounts): void {
    if (producer === undefined) this.#nameless = sum(this.#nameless, refused);
    else if (proven) add(this.#proven, producer, refused);
    else if (this.#claimed.size < KEPT_NAMES || this.#claimed.has(producer)) add(this.#claimed, producer, refused);
    else this.#otherNames = sum(this.#otherNames, refused);
  }

  report(): Refused {
    const named = (names: ReadonlyMap<string, RefusedCounts>, proven: boolean): Refused['byProducer'] =>
      [...names].map(([producer, counts]) => ({ producer, proven, ...counts }));
    const byProducer = [...named(this.#proven, true), ...named(this.#claimed, false)];
    const byReason = [...this.#byReason].toSorted(([a], [b]) => (a || Infinity) - (b || Infinity));
    return {
      ...[...this.#byReason.values()].reduce(sum, NONE),
      byReason: byReason.map(([reason, counts]) => ({ reason: nameOf(reason), ...counts })),
      byProducer: byProducer.toSorted((a, b) => total(b) - total(a) || (a.producer < b.producer ? -1 : 1)),
      otherNames: this.#otherNames,
      nameless: this.#nameless,
    };
  }
}

/** An event in conflict has no reason. */
function nameOf(reason: number): string {
  return reason === REASONS.NONE ? 'CONFLICT' : (reasonName(reason) ?? String(reason));
}

/** The number of messages that an entry refuses; of records where nobody can tell what they were. */
function wholeCounts({ reason, span }: EvidenceInput): RefusedCounts {
  return reasonTraits(reason)?.rejects === 'records' ? { ...NONE, records: span } : { ...NONE, messages: span };
}

/** Whether the check went beyond the signature of the header, so that its producer's key did sign it. */
export function isSigned(check: HeaderCheck | undefined): boolean {
  if (check === undefined) return false;
  return check.kind !== 'rejected' || isJudgedBefore('SIGNATURE_WRONG', reasonName(check.reason) as ReasonName);
}

function add<K>(counts: Map<K, RefusedCounts>, key: K, more: RefusedCounts): void {
  counts.set(key, sum(counts.get(key) ?? NONE, more));
}

function sum(a: RefusedCounts, b: RefusedCounts): RefusedCounts {
  return { messages: a.messages + b.messages, events: a.events + b.events, records: a.records + b.records };
}

function total({ messages, events, records }: RefusedCounts): number {
  return messages + events + records;
}
