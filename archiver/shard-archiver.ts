import { archiveAnchor } from '../core/archive/archive-anchor.ts';
import { hasCode, LineproofError } from '../core/base/errors.ts';
import { Hold, type HoldState } from '../core/base/hold.ts';
import { LOG } from '../core/base/log-lines.ts';
import type { MetricOf } from '../core/base/metric-names.ts';
import { type RetryPace, retry } from '../core/base/retry.ts';
import { ChainFollower, type FollowedBlock } from '../core/chain/follower.ts';
import type { Sources } from '../core/chain/governance-source.ts';
import type { PolicyInForce } from '../core/policy/policy-history.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import type { Signer } from '../core/ports/signer.ts';
import type { OpenWitness } from '../core/ports/witness.ts';
import { ArchivedLog } from './archived-log.ts';
import { Attestor } from './attestor.ts';
import { NamedObjects } from './named-objects.ts';
import { SegmentEnd } from './segment-end.ts';
import { Segments } from './segments.ts';
import { Snapshots } from './snapshots.ts';
import { TreeWriter } from './tree-writer.ts';
import { TopicTrim } from './trim.ts';
import { Witnessing } from './witnessing.ts';

const READ_BYTES = 8 * 1024 * 1024;
/** How often a segment that waits for its witnesses is looked at, while nothing else can go on. */
const SETTLE_MS = 20;
const RETRY_PACE: RetryPace = { firstMs: 50, maxMs: 5_000 };

export interface ArchiverSettings {
  /** A checkpoint is signed at least this often while there are new leaves. */
  readonly publishIntervalMs: number;
  /** … and as soon as this many leaves wait for one. */
  readonly publishLeaves: number;
  readonly pollMs: number;
}

export const ARCHIVER_DEFAULTS: ArchiverSettings = { publishIntervalMs: 1_000, publishLeaves: 16_384, pollMs: 100 };

export interface ShardArchiverOptions {
  readonly origin: string;
  readonly shard: number;
  readonly shards: number;
  readonly log: Log;
  readonly objects: ObjectStore;
  readonly sources: Sources;
  /** The log key. */
  readonly signer: Signer;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly openWitness: OpenWitness;
  readonly settings: ArchiverSettings;
}

/**
 * The archiver of one shard: checks the chain again, stores its leaves, and only then attests them. Shares no decision with the chainer.
 * Each part that writes (tree, segment, snapshot, note, trim) holds its unfinished work; the fields of this class say when to publish.
 */
export class ShardArchiver {
  readonly #o: ShardArchiverOptions;
  readonly #log: ArchivedLog;
  readonly #chain: ChainFollower;
  readonly #tree: TreeWriter;
  readonly #segments: Segments;
  readonly #snapshots: Snapshots;
  readonly #named: NamedObjects;
  readonly #attestor: Attestor;
  readonly #trim: TopicTrim;
  readonly #witnessing: Witnessing;
  readonly #end: SegmentEnd;
  readonly #hold: Hold;
  /** Since when a note is due; set by `#publishDue`, cleared by `#publish`. */
  #dueSinceMs: number | undefined;
  /** Time of the oldest leaf that no note covers. Set by `#advance`, cleared by `#publish`. */
  #oldestUnpublishedMs: number | undefined;
  #attestedTo: number | undefined;

  constructor(options: ShardArchiverOptions) {
    this.#o = options;
    this.#log = new ArchivedLog(options);
    this.#hold = new Hold(options.clock);
    this.#chain = new ChainFollower({ ...options, hold: this.#hold });
    this.#tree = new TreeWriter(this.#log);
    this.#segments = new Segments(this.#log);
    this.#snapshots = new Snapshots(this.#log);
    this.#named = new NamedObjects(options.objects, options.sources);
    this.#attestor = new Attestor(this.#log);
    this.#trim = new TopicTrim(this.#log, options.log);
    this.#witnessing = new Witnessing(this.#log, options);
    this.#end = new SegmentEnd({ tree: this.#tree, segments: this.#segments, snapshots: this.#snapshots, trim: this.#trim });
  }

  /** Leaves that the newest note covers. */
  get attestedSize(): number {
    return this.#attestor.size;
  }

  /** First offset of the chain topic whose block no signed note covers; undefined until the shard has recovered. */
  get attestedTo(): number | undefined {
    return this.#attestedTo;
  }

  /** Leaves in closed segments. */
  get archivedSize(): number {
    return this.#segments.archivedSize;
  }

  /** Why the shard waits, if it does. */
  get hold(): HoldState {
    return this.#hold.state();
  }

