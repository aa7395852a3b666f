import type { BatchRules } from '../core/acceptance/batch-check.ts';
import { archiveAnchor } from '../core/archive/archive-anchor.ts';
import { equal, toHex } from '../core/base/bytes.ts';
import type { LineproofError } from '../core/base/errors.ts';
import { mustGoOn, type PastVisitor, visitChain } from '../core/chain/chain-history.ts';
import type { Sources } from '../core/chain/governance-source.ts';
import { eventDigests } from '../core/formats/event.ts';
import { EVENT_SCHEMA } from '../core/formats/event-schema.ts';
import type { Rejected } from '../core/formats/rejected.ts';
import type { VerifierKey } from '../core/keys/key.ts';
import type { ProducerInForce } from '../core/policy/policy-history.ts';
import type { Log } from '../core/ports/log.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import type { Signer } from '../core/ports/signer.ts';
import { visitArchive } from './archived-past.ts';
import {
  asRefusal,
  checkEvidence,
  judgeEvents,
  openRecord,
  type ProvenOrigin,
  type RejectedEvents,
  type Resent,
  refused,
  resubmitStream,
  type Withheld,
} from './resubmission.ts';
import { type ResubmissionSearch, searchFor } from './resubmission-search.ts';

/** The sources of a plan. */
export interface PlanOptions {
  readonly log: Log;
  /** The archive. */
  readonly objects: ObjectStore;
  readonly sources: Sources;
  /** Keys that the archive is verified by. */
  readonly pinned: readonly VerifierKey[];
  /** Signer of the events that are sent again. */
  readonly signer: Signer;
  /** Goes on even if part of the log's history is unavailable; an event may then be linked twice. */
  readonly partialHistory: boolean;
  readonly signal: AbortSignal;
}

/** The part of a shard's history that was seen. */
export interface Sight {
  readonly shard: number;
  /** Leaves that were not seen, from inclusive, to exclusive; undefined if all were. */
  readonly unseen: { readonly from: number; readonly to: number; readonly why: string } | undefined;
}

/** Which events of a refused message, or which refused event of a message, are sent, and which are not. */
export interface Plan {
  readonly opened: RejectedEvents;
  readonly origin: ProvenOrigin;
  readonly digests: readonly Uint8Array[];
  readonly sent: readonly Resent[];
  readonly linked: number;
  readonly withheld: readonly { readonly position: number; readonly reason: string }[];
  readonly sights: readonly Sight[];
}

/** What comes of each message of a refused record: of a run, some may be sent and others not. */
export interface RecordPlan {
  readonly plans: readonly Plan[];
  readonly refusals: readonly LineproofError[];
}

/** A message with its search, before and after the history is looked at. */
interface Searched {
  readonly opened: RejectedEvents;
  readonly search: ResubmissionSearch;
}

/**
 * Judges a refused record against the newest policy and all of the log's history that can be seen, which is looked at once for all of its messages.
 * Throws NOT_RESUBMITTABLE; of a run, only if none of its messages can be sent.
 */
export async function planResubmission(record: Rejected, options: PlanOptions): Promise<RecordPlan> {
  const { sources, signer } = options;
  const policy = sources.policies.latest;
  const sender = policy.producer(signer.name, signer.keyId);
  if (sender?.active !== true)
    throw refused(record, `${signer.verifierKey}, which would sign its events again, is not an ACTIVE producer key of the newest policy`);
  if (record.origin !== policy.policy.origin) throw refused(record, `its origin is ${JSON.stringify(record.origin)}`);
  const { opened, refusals } = openRecord(record, policy);
  const all = [...refusals];
  const searched = each(opened, all, (message) => ({ opened: message, search: searchOf(message, sources) }));
  const sights = await lookBack(
    searched.map(({ search }) => search),
    options,
  );
  const plans = onceEach(each(searched, all, (message) => planMessage(message, sights, sender, options)));
  const [first] = all;
  if (plans.length === 0 && first !== undefined) throw first;
  return { plans, refusals: all.toSorted((a, b) => offsetOf(a) - offsetOf(b)) };
}

/** Messages of a run may be copies of each other, as a producer makes them that gets no answer: the events of a later one are not sent again. */
function onceEach(plans: readonly Plan[]): Plan[] {
  const digests = new Set<string>();
  return plans.map((plan) => {
    const again = plan.sent.filter(({ digest }) => digests.has(toHex(digest)));
    for (const { digest } of plan.sent) digests.add(toHex(digest));
    if (again.length === 0) return plan;
    const copies = again.map(({ position }) => ({ position, reason: 'DUPLICATE' }));
    return {
      ...plan,
      sent: plan.sent.filter((event) => !again.includes(event)),
      withheld: [...plan.withheld, ...copies].toSorted((a, b) => a.position - b.position),
    };
  });
}

/** The results of `work`, and in `refusals` why there are none of others. */
function each<T, R>(items: readonly T[], refusals: LineproofError[], work: (item: T) => R): R[] {
  return items.flatMap((item) => {
    try {
      return [work(item)];
    } catch (error) {
      refusals.push(asRefusal(error));
      return [];
    }
  });
}

