import { randomBytes } from '#crypto';
import type { AcceptedBlock } from '../core/accept.ts';
import type { BatchRules } from '../core/batch-check.ts';
import { equal, toHex } from '../core/bytes.ts';
import { checkAnchor, judgeRecord } from '../core/chain-reader.ts';
import { type WalkedBlock, walkBack } from '../core/chain-walk.ts';
import { hasCode, LineproofError } from '../core/errors.ts';
import { decodeEvidence } from '../core/evidence.ts';
import type { ArchiveAnchor } from '../core/ports/archive-anchor.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { DedupHit, DedupIndex, Watermark, WindowAnswer, WindowCall } from '../core/ports/dedup-index.ts';
import { type Log, TOPICS } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { Signer } from '../core/ports/signer.ts';
import { growSegment, type OpenSegment, openSegment, segmentEnds } from '../core/segment.ts';
import type { Sources } from '../core/sources.ts';
import { genesis, LogState, type LogView, overlay } from '../core/state.ts';
import { frontierRoot } from '../core/tree/frontier.ts';
import { buildBlock } from './block-builder.ts';
import {
  acceptedIdentities,
  type BlockIdentities,
  blockIdentities,
  firstSlot,
  identitiesAt,
  isAt,
  lastAppendedAt,
  type WindowRules,
  watermarkOf,
  windowRules,
} from './dedup-window.ts';
import { type BatchSchemaIds, checkInputAnchor, readIntake } from './intake.ts';
import type { LocalState } from './local-state.ts';
import { blockCost, type Intake, keyText, lookupKeys, type Ordered, order } from './order.ts';

/** Below the limit of a block by what a seal, its signature and the framing need. */
const BLOCK_BUDGET = 950_000;
/** A few blocks' worth: input that waits, judged, in memory outlives the young generation, and that costs more than reading it later. */
const READ_BYTES = 2 * 1024 * 1024;
/** Identities of accepted blocks that are kept here before the index gets them: it writes many for half the cost of few. A restart walks these blocks again. */
const PENDING_IDENTITIES = 4096;
const RETRY_MS = 25;
const MAX_RETRY_MS = 2_000;

export interface SequencerSettings {
  /** Blocks that may be appended before the first of them was judged. */
  readonly depth: number;
  /** How long an idle shard waits for input before it looks at its timers. */
  readonly pollMs: number;
  /** Local state is written at most this often. */
  readonly stateIntervalMs: number;
  /** Policies are looked for at most this often. */
  readonly policyIntervalMs: number;
}

export const SEQUENCER_DEFAULTS: SequencerSettings = { depth: 2, pollMs: 100, stateIntervalMs: 1_000, policyIntervalMs: 1_000 };

export interface SequencerOptions {
  readonly origin: string;
  readonly shard: number;
  readonly shards: number;
  readonly log: Log;
  readonly dedup: DedupIndex;
  readonly local: LocalState;
  readonly anchor: ArchiveAnchor;
  readonly sources: Sources;
  readonly ids: BatchSchemaIds;
  readonly signer: Signer;
  /** Registry id of the Block schema. */
  readonly blockSchemaId: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly settings: SequencerSettings;
  /** Whether this process still owns the shard; asked before every block. */
  readonly owns: () => boolean;
}

/** A block of ours that was appended and not judged yet. */
interface Flight {
  readonly value: Uint8Array;
  readonly accepted: AcceptedBlock;
  readonly identities: BlockIdentities;
  /** View of the log after it. */
  readonly view: LogView;
  /** Offset that the append answered, or what it failed with. Never rejects. */
  append: Promise<{ offset: number } | { error: unknown }>;
}

