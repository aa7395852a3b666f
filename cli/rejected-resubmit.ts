import { randomBytes } from '#crypto';
import { systemClock } from '../adapters/system-clock.ts';
import { pinnedRoot, readKey } from '../cluster/keys.ts';
import { openObjectStore } from '../cluster/open-object-store.ts';
import type { ClusterReaders } from '../cluster/readers.ts';
import { DRAIN_MS, openClusterCollector } from '../cluster/spooling-collector.ts';
import type { LineproofError } from '../core/base/errors.ts';
import { reasonName } from '../core/base/reasons.ts';
import { printable, terminalJson } from '../core/base/terminal-text.ts';
import type { Sources } from '../core/chain/governance-source.ts';
import type { Event } from '../core/formats/event.ts';
import { EVENT_SCHEMA } from '../core/formats/event-schema.ts';
import { newEventId } from '../core/formats/identity.ts';
import type { Rejected } from '../core/formats/rejected.ts';
import { parseVerifierKey } from '../core/keys/key.ts';
import type { Signer } from '../core/ports/signer.ts';
import { type Plan, planResubmission, type RecordPlan } from '../resubmit/plan.ts';
import { referenceEvent } from '../resubmit/resubmission.ts';
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
  /** Proceeds even if part of the log's history is unavailable. */
  readonly partialHistory: boolean;
  readonly json: boolean;
}

/** Sends the events of a refused record again, under this process's key. Throws NOT_RESUBMITTABLE; gives the exit code. */
export async function resubmit(record: Rejected, options: ResubmitOptions): Promise<number> {
  const { settings, cluster } = options;
  const signer = await readKey(settings, 'collector');
  const sources = await cluster.sources();
  await sources.refreshSchemas();
  const { plans, refusals } = await plannedOver(record, signer, sources, options);
  // Sends even if the plans are empty: events that an earlier call left in the spool must reach the log before their identities leave the dedup window.
  if (!options.dryRun && !(await send(plans, signer, sources, options))) {
    options.terminal.stderr.write('lineproof: not everything reached the log; it stays in the spool: run the same command again\n');
    return EXIT.io;
  }
  for (const plan of plans) tell(plan, options);
  for (const refusal of refusals) tellRefusal(refusal, options);
  return refusals.length === 0 && plans.every(({ withheld }) => withheld.length === 0) ? EXIT.ok : EXIT.findings;
}

/** The plans, made with the archive that the settings name. */
async function plannedOver(record: Rejected, signer: Signer, sources: Sources, options: ResubmitOptions): Promise<RecordPlan> {
  const { settings, cluster, partialHistory, terminal } = options;
  const objects = await openObjectStore(settings);
  try {
    const pinned = [pinnedRoot(settings)].flatMap((key) => (key === undefined ? [] : [parseVerifierKey(key)]));
    return await planResubmission(record, { log: cluster.log, objects, sources, pinned, signer, partialHistory, signal: terminal.signal });
  } finally {
    await objects.close();
  }
}

/** Records, for each message and shard, the reference and then the events. COMMIT POINT: all of them are in the spool. True when the log has them. */
async function send(plans: readonly Plan[], signer: Signer, sources: Sources, { settings, cluster }: ResubmitOptions): Promise<boolean> {
  const { policy } = sources.policies.latest;
  const { collector, release } = await openClusterCollector({ settings, cluster, policy, signer, name: 'resubmit' });
  try {
    for (const plan of plans) {
      for (const shard of new Set(plan.sent.map((event) => event.shard))) collector.record(reference(plan, signer.name, shard));
      for (const { bytes } of plan.sent) collector.record(EVENT_SCHEMA.decode(bytes));
    }
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
  const { inputOffset } = opened.record;
  if (json) {
    const row = { place, inputOffset, reason, producer, dryRun, sent: sent.length, linked, withheld, history: sights };
    terminal.stdout.write(`${terminalJson(row)}\n`);
    return;
  }
  const verb = dryRun ? 'would send' : 'sent';
  terminal.stdout.write(
    `${place}${opened.kept.span > 1 ? ` message ${inputOffset}` : ''} ${reason} of ${printable(producer)}: ${verb} ${sent.length}, linked already ${linked}, withheld ${withheld.length}\n`,
  );
  for (const { position, reason: why } of withheld) terminal.stdout.write(`  event ${position} would not be linked: ${why}\n`);
  for (const { shard, unseen } of sights)
    if (unseen !== undefined)
      terminal.stderr.write(`lineproof: leaves ${unseen.from} to ${unseen.to - 1} of shard ${shard} were not seen: ${unseen.why}\n`);
}

/** Tells of a message of a run that cannot be sent. Its writer chose the name of its signer, which the reason may quote. */
export function tellRefusal(
  { message, details }: LineproofError,
  { terminal, place, json }: Pick<ResubmitOptions, 'terminal' | 'place' | 'json'>,
): void {
  if (json) terminal.stdout.write(`${terminalJson({ place, inputOffset: details['inputOffset'], refused: message })}\n`);
  else terminal.stderr.write(`${printable(`lineproof: ${message}`)}\n`);
}