  /** Works until `signal` aborts or a rule says STOP, which throws. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#retry(signal, () => this.#recover(signal));
    while (!signal.aborted) {
      await this.#retry(signal, () => this.#readOn(signal));
      await this.#retry(signal, () => this.#settle());
      if (this.#publishDue()) await this.#retry(signal, () => this.#publish(false));
    }
    await this.#settle(true);
    await this.#publish(false);
    await this.#witnessing.finish();
  }

  /** Starts from the newest snapshot that verifies, or from nothing; the chain from there on is judged again. */
  async #recover(signal: AbortSignal): Promise<void> {
    const { origin, shard, shards, objects, sources, logger } = this.#o;
    await sources.refreshPolicies();
    await sources.refreshSchemas();
    this.#checkSigner();
    this.#chain.resume(await archiveAnchor(objects, sources, origin, shards).snapshot(shard));
    const { head: start } = this.#chain.state;
    await this.#tree.reset(start);
    await this.#segments.reset(start.size);
    await this.#snapshots.reset(start.size);
    this.#trim.reset();
    this.#end.reset();
    this.#witnessing.stop();
    this.#dueSinceMs = undefined;
    this.#oldestUnpublishedMs = undefined;
    await this.#attestor.reset(start);
    await this.#chain.checkLastBlock();
    await this.#catchUp(signal);
    await this.#resumeWitnessing();
    if (this.#tree.waiting === 0) this.#attestedTo = this.#chain.readPos;
    this.#gauge('lineproof_archiver_attested_size', this.attestedSize);
    this.#gauge('lineproof_archiver_archived_size', this.archivedSize);
    const { size } = this.#chain.state.head;
    logger.info(LOG.shardRecovered, { shard, from: start.size, size, attested: this.attestedSize });
  }

