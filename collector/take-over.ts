import { sha256 } from '#crypto';
import { toHex } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { LOG } from '../core/base/log-lines.ts';
import type { EventTrace } from '../core/formats/event.ts';
import type { EventSchema } from '../core/formats/event-schema.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { FileSpool } from './file-spool.ts';
import type { Lane } from './lane.ts';
import { traceOf } from './lane-queue.ts';
import { EVENT_HEAD_BYTES, type LeftEpoch, type LeftEvent, Leftovers, LeftPlan, leftEvent, type PlannedBatch } from './spool-payload.ts';
import { RECORD } from './spool-record.ts';

/** Bytes that a start moves before it waits for the disk. */
const MOVE_BYTES = 16 * 1024 * 1024;
const NOTHING = new Uint8Array(0);

/** The collector that takes over what earlier starts left. */
export interface TakeOverOptions {
  readonly spool: FileSpool;
  readonly origin: string;
  readonly lanes: readonly Lane[];
  readonly eventSchema: EventSchema;
  readonly logger: Logger;
  /** Receives the earlier epochs whose lanes a heartbeat must still end. */
  readonly earlier: LeftEpoch[];
  /** Payload of the state record: the lanes of this epoch and of `earlier`. */
  state(): Uint8Array;
  /** Spools an event under this epoch and queues it. */
  add(stream: string, bytes: Uint8Array, trace: EventTrace | null): void;
  /** Called for each batch that is given up. */
  damaged(): void;
}

export interface TakenOver {
  /** Events of earlier starts that go under this epoch. */
  readonly moved: number;
  /** Batches of earlier starts that are sent as they are. */
  readonly batches: number;
}

/**
 * Reads what earlier starts left and queues it: whole batches as they are, and all other events under this epoch.
 * A crash at any point leaves each event in at least one epoch: a segment is released only after all that moves from it is durable elsewhere.
 */
export async function takeOver(options: TakeOverOptions): Promise<TakenOver> {
  const { spool } = options;
  const leftovers = new Leftovers();
  spool.recover((segment, records) => leftovers.add(segment, records));
  const plans = [...leftovers.epochs.values()].map((epoch) => new LeftPlan(epoch));
  let batches = 0;
  for (const plan of plans) batches += adoptEpoch(plan, options);
  // The first append opens this start's first segment, which restates the lanes of the earlier epochs.
  if (leftovers.epochs.size > 0) spool.append(RECORD.state, options.state(), NOTHING, false);
  // A start that was killed while it moved events left them under two epochs.
  const seen = plans.filter(({ epoch }) => !epoch.moved).length > 1 ? new Set<string>() : undefined;
  let moved = 0;
  for (const plan of plans) {
    const own = await moveEvents(plan, seen, options);
    moved += own;
    if (own > 0) spool.append(RECORD.moved, plan.epoch.epoch, NOTHING, false);
    // Commit point of one epoch's move.
    await spool.durable();
    for (const segment of plan.epoch.segments) spool.releaseFrom(segment);
  }
  await spool.durable();
  spool.collect();
  return { moved, batches };
}

/** Queues an epoch's whole batches and holds its segments; gives the number of batches. */
function adoptEpoch(plan: LeftPlan, options: TakeOverOptions): number {
  const { spool, logger } = options;
  if (plan.hasBatches) for (const { event } of leftEvents(spool, plan.epoch)) plan.show(event);
  for (const { header } of plan.broken) {
    options.damaged();
    const fields = { code: 'SPOOL_DAMAGED', shard: header.shard, number: header.number };
    logger.error(LOG.spoolBatchGivenUp, fields);
  }
  const { batches } = plan;
  for (const planned of batches) adopt(planned, options);
  // Held until all that moves from it is elsewhere.
  for (const segment of plan.epoch.segments) segment.live++;
  if (!plan.epoch.done && plan.epoch.lanes.size > 0) options.earlier.push(plan.epoch);
  plan.epoch.batches.length = 0;
  return batches.length;
}

function adopt(planned: PlannedBatch, { lanes, origin }: TakeOverOptions): void {
  const lane = lanes[planned.header.shard];
  if (lane === undefined || planned.header.origin !== origin) {
    throw new LineproofError(
      'CONFIG_INVALID',
      `cannot open spool: it holds a batch for shard ${planned.header.shard} of ${planned.header.origin}, and this collector writes to ${lanes.length} shards of ${origin}`,
    );
  }
  lane.left.push(planned);
  planned.segment.live++;
  for (const { segment } of planned.events) segment.live++;
}

/** Records under this epoch, segment by segment, the events that an earlier epoch left without a batch; gives their number. */
async function moveEvents(plan: LeftPlan, seen: Set<string> | undefined, options: TakeOverOptions): Promise<number> {
  const { spool, eventSchema } = options;
  let moved = 0;
  if (plan.epoch.moved) return moved;
  for (const { event, payload } of leftEvents(spool, plan.epoch)) {
    if (!plan.isToMove(event)) continue;
    const bytes = payload.slice(EVENT_HEAD_BYTES);
    const digest = seen === undefined ? '' : toHex(sha256(bytes));
    if (seen?.has(digest) === true) continue;
    seen?.add(digest);
    options.add(eventSchema.readHead(bytes).stream, bytes, traceOf(eventSchema, bytes));
    moved++;
    if (spool.unwritten > MOVE_BYTES) await spool.durable();
  }
  return moved;
}

/** Events of an epoch with their bytes, one segment in memory at a time. */
function* leftEvents(spool: FileSpool, { segments }: LeftEpoch): Generator<{ readonly event: LeftEvent; readonly payload: Uint8Array }> {
  for (const segment of segments)
    for (const record of spool.reread(segment))
      if (record.kind === RECORD.event) yield { event: leftEvent(segment, record), payload: record.payload };
}