/** The owner of one shard's lane of work: orders its input into blocks. docs/sequencer.md is the protocol that this file follows line by line. */
export class Sequencer {
  readonly #o: SequencerOptions;
  #state: LogState;
  /** First chain offset not judged yet. */
  #readPos = 0;
  /** Offset of the block that the head ends in, −1 before the first. */
  #chainOffset = -1;
  #inflight: Flight[] = [];
  /** Accepted blocks whose identities are not confirmed in the dedup index. */
  #pending: BlockIdentities[] = [];
  #watermark: Watermark | undefined;
  /** Judged input that is not in a block yet, from the end of the last flight on. */
  #input: Intake[] = [];
  /** Policy that {@link Sequencer.#input} was judged by; under another one it is judged anew. */
  #inputPolicy: string | undefined;
  #lastEvidence: AcceptedBlock['inputs'] | undefined;
  #attested: { readonly size: number; readonly root: Uint8Array } | undefined;
  #stateWrittenMs = 0;
  #policyReadMs = 0;
  /** The archive's segment that the head lies in: a silent log closes it with a block that has no input. */
  #segment: OpenSegment = openSegment(0);

  constructor(options: SequencerOptions) {
    this.#o = options;
    this.#state = new LogState(genesis(options.origin, options.shard, options.shards));
  }

  /** The state of the log as judged so far; read only. */
  get state(): LogState {
    return this.#state;
  }

