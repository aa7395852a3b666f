import { sha256 } from '#crypto';
import type { AcceptedBlock } from '../core/acceptance/accept.ts';
import { headWindowStart } from '../core/acceptance/dedup-window.ts';
import { genesis, LogState, parseLaneKey } from '../core/acceptance/log-state.ts';
import { segmentEnds } from '../core/acceptance/segment-rule.ts';
import { archiveAnchor, openLogNote, type SignedNote } from '../core/archive/archive-anchor.ts';
import { ARCHIVE_JSON, logKeysOf, policyKey, schemaKey } from '../core/archive/archive-keys.ts';
import { encodeManifest } from '../core/archive/manifest.ts';
import { encodeSnapshot } from '../core/archive/snapshot.ts';
import { equal, fromHex, toHex, utf8 } from '../core/base/bytes.ts';
import { hasCode, LineproofError } from '../core/base/errors.ts';
import { canonicalJson } from '../core/base/jcs.ts';
import { checkAnchor, judgeRecord } from '../core/chain/chain-reader.ts';
import type { Sources } from '../core/chain/governance-source.ts';
import type { EventSchema } from '../core/formats/event-schema.ts';
import { formatCheckpoint } from '../core/keys/checkpoint.ts';
import { decodeEnvelope } from '../core/keys/dsse.ts';
import type { VerifierKey } from '../core/keys/key.ts';
import { signNote } from '../core/keys/note.ts';
import type { Clock } from '../core/ports/clock.ts';
import { type Log, TOPICS } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import type { Signer } from '../core/ports/signer.ts';
import { EMPTY_TAIL, growTree, type TreeTail } from '../core/tree/build/tile.ts';
import { frontierRoot } from '../core/tree/frontier.ts';
import { inParallel } from './parallel.ts';
import { SegmentWriter } from './segment-writer.ts';
import { readBack, readStoredTail, type StoredTree } from './stored-tree.ts';
import { type LogKeys, putEnvelope, putNote, putOnce, signedPayload } from './write-once.ts';

const READ_BYTES = 8 * 1024 * 1024;
const RETRY_MS = 50;
const MAX_RETRY_MS = 5_000;

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
  readonly settings: ArchiverSettings;
}

/** A block's place on the chain topic, for trimming behind the archive. */
interface Place {
  readonly offset: number;
  readonly appendedAt: number;
}

/** The archiver of one shard: checks the chain again, stores it, and only then attests it. Shares no decision with the chainer. */
export class ShardArchiver {
  readonly #o: ShardArchiverOptions;
  readonly #name: string;
  readonly #keys: ReturnType<typeof logKeysOf>;
  #state: LogState;
  #readPos = 0;
  #chainOffset = -1;
  /** Leaves accepted since the last stored size, with their hashes. */
  #leaves: Uint8Array[] = [];
  #hashes: Uint8Array[] = [];
  /** The tree as it is stored. */
  #tail: TreeTail = EMPTY_TAIL;
  /** The tree where the open segment begins. */
  #segmentTail: TreeTail = EMPTY_TAIL;
  /** Root at each block's end since the last note that is known to lie on our chain. */
  readonly #roots = new Map<number, Uint8Array>();
  /** The newest note known to be in the store. */
  #signed: SignedNote | undefined;
  #segment: SegmentWriter;
  #previousManifest: string | null = null;
  #archivedSize = 0;
  #bytesSinceSnapshot = 0;
  #snapshotBytes = 0;
  readonly #storedPolicies = new Set<string>();
  readonly #storedSchemas = new Set<string>();
  #archiveJson: string | undefined;
  /** Accepted blocks that the chain topic still holds for the dedup window, oldest first. */
  #places: Place[] = [];
  #oldestUnpublishedMs: number | undefined;
  #attestedTo: number | undefined;

  constructor(options: ShardArchiverOptions) {
    this.#o = options;
    this.#name = `${options.origin}/${options.shard}`;
    this.#keys = logKeysOf(options.shard);
    this.#state = new LogState(genesis(options.origin, options.shard, options.shards));
    this.#segment = new SegmentWriter(this.#name, options.shard, 0);
  }

  /** Leaves that the newest note covers. */
  get attestedSize(): number {
    return this.#signed?.size ?? 0;
  }

  /** First offset of the chain topic whose block no signed note covers; undefined until it recovered. */
  get attestedTo(): number | undefined {
    return this.#attestedTo;
  }

