import { setMaxListeners } from 'node:events';
import { randomBytes } from '#crypto';
import { LineproofError, messageOf } from '../core/base/errors.ts';
import { LOG } from '../core/base/log-lines.ts';
import { batchCost } from '../core/formats/batch.ts';
import type { Event, EventTrace } from '../core/formats/event.ts';
import { newEventId } from '../core/formats/identity.ts';
import { shardOf } from '../core/formats/shard.ts';
import type { FileLock } from '../platform/file-lock.ts';
import { BatchPublisher } from './batch-publisher.ts';
import {
  type CollectorOptions,
  type CollectorStats,
  checkOptions,
  DEFAULT_APPEND_TIMEOUT_MS,
  DEFAULT_HEARTBEAT_MS,
  DEFAULT_LINGER_MS,
  DEFAULT_MAX_BYTES,
  type LanePlace,
  OVERFLOW_BYTES,
} from './collector-options.ts';
import { FileSpool } from './file-spool.ts';
import { Heartbeats } from './heartbeats.ts';
import { Lane } from './lane.ts';
import { WaitingBytes } from './lane-queue.ts';
import { MemorySpool } from './memory-spool.ts';
import { BatchSender } from './sender.ts';
import type { Spool } from './spool.ts';
import { lockSpool } from './spool-lock.ts';
import { encodeEventHead, encodeLanes } from './spool-payload.ts';
import { RECORD } from './spool-record.ts';
import { StreamPlaces } from './stream-places.ts';
import { type TakenOver, takeOver } from './take-over.ts';

/** Event bytes that are kept in memory while they wait; all others are read back from the spool. */
const MEMORY_BYTES = 64 * 1024 * 1024;
/** A spool also counts as full when this much waits for a slow disk: the service's memory is not a spool. */
const MAX_UNWRITTEN_BYTES = 256 * 1024 * 1024;
const POLL_FULL_MS = 10;
const IMPORTANCE_LABELS = { ESSENTIAL: { importance: 'ESSENTIAL' }, AUXILIARY: { importance: 'AUXILIARY' } } as const;