  /** A note by a key that the policy does not name would verify nowhere, and stop the next start. */
  #checkSigner(): void {
    const { sources, shard, signer } = this.#o;
    const { verifierKey } = signer;
    if (sources.policies.latest.logs(shard).some(({ entry, active }) => active && entry.key === verifierKey)) return;
    throw new LineproofError(
      'CONFIG_INVALID',
      `cannot attest ${this.#log.name}: ${verifierKey} is not an ACTIVE log key of it in the newest policy`,
      { shard },
    );
  }

  /** The policy of the log's last block. */
  #inForce(): PolicyInForce | undefined {
    const { policy } = this.#chain.state.head;
    return policy === null ? undefined : this.#o.sources.policies.byDigest(policy);
  }

  /** What our key signs counts nowhere if the policy of the log's last block calls the key RETIRED. */
  #checkInUse(): void {
    const { signer } = this.#o;
    const { size } = this.#chain.state.head;
    const inForce = this.#inForce();
    const entry = inForce?.policy.logs.find(({ key }) => key === signer.verifierKey);
    if (entry === undefined || entry.status === 'ACTIVE') return;
    throw new LineproofError(
      'CONFIG_INVALID',
      `cannot attest ${size} leaves of ${this.#log.name}: version ${inForce?.policy.version} of the policy, in force there, calls ${signer.verifierKey} ${entry.status}; start the archiver with an ACTIVE log key`,
      { shard: this.#log.shard, size },
    );
  }

  /** Reads the chain until it reaches the size that was attested before: the note must be on it. */
  async #catchUp(signal: AbortSignal): Promise<void> {
    const { end } = await this.#chain.bounds();
    const isBehind = (): boolean => this.#chain.state.head.size < this.attestedSize;
    while (isBehind() && this.#chain.readPos < end && !signal.aborted) await this.#readOn(signal);
    if (isBehind() && signal.aborted) return;
    this.#attestor.checkReached(this.#chain.state.head);
  }

  /** A note that was signed and not published before the start waits for its witnesses again. */
  async #resumeWitnessing(): Promise<void> {
    const { signed } = this.#attestor;
    if (signed === undefined || this.#inForce()?.witnesses == null) return;
    await this.#witnessing.take(signed, this.#inForce(), { isKept: false, sinceMs: this.#o.clock.monotonicMs() });
  }

  async #readOn(signal: AbortSignal): Promise<void> {
    const { pollMs, publishIntervalMs } = this.#o.settings;
    const waitMs = this.#tree.waiting > 0 ? Math.min(pollMs, publishIntervalMs) : pollMs;
    for await (const block of this.#chain.read({ maxBytes: READ_BYTES, waitMs, signal }, signal)) {
      if (this.#end.size !== undefined) await this.#retry(signal, () => this.#settle());
      await this.#advance(block, signal);
    }
  }

  /** Takes an accepted block into the tree and the open segment; closes the segment if the log says that it ends. */
  async #advance({ accepted, offset, endsSegment }: FollowedBlock, signal: AbortSignal): Promise<void> {
    const { head } = accepted.delta;
    this.#tree.add(accepted);
    this.#oldestUnpublishedMs ??= this.#o.clock.monotonicMs();
    this.#attestor.rememberRoot(head);
    this.#trim.remember(accepted, offset);
    this.#segments.add(accepted);
    this.#gauge('lineproof_archiver_verified_size', head.size);
    if (!endsSegment) return;
    // Each step is tried again by itself: the next block must not join a segment that ended.
    await this.#settled(signal);
    await this.#retry(signal, () => this.#publish(true));
    await this.#retry(signal, () => this.#end.begin(this.#chain.state, this.#chain.chainOffset));
    await this.#retry(signal, () => this.#settle());
  }

  #publishDue(): boolean {
    if (this.#oldestUnpublishedMs === undefined) return false;
    const { publishIntervalMs, publishLeaves } = this.#o.settings;
    const nowMs = this.#o.clock.monotonicMs();
    if (this.#tree.waiting < publishLeaves && nowMs - this.#oldestUnpublishedMs < publishIntervalMs) return false;
    this.#dueSinceMs ??= nowMs;
    // No note goes beyond a segment that is not closed: a reader would miss the segment.
    return this.#end.size === undefined;
  }

  /**
   * Attests the leaves that wait: everything that the note will cover is stored, then the note is signed. The COMMIT POINT is in the attestor;
   * a crash before it leaves objects that no note covers, and the next start writes the same again.
   */
  async #publish(isKept: boolean): Promise<void> {
    if (this.#tree.waiting === 0) return;
    const { clock, metrics } = this.#o;
    await this.#named.store();
    this.#checkInUse();
    const tail = await this.#tree.store();
    const note = await this.#attestor.attest(this.#chain.state.head);
    const sinceMs = (isKept ? undefined : this.#dueSinceMs) ?? clock.monotonicMs();
    await this.#witnessing.take(note, this.#inForce(), { isKept, sinceMs });
    this.#dueSinceMs = undefined;
    this.#tree.settle(tail);
    this.#gauge('lineproof_archiver_attested_size', this.attestedSize);
    this.#gauge('lineproof_archiver_checkpoint_timestamp_seconds', clock.nowMicros() / 1e6);
    this.#attestedTo = this.#chain.readPos;
    const startedMs = this.#oldestUnpublishedMs;
    this.#oldestUnpublishedMs = undefined;
    if (startedMs !== undefined)
      metrics.observe('lineproof_archiver_publish_seconds', (clock.monotonicMs() - startedMs) / 1000, this.#labels());
  }

  /** Publishes what is due, and closes the segment that waits for its witnesses, if their time is over or `isForced`. */
  async #settle(isForced = false): Promise<void> {
    await this.#witnessing.publishDue();
    const { size } = this.#end;
    if (size === undefined || !(isForced || this.#witnessing.isSettled(size))) return;
    const cosignatures = this.#witnessing.kept(size).map(({ line }) => line);
    await this.#end.close(cosignatures, (head) => {
      this.#o.metrics.add('lineproof_archiver_segments_total', 1, this.#labels());
      this.#gauge('lineproof_archiver_archived_size', head.size);
    });
  }

  /** Waits until the segment before is closed: for no longer than its witnesses may take. */
  async #settled(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#retry(signal, () => this.#settle(signal.aborted));
      if (this.#end.size === undefined) return;
      await this.#o.clock.sleep(SETTLE_MS, signal);
    }
  }

  async #retry(signal: AbortSignal, action: () => Promise<void>): Promise<void> {
    const { shard, clock, logger } = this.#o;
    await this.#hold.during((failed) => {
      const onFailure = (error: LineproofError): void => {
        const { code, message: reason } = error;
        logger[hasCode(error, 'UNAVAILABLE', 'ANSWER_UNUSABLE') ? 'warn' : 'error'](LOG.archiverHolds, { shard, code, reason });
        failed(error);
      };
      return retry({ pace: RETRY_PACE, clock, signal, onFailure }, action);
    });
  }

  #gauge(name: Extract<MetricOf<'gauge'>, `lineproof_archiver_${string}_${'size' | 'seconds'}`>, value: number): void {
    this.#o.metrics.set(name, value, this.#labels());
  }

  #labels(): { shard: string } {
    return { shard: String(this.#o.shard) };
  }
}