  /** Leaves in closed segments. */
  get archivedSize(): number {
    return this.#archivedSize;
  }

  /** Works until `signal` aborts or a rule says STOP, which throws. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#retrying(signal, () => this.#recover(signal));
    while (!signal.aborted) {
      await this.#retrying(signal, () => this.#readOn(signal));
      if (this.#publishDue()) await this.#retrying(signal, () => this.#publish());
    }
    if (this.#leaves.length > 0) await this.#publish();
  }

  // --- recovery

  /** Starts from the newest snapshot that verifies, or from nothing; the chain from there on is judged again. */
  async #recover(signal: AbortSignal): Promise<void> {
    const { origin, shard, shards, objects, sources, log } = this.#o;
    await sources.refreshPolicies();
    await sources.refreshSchemas();
    this.#checkSigner();
    const anchor = archiveAnchor(objects, sources, origin, shards);
    const point = await anchor.snapshot(shard);
    this.#state = point === undefined ? new LogState(genesis(origin, shard, shards)) : new LogState(point.head, point.streams, point.lanes);
    this.#chainOffset = point?.chainOffset ?? -1;
    this.#readPos = this.#chainOffset + 1;
    const { size, frontier } = this.#state.head;
    this.#tail = size === 0 ? EMPTY_TAIL : await readStoredTail(this.#tree, size, frontierRoot(frontier));
    this.#segmentTail = this.#tail;
    this.#segment = new SegmentWriter(this.#name, shard, size);
    this.#archivedSize = size;
    this.#previousManifest = size === 0 ? null : await this.#manifestEndingAt(size);
    this.#bytesSinceSnapshot = 0;
    this.#snapshotBytes = size === 0 ? 0 : ((await objects.get(this.#keys.snapshot(size)))?.bytes.length ?? 0);
    this.#leaves = [];
    this.#hashes = [];
    this.#places = [];
    this.#oldestUnpublishedMs = undefined;
    this.#roots.clear();
    this.#roots.set(size, frontierRoot(frontier));
    this.#signed = await this.#storedNote();
    if (this.#chainOffset >= 0) await checkAnchor(log, shard, this.#chainOffset, this.#state.head.seal);
    await this.#catchUp(signal);
    if (this.#leaves.length === 0) this.#attestedTo = this.#readPos;
    this.#o.metrics.set('lineproof_archiver_attested_size', this.attestedSize, this.#labels());
    this.#o.metrics.set('lineproof_archiver_archived_size', this.#archivedSize, this.#labels());
    this.#o.logger.info('shard recovered', { shard, from: size, size: this.#state.head.size, attested: this.attestedSize });
  }

  /** A note by a key that the policy does not name would verify nowhere, and stop the next start. */
  #checkSigner(): void {
    const { sources, shard, signer } = this.#o;
    const { verifierKey } = signer;
    if (sources.policies.latest.logs(shard).some(({ entry, active }) => active && entry.key === verifierKey)) return;
    throw new LineproofError(
      'CONFIG_INVALID',
      `cannot attest ${this.#name}: ${verifierKey} is no ACTIVE log key of it in the newest policy`,
      {
        shard,
      },
    );
  }

  /** Reads the chain until it reaches what was attested before: the note must lie on it. */
  async #catchUp(signal: AbortSignal): Promise<void> {
    const { log, shard } = this.#o;
    const attested = this.attestedSize;
    const { end } = await log.bounds(TOPICS.chain, shard);
    while (this.#state.head.size < attested && this.#readPos < end && !signal.aborted) await this.#readOn(signal);
    if (this.#state.head.size < attested && !signal.aborted) {
      throw new LineproofError(
        'LOG_BEHIND',
        `cannot go on: the archive attests ${attested} leaves of ${this.#name}, the chain topic gives only ${this.#state.head.size}`,
        { shard, attested },
      );
    }
    if (this.#signed !== undefined) this.#checkOnChain(this.#signed);
  }

  async #manifestEndingAt(end: number): Promise<string> {
    for await (const { key } of this.#o.objects.list(this.#keys.segments)) {
      if (!key.endsWith(`-${String(end).padStart(20, '0')}.manifest.json`)) continue;
      const stored = await this.#o.objects.get(key);
      const payload = stored === undefined ? undefined : signedPayload(stored.bytes, 'manifest', this.#logKeys());
      if (payload !== undefined) return toHex(sha256(payload));
    }
    throw new LineproofError(
      'ARCHIVE_DIVERGED',
      `cannot go on: no manifest of ${this.#name} that the log key signed ends at ${end}, where a snapshot does`,
    );
  }

  async #storedNote(): Promise<SignedNote | undefined> {
    const stored = await this.#o.objects.get(this.#keys.signed);
    return stored === undefined ? undefined : openLogNote(stored.bytes, this.#name, this.#logKeys());
  }

  #logKeys(): readonly VerifierKey[] {
    return this.#o.sources.policies.latest.logKeys(this.#o.shard);
  }

