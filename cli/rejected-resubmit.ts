import { randomBytes } from '#crypto';
import { openS3ObjectStore } from '../adapters/s3-object-store.ts';
import { systemClock } from '../adapters/system-clock.ts';
import type { BatchRules } from '../core/acceptance/batch-check.ts';
import { archiveAnchor } from '../core/archive/archive-anchor.ts';
import { equal } from '../core/base/bytes.ts';
import { reasonName } from '../core/base/reasons.ts';
import { mustGoOn, visitChain } from '../core/chain/chain-history.ts';
import type { Sources } from '../core/chain/governance-source.ts';
import { type Event, eventDigests } from '../core/formats/event.ts';
import { EVENT_SCHEMA } from '../core/formats/event-schema.ts';
import { newEventId } from '../core/formats/identity.ts';
import type { Rejected } from '../core/formats/rejected.ts';
import { parseVerifierKey } from '../core/keys/key.ts';
import type { ProducerInForce } from '../core/policy/policy-history.ts';
import type { Signer } from '../core/ports/signer.ts';
import {
  checkEvidence,
  judgeEvents,
  openRejected,
  type ProvenOrigin,
  type RejectedEvents,
  type Resent,
  referenceEvent,
  refused,
  resubmitStream,
  type Withheld,
} from '../resubmit/resubmission.ts';
import { type ResubmissionSearch, searchFor } from '../resubmit/resubmission-search.ts';
import { visitArchive } from '../resubmit/archived-past.ts';
import { type ClusterReaders, s3Settings } from '../cluster/readers.ts';
import { DRAIN_MS, openClusterCollector } from '../cluster/spooling-collector.ts';
import { pinnedRoot, readKey } from '../cluster/keys.ts';
import type { ClusterSettings } from '../settings/cluster-settings.ts';
import type { Terminal } from './command.ts';
import { EXIT } from './exit-codes.ts';

export interface ResubmitOptions {
  readonly settings: ClusterSettings;
  readonly cluster: ClusterReaders;
  readonly terminal: Terminal;
  /** `SHARD/OFFSET` on `provenance.rejected`. */
  readonly place: string;
  readonly dryRun: boolean;
  /** Also where part of the log's history cannot be seen any more. */
  readonly partialHistory: boolean;
  readonly json: boolean;
}

/** What a shard's history was seen of. */
interface Sight {
  readonly shard: number;
  /** Leaves that were not seen, from inclusive, to exclusive; undefined where all were. */
  readonly unseen: { readonly from: number; readonly to: number; readonly why: string } | undefined;
}

interface Plan {
  readonly opened: RejectedEvents;
  readonly origin: ProvenOrigin;
  readonly digests: readonly Uint8Array[];
  readonly sent: readonly Resent[];
  readonly linked: number;
  readonly withheld: readonly { readonly position: number; readonly reason: string }[];
  readonly sights: readonly Sight[];
}

/** Sends the events of what was refused anew, under this process's key. Throws NOT_RESUBMITTABLE; gives the exit code. */
export async function resubmit(record: Rejected, options: ResubmitOptions): Promise<number> {
  const { settings, cluster } = options;
  const signer = await readKey(settings, 'collector');
  const sources = await cluster.sources();
  await sources.refreshSchemas();
  const plan = await planOf(record, signer, sources, options);
  // With nothing to send as well: what an earlier call left in the spool must not lie there until the log forgot that it has it.
  if (!options.dryRun && !(await send(plan, signer, sources, options))) {
    options.terminal.stderr.write('lineproof: not everything reached the log; it stays in the spool: run the same command again\n');
    return EXIT.io;
  }
  tell(plan, options);
  return plan.withheld.length === 0 ? EXIT.ok : EXIT.findings;
}

async function planOf(record: Rejected, signer: Signer, sources: Sources, options: ResubmitOptions): Promise<Plan> {
  const policy = sources.policies.latest;
  const sender = policy.producer(signer.name, signer.keyId);
  if (sender?.active !== true)
    throw refused(record, `${signer.verifierKey}, which would sign anew, is no ACTIVE producer key in the newest policy`);
  if (record.origin !== policy.policy.origin) throw refused(record, `it is of ${JSON.stringify(record.origin)}`);
  const opened = openRejected(record, policy);
  if (opened.batch !== undefined) checkSchema(record, opened.batch.header.schema, sources);
  const bytes = opened.events.map((event) => event.bytes);
  const search = searchFor(opened, eventDigests(EVENT_SCHEMA.digest, bytes), EVENT_SCHEMA, policy.policy.shards);
  const sights = await lookBack(search, sources, options);
  const origin = checkEvidence(opened, search.evidence, policy);
  checkSchema(record, origin.header.schema, sources);
  if (search.accepted !== undefined)
    throw refused(record, `its header was ACCEPTED, at offset ${search.accepted.offset} of shard ${search.accepted.shard}: a replay`);
  const hidden = sights.find(({ unseen }) => unseen !== undefined);
  if (hidden?.unseen !== undefined && !options.partialHistory) {
    const { from, to, why } = hidden.unseen;
    const fact = `leaves ${from} to ${to - 1} of shard ${hidden.shard} cannot be seen (${why}), and its events may be there`;
    throw refused(record, `${fact}; --partial-history goes on all the same`);
  }
  const { shards } = policy.policy;
  const rules = { origin: record.origin, shards, policy, eventSchema: () => EVENT_SCHEMA };
  return { ...divide(opened, origin, search, { sender, rules }), sights };
}

