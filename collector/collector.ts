import { setMaxListeners } from 'node:events';
import { randomBytes, sha256 } from '#crypto';
import { toHex, utf8 } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { LIMITS } from '../core/base/limits.ts';
import { batchCost, encodeBatchHeader, encodeSignedBatch, type HeartbeatLane, type SignedBatch } from '../core/formats/batch.ts';
import { type Event, type EventTrace, eventDigests } from '../core/formats/event.ts';
import type { EventSchema } from '../core/formats/event-schema.ts';
import { newEventId } from '../core/formats/identity.ts';
import { shardOf } from '../core/formats/shard.ts';
import { preAuthentication } from '../core/keys/dsse.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { SchemaRegistry } from '../core/ports/schema-registry.ts';
import type { Signer } from '../core/ports/signer.ts';
import { batchRoot } from '../core/tree/batch-tree.ts';
import { EMPTY_ROOT } from '../core/tree/hash.ts';
import { batchTraceparent, LaneQueue, type Waiting } from './lane-queue.ts';
import { BatchSender } from './sender.ts';
import { FileSpool, MemorySpool, type Place, type Spool } from './spool.ts';
import {
  EVENT_HEAD_BYTES,
  encodeEventHead,
  encodeLanes,
  type LeftEpoch,
  type LeftEvent,
  Leftovers,
  LeftPlan,
  leftEvent,
  type PlannedBatch,
} from './spool-payload.ts';
import { RECORD } from './spool-record.ts';

export interface SpoolSettings {
  /** One process at a time; null keeps everything in memory, and a crash then loses what the log has not acknowledged. */
  readonly folder: string | null;
  /** Default 1 GiB. */
  readonly maxBytes?: number;
  /**
   * block (default): `recordDurably` waits, `record` still takes {@link OVERFLOW_BYTES} more and then throws SPOOL_FULL, since it cannot wait;
   * refuse: both throw SPOOL_FULL; drop-auxiliary: as block, but `record` drops AUXILIARY events, and the next batch of their lane counts them.
   */
  readonly whenFull?: 'block' | 'refuse' | 'drop-auxiliary';
}

export interface CollectorOptions {
  readonly origin: string;
  readonly shards: number;
  readonly signer: Signer;
  readonly eventSchema: EventSchema;
  readonly registry: SchemaRegistry;
  /** Null only spools: another process that opens the folder later sends what is in it. */
  readonly log: Log | null;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly spool: SpoolSettings;
  /** How long a batch waits for more events, ms; default 5. */
  readonly lingerMs?: number;
  /** How often the epoch states that nothing more was recorded, ms; default 300,000. */
  readonly heartbeatMs?: number;
  /** After this long an append counts as unknown and is sent again, ms; default 30,000. */
  readonly appendTimeoutMs?: number;
}

export interface CollectorStats {
  readonly recorded: number;
  readonly acknowledged: number;
  readonly dropped: number;
  readonly batches: number;
  /** Events of earlier starts that go under this epoch. */
  readonly moved: number;
  /** Batches of earlier starts that are sent as they are. */
  readonly leftBatches: number;
  readonly damaged: number;
  readonly spoolBytes: number;
  /** By how much this clock is ahead of the log's at least, ms, negative where it is behind; undefined before the log's first answer. */
  readonly clockOffsetMs: number | undefined;
}

/** What `record` may take above a full spool, so that a burst of calls that cannot wait loses nothing. */
export const OVERFLOW_BYTES = 16 * 1024 * 1024;
const DEFAULT_MAX_BYTES = 1024 * 1024 * 1024;
/** Event bytes kept in memory while they wait; beyond, they are read back from the spool. */
const MEMORY_BYTES = 64 * 1024 * 1024;
/** A spool is full as well when so much waits for a disk that does not keep up: the service's memory is no spool. */
const MAX_UNWRITTEN_BYTES = 256 * 1024 * 1024;
const MAX_CACHED_STREAMS = 10_000;
const POLL_FULL_MS = 10;
/** What a start moves before it waits for the disk. */
const MOVE_BYTES = 16 * 1024 * 1024;
const DEFAULT_HEARTBEAT_MS = 300_000;