  get #signing(): LogKeys {
    return { signer: this.#o.signer, verifiers: this.#logKeys() };
  }

  get #tree(): StoredTree {
    return { objects: this.#o.objects, folder: this.#keys.folder };
  }

  // --- reading and checking

  async #readOn(signal: AbortSignal): Promise<void> {
    const { log, shard, sources, settings } = this.#o;
    const waitMs = this.#leaves.length > 0 ? Math.min(settings.pollMs, settings.publishIntervalMs) : settings.pollMs;
    const records = await log.read(TOPICS.chain, shard, this.#readPos, { maxBytes: READ_BYTES, waitMs, signal });
    if (records.length === 0) await this.#checkNotTrimmed();
    for (const record of records) {
      if (record.offset > this.#readPos) await this.#checkNotTrimmed();
      const accepted = await judgeRecord(this.#state, record, sources, signal);
      this.#readPos = record.offset + 1;
      if (accepted !== undefined) await this.#advance(accepted, record.offset, signal);
    }
  }

  async #checkNotTrimmed(): Promise<void> {
    const { start } = await this.#o.log.bounds(TOPICS.chain, this.#o.shard);
    if (start <= this.#readPos) return;
    throw new LineproofError(
      'LOG_DIVERGED',
      `cannot go on: blocks of ${this.#name} from offset ${this.#readPos} on were trimmed before they were archived`,
      { start },
    );
  }

  /** Takes an accepted block into the tree and the open segment; closes the segment where the log says that it ends. */
  async #advance(accepted: AcceptedBlock, offset: number, signal: AbortSignal): Promise<void> {
    const { block, seal, leafHashes, delta } = accepted;
    this.#state.apply(delta);
    this.#chainOffset = offset;
    this.#leaves.push(...block.links, block.seal);
    this.#hashes.push(...leafHashes);
    this.#oldestUnpublishedMs ??= this.#o.clock.monotonicMs();
    this.#roots.set(delta.head.size, frontierRoot(delta.head.frontier));
    // A block without input does not tell whether the one before it lies in the window.
    if (accepted.inputs.length > 0) this.#places.push({ offset, appendedAt: delta.head.appendedAt });
    this.#segment.add(accepted);
    this.#o.metrics.set('lineproof_archiver_verified_size', delta.head.size, this.#labels());
    const policy = this.#o.sources.policies.byDigest(toHex(seal.policy));
    if (policy !== undefined && segmentEnds(this.#segment.open, seal.acceptedAt, policy.policy.segmentMaxAgeMs)) {
      // Each step is tried again by itself: the next block must not join a segment that ended.
      await this.#retrying(signal, () => this.#publish());
      await this.#retrying(signal, () => this.#closeSegment());
      if (this.#bytesSinceSnapshot > this.#snapshotBytes) await this.#retrying(signal, () => this.#writeSnapshot());
    }
  }

  // --- publishing

  #publishDue(): boolean {
    if (this.#oldestUnpublishedMs === undefined) return false;
    const { publishIntervalMs, publishLeaves } = this.#o.settings;
    return this.#leaves.length >= publishLeaves || this.#o.clock.monotonicMs() - this.#oldestUnpublishedMs >= publishIntervalMs;
  }

  /** Stores everything that the next note will cover, then signs it. */
  async #publish(): Promise<void> {
    if (this.#leaves.length === 0) return;
    await this.#storeNamedObjects();
    const { objects, tail } = growTree(this.#tail, this.#leaves, this.#hashes);
    // In any order: nothing of this counts before all of it is there and the note is signed.
    await inParallel(objects, async ({ path, bytes }) => void (await putOnce(this.#o.objects, `${this.#keys.folder}/${path}`, bytes)));
    await this.#attest();
    this.#attestedTo = this.#readPos;
    this.#tail = tail;
    this.#leaves = [];
    this.#hashes = [];
    const startedMs = this.#oldestUnpublishedMs;
    this.#oldestUnpublishedMs = undefined;
    if (startedMs !== undefined)
      this.#o.metrics.observe('lineproof_archiver_publish_seconds', (this.#o.clock.monotonicMs() - startedMs) / 1000, this.#labels());
  }

  /** Policies and schemas that the new leaves name, and the table of contents. */
  async #storeNamedObjects(): Promise<void> {
    const { sources, objects } = this.#o;
    for (const [i, version] of sources.policies.versions.entries()) {
      if (this.#storedPolicies.has(version.hex)) continue;
      const envelope = sources.envelopes[i] as Uint8Array;
      const { payload } = decodeEnvelope(envelope, 'policy');
      await putOnce(objects, policyKey(version.hex), envelope, (stored) => equal(decodeEnvelope(stored, 'policy').payload, payload));
      this.#storedPolicies.add(version.hex);
    }
    for (const hex of sources.policies.versions.flatMap(({ policy }) => policy.schemas)) {
      const schema = this.#storedSchemas.has(hex) ? undefined : sources.eventSchema(hex);
      if (schema === undefined) continue;
      await putOnce(objects, schemaKey(hex), utf8(schema.text));
      this.#storedSchemas.add(hex);
    }
    await this.#showContents();
  }

  /** Brings the table of contents up to date with the newest policy. */
  async #showContents(): Promise<void> {
    const { sources, objects } = this.#o;
    const { origin, shards, roots, logs } = sources.policies.latest.policy;
    const text = canonicalJson({ origin, shards, roots: roots.keys, logs: logs.map(({ key }) => key) });
    while (text !== this.#archiveJson) {
      const stored = await objects.get(ARCHIVE_JSON);
      const isThere = stored !== undefined && equal(stored.bytes, utf8(text));
      if (isThere || (await objects.replace(ARCHIVE_JSON, utf8(text), stored?.etag)) !== undefined) this.#archiveJson = text;
    }
  }

  /** Signs the root at the current size. COMMIT POINT of attestation: the note is in the store before anybody sees it. */
  async #attest(): Promise<void> {
    const { objects, signer, clock } = this.#o;
    const { size, frontier } = this.#state.head;
    for (;;) {
      const stored = await objects.get(this.#keys.signed);
      const there = stored === undefined ? undefined : openLogNote(stored.bytes, this.#name, this.#logKeys());
      if (there !== undefined && there.size > size) {
        // Another archiver is ahead: its note is checked when we reach its size.
        this.#signed = there;
        break;
      }
      if (there !== undefined) this.#checkOnChain(there);
      const note = await signNote(formatCheckpoint({ origin: this.#name, size, root: frontierRoot(frontier) }), signer);
      if (there?.note === note || (await objects.replace(this.#keys.signed, utf8(note), stored?.etag)) !== undefined) {
        this.#signed = { origin: this.#name, size, root: frontierRoot(frontier), note };
        break;
      }
    }
    await this.#showCheckpoint();
    for (const known of this.#roots.keys()) if (known < Math.min(size, this.attestedSize)) this.#roots.delete(known);
    this.#o.metrics.set('lineproof_archiver_attested_size', this.attestedSize, this.#labels());
    this.#o.metrics.set('lineproof_archiver_checkpoint_timestamp_seconds', clock.nowMicros() / 1e6, this.#labels());
  }

  /** Throws ARCHIVE_DIVERGED unless the note's root is our chain's at its size. Notes are signed at block ends only. */
  #checkOnChain({ size, root }: SignedNote): void {
    if (size > this.#state.head.size) return;
    const ours = this.#roots.get(size);
    if (ours !== undefined && equal(ours, root)) return;
    throw new LineproofError(
      'ARCHIVE_DIVERGED',
      `cannot sign: the archive attests a root of ${this.#name} at ${size} that is not on the accepted chain`,
      { shard: this.#o.shard, size },
    );
  }

  /** Moves the published checkpoint forward to the signed note. Witnesses' cosignatures will be gathered here. */
  async #showCheckpoint(): Promise<void> {
    const { objects } = this.#o;
    const note = this.#signed;
    if (note === undefined) return;
    for (;;) {
      const stored = await objects.get(this.#keys.checkpoint);
      if (stored !== undefined && openLogNote(stored.bytes, this.#name, this.#logKeys()).size >= note.size) return;
      if ((await objects.replace(this.#keys.checkpoint, utf8(note.note), stored?.etag)) !== undefined) return;
    }
  }

  // --- segments

  async #closeSegment(): Promise<void> {
    const { objects, shard, metrics } = this.#o;
    const { size, frontier } = this.#state.head;
    const root = frontierRoot(frontier);
    await readBack(this.#tree, this.#segmentTail, size, root);
    const manifest = await this.#segment.close(objects, root, (hex) => this.#schema(hex), this.#previousManifest);
    const payload = encodeManifest(manifest);
    await putNote(objects, this.#keys.checkpointAt(size), { origin: this.#name, size, root }, this.#signing);
    await putEnvelope(objects, this.#keys.manifest(manifest.first, size), 'manifest', payload, this.#signing);
    this.#previousManifest = toHex(sha256(payload));
    this.#archivedSize = size;
    this.#bytesSinceSnapshot += manifest.objects.reduce((sum, object) => sum + object.size, 0);
    this.#segment = new SegmentWriter(this.#name, shard, size);
    this.#segmentTail = this.#tail;
    metrics.add('lineproof_archiver_segments_total', 1, this.#labels());
    metrics.set('lineproof_archiver_archived_size', size, this.#labels());
  }

  #schema(hex: string): EventSchema {
    const schema = this.#o.sources.eventSchema(hex);
    if (schema === undefined)
      throw new LineproofError('INTERNAL', `cannot archive: schema ${hex} was needed to accept the block and is gone`);
    return schema;
  }

  /** Writes the state at the segment's end, then gives the log what is no longer needed before it. */
  async #writeSnapshot(): Promise<void> {
    const { head } = this.#state;
    const { frontier, policy, ...rest } = head;
    const payload = encodeSnapshot({
      ...rest,
      frontier: frontier.hashes,
      policy: policy === null ? null : fromHex(policy),
      chainOffset: this.#chainOffset,
      streams: [...this.#state.streams()].map(([stream, end]) => ({ stream, ...end })),
      lanes: [...this.#state.lanes()].map(([key, lane]) => ({ ...parseLaneKey(key), ...lane })),
    });
    const bytes = await putEnvelope(this.#o.objects, this.#keys.snapshot(head.size), 'snapshot', payload, this.#signing);
    this.#snapshotBytes = bytes.length;
    this.#bytesSinceSnapshot = 0;
    await this.#trim();
  }

  /**
   * Trims behind the snapshot, once it, or a newer one by another archiver, can be read as a restart would read it: tiles and segments were read
   * back when they closed.
   * The chain keeps the dedup window and one block before it, the input its last consumed message.
   */
  async #trim(): Promise<void> {
    const { log, shard, sources, objects, origin, shards } = this.#o;
    const { head } = this.#state;
    const point = await archiveAnchor(objects, sources, origin, shards).snapshot(shard);
    if (point === undefined || point.head.size < head.size)
      throw new LineproofError('ARCHIVE_DIVERGED', `cannot trim ${this.#name}: the snapshot at ${head.size} does not verify`, { shard });
    await sources.refreshPolicies();
    const { inputGeneration } = sources.policies.latest.policy;
    const cutoff = headWindowStart(head, sources.policies);
    while (this.#places.length > 1 && (this.#places[1] as Place).appendedAt < cutoff) this.#places.shift();
    const oldest = this.#places[0];
    if (oldest !== undefined && oldest.appendedAt < cutoff) await log.trim(TOPICS.chain, shard, oldest.offset);
    // Offsets of a topic that was made anew are others than those that were consumed.
    if (inputGeneration.generation === head.inputGeneration) await log.trim(TOPICS.events, shard, Math.max(0, head.inputTo - 1));
  }

  // --- steps

  async #retrying(signal: AbortSignal, action: () => Promise<void>): Promise<void> {
    for (let waitMs = RETRY_MS; ; waitMs = Math.min(2 * waitMs, MAX_RETRY_MS)) {
      try {
        await action();
        return;
      } catch (error) {
        if (!(error instanceof LineproofError && error.retryable) || signal.aborted) throw error;
        this.#o.logger[hasCode(error, 'UNAVAILABLE') ? 'warn' : 'error']('archiver holds', {
          shard: this.#o.shard,
          code: error.code,
          reason: error.message,
        });
        await this.#o.clock.sleep(waitMs, signal);
      }
    }
  }

  #labels(): { shard: string } {
    return { shard: String(this.#o.shard) };
  }
}