  /** Owns the shard until `signal` aborts or a rule says STOP, which throws. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#retrying(signal, () => this.#recover(signal));
    while (!signal.aborted && !this.#top().head.final) {
      await this.#retrying(signal, () => this.#step(signal));
    }
    await this.#drain(signal);
  }

  async #step(signal: AbortSignal): Promise<void> {
    await this.#refreshPolicies();
    if (this.#inflight.length < this.#o.settings.depth && this.#o.owns()) {
      await this.#fill(signal);
      if (this.#input.length > 0 || this.#tickDue()) {
        await this.#orderNext(signal);
        return;
      }
    }
    if (this.#inflight.length > 0) await this.#settle(signal);
    else if (!this.#o.owns()) await this.#o.clock.sleep(this.#o.settings.pollMs, signal);
    await this.#writeState(false);
  }

  /** The view at the end of everything appended by us. */
  #top(): LogView {
    return this.#inflight.at(-1)?.view ?? this.#state;
  }

  // --- RECOVER and TAIL

  async #recover(signal: AbortSignal): Promise<void> {
    const { origin, shard, shards, anchor, local, sources } = this.#o;
    await sources.refreshPolicies();
    await sources.refreshSchemas();
    const [own, snapshot] = [await local.load(), await anchor.snapshot(shard)];
    this.#attested = await anchor.signed(shard);
    const fromSnapshot = snapshot !== undefined && snapshot.head.size > (own?.head.size ?? 0);
    const point = fromSnapshot ? snapshot : own;
    if (fromSnapshot) await local.wipe();
    this.#state = point === undefined ? new LogState(genesis(origin, shard, shards)) : new LogState(point.head, point.streams, point.lanes);
    if (fromSnapshot) this.#noteAll();
    this.#chainOffset = point?.chainOffset ?? -1;
    this.#readPos = this.#chainOffset + 1;
    this.#segment = point?.segment ?? openSegment(this.#state.head.size);
    this.#lastEvidence = undefined;
    this.#forgetFlights();
    this.#pending = [];
    this.#watermark = undefined;
    const startSize = this.#state.head.size;
    // An older note cannot be compared: our own state was judged beyond it before.
    if (this.#attested !== undefined && this.#attested.size < startSize) this.#attested = undefined;
    this.#checkAttested();
    await this.#tail(signal);
    const attested = this.#attested;
    if (attested !== undefined && attested.size > this.#state.head.size) {
      throw new LineproofError(
        'LOG_BEHIND',
        `cannot go on: the archive attests ${attested.size} leaves of shard ${shard}, the chain topic gives only ${this.#state.head.size}`,
        { shard, attested: attested.size, size: this.#state.head.size },
      );
    }
    await checkInputAnchor(this.#o.log, shard, this.#state.head.inputTo, await this.#lastInput());
    this.#o.logger.info('shard recovered', { shard, from: startSize, size: this.#state.head.size, streams: this.#state.streamCount });
  }

  /** Notes the whole state for the next write. */
  #noteAll(): void {
    this.#o.local.note(
      { head: this.#state.head, streams: new Map(this.#state.streams()), lanes: new Map(this.#state.lanes()), lanesFrom: 0 },
      [],
    );
  }

  async #lastInput(): Promise<AcceptedBlock['inputs'][number] | undefined> {
    if (this.#lastEvidence !== undefined) return this.#lastEvidence.at(-1);
    if (this.#chainOffset < 0) return undefined;
    for await (const { block } of walkBack(this.#o.log, this.#o.shard, this.#chainOffset, this.#state.head.seal)) {
      const last = decodeEvidence(block.evidence).at(-1);
      if (last !== undefined) return last;
    }
    return undefined;
  }

  /** Judges everything from where we stand to the end of the log as it is now. */
  async #tail(signal: AbortSignal): Promise<void> {
    const { log, shard, sources } = this.#o;
    if (this.#chainOffset >= 0) await checkAnchor(log, shard, this.#chainOffset, this.#state.head.seal);
    const { start, end } = await log.bounds(TOPICS.chain, shard);
    if (start > this.#readPos) {
      throw new LineproofError(
        'LOG_DIVERGED',
        `cannot go on: shard ${shard} of ${TOPICS.chain} starts at ${start}, blocks from ${this.#readPos} on were trimmed before they were read`,
        { shard, start, readPos: this.#readPos },
      );
    }
    while (this.#readPos < end) {
      const records = await log.read(TOPICS.chain, shard, this.#readPos, { maxBytes: READ_BYTES, waitMs: 0 });
      if (records.length === 0) return;
      for (const record of records) {
        const accepted = await judgeRecord(this.#state, record, sources, signal);
        if (accepted !== undefined) this.#advance(accepted, record.offset);
        this.#readPos = record.offset + 1;
      }
    }
  }

  /** Moves the head over an accepted block. COMMIT POINT: the block stands in the log and every reader accepts it. */
  #advance(accepted: AcceptedBlock, offset: number): void {
    const [flight] = this.#inflight;
    const own = flight !== undefined && equal(flight.accepted.delta.head.seal, accepted.delta.head.seal) ? flight : undefined;
    if (own !== undefined) this.#inflight.shift();
    else if (flight !== undefined) this.#forgetFlights();
    this.#o.local.note(accepted.delta, this.#state.apply(accepted.delta));
    this.#chainOffset = offset;
    this.#lastEvidence = accepted.inputs.length > 0 ? accepted.inputs : this.#lastEvidence;
    const identities = own === undefined ? acceptedIdentities(accepted, offset, this.#window()) : identitiesAt(own.identities, offset);
    this.#pending.push(identities);
    this.#growSegment(accepted);
    this.#checkAttested();
    this.#count(accepted);
  }

  #forgetFlights(): void {
    if (this.#inflight.length > 0) this.#o.metrics.add('lineproof_chainer_lost_races_total', 1, this.#labels());
    this.#inflight = [];
    this.#input = [];
  }

  /** The root at the size that the archive attests must be the attested one. */
  #checkAttested(): void {
    const { head } = this.#state;
    if (this.#attested === undefined || head.size < this.#attested.size) return;
    // Notes are signed at block ends only: a chain that jumps over the attested size is another chain.
    if (head.size === this.#attested.size && equal(frontierRoot(head.frontier), this.#attested.root)) {
      this.#attested = undefined;
      return;
    }
    throw new LineproofError(
      'ARCHIVE_DIVERGED',
      `cannot go on: at ${head.size} leaves the chain of shard ${head.shard} has another root than the archive attests`,
      { shard: head.shard, size: head.size },
    );
  }

  // --- LOOP: input → order → append

  /** Reads on in the input when nothing of it is left. */
  async #fill(signal: AbortSignal): Promise<void> {
    const policy = this.#o.sources.policies.latest.hex;
    if (this.#inputPolicy !== policy) this.#input = [];
    this.#inputPolicy = policy;
    if (this.#input.length > 0) return;
    const waitMs = this.#inflight.length > 0 || this.#tickDue() ? 0 : this.#o.settings.pollMs;
    const from = () => {
      const { inputTo, appendedAt } = this.#inputStart();
      return { offset: inputTo, appendedAt, maxBytes: READ_BYTES, waitMs };
    };
    let read = await readIntake(this.#o, from(), this.#rules(), signal);
    if (read.kind === 'trimmed') {
      await this.#tail(signal);
      read = await readIntake(this.#o, from(), this.#rules(), signal);
    }
    if (read.kind === 'trimmed') {
      const { inputTo } = this.#inputStart();
      throw new LineproofError(
        'LOG_DIVERGED',
        `cannot go on: shard ${this.#o.shard} of ${TOPICS.events} starts at ${read.start}, messages from ${inputTo} on were trimmed before they were consumed`,
        { shard: this.#o.shard, start: read.start, inputTo },
      );
    }
    this.#input = [...read.intakes];
  }

  #rules(): BatchRules {
    const { origin, shard, shards, sources } = this.#o;
    return { origin, shard, shards, policy: sources.policies.latest, eventSchema: (hex) => sources.eventSchema(hex) };
  }

  /** Where the next block's input starts: behind the last block, or where the policy says that a new generation of the topic does. */
  #inputStart(): { inputGeneration: number; inputTo: number; appendedAt: number } {
    const { head } = this.#top();
    const { generation, firstOffsets } = this.#o.sources.policies.latest.policy.inputGeneration;
    if (generation <= head.inputGeneration) return head;
    return { inputGeneration: generation, inputTo: firstOffsets[head.shard] ?? 0, appendedAt: head.appendedAt };
  }

  /** Whether the open segment is so old that the next seal ends it, and no input brings one. */
  #tickDue(): boolean {
    const { firstSealAt } = this.#segment;
    if (firstSealAt === undefined || this.#inflight.length > 0) return false;
    return this.#o.clock.nowMicros() - firstSealAt >= this.#o.sources.policies.latest.policy.segmentMaxAgeMs * 1000;
  }

  /** Follows the archive's segments by the rule of the log alone. */
  #growSegment({ block, seal, leafHashes, delta }: AcceptedBlock): void {
    const eventBytes = block.events.reduce((sum, { length }) => sum + length, 0);
    const grown = growSegment(this.#segment, { leaves: leafHashes.length, eventBytes, acceptedAt: seal.acceptedAt });
    const policy = this.#o.sources.policies.byDigest(toHex(seal.policy));
    const ends = policy !== undefined && segmentEnds(grown, seal.acceptedAt, policy.policy.segmentMaxAgeMs);
    this.#segment = ends ? openSegment(delta.head.size) : grown;
  }

  /** Takes as much input as surely fits one block. */
  #takeInput(): Intake[] {
    let cost = 0;
    let count = 0;
    for (const intake of this.#input) {
      cost += blockCost(intake);
      if (count > 0 && cost > BLOCK_BUDGET) break;
      count++;
    }
    return this.#input.slice(0, count);
  }

  async #orderNext(signal: AbortSignal): Promise<void> {
    const intakes = this.#takeInput();
    const keys = intakes.flatMap(lookupKeys);
    const known = await this.#lookup(keys, signal);
    if (known === undefined) return;
    const { sources, metrics } = this.#o;
    const view = this.#top();
    const policy = sources.policies.latest;
    const { inputGeneration, inputTo } = this.#inputStart();
    const acceptedAt = Math.max(view.head.acceptedAt, this.#o.clock.nowMicros());
    const ordered = order(view, intakes, known, { acceptedAt, inputGeneration, laneRetentionMicros: policy.policy.laneRetentionMs * 1000 });
    await this.#keepRejected(ordered, signal);
    const seal = { policy, inputGeneration, inputFrom: inputTo, acceptedAt, final: false };
    const { value, accepted } = await buildBlock(view, ordered, seal, this.#o.signer, this.#o.blockSchemaId, sources.context());
    this.#input = this.#input.slice(intakes.length);
    this.#launch(value, accepted, view, ordered.keys);
    metrics.observe('lineproof_chainer_block_bytes', value.length, this.#labels());
  }

  /** What refused bytes there are goes to `provenance.rejected` before the block that names them. COMMIT POINT of the refused bytes. */
  async #keepRejected(ordered: Ordered, signal: AbortSignal): Promise<void> {
    for (const value of ordered.rejected) {
      await this.#retrying(signal, () => this.#o.log.append(TOPICS.rejected, this.#o.shard, [{ key: null, value }]));
    }
  }

  #launch(value: Uint8Array, accepted: AcceptedBlock, view: LogView, keys: readonly Uint8Array[]): void {
    const identities = acceptedIdentities(accepted, -1, this.#window(), keys);
    const after = this.#inflight.at(-1)?.append ?? Promise.resolve(undefined);
    this.#inflight.push({ value, accepted, identities, view: overlay(view, accepted.delta), append: this.#append(value, after) });
  }

  /** Appends behind the flight before; a flight whose predecessor failed waits for the judgement instead of overtaking it. */
  async #append(
    value: Uint8Array,
    after: Promise<{ offset: number } | { error: unknown } | undefined>,
  ): Promise<{ offset: number } | { error: unknown }> {
    const before = await after;
    if (before !== undefined && 'error' in before) return before;
    try {
      return { offset: await this.#o.log.append(TOPICS.chain, this.#o.shard, [{ key: null, value }]) };
    } catch (error) {
      return { error };
    }
  }

  /** Awaits the answer for the oldest flight and judges it. */
  async #settle(signal: AbortSignal): Promise<void> {
    const flight = this.#inflight[0] as Flight;
    const answer = await flight.append;
    if ('offset' in answer && answer.offset === this.#readPos) {
      this.#readPos++;
      this.#advance(flight.accepted, answer.offset);
      return;
    }
    if ('error' in answer)
      this.#o.logger.warn('append not confirmed: reading the chain to see what became of it', {
        shard: this.#o.shard,
        reason: String(answer.error),
      });
    await this.#tail(signal);
    if (this.#inflight[0] !== flight) return;
    await this.#o.clock.sleep(RETRY_MS, signal);
    let after: Flight['append'] | undefined;
    for (const again of this.#inflight) {
      again.append = this.#append(again.value, after ?? Promise.resolve({ offset: -1 }));
      after = again.append;
    }
  }

  /** Awaits what is in flight, so that a clean stop leaves nothing undecided. */
  async #drain(signal: AbortSignal): Promise<void> {
    for (let tries = 0; this.#inflight.length > 0 && tries < 10; tries++) await this.#settle(signal);
    await this.#writeState(true);
  }

  // --- the dedup window

  #window(): WindowRules {
    return windowRules(this.#o.sources.policies.latest.policy);
  }

  /** Looks `keys` up, and in the same call confirms the pending identities where there are enough of them. Undefined: the watermark did not match; start over. */
  async #lookup(keys: readonly Uint8Array[], signal: AbortSignal): Promise<((key: Uint8Array) => DedupHit | undefined) | undefined> {
    if (this.#watermark === undefined) {
      const stored = await this.#retrying(signal, () => this.#o.dedup.watermark(this.#o.shard));
      await this.#resync(stored, signal);
      return undefined;
    }
    const expect = this.#watermark;
    const confirms = this.#pending.reduce((sum, { entries }) => sum + entries.length, 0) >= PENDING_IDENTITIES;
    const confirmed = confirms ? this.#pending : [];
    const next = confirmed.at(-1)?.watermark ?? expect;
    const add = confirmed.flatMap(({ entries }) => entries);
    const dropBelowSlot = firstSlot(this.#state.head.appendedAt, this.#window());
    const answer = await this.#call({ shard: this.#o.shard, expect, next, add, dropBelowSlot, wipe: false, lookup: keys }, signal);
    if (!answer.ok) {
      await this.#resync(answer.watermark, signal);
      return undefined;
    }
    this.#watermark = next;
    if (confirms) this.#pending = [];
    const stored = new Map<string, DedupHit>();
    for (const [i, hit] of answer.hits.entries()) if (hit !== undefined) stored.set(keyText(keys[i] as Uint8Array), hit);
    const unconfirmed = [...this.#inflight.map(({ identities }) => identities.hits), ...this.#pending.map(({ hits }) => hits)];
    return (key) => {
      const text = keyText(key);
      for (const hits of unconfirmed) {
        const hit = hits.get(text);
        if (hit !== undefined) return hit;
      }
      return stored.get(text);
    };
  }

  /** One call of the index, sent again unchanged until there is an answer. */
  #call(call: WindowCall, signal: AbortSignal): Promise<WindowAnswer> {
    return this.#retrying(signal, () => this.#o.dedup.window(call));
  }

  /** Finds out how the index's watermark relates to our chain. */
  async #resync(stored: Watermark, signal: AbortSignal): Promise<void> {
    if (stored.kind === 'at' && stored.size > this.#state.head.size) await this.#tail(signal);
    const { head } = this.#state;
    if (stored.kind !== 'at') return this.#rebuild(stored, signal);
    if (stored.size > head.size) {
      throw new LineproofError(
        'LOG_BEHIND',
        `cannot go on: the dedup index knows ${stored.size} leaves of shard ${head.shard}, the chain topic gives only ${head.size}`,
        { shard: head.shard, index: stored.size, size: head.size },
      );
    }
    const missing = await this.#blocksAfter(stored);
    if (missing === undefined) {
      await this.#checkForeignWatermark(stored);
      return this.#rebuild(stored, signal);
    }
    this.#watermark = stored;
    this.#pending = missing;
  }

  /** The identities of our blocks after a watermark, oldest first; undefined where it is not on our chain or lies further back than the window. */
  async #blocksAfter(stored: Extract<Watermark, { kind: 'at' }>): Promise<BlockIdentities[] | undefined> {
    if (isAt(stored, this.#state.head)) return [];
    const after: BlockIdentities[] = [];
    for await (const walked of this.#windowBlocks()) {
      if (stored.size === walked.seal.firstIndex + walked.seal.links + 1 && stored.seal === toHex(walked.sealHash))
        return after.toReversed();
      if (walked.seal.firstIndex + walked.seal.links + 1 <= stored.size) return undefined;
      after.push(blockIdentities(walked.block, walked.seal, walked.offset, walked.sealHash, this.#window()));
      if (walked.seal.firstIndex === 0 && stored.size === 0) return after.toReversed();
    }
    return undefined;
  }

  /** Blocks from the head back to the start of the window. A block missing before it: the log lost what it must keep, LOG_DIVERGED. */
  async *#windowBlocks(): AsyncGenerator<WalkedBlock> {
    const { head } = this.#state;
    const from = head.appendedAt - this.#window().windowMicros;
    let first = head.size;
    for await (const walked of walkBack(this.#o.log, this.#o.shard, this.#chainOffset, head.seal)) {
      const last = lastAppendedAt(walked.block);
      if (last !== undefined && last < from) return;
      yield walked;
      first = walked.seal.firstIndex;
    }
    if (first === 0 || this.#chainOffset < 0) return;
    throw new LineproofError(
      'LOG_DIVERGED',
      `cannot rebuild the dedup index: shard ${head.shard} of ${TOPICS.chain} lost blocks below leaf ${first}, which lie inside the dedup window`,
      { shard: head.shard, first },
    );
  }

  /** A watermark that is not on our chain, while the log still holds its offset with another block: index and log contradict each other. */
  async #checkForeignWatermark(stored: Extract<Watermark, { kind: 'at' }>): Promise<void> {
    const { start, end } = await this.#o.log.bounds(TOPICS.chain, this.#o.shard);
    if (stored.chainOffset < start || stored.chainOffset >= end || stored.size === 0) return;
    for await (const walked of walkBack(this.#o.log, this.#o.shard, this.#chainOffset, this.#state.head.seal)) {
      if (walked.offset > stored.chainOffset) continue;
      if (walked.offset === stored.chainOffset && toHex(walked.sealHash) === stored.seal) return;
      break;
    }
    throw new LineproofError(
      'LOG_DIVERGED',
      `cannot go on: the dedup index of shard ${this.#o.shard} stands at a block that is not on the chain; was the log set back?`,
      { shard: this.#o.shard, chainOffset: stored.chainOffset },
    );
  }

  async #rebuild(stored: Watermark, signal: AbortSignal): Promise<void> {
    const started = this.#o.clock.monotonicMs();
    const { shard, dedup } = this.#o;
    const token = toHex(randomBytes(16));
    let expect = stored;
    let blocks = 0;
    const step = async (next: Watermark, add: BlockIdentities['entries'], wipe: boolean): Promise<boolean> => {
      const answer = await this.#retrying(signal, () => dedup.window({ shard, expect, next, add, wipe, lookup: [] }));
      if (answer.ok) expect = next;
      return answer.ok;
    };
    if (!(await step({ kind: 'building', token, step: 0 }, [], true))) return;
    if (this.#chainOffset >= 0) {
      for await (const { block, seal, offset, sealHash } of this.#windowBlocks()) {
        const { entries } = blockIdentities(block, seal, offset, sealHash, this.#window());
        if (!(await step({ kind: 'building', token, step: ++blocks }, entries, false))) return;
      }
    }
    const at = watermarkOf(this.#state.head, this.#chainOffset);
    if (!(await step(at, [], false))) return;
    this.#watermark = at;
    this.#pending = [];
    this.#o.logger.info('dedup index rebuilt', { shard, blocks, ms: Math.round(this.#o.clock.monotonicMs() - started) });
  }

  // --- housekeeping

  async #refreshPolicies(): Promise<void> {
    const now = this.#o.clock.monotonicMs();
    if (now - this.#policyReadMs < this.#o.settings.policyIntervalMs) return;
    this.#policyReadMs = now;
    if (await this.#o.sources.refreshPolicies()) await this.#o.sources.refreshSchemas();
  }

  async #writeState(always: boolean): Promise<void> {
    const now = this.#o.clock.monotonicMs();
    if (this.#chainOffset < 0 || (!always && now - this.#stateWrittenMs < this.#o.settings.stateIntervalMs)) return;
    this.#stateWrittenMs = now;
    await this.#o.local.write(this.#state.head, this.#chainOffset, this.#segment);
  }

  /** Runs `action` until it succeeds; what cannot get better by itself is thrown. */
  async #retrying<T>(signal: AbortSignal, action: () => Promise<T>): Promise<T> {
    for (let waitMs = RETRY_MS; ; waitMs = Math.min(2 * waitMs, MAX_RETRY_MS)) {
      try {
        return await action();
      } catch (error) {
        if (!(error instanceof LineproofError && error.retryable) || signal.aborted) throw error;
        if (!hasCode(error, 'UNAVAILABLE'))
          this.#o.logger.error('shard holds', { shard: this.#o.shard, code: error.code, reason: error.message });
        await this.#o.clock.sleep(waitMs, signal);
      }
    }
  }

  #labels(): { shard: string } {
    return { shard: String(this.#o.shard) };
  }

  #count(accepted: AcceptedBlock): void {
    const { metrics } = this.#o;
    const labels = this.#labels();
    metrics.add('lineproof_chainer_blocks_total', 1, labels);
    metrics.add('lineproof_chainer_links_total', accepted.links.length, labels);
    for (const input of accepted.inputs) {
      metrics.add('lineproof_chainer_inputs_total', 1, { ...labels, outcome: input.outcome });
      for (const receipt of input.receipts) metrics.add('lineproof_chainer_receipts_total', 1, { ...labels, outcome: receipt.outcome });
    }
    metrics.set('lineproof_chainer_size', accepted.delta.head.size, labels);
  }
}