/** Another schema would give other digests, and what was signed first would not be found in what is sent. */
function checkSchema(record: Rejected, schema: Uint8Array, sources: Sources): void {
  if (!sources.policies.latest.schemaInForce(EVENT_SCHEMA.hex) || !equal(schema, EVENT_SCHEMA.digest))
    throw refused(record, 'its event schema is not the one that this version writes, or is not in force');
}

/** Shows the search all that can be seen of the shards that it asks for. */
async function lookBack(search: ResubmissionSearch, sources: Sources, { settings, cluster, terminal }: ResubmitOptions): Promise<Sight[]> {
  const { origin, shards } = sources.policies.latest.policy;
  const objects = openS3ObjectStore(s3Settings(settings));
  const pinned = [pinnedRoot(settings)].flatMap((key) => (key === undefined ? [] : [parseVerifierKey(key)]));
  const anchor = archiveAnchor(objects, sources, origin, shards);
  const sights: Sight[] = [];
  try {
    for (const shard of search.shards) {
      const visitor = search.visitor(shard);
      const snapshot = () => anchor.snapshot(shard);
      const to = await visitChain({ log: cluster.log, sources, shard, snapshot }, visitor, terminal.signal);
      const { end, obstacle } =
        to === 0 ? { end: 0, obstacle: undefined } : await visitArchive({ objects, sources, pinned, shard }, to, visitor, terminal.signal);
      mustGoOn(terminal.signal, shard);
      const why = obstacle ?? 'neither chain topic nor archive has them';
      sights.push({ shard, unseen: end >= to ? undefined : { from: end, to, why } });
    }
  } finally {
    await objects.close();
  }
  return sights;
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

/** Records, for each shard, the reference and the events behind it. COMMIT POINT: all of it is in the spool. True when the log has it. */
async function send(plan: Plan, signer: Signer, sources: Sources, { settings, cluster }: ResubmitOptions): Promise<boolean> {
  const { policy } = sources.policies.latest;
  const { collector, release } = await openClusterCollector({ settings, cluster, policy, signer, name: 'resubmit' });
  try {
    for (const shard of new Set(plan.sent.map((event) => event.shard))) collector.record(reference(plan, signer.name, shard));
    for (const { bytes } of plan.sent) collector.record(EVENT_SCHEMA.decode(bytes));
    return await collector.close(DRAIN_MS);
  } finally {
    await release();
  }
}

function reference({ opened, origin, digests }: Plan, sender: string, shard: number): Event {
  const occurredAt = systemClock.nowMicros();
  const id = newEventId(occurredAt, randomBytes(10));
  return referenceEvent(opened.record, origin, { id, occurredAt, sender, shard, digests });
}

function tell({ opened, origin, sent, linked, withheld, sights }: Plan, { terminal, place, dryRun, json }: ResubmitOptions): void {
  const reason = reasonName(opened.record.reason) ?? String(opened.record.reason);
  const { producer } = origin.header;
  if (json) {
    const row = { place, reason, producer, dryRun, sent: sent.length, linked, withheld, history: sights };
    terminal.stdout.write(`${JSON.stringify(row)}\n`);
    return;
  }
  const verb = dryRun ? 'would send' : 'sent';
  terminal.stdout.write(
    `${place} ${reason} of ${producer}: ${verb} ${sent.length}, linked already ${linked}, withheld ${withheld.length}\n`,
  );
  for (const { position, reason: why } of withheld) terminal.stdout.write(`  event ${position} would not be linked: ${why}\n`);
  for (const { shard, unseen } of sights)
    if (unseen !== undefined)
      terminal.stderr.write(`lineproof: leaves ${unseen.from} to ${unseen.to - 1} of shard ${shard} were not seen: ${unseen.why}\n`);
}