function offsetOf({ details }: LineproofError): number {
  return Number(details['inputOffset']);
}

function searchOf(opened: RejectedEvents, sources: Sources): ResubmissionSearch {
  const { record, batch, events } = opened;
  if (batch !== undefined) checkSchema(record, batch.header.schema, sources);
  const bytes = events.map((event) => event.bytes);
  return searchFor(opened, eventDigests(EVENT_SCHEMA.digest, bytes), EVENT_SCHEMA, sources.policies.latest.policy.shards);
}

function planMessage(
  { opened, search }: Searched,
  allSights: readonly Sight[],
  sender: ProducerInForce,
  { sources, partialHistory }: PlanOptions,
): Plan {
  const { record } = opened;
  const policy = sources.policies.latest;
  const sights = allSights.filter(({ shard }) => search.shards.includes(shard));
  const origin = checkEvidence(opened, search.evidence, policy);
  checkSchema(record, origin.header.schema, sources);
  if (search.accepted !== undefined)
    throw refused(record, `its header was ACCEPTED, at offset ${search.accepted.offset} of shard ${search.accepted.shard}: a replay`);
  const hidden = sights.find(({ unseen }) => unseen !== undefined);
  if (hidden?.unseen !== undefined && !partialHistory) {
    const { from, to, why } = hidden.unseen;
    const fact = `leaves ${from} to ${to - 1} of shard ${hidden.shard} cannot be seen (${why}), and its events may be there`;
    throw refused(record, `${fact}; use --partial-history to proceed nevertheless`);
  }
  const rules = { origin: record.origin, shards: policy.policy.shards, policy, eventSchema: () => EVENT_SCHEMA };
  return { ...divide(opened, origin, search, { sender, rules }), sights };
}

/** Another schema would give other digests, and then the first signature would not cover the events that are sent. */
function checkSchema(record: Rejected, schema: Uint8Array, sources: Sources): void {
  if (!sources.policies.latest.schemaInForce(EVENT_SCHEMA.hex) || !equal(schema, EVENT_SCHEMA.digest))
    throw refused(record, 'its event schema is not the one that this version writes, or is not in force');
}

/** Shows the searches all of the available history of their shards. */
async function lookBack(searches: readonly ResubmissionSearch[], { log, objects, sources, pinned, signal }: PlanOptions): Promise<Sight[]> {
  const { origin, shards } = sources.policies.latest.policy;
  const anchor = archiveAnchor(objects, sources, origin, shards);
  const sights: Sight[] = [];
  for (const shard of [...new Set(searches.flatMap((search) => search.shards))].toSorted((a, b) => a - b)) {
    const visitor = together(searches.filter((search) => search.shards.includes(shard)).map((search) => search.visitor(shard)));
    const snapshot = () => anchor.snapshot(shard);
    const to = await visitChain({ log, sources, shard, snapshot }, visitor, signal);
    const { end, obstacle } =
      to === 0 ? { end: 0, obstacle: undefined } : await visitArchive({ objects, sources, pinned, shard }, to, visitor, signal);
    mustGoOn(signal, shard);
    const why = obstacle ?? 'neither chain topic nor archive has them';
    sights.push({ shard, unseen: end >= to ? undefined : { from: end, to, why } });
  }
  return sights;
}

/** One visitor that shows everything to all of `visitors`. */
function together(visitors: readonly PastVisitor[]): PastVisitor {
  return {
    input: (generation, offset, input) => {
      for (const visitor of visitors) visitor.input(generation, offset, input);
    },
    link: (digest, head) => {
      for (const visitor of visitors) visitor.link(digest, head);
    },
  };
}

/** Which events go out: not those that are linked already, nor those that the log would refuse. */
function divide(
  opened: RejectedEvents,
  origin: ProvenOrigin,
  search: ResubmissionSearch,
  by: { readonly sender: ProducerInForce; readonly rules: Omit<BatchRules, 'shard'> },
): Omit<Plan, 'sights'> {
  const { digests, resent, withheld } = judgeEvents(opened.events, origin, { ...by, schema: EVENT_SCHEMA });
  const fresh = resent.filter(({ digest }) => !search.isLinked(digest));
  const taken = fresh.filter(({ head }) => search.isTaken(head)).map(({ position }) => ({ position, reason: 'CONFLICT' }));
  const sent = fresh.filter(({ head }) => !search.isTaken(head));
  const references = new Set(sent.map(({ shard }) => resubmitStream(shard)));
  for (const stream of references)
    if (by.rules.policy.permits(by.sender, stream, 'ATTEST') !== 'ok')
      throw refused(opened.record, `${by.sender.entry.key} may not publish ATTEST to ${stream}, where the reference goes`);
  const rest: readonly (Withheld | (typeof taken)[number])[] = [...withheld, ...taken];
  return {
    opened,
    origin,
    digests,
    sent,
    linked: resent.length - fresh.length,
    withheld: rest.toSorted((a, b) => a.position - b.position),
  };
}