interface Lane {
  readonly shard: number;
  readonly queue: LaneQueue;
  /** Batches of earlier epochs, sent before anything of this one. */
  readonly left: PlannedBatch[];
  number: number;
  /** Next sequence number to be given to an event. */
  recordedSeq: number;
  /** Next sequence number to go into a batch. */
  seq: number;
  acknowledgedSeq: number;
  previous: Uint8Array;
  sampledOut: number;
  /** How much of {@link Lane.sampledOut} a signed header counts. */
  statedSampledOut: number;
  /** When the oldest event was recorded that is taken for a batch whose header is not spooled yet, microseconds. */
  takenAt: number | undefined;
  heartbeat: 'none' | 'due' | 'final';
  wake: () => void;
}

/** What of a header differs from batch to batch. */
interface BatchContent {
  readonly root: Uint8Array;
  readonly events: Uint8Array[];
  readonly createdAt: number;
  readonly lanes: readonly HeartbeatLane[];
}

interface ReadyBatch {
  readonly batch: SignedBatch;
  readonly place: Place;
}

/** Opens a collector: takes over what its spool holds, starts a new epoch and begins to send. Throws DATA_IN_USE, DISK_FULL, IO_FAILED, CONFIG_INVALID. */
export async function openCollector(options: CollectorOptions): Promise<Collector> {
  return Collector.open(options);
}

/**
 * Takes events, spools them, and publishes them in signed batches (docs/formats.md §2). One epoch, one lane for each shard.
 * Durable order: event, then header and signature of its batch, then the first send, then the acknowledgement.
 */
export class Collector {
  readonly #options: CollectorOptions;
  readonly #epoch: Uint8Array;
  readonly #spool: Spool;
  readonly #lanes: Lane[];
  readonly #home: Lane;
  readonly #sender: BatchSender | undefined;
  readonly #earlier: LeftEpoch[] = [];
  readonly #streams = new Map<string, { readonly shard: number; readonly bytes: number }>();
  readonly #stop = new AbortController();
  readonly #maxBytes: number;
  readonly #waiters = new Set<() => void>();
  #work: Promise<void>[] = [];
  #closing: Promise<boolean> | undefined;
  #inMemory = 0;
  #state: 'open' | 'closing' | 'closed' = 'open';
  #urgent = 0;
  #heartbeatAt: number;
  #stats = { recorded: 0, acknowledged: 0, dropped: 0, batches: 0, moved: 0, leftBatches: 0, damaged: 0 };