/** Opens a collector: takes over the records in its spool, starts a new epoch and begins to send. Throws DATA_IN_USE, DISK_FULL, IO_FAILED, CONFIG_INVALID. */
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
  readonly #lanes: readonly Lane[];
  readonly #home: Lane;
  readonly #heartbeats: Heartbeats;
  readonly #sender: BatchSender | undefined;
  readonly #publisher: BatchPublisher | undefined;
  readonly #kept: WaitingBytes;
  readonly #streams: StreamPlaces;
  readonly #stop = new AbortController();
  readonly #maxBytes: number;
  readonly #waiters = new Set<() => void>();
  readonly #counts = { recorded: 0, dropped: 0, damaged: 0 };
  #takenOver: TakenOver = { moved: 0, batches: 0 };
  #work: Promise<void>[] = [];
  #closing: Promise<boolean> | undefined;
  #state: 'open' | 'closing' | 'closed' = 'open';
  /** Callers of {@link flush}: meanwhile no lane lingers. */
  #urgent = 0;

  private constructor(options: CollectorOptions, lock: FileLock | undefined) {
    this.#options = options;
    this.#streams = new StreamPlaces(options.shards);
    // Every lane that sends and every caller that waits for room listens.
    setMaxListeners(0, this.#stop.signal);
    const { shards, clock, logger, signer, spool, origin, registry, log, metrics } = options;
    this.#epoch = newEventId(clock.nowMicros(), randomBytes(10));
    this.#maxBytes = spool.maxBytes ?? DEFAULT_MAX_BYTES;
    this.#kept = new WaitingBytes(spool.folder === null ? Number.POSITIVE_INFINITY : MEMORY_BYTES);
    const lanes = Array.from({ length: shards }, (_, shard) => new Lane(shard));
    const home = lanes[shardOf(signer.name, shards)] as Lane;
    this.#lanes = lanes;
    this.#home = home;
    this.#heartbeats = new Heartbeats({ epoch: this.#epoch, lanes, home, clock, everyMs: options.heartbeatMs ?? DEFAULT_HEARTBEAT_MS });
    this.#spool =
      spool.folder === null || lock === undefined
        ? new MemorySpool()
        : new FileSpool({
            folder: spool.folder,
            lock,
            epoch: this.#epoch,
            clock,
            logger,
            metrics,
            state: () => this.#encodeState(),
            stateKind: RECORD.state,
            maxBytes: this.#maxBytes,
            damaged: () => this.#damage(),
          });
    if (log === null) return;
    const appendTimeoutMs = options.appendTimeoutMs ?? DEFAULT_APPEND_TIMEOUT_MS;
    this.#sender = new BatchSender({ origin, producer: signer.name, log, registry, clock, logger, metrics, appendTimeoutMs });
    this.#publisher = new BatchPublisher({
      collector: options,
      epoch: this.#epoch,
      spool: this.#spool,
      sender: this.#sender,
      stop: this.#stop.signal,
      forget: (waiting) => {
        this.#spool.release(waiting.place);
        this.#kept.forget(waiting);
      },
    });
  }

  static async open(options: CollectorOptions): Promise<Collector> {
    checkOptions(options);
    const lock = options.spool.folder === null ? undefined : await lockSpool(options.spool.folder);
    let collector: Collector | undefined;
    try {
      collector = new Collector(options, lock);
      if (collector.#spool instanceof FileSpool) await collector.#takeOver(collector.#spool);
    } catch (error) {
      if (collector !== undefined) await collector.#spool.close(false);
      await lock?.release();
      throw error;
    }
    const publisher = collector.#publisher;
    if (publisher !== undefined) collector.#work = collector.#lanes.map((lane) => collector.#runLane(lane, publisher));
    return collector;
  }

  get stats(): CollectorStats {
    const { recorded, dropped, damaged } = this.#counts;
    const { acknowledged, batches } = this.#publisher?.counts ?? { acknowledged: 0, batches: 0 };
    const { moved, batches: leftBatches } = this.#takenOver;
    const clockOffsetMs = this.#sender?.logClock.offsetMs;
    return { recorded, acknowledged, dropped, batches, moved, leftBatches, damaged, spoolBytes: this.#spool.bytes, clockOffsetMs };
  }

  /**
   * Takes an event and gives its id at once; it is on disk a few milliseconds later. Throws EVENT_INVALID, AVRO_INVALID or LIMIT_EXCEEDED for an
   * event that the log would refuse, SPOOL_FULL as {@link SpoolSettings.whenFull} says, CLOSED after {@link close}.
   */
  record(event: Event): Uint8Array {
    this.#take(event);
    return event.id;
  }

  /** As {@link record}, resolved when the event is on disk. Waits while the spool is full, unless it is set to refuse. Rejects with DISK_FULL or IO_FAILED when the disk does not take it: the event is then written later, if the process lives. `onPlaced` is called before the event can be sent, and not for one that is dropped. */
  async recordDurably(event: Event, onPlaced?: (place: LanePlace) => void): Promise<Uint8Array> {
    while (this.#isFull(0) && this.#state === 'open' && this.#options.spool.whenFull !== 'refuse')
      await this.#options.clock.sleep(POLL_FULL_MS, this.#stop.signal);
    this.#take(event, onPlaced);
    await this.#spool.durable();
    return event.id;
  }

  #take(event: Event, onPlaced?: (place: LanePlace) => void): void {
    if (this.#state !== 'open') throw new LineproofError('CLOSED', 'cannot record event: the collector is closed');
    const bytes = this.#encode(event);
    if (this.#isFull(0) && !this.#admitsMore(event)) return;
    const place = this.#add(event.stream, bytes, event.trace);
    onPlaced?.(place);
    this.#counts.recorded++;
    this.#options.metrics.add('lineproof_collector_recorded_total', 1, IMPORTANCE_LABELS[event.importance]);
  }

  /** Resolves when the log has acknowledged everything recorded so far, also what earlier starts left. Waits as long as that takes; rejects with CLOSED if the collector closes before that, or has no log. */
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

  /** Sends the remaining events for at most `timeoutMs`, then a final heartbeat. Events that are not acknowledged stay in the spool for the next start. True when everything was acknowledged. */
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
    if (!this.#heartbeats.hasSomethingToEnd) return;
    this.#heartbeats.demand('final');
    while (this.#heartbeats.isFinal) await new Promise<void>((resolve) => this.#waiters.add(resolve));
  }

  #encode(event: Event): Uint8Array {
    try {
      return this.#options.eventSchema.encode(event);
    } catch (error) {
      this.#options.metrics.add('lineproof_collector_refused_total', 1, { reason: 'invalid' });
      throw error;
    }
  }

  /** Handles one more event when the spool is full; false drops it. */
  #admitsMore({ importance, stream }: Event): boolean {
    const { whenFull } = this.#options.spool;
    if (whenFull === 'drop-auxiliary' && importance === 'AUXILIARY') {
      (this.#lanes[this.#streams.of(stream).shard] as Lane).drop(1);
      this.#counts.dropped++;
      this.#options.metrics.add('lineproof_collector_dropped_total', 1);
      return false;
    }
    if (whenFull !== 'refuse' && !this.#isFull(OVERFLOW_BYTES)) return true;
    this.#options.metrics.add('lineproof_collector_refused_total', 1, { reason: 'full' });
    throw new LineproofError('SPOOL_FULL', 'cannot record event: the spool is full, because the log does not take its events', {
      bytes: this.#spool.bytes,
      maxBytes: this.#maxBytes,
    });
  }

  /** Whether the spool is full by more than `overflow` bytes. */
  #isFull(overflow: number): boolean {
    return this.#spool.bytes >= this.#maxBytes + overflow || this.#spool.unwritten >= MAX_UNWRITTEN_BYTES + overflow;
  }

  #add(stream: string, bytes: Uint8Array, trace: EventTrace | null): LanePlace {
    const { shard, bytes: streamBytes } = this.#streams.of(stream);
    const lane = this.#lanes[shard] as Lane;
    const seq = lane.nextSeq();
    const place = this.#spool.append(RECORD.event, encodeEventHead(shard, seq), bytes, true);
    lane.push({
      place,
      bytes: this.#kept.keep(bytes.length) ? bytes : undefined,
      length: bytes.length,
      cost: batchCost(bytes.length, streamBytes),
      recordedAt: this.#options.clock.nowMicros(),
      trace,
    });
    return { epoch: this.#epoch, shard, seq };
  }

  async #takeOver(spool: FileSpool): Promise<void> {
    const { origin, eventSchema, logger } = this.#options;
    const { earlier } = this.#heartbeats;
    this.#takenOver = await takeOver({
      spool,
      origin,
      lanes: this.#lanes,
      eventSchema,
      logger,
      earlier,
      state: () => this.#encodeState(),
      add: (stream, bytes, trace) => this.#add(stream, bytes, trace),
      damaged: () => this.#damage(),
    });
    if (earlier.length > 0) this.#heartbeats.demand('due');
  }

  #damage(): void {
    this.#counts.damaged++;
    this.#options.metrics.add('lineproof_collector_spool_damaged_total', 1);
  }

  /** Sends a lane's leftovers, then its batches as they fill, one at a time. Ends when the collector stops. */
  async #runLane(lane: Lane, publisher: BatchPublisher): Promise<void> {
    const { clock, logger } = this.#options;
    const beats = lane === this.#home ? this.#heartbeats : undefined;
    while (this.#state !== 'closed') {
      try {
        if (await this.#step(lane, beats, publisher)) {
          this.#notify();
          continue;
        }
        const hasWork = (): boolean => lane.queue.length > 0 || beats?.isDue === true || lane.left.length > 0;
        await lane.pause(beats?.waitMs ?? 3_600_000, hasWork, clock, this.#stop.signal);
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        logger.error(LOG.laneFailed, { shard: lane.shard, error: messageOf(error) });
        await clock.sleep(1000, this.#stop.signal);
      }
    }
  }

  /** Sends one batch; false when there is nothing to send. */
  async #step(lane: Lane, beats: Heartbeats | undefined, publisher: BatchPublisher): Promise<boolean> {
    const left = lane.left[0];
    if (left !== undefined) {
      await publisher.sendLeft(lane, left);
      return true;
    }
    // A heartbeat that is due does not wait for a pause in the work: there may never be one.
    if (beats?.isDue === true) {
      await publisher.sendHeartbeats(lane, beats);
      return true;
    }
    if (lane.queue.length === 0) return false;
    const lingerMs = this.#options.lingerMs ?? DEFAULT_LINGER_MS;
    if (!lane.isWhole && lingerMs > 0 && this.#urgent === 0)
      await lane.pause(lingerMs, () => lane.isWhole || this.#urgent > 0, this.#options.clock, this.#stop.signal);
    if (this.#stop.signal.aborted) return false;
    await publisher.sendEvents(lane);
    return true;
  }

  /** First record of every segment: how far the lanes of this epoch and of the earlier ones are. */
  #encodeState(): Uint8Array {
    const rows: [Uint8Array, number, { number: number; seq: number }][] = [];
    for (const lane of this.#lanes) if (lane.head.number > 0) rows.push([this.#epoch, lane.shard, lane.head]);
    for (const { epoch, lanes } of this.#heartbeats.earlier) for (const [shard, progress] of lanes) rows.push([epoch, shard, progress]);
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
