import { LOG } from '../core/base/log-lines.ts';
import { encodeBatchHeader, encodeSignedBatch, type HeartbeatLane, type SignedBatch } from '../core/formats/batch.ts';
import { eventDigests } from '../core/formats/event.ts';
import { preAuthentication } from '../core/keys/dsse.ts';
import { batchRoot } from '../core/tree/batch-tree.ts';
import { EMPTY_ROOT } from '../core/tree/hash.ts';
import type { CollectorOptions } from './collector-options.ts';
import type { Heartbeats } from './heartbeats.ts';
import type { Lane } from './lane.ts';
import { batchTraceparent, traceOf, type Waiting } from './lane-queue.ts';
import type { BatchSender } from './sender.ts';
import type { Place, Spool } from './spool.ts';
import { encodeLanes, type PlannedBatch } from './spool-payload.ts';
import { RECORD } from './spool-record.ts';

const NOTHING = new Uint8Array(0);

/** The fields of a header that differ from batch to batch. */
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

export interface PublisherOptions {
  readonly collector: CollectorOptions;
  readonly epoch: Uint8Array;
  readonly spool: Spool;
  readonly sender: BatchSender;
  readonly stop: AbortSignal;
  /** Called for each event that the log acknowledged. */
  readonly forget: (waiting: Waiting) => void;
}

/**
 * Makes a lane's batches and sends them, one at a time for each lane. Durable order: the events, then header and signature of
 * their batch (the commit point), then the first send, then the acknowledgement. A crash before the commit point leaves events without a batch,
 * which the next start puts under its own epoch; a crash after it leaves a batch that the next start sends as the same bytes.
 */
export class BatchPublisher {
  readonly #o: PublisherOptions;
  #acknowledged = 0;
  #batches = 0;
  #reads: Promise<unknown> = Promise.resolve();

  constructor(options: PublisherOptions) {
    this.#o = options;
  }

  /** Events and batches that the log acknowledged. */
  get counts(): { readonly acknowledged: number; readonly batches: number } {
    return { acknowledged: this.#acknowledged, batches: this.#batches };
  }

  /** Takes the lane's next events, spools their header, and sends them until they are acknowledged. */
  async sendEvents(lane: Lane): Promise<void> {
    const { collector, spool, forget } = this.#o;
    const taken = lane.take();
    let ready: ReadyBatch;
    try {
      await spool.settled();
      const events: Uint8Array[] = [];
      for (const { bytes, place } of taken) events.push(bytes ?? (await this.#read(place)));
      const root = batchRoot(eventDigests(collector.eventSchema.digest, events));
      ready = await this.#prepare(lane, { root, events, createdAt: collector.clock.nowMicros(), lanes: [] });
    } catch (error) {
      // The batch is not in the spool: the lane takes the same events again.
      lane.restore(taken);
      throw error;
    }
    await this.#publish(lane, ready, batchTraceparent(taken));
    for (const waiting of taken) forget(waiting);
    lane.acknowledge(taken.length);
    this.#acknowledged += taken.length;
    collector.metrics.set('lineproof_collector_spool_bytes', spool.bytes);
  }

  /** Sends the first batch that an earlier start left in the lane, as the bytes that it signed. */
  async sendLeft(lane: Lane, { batch, header, segment, events }: PlannedBatch): Promise<void> {
    const { collector, spool } = this.#o;
    const bytes: Uint8Array[] = [];
    for (const { place } of events) bytes.push(await this.#read(place));
    const traces = bytes.map((event) => ({ trace: traceOf(collector.eventSchema, event) }));
    await this.#send(lane, { ...batch, events: bytes }, batchTraceparent(traces));
    const next = { number: header.number + 1, seq: header.firstSeq + header.count };
    spool.append(RECORD.acknowledged, encodeLanes([[header.epoch, header.shard, next]]), NOTHING, false);
    lane.left.shift();
    spool.releaseFrom(segment);
    for (const event of events) spool.releaseFrom(event.segment);
  }

  /** Sends heartbeats on their home lane, with all statements that are due. */
  async sendHeartbeats(lane: Lane, heartbeats: Heartbeats): Promise<void> {
    const { epoch, spool } = this.#o;
    const { isFinal } = heartbeats;
    heartbeats.foldSampledOut();
    const earlier = [...heartbeats.earlier];
    // Rows and time must be of one instant: the heartbeat states that nothing more was recorded until then.
    const statements = heartbeats.statements(earlier);
    const createdAt = heartbeats.heardUntil();
    for (const { lanes, final } of statements) {
      const own = { epoch, shard: lane.shard, number: lane.head.number + 1, seq: lane.head.seq, final };
      await this.#publish(lane, await this.#prepare(lane, { root: EMPTY_ROOT, events: [], createdAt, lanes: [...lanes, own] }));
    }
    for (const each of earlier) spool.append(RECORD.done, each.epoch, NOTHING, false);
    heartbeats.acknowledged(earlier, isFinal);
  }

  /** Commit point: header and signature are in the spool, and so is every event of the batch. */
  async #prepare(lane: Lane, { events, ...rest }: BatchContent): Promise<ReadyBatch> {
    const { collector, epoch, spool } = this.#o;
    const { origin, signer, eventSchema } = collector;
    const { sampledOut, head } = lane;
    const header = encodeBatchHeader({
      ...rest,
      origin,
      shard: lane.shard,
      producer: signer.name,
      epoch,
      number: head.number,
      firstSeq: head.seq,
      count: events.length,
      previous: head.previous,
      schema: eventSchema.digest,
      sampledOut,
    });
    const batch = { header, keyId: signer.keyId, signature: await this.#sign(header) };
    const place = spool.append(RECORD.batch, NOTHING, encodeSignedBatch({ ...batch, events: [] }), true);
    await spool.settled();
    lane.commit(header, events.length, sampledOut);
    return { batch: { ...batch, events }, place };
  }

  /** Sends the prepared message, as the same bytes, until the log acknowledges it. */
  async #publish(lane: Lane, { batch, place }: ReadyBatch, traceparent?: Uint8Array): Promise<void> {
    const { epoch, spool } = this.#o;
    await this.#send(lane, batch, traceparent);
    spool.append(RECORD.acknowledged, encodeLanes([[epoch, lane.shard, lane.head]]), NOTHING, false);
    spool.release(place);
  }

  /** A signature; waits as long as the signer is not available. */
  async #sign(header: Uint8Array): Promise<Uint8Array> {
    const { collector, stop } = this.#o;
    for (;;) {
      try {
        return await collector.signer.sign(preAuthentication('batch', header));
      } catch (error) {
        collector.logger.error(LOG.signingFailed, { error: String(error) });
        await collector.clock.sleep(1000, stop);
        if (stop.aborted) throw error;
      }
    }
  }

  async #send(lane: Lane, batch: SignedBatch, traceparent: Uint8Array | undefined): Promise<void> {
    await this.#o.sender.send(lane.shard, encodeSignedBatch(batch), this.#o.stop, traceparent);
    this.#batches++;
  }

  /** Reads of all lanes, one after the other. */
  #read(place: Place): Promise<Uint8Array> {
    const read = this.#reads.then(() => this.#o.spool.read(place));
    this.#reads = read.catch(() => undefined);
    return read;
  }
}