  private constructor(options: CollectorOptions) {
    this.#options = options;
    checkOptions(options);
    // Every lane that sends and every caller that waits for room listens.
    setMaxListeners(0, this.#stop.signal);
    const { shards, clock, logger, signer, spool, origin, registry, log, metrics } = options;
    this.#epoch = newEventId(clock.nowMicros(), randomBytes(10));
    this.#maxBytes = spool.maxBytes ?? DEFAULT_MAX_BYTES;
    this.#lanes = Array.from({ length: shards }, (_, shard) => newLane(shard));
    this.#home = this.#lanes[shardOf(signer.name, shards)] as Lane;
    this.#heartbeatAt = clock.monotonicMs() + (options.heartbeatMs ?? DEFAULT_HEARTBEAT_MS);
    this.#spool =
      spool.folder === null
        ? new MemorySpool()
        : new FileSpool({
            folder: spool.folder,
            epoch: this.#epoch,
            clock,
            logger,
            state: () => this.#encodeState(),
            stateKind: RECORD.state,
            maxBytes: this.#maxBytes,
            damaged: () => this.#damage(),
          });
    if (log !== null) {
      const appendTimeoutMs = options.appendTimeoutMs ?? 30_000;
      this.#sender = new BatchSender({ origin, producer: signer.name, log, registry, clock, logger, metrics, appendTimeoutMs });
    }
  }

  static async open(options: CollectorOptions): Promise<Collector> {
    const collector = new Collector(options);
    try {
      if (collector.#spool instanceof FileSpool) await collector.#takeOver(collector.#spool);
    } catch (error) {
      await collector.#spool.close(false);
      throw error;
    }
    if (collector.#sender !== undefined) collector.#work = collector.#lanes.map((lane) => collector.#runLane(lane));
    return collector;
  }

  get stats(): CollectorStats {
    return { ...this.#stats, spoolBytes: this.#spool.bytes, clockOffsetMs: this.#sender?.logClock.offsetMs };
  }

  /**
   * Takes an event and gives its id at once; it is on disk a few milliseconds later. Throws EVENT_INVALID, AVRO_INVALID or LIMIT_EXCEEDED for an
   * event that the log would refuse, SPOOL_FULL as {@link SpoolSettings.whenFull} says, CLOSED after {@link close}.
   */
  record(event: Event): Uint8Array {
    if (this.#state !== 'open') throw new LineproofError('CLOSED', 'cannot record event: the collector is closed');
    const bytes = this.#encode(event);
    if (this.#isFull(0) && !this.#admitsMore(event)) return event.id;
    this.#add(event.stream, bytes, event.trace);
    this.#stats.recorded++;
    this.#options.metrics.add('lineproof_collector_recorded_total', 1, IMPORTANCE_LABELS[event.importance]);
    return event.id;
  }

  /** As {@link record}, resolved when the event is on disk. Waits while the spool is full, unless it is set to refuse. Rejects with DISK_FULL or IO_FAILED when the disk does not take it: the event is then written later, if the process lives. */
  async recordDurably(event: Event): Promise<Uint8Array> {
    while (this.#isFull(0) && this.#state === 'open' && this.#options.spool.whenFull !== 'refuse')
      await this.#options.clock.sleep(POLL_FULL_MS, this.#stop.signal);
    const id = this.record(event);
    await this.#spool.durable();
    return id;
  }

  /** Resolves when everything recorded so far, earlier starts' leftovers included, is acknowledged by the log. Waits as long as that takes; rejects with CLOSED when the collector closes before, or never had a log. */
  async flush(): Promise<void> {
    if (this.#sender === undefined) throw new LineproofError('CLOSED', 'cannot flush: this collector only spools');
    const targets = this.#lanes.map(({ recordedSeq }) => recordedSeq);
    const isDone = (): boolean => this.#lanes.every((lane, i) => lane.acknowledgedSeq >= (targets[i] as number) && lane.left.length === 0);
    this.#urgent++;
    try {
      this.#wakeAll();
      while (!isDone()) {
        if (this.#state === 'closed') throw new LineproofError('CLOSED', 'cannot flush: the collector was closed');
        await new Promise<void>((resolve) => this.#waiters.add(resolve));
      }
    } finally {
      this.#urgent--;
    }
  }

  /** Sends what is left for at most `timeoutMs`, then a final heartbeat; what was not acknowledged stays in the spool for the next start. True when everything was. */
  close(timeoutMs = 10_000): Promise<boolean> {
    this.#closing ??= this.#close(timeoutMs);
    return this.#closing;
  }

  async #close(timeoutMs: number): Promise<boolean> {
    this.#state = 'closing';
    let drained = false;
    if (this.#sender !== undefined) {
      const over = new AbortController();
      const drain = this.#drain().then(() => {
        drained = true;
      });
      await Promise.race([drain.catch(() => undefined), this.#options.clock.sleep(timeoutMs, over.signal)]);
      over.abort();
    }
    this.#state = 'closed';
    this.#stop.abort();
    this.#spool.interrupt();
    this.#wakeAll();
    this.#notify();
    await Promise.all(this.#work);
    await this.#spool.close(drained);
    return drained;
  }

  async #drain(): Promise<void> {
    await this.flush();
    if (this.#lanes.every(({ number, sampledOut }) => number === 0 && sampledOut === 0) && this.#earlier.length === 0) return;
    this.#home.heartbeat = 'final';
    this.#home.wake();
    while ((this.#home as { heartbeat: string }).heartbeat !== 'none') await new Promise<void>((resolve) => this.#waiters.add(resolve));
  }

  #encode(event: Event): Uint8Array {
    try {
      return this.#options.eventSchema.encode(event);
    } catch (error) {
      this.#options.metrics.add('lineproof_collector_refused_total', 1, { reason: 'invalid' });
      throw error;
    }
  }

  /** What a full spool does with one more event; false drops it. */
  #admitsMore({ importance, stream }: Event): boolean {
    const { whenFull } = this.#options.spool;
    if (whenFull === 'drop-auxiliary' && importance === 'AUXILIARY') {
      (this.#lanes[this.#streamOf(stream).shard] as Lane).sampledOut++;
      this.#stats.dropped++;
      this.#options.metrics.add('lineproof_collector_dropped_total', 1);
      return false;
    }
    if (whenFull !== 'refuse' && !this.#isFull(OVERFLOW_BYTES)) return true;
    this.#options.metrics.add('lineproof_collector_refused_total', 1, { reason: 'full' });
    throw new LineproofError('SPOOL_FULL', 'cannot record event: the spool is full, because the log does not take what is in it', {
      bytes: this.#spool.bytes,
      maxBytes: this.#maxBytes,
    });
  }

  /** Whether the spool is full by more than `overflow` bytes. */
  #isFull(overflow: number): boolean {
    return this.#spool.bytes >= this.#maxBytes + overflow || this.#spool.unwritten >= MAX_UNWRITTEN_BYTES + overflow;
  }

  #add(stream: string, bytes: Uint8Array, trace: EventTrace | null): void {
    const { shard, bytes: streamBytes } = this.#streamOf(stream);
    const lane = this.#lanes[shard] as Lane;
    const place = this.#spool.append(RECORD.event, encodeEventHead(shard, lane.recordedSeq++), bytes, true);
    const keeps = this.#inMemory < MEMORY_BYTES || this.#spool instanceof MemorySpool;
    if (keeps) this.#inMemory += bytes.length;
    lane.queue.push({
      place,
      bytes: keeps ? bytes : undefined,
      length: bytes.length,
      cost: batchCost(bytes.length, streamBytes),
      recordedAt: this.#options.clock.nowMicros(),
      trace,
    });
    if (lane.queue.length === 1 || isWhole(lane.queue)) lane.wake();
  }

  #streamOf(stream: string): { readonly shard: number; readonly bytes: number } {
    const known = this.#streams.get(stream);
    if (known !== undefined) return known;
    if (this.#streams.size >= MAX_CACHED_STREAMS) this.#streams.clear();
    const made = { shard: shardOf(stream, this.#options.shards), bytes: utf8(stream).length };
    this.#streams.set(stream, made);
    return made;
  }

  /** Reads what earlier starts left and plans it: whole batches as they are, everything else under this epoch. */
  async #takeOver(spool: FileSpool): Promise<void> {
    const leftovers = new Leftovers();
    spool.recover((segment, records) => leftovers.add(segment, records));
    const plans = [...leftovers.epochs.values()].map((epoch) => new LeftPlan(epoch));
    for (const plan of plans) {
      if (plan.hasBatches) for (const { event } of leftEvents(spool, plan.epoch)) plan.show(event);
      for (const { header } of plan.broken) {
        this.#damage();
        const fields = { code: 'SPOOL_DAMAGED', shard: header.shard, number: header.number };
        this.#options.logger.error('a batch of the spool lacks events and is given up; those that are left go under a new epoch', fields);
      }
      for (const planned of plan.batches) this.#adopt(planned);
      // Held until all that moves from it stands elsewhere.
      for (const segment of plan.epoch.segments) segment.live++;
      if (!plan.epoch.done && plan.epoch.lanes.size > 0) this.#earlier.push(plan.epoch);
      plan.epoch.batches.length = 0;
    }
    // The first append opens this start's first segment, which restates the lanes of the earlier epochs.
    if (leftovers.epochs.size > 0) this.#spool.append(RECORD.state, this.#encodeState(), NOTHING, false);
    // A start that was killed while it moved events left them under two epochs.
    const seen = plans.filter(({ epoch }) => !epoch.moved).length > 1 ? new Set<string>() : undefined;
    for (const plan of plans) {
      const moved = await this.#moveFrom(spool, plan, seen);
      this.#stats.moved += moved;
      if (moved > 0) this.#spool.append(RECORD.moved, plan.epoch.epoch, NOTHING, false);
      await this.#spool.durable();
      for (const segment of plan.epoch.segments) spool.releaseFrom(segment);
    }
    await this.#spool.durable();
    spool.collect();
    if (this.#earlier.length > 0) this.#home.heartbeat = 'due';
  }

  #adopt(planned: PlannedBatch): void {
    const lane = this.#lanes[planned.header.shard];
    if (lane === undefined || planned.header.origin !== this.#options.origin) {
      throw new LineproofError(
        'CONFIG_INVALID',
        `cannot open spool: it holds a batch for shard ${planned.header.shard} of ${planned.header.origin}, and this collector writes to ${this.#lanes.length} shards of ${this.#options.origin}`,
      );
    }
    lane.left.push(planned);
    planned.segment.live++;
    for (const { segment } of planned.events) segment.live++;
    this.#stats.leftBatches++;
  }

  /** Puts what an epoch left without a batch under this one, segment by segment; gives the number of events. */
  async #moveFrom(spool: FileSpool, plan: LeftPlan, seen: Set<string> | undefined): Promise<number> {
    let moved = 0;
    if (plan.epoch.moved) return moved;
    for (const { event, payload } of leftEvents(spool, plan.epoch)) {
      if (!plan.isToMove(event)) continue;
      const bytes = payload.slice(EVENT_HEAD_BYTES);
      const digest = seen === undefined ? '' : toHex(sha256(bytes));
      if (seen?.has(digest) === true) continue;
      seen?.add(digest);
      const { stream } = this.#options.eventSchema.readHead(bytes);
      this.#add(stream, bytes, this.#traceOf(bytes));
      moved++;
      if (spool.unwritten > MOVE_BYTES) await spool.durable();
    }
    return moved;
  }

  /** The trace of an event that an earlier start recorded; null where this one's schema does not read it. */
  #traceOf(bytes: Uint8Array): EventTrace | null {
    try {
      return this.#options.eventSchema.decode(bytes).trace;
    } catch {
      return null;
    }
  }

  #damage(): void {
    this.#stats.damaged++;
    this.#options.metrics.add('lineproof_collector_spool_damaged_total', 1);
  }

  /** Sends a lane's leftovers, then its batches as they fill, one at a time. Ends when the collector stops. */
  async #runLane(lane: Lane): Promise<void> {
    const { clock, logger } = this.#options;
    while (this.#state !== 'closed') {
      try {
        if (lane === this.#home && clock.monotonicMs() >= this.#heartbeatAt && lane.heartbeat === 'none') lane.heartbeat = 'due';
        if (await this.#step(lane)) continue;
        const rest = lane === this.#home ? Math.max(1, this.#heartbeatAt - clock.monotonicMs()) : 3_600_000;
        await this.#pause(lane, rest, () => lane.queue.length > 0 || lane.heartbeat !== 'none' || lane.left.length > 0);
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        logger.error('a lane failed and goes on', { shard: lane.shard, error: error instanceof Error ? error.message : String(error) });
        await clock.sleep(1000, this.#stop.signal);
      }
    }
  }

  /** Sends one batch; false when there is nothing to send. */
  async #step(lane: Lane): Promise<boolean> {
    const left = lane.left[0];
    if (left !== undefined) {
      await this.#sendLeft(lane, left);
      return true;
    }
    // A heartbeat that is due does not wait for a pause in the work: there may never be one.
    if (lane.heartbeat !== 'none') {
      await this.#sendHeartbeats(lane);
      return true;
    }
    if (lane.queue.length === 0) return false;
    const lingerMs = this.#options.lingerMs ?? 5;
    if (!isWhole(lane.queue) && lingerMs > 0 && this.#urgent === 0)
      await this.#pause(lane, lingerMs, () => isWhole(lane.queue) || this.#urgent > 0);
    if (this.#stop.signal.aborted) return false;
    await this.#sendEvents(lane);
    return true;
  }

  async #pause(lane: Lane, ms: number, isOver: () => boolean): Promise<void> {
    if (isOver() || this.#stop.signal.aborted) return;
    const over = new AbortController();
    lane.wake = () => {
      if (isOver() || this.#stop.signal.aborted) over.abort();
    };
    await this.#options.clock.sleep(ms, over.signal);
    lane.wake = IDLE;
  }

  async #sendLeft(lane: Lane, { batch, header, segment, events }: PlannedBatch): Promise<void> {
    const spool = this.#spool as FileSpool;
    const bytes: Uint8Array[] = [];
    for (const { place } of events) bytes.push(await this.#read(place));
    await this.#send(lane, { ...batch, events: bytes }, batchTraceparent(bytes.map((event) => ({ trace: this.#traceOf(event) }))));
    const next = { number: header.number + 1, seq: header.firstSeq + header.count };
    this.#spool.append(RECORD.acknowledged, encodeLanes([[header.epoch, header.shard, next]]), NOTHING, false);
    lane.left.shift();
    spool.releaseFrom(segment);
    for (const event of events) spool.releaseFrom(event.segment);
    this.#notify();
  }

  async #sendEvents(lane: Lane): Promise<void> {
    const { eventSchema } = this.#options;
    const taken = lane.queue.take(LIMITS.batchEvents, LIMITS.batchBytes);
    lane.takenAt = taken[0]?.recordedAt;
    let ready: ReadyBatch;
    try {
      await this.#spool.settled();
      const events: Uint8Array[] = [];
      for (const { bytes, place } of taken) events.push(bytes ?? (await this.#read(place)));
      const root = batchRoot(eventDigests(eventSchema.digest, events));
      ready = await this.#prepare(lane, { root, events, createdAt: this.#options.clock.nowMicros(), lanes: [] });
    } catch (error) {
      // Nothing of it is spooled as a batch: the lane takes the same events again.
      lane.queue.restore(taken);
      throw error;
    } finally {
      lane.takenAt = undefined;
    }
    await this.#publish(lane, ready, batchTraceparent(taken));
    for (const waiting of taken) this.#forget(waiting);
    lane.acknowledgedSeq += taken.length;
    this.#stats.acknowledged += taken.length;
    this.#options.metrics.set('lineproof_collector_spool_bytes', this.#spool.bytes);
    this.#notify();
  }

  #forget({ place, bytes, length }: Waiting): void {
    this.#spool.release(place);
    if (bytes !== undefined) this.#inMemory -= length;
  }

  /** States all lanes of this epoch, and as final those of earlier ones, in as many heartbeats as that takes; mostly one. */
  async #sendHeartbeats(lane: Lane): Promise<void> {
    const final = lane.heartbeat === 'final';
    this.#foldSampledOut(lane);
    const earlier = [...this.#earlier];
    // Rows and time are of one instant: the statement is that nothing more was recorded until then.
    const lanes = [...this.#ownLanes(final), ...earlier.flatMap(finalLanes)];
    const createdAt = this.#heardUntil();
    const most = LIMITS.heartbeatLanes - 1;
    for (let from = 0; from === 0 || from < lanes.length; from += most) {
      const own = {
        epoch: this.#epoch,
        shard: lane.shard,
        number: lane.number + 1,
        seq: lane.seq,
        final: final && from + most >= lanes.length,
      };
      const content = { root: EMPTY_ROOT, events: [], createdAt, lanes: [...lanes.slice(from, from + most), own] };
      await this.#publish(lane, await this.#prepare(lane, content));
    }
    for (const { epoch } of earlier) this.#spool.append(RECORD.done, epoch, NOTHING, false);
    this.#earlier.splice(0, earlier.length);
    this.#heartbeatAt = this.#options.clock.monotonicMs() + (this.#options.heartbeatMs ?? DEFAULT_HEARTBEAT_MS);
    if (final || lane.heartbeat === 'due') lane.heartbeat = 'none';
    this.#notify();
  }

  /** Now, or when the oldest event was recorded that no header counts yet. */
  #heardUntil(): number {
    let until = this.#options.clock.nowMicros();
    for (const { queue, takenAt } of this.#lanes) until = Math.min(until, takenAt ?? until, queue.first?.recordedAt ?? until);
    return until;
  }

  /** Lanes of this epoch but the home lane. */
  #ownLanes(final: boolean): HeartbeatLane[] {
    return this.#lanes
      .filter((lane) => lane !== this.#home && lane.number > 0)
      .map(({ shard, number, seq }) => ({ epoch: this.#epoch, shard, number, seq, final }));
  }

  /** Drops that no batch of their lane will count soon are counted in the home lane. */
  #foldSampledOut(home: Lane): void {
    for (const lane of this.#lanes) {
      if (lane === home || lane.queue.length > 0 || lane.takenAt !== undefined) continue;
      home.sampledOut += lane.sampledOut - lane.statedSampledOut;
      lane.sampledOut = lane.statedSampledOut;
    }
  }

  /** Commit point: header and signature are in the spool, and so is every event of the batch. */
  async #prepare(lane: Lane, { events, ...rest }: BatchContent): Promise<ReadyBatch> {
    const { origin, signer, eventSchema } = this.#options;
    const { sampledOut } = lane;
    const header = encodeBatchHeader({
      ...rest,
      origin,
      shard: lane.shard,
      producer: signer.name,
      epoch: this.#epoch,
      number: lane.number,
      firstSeq: lane.seq,
      count: events.length,
      previous: lane.previous,
      schema: eventSchema.digest,
      sampledOut,
    });
    const batch = { header, keyId: signer.keyId, signature: await this.#sign(header) };
    const place = this.#spool.append(RECORD.batch, NOTHING, encodeSignedBatch({ ...batch, events: [] }), true);
    await this.#spool.settled();
    lane.number++;
    lane.seq += events.length;
    lane.previous = sha256(header);
    lane.statedSampledOut = sampledOut;
    return { batch: { ...batch, events }, place };
  }

  /** Sends what is prepared, as the same bytes until the log acknowledged them. */
  async #publish(lane: Lane, { batch, place }: ReadyBatch, traceparent?: Uint8Array): Promise<void> {
    await this.#send(lane, batch, traceparent);
    this.#spool.append(RECORD.acknowledged, encodeLanes([[this.#epoch, lane.shard, lane]]), NOTHING, false);
    this.#spool.release(place);
  }

  /** A signature, however long the signer is away. */
  async #sign(header: Uint8Array): Promise<Uint8Array> {
    for (;;) {
      try {
        return await this.#options.signer.sign(preAuthentication('batch', header));
      } catch (error) {
        this.#options.logger.error('cannot sign a batch; trying again', { error: String(error) });
        await this.#options.clock.sleep(1000, this.#stop.signal);
        if (this.#stop.signal.aborted) throw error;
      }
    }
  }

  async #send(lane: Lane, batch: SignedBatch, traceparent: Uint8Array | undefined): Promise<void> {
    await (this.#sender as BatchSender).send(lane.shard, encodeSignedBatch(batch), this.#stop.signal, traceparent);
    this.#stats.batches++;
  }

  /** Reads of all lanes, one after the other. */
  #read(place: Place): Promise<Uint8Array> {
    const read = this.#reads.then(() => this.#spool.read(place));
    this.#reads = read.catch(() => undefined);
    return read;
  }

  #reads: Promise<unknown> = Promise.resolve();

  /** What every segment states first: how far the lanes of this epoch and of the earlier ones are. */
  #encodeState(): Uint8Array {
    const rows: [Uint8Array, number, { number: number; seq: number }][] = [];
    for (const lane of this.#lanes) if (lane.number > 0) rows.push([this.#epoch, lane.shard, lane]);
    for (const { epoch, lanes } of this.#earlier) for (const [shard, progress] of lanes) rows.push([epoch, shard, progress]);
    return encodeLanes(rows);
  }

  #wakeAll(): void {
    for (const lane of this.#lanes) lane.wake();
  }

  #notify(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter();
  }
}

/** Timers of Node hold 32 bits. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const WHEN_FULL: ReadonlySet<string> = new Set(['block', 'refuse', 'drop-auxiliary']);
const NOTHING = new Uint8Array(0);
const IDLE = (): void => undefined;
const IMPORTANCE_LABELS = { ESSENTIAL: { importance: 'ESSENTIAL' }, AUXILIARY: { importance: 'AUXILIARY' } } as const;

function newLane(shard: number): Lane {
  return {
    shard,
    queue: new LaneQueue(),
    left: [],
    number: 0,
    recordedSeq: 0,
    seq: 0,
    acknowledgedSeq: 0,
    previous: new Uint8Array(32),
    sampledOut: 0,
    statedSampledOut: 0,
    takenAt: undefined,
    heartbeat: 'none',
    wake: IDLE,
  };
}

/** Events of an epoch with their bytes, one segment in memory at a time. */
function* leftEvents(spool: FileSpool, { segments }: LeftEpoch): Generator<{ readonly event: LeftEvent; readonly payload: Uint8Array }> {
  for (const segment of segments)
    for (const record of spool.reread(segment))
      if (record.kind === RECORD.event) yield { event: leftEvent(segment, record), payload: record.payload };
}

/** Whether a batch would be full with what waits. */
function isWhole({ length, cost }: LaneQueue): boolean {
  return length >= LIMITS.batchEvents || cost >= LIMITS.batchBytes;
}

/** The lanes of an earlier epoch, as a heartbeat ends them. */
function finalLanes({ epoch, lanes }: LeftEpoch): HeartbeatLane[] {
  return [...lanes].map(([shard, { number, seq }]) => ({ epoch, shard, number, seq, final: true }));
}

/** Throws one CONFIG_INVALID that lists everything wrong. */
function checkOptions({ origin, shards, spool, lingerMs = 0, heartbeatMs = 1, appendTimeoutMs = 1 }: CollectorOptions): void {
  const isWithin = (value: unknown, min: number, max: number): boolean =>
    Number.isInteger(value) && Number(value) >= min && Number(value) <= max;
  const problems: string[] = [];
  const check = (holds: boolean, problem: string): void => void (holds || problems.push(problem));
  check(
    typeof origin === 'string' && origin.length > 0 && utf8(origin).length <= LIMITS.nameBytes,
    `origin must be a name of 1 to ${LIMITS.nameBytes} bytes`,
  );
  check(isWithin(shards, 1, LIMITS.policyItems), `shards must be a whole number from 1 to ${LIMITS.policyItems}, as the policy has it`);
  check(
    spool.folder === null || (typeof spool.folder === 'string' && spool.folder !== ''),
    'spool.folder must be a path, or null to keep everything in memory',
  );
  check(
    isWithin(spool.maxBytes ?? DEFAULT_MAX_BYTES, 1, Number.MAX_SAFE_INTEGER),
    'spool.maxBytes must be a whole number of bytes above 0',
  );
  check(WHEN_FULL.has(spool.whenFull ?? 'block'), `spool.whenFull must be one of ${[...WHEN_FULL].join(', ')}`);
  check(isWithin(lingerMs, 0, MAX_TIMER_MS), 'lingerMs must be a whole number of milliseconds from 0');
  check(isWithin(heartbeatMs, 1, MAX_TIMER_MS), 'heartbeatMs must be a whole number of milliseconds above 0');
  check(isWithin(appendTimeoutMs, 1, MAX_TIMER_MS), 'appendTimeoutMs must be a whole number of milliseconds above 0');
  if (problems.length > 0) throw new LineproofError('CONFIG_INVALID', `cannot open collector: ${problems.join('; ')}`);
}
