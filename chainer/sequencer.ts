import { randomBytes } from '#crypto';
import type { AcceptedBlock } from '../core/acceptance/accept.ts';
import type { BatchRules } from '../core/acceptance/batch-check.ts';
import { dedupWindowStart, headWindowStart } from '../core/acceptance/dedup-window.ts';
import { genesis, LogState, type LogView, overlay } from '../core/acceptance/log-state.ts';
import { growSegment, type OpenSegment, openSegment, segmentEnds } from '../core/acceptance/segment-rule.ts';
import { equal, fromHex, toHex } from '../core/base/bytes.ts';
import { hasCode, LineproofError } from '../core/base/errors.ts';
import { REASONS, reasonName } from '../core/base/reasons.ts';
import { parseTraceparent, TRACEPARENT, type Traceparent } from '../core/base/traceparent.ts';
import { carriesSeal, chainRecordAt, checkAnchor, judgeRecord } from '../core/chain/chain-reader.ts';
import { blocksAt, type WalkedBlock, walkBack } from '../core/chain/chain-walk.ts';
import type { Sources } from '../core/chain/governance-source.ts';
import type { ArchiveAnchor } from '../core/chain/recovery-point.ts';
import { decodeEvidence, type EvidenceInput } from '../core/formats/evidence.ts';
import type { Seal } from '../core/formats/leaf.ts';
import type { PolicyInForce } from '../core/policy/policy-history.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { DedupHit, DedupIndex, Watermark, WindowAnswer, WindowCall } from '../core/ports/dedup-index.ts';
import { type Log, type LogBounds, TOPICS } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { Signer } from '../core/ports/signer.ts';
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
  watermarkOf,
} from './block-identities.ts';
import { blockTraces } from './block-traces.ts';
import { type BatchSchemaIds, checkInputAnchor, readIntake } from './intake.ts';
import type { LocalState } from './local-state.ts';
import { blockCost, type Intake, keyText, lookupKeys, type Ordered, order } from './order.ts';

/** Below the limit of a block by what a seal, its signature and the framing need. */
const BLOCK_BUDGET = 950_000;
/** A few blocks' worth: input that waits, judged, in memory outlives the young generation, and that costs more than reading it later. */
const READ_BYTES = 2 * 1024 * 1024;
/** Of refused records in one append: a log bounds what it takes at once. */
const REJECTED_BYTES = 900_000;
const RETRY_MS = 25;
const MAX_RETRY_MS = 2_000;
/** Tries without an answer, most of a second, after which somebody should know. */
const ALARM_TRIES = 6;

export interface SequencerSettings {
  /** Blocks that may be appended before the first of them was judged. */
  readonly depth: number;
  /** How long an idle shard waits for input before it looks at its timers. */
  readonly pollMs: number;
  /** Local state is written at most this often. */
  readonly stateIntervalMs: number;
  /** Policies are looked for at most this often. */
  readonly policyIntervalMs: number;
  /** Identities of accepted blocks wait here for the index until there are so many: it writes many for half the cost of few … */
  readonly confirmIdentities: number;
  /** … or the next look-up comes so long after the last confirmation. A restart walks the blocks of those that waited again. */
  readonly confirmIntervalMs: number;
}

export const SEQUENCER_DEFAULTS: SequencerSettings = {
  depth: 2,
  pollMs: 100,
  stateIntervalMs: 1_000,
  policyIntervalMs: 1_000,
  confirmIdentities: 4_096,
  confirmIntervalMs: 1_000,
};

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
  readonly traces: readonly Traceparent[];
  readonly identities: BlockIdentities;
  /** View of the log after it. */
  readonly view: LogView;
  /** Offset that the append answered, or what it failed with. Never rejects. */
  append: Promise<{ offset: number } | { error: unknown }>;
  /** How often it was found neither accepted nor beaten. */
  tries: number;
}

/** Consecutive values in groups of at most `maxBytes`; a larger one stands alone. */
function grouped(values: readonly Uint8Array[], maxBytes: number): Uint8Array[][] {
  const groups: Uint8Array[][] = [];
  let bytes = maxBytes;
  for (const value of values) {
    bytes += value.length;
    if (bytes > maxBytes) {
      groups.push([]);
      bytes = value.length;
    }
    groups.at(-1)?.push(value);
  }
  return groups;
}

/** Part of the chain that we need is gone. */
function trimmed(message: string, details: Readonly<Record<string, number>>): LineproofError {
  return new LineproofError('LOG_DIVERGED', message, { ...details, trimmed: true });
}

function isTrimmed(error: unknown): error is LineproofError {
  return error instanceof LineproofError && error.details['trimmed'] === true;
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
  /**
   * Policy that {@link Sequencer.#input} was judged by, and that its block is sealed under: a newer one may become known between any two calls,
   * for the process's other shards look for it too. Under a newer one the input is judged anew.
   */
  #inputPolicy: PolicyInForce | undefined;
  /** Digest of the event schema without which the input behind {@link Sequencer.#input} cannot be judged. */
  #held: string | undefined;
  #lastEvidence: EvidenceInput | undefined;
  #attested: { readonly size: number; readonly root: Uint8Array } | undefined;
  /** Size at which we stood after the log was trimmed under us: the same again, and there is no way on. */
  #recoveredAt: number | undefined;
  #recovered = false;
  #stateWrittenMs = 0;
  #confirmedMs = 0;
  #toldPolicy = 0;
  #lookedAroundMs = Number.NEGATIVE_INFINITY;
  /** Whether our clock or the dedup index was found to be wrong when we last looked. */
  #unfit = false;
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

  /** First input offset that no accepted block has consumed; undefined while the state is being recovered. */
  get consumedTo(): number | undefined {
    return this.#recovered ? this.#state.head.inputTo : undefined;
  }

  /** Owns the shard until `signal` aborts or a rule says STOP, which throws. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#retrying(signal, () => this.#orRecover(signal, () => this.#recover(signal)));
    while (!signal.aborted && !(this.#recovered && this.#top().head.final)) {
      // A recovery that failed half-way, later too, is made again as a whole: only its end holds the log against what was attested.
      await this.#retrying(signal, () => this.#orRecover(signal, () => (this.#recovered ? this.#step(signal) : this.#recover(signal))));
    }
    if (this.#state.head.final) this.#o.logger.info('shard ended: its log has a final seal', { shard: this.#o.shard });
    await this.#drain(signal);
  }

  /** Where the log was trimmed under us, a newer snapshot stands for what is gone. Where it does not, that is STOP. */
  async #orRecover(signal: AbortSignal, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      if (!isTrimmed(error) || this.#recoveredAt === this.#state.head.size) throw error;
      this.#o.logger.warn('chain trimmed before it was read: recovering', { shard: this.#o.shard, reason: error.message });
      await this.#recover(signal);
      this.#recoveredAt = this.#state.head.size;
    }
  }

  async #step(signal: AbortSignal): Promise<void> {
    await this.#lookAround();
    const works = this.#o.owns() && !this.#unfit;
    if (this.#inflight.length < this.#o.settings.depth && works) {
      await this.#fill(signal);
      if (this.#input.length > 0 || this.#tickDue()) {
        await this.#orderNext(signal);
        return;
      }
    }
    if (this.#inflight.length > 0) await this.#settle(signal);
    else if (this.#held !== undefined && works) await this.#obtainSchema(this.#held);
    else if (!works) await this.#o.clock.sleep(this.#o.settings.pollMs, signal);
    await this.#writeState(false);
  }

  /** The view at the end of everything appended by us. */
  #top(): LogView {
    return this.#inflight.at(-1)?.view ?? this.#state;
  }

  // --- RECOVER and TAIL

  async #recover(signal: AbortSignal): Promise<void> {
    const { origin, shard, shards, anchor, local, sources } = this.#o;
    this.#recovered = false;
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
    // A newer generation is another topic: nothing of what was consumed stands in it.
    const { inputGeneration, inputTo } = this.#state.head;
    if (sources.policies.latest.policy.inputGeneration.generation === inputGeneration)
      await checkInputAnchor(this.#o.log, shard, inputTo, await this.#lastInput());
    this.#recovered = true;
    this.#o.logger.info('shard recovered', { shard, from: startSize, size: this.#state.head.size, streams: this.#state.streamCount });
  }

  /** Notes the whole state for the next write. */
  #noteAll(): void {
    this.#o.local.note(
      { head: this.#state.head, streams: new Map(this.#state.streams()), lanes: new Map(this.#state.lanes()), lanesFrom: 0 },
      [],
    );
  }

  /** The evidence of the input that was consumed last, if it was of the generation that the head stands in. */
  async #lastInput(): Promise<EvidenceInput | undefined> {
    if (this.#lastEvidence !== undefined || this.#chainOffset < 0) return this.#lastEvidence;
    const { seal: sealHash, inputGeneration } = this.#state.head;
    for await (const { block, seal } of walkBack(this.#o.log, this.#o.shard, this.#chainOffset, sealHash)) {
      if (seal.inputGeneration !== inputGeneration) return undefined;
      const last = decodeEvidence(block.evidence).at(-1);
      if (last !== undefined) return last;
    }
    return undefined;
  }

  /** Judges everything from where we stand to the end of the log as it is now. */
  async #tail(signal: AbortSignal): Promise<void> {
    const { log, shard, sources } = this.#o;
    if (this.#chainOffset >= 0) await checkAnchor(log, shard, this.#chainOffset, this.#state.head.seal);
    const { end } = await this.#chainBounds();
    while (this.#readPos < end) {
      const records = await log.read(TOPICS.chain, shard, this.#readPos, { maxBytes: READ_BYTES, waitMs: 0 });
      if (records.length === 0) return;
      for (const record of records) {
        // A hole: either the log holds nothing there, or it was trimmed since we looked.
        if (record.offset > this.#readPos) await this.#chainBounds();
        const accepted = await judgeRecord(this.#state, record, sources, signal);
        if (accepted !== undefined) this.#advance(accepted, record.offset, parseTraceparent(record.headers[TRACEPARENT]));
        this.#readPos = record.offset + 1;
      }
    }
  }

  /** Bounds of the chain, which must not begin behind what is to be read next. */
  async #chainBounds(): Promise<LogBounds> {
    const { log, shard } = this.#o;
    const bounds = await log.bounds(TOPICS.chain, shard);
    if (bounds.start <= this.#readPos) return bounds;
    throw trimmed(
      `cannot go on: shard ${shard} of ${TOPICS.chain} starts at ${bounds.start}, blocks from ${this.#readPos} on were trimmed before they were read`,
      { shard, start: bounds.start, readPos: this.#readPos },
    );
  }

  /** Moves the head over an accepted block. COMMIT POINT: the block stands in the log and every reader accepts it. */
  #advance(accepted: AcceptedBlock, offset: number, trace?: Traceparent): void {
    const [flight] = this.#inflight;
    const own = flight !== undefined && equal(flight.accepted.delta.head.seal, accepted.delta.head.seal) ? flight : undefined;
    if (own !== undefined) this.#inflight.shift();
    else this.#forgetFlights();
    const sameInput = accepted.seal.inputGeneration === this.#state.head.inputGeneration;
    this.#lastEvidence = accepted.inputs.at(-1) ?? (sameInput ? this.#lastEvidence : undefined);
    this.#o.local.note(accepted.delta, this.#state.apply(accepted.delta));
    this.#chainOffset = offset;
    const identities = own === undefined ? acceptedIdentities(accepted, offset) : identitiesAt(own.identities, offset);
    this.#pending.push(identities);
    this.#growSegment(accepted);
    this.#checkAttested();
    this.#count(accepted);
    this.#tell(accepted, offset, own?.traces ?? [trace]);
  }

  /** Somebody else's block is accepted: what we built, and the input read to go on with, belongs to a chain that does not exist. */
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
    const policy = this.#o.sources.policies.latest;
    if (this.#inputPolicy !== policy) this.#input = [];
    this.#inputPolicy = policy;
    if (this.#input.length > 0) return;
    const waitMs = this.#inflight.length > 0 || this.#tickDue() ? 0 : this.#o.settings.pollMs;
    const from = () => {
      const { inputGeneration, inputTo, appendedAt } = this.#inputStart(policy);
      const consumed = inputGeneration === this.#top().head.inputGeneration;
      return { offset: inputTo, consumed, appendedAt, maxBytes: READ_BYTES, waitMs };
    };
    let read = await readIntake(this.#o, from(), this.#rules(policy), signal);
    if (read.kind === 'trimmed') {
      await this.#tail(signal);
      read = await readIntake(this.#o, from(), this.#rules(policy), signal);
    }
    if (read.kind === 'trimmed') {
      const { inputTo } = this.#inputStart(policy);
      throw new LineproofError(
        'LOG_DIVERGED',
        `cannot go on: shard ${this.#o.shard} of ${TOPICS.events} starts at ${read.start}, messages from ${inputTo} on were trimmed before they were consumed`,
        { shard: this.#o.shard, start: read.start, inputTo },
      );
    }
    this.#input = [...read.intakes];
    this.#held = read.held;
  }

  /** Asks for a schema that is in force. Throws UNAVAILABLE where it is not to be had: our failure, for which nobody is rejected. */
  async #obtainSchema(hex: string): Promise<void> {
    const { sources } = this.#o;
    this.#held = undefined;
    await sources.refreshSchemas();
    if (sources.eventSchema(hex) !== undefined || !sources.policies.latest.schemaInForce(hex)) return;
    throw new LineproofError(
      'UNAVAILABLE',
      `cannot judge the next message: the registry does not give event schema ${hex}, which is in force`,
      {
        schema: hex,
      },
    );
  }

  #rules(policy: PolicyInForce): BatchRules {
    const { origin, shard, shards, sources } = this.#o;
    return { origin, shard, shards, policy, eventSchema: (hex) => sources.eventSchema(hex) };
  }

  /** Where the next block's input starts: behind the last block, or where the policy says that a new generation of the topic does. */
  #inputStart({ policy }: PolicyInForce): { inputGeneration: number; inputTo: number; appendedAt: number } {
    const { head } = this.#top();
    const { generation, firstOffsets } = policy.inputGeneration;
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
    if (view.head.final) return;
    const policy = this.#inputPolicy as PolicyInForce;
    this.#checkSigner(policy);
    const { inputGeneration, inputTo } = this.#inputStart(policy);
    const acceptedAt = Math.max(view.head.acceptedAt, this.#o.clock.nowMicros());
    const ordered = order(view, intakes, known, { acceptedAt, inputGeneration, laneRetentionMicros: policy.policy.laneRetentionMs * 1000 });
    await this.#keepRejected(ordered, signal);
    const seal = { policy, inputGeneration, inputFrom: inputTo, acceptedAt, final: false };
    const { value, accepted } = await buildBlock(view, ordered, seal, this.#o.signer, this.#o.blockSchemaId, sources.context());
    this.#input = this.#input.slice(intakes.length);
    this.#launch({ value, accepted, traces: blockTraces(intakes) }, view, ordered.keys);
    metrics.observe('lineproof_chainer_block_bytes', value.length, this.#labels());
  }

  /** A block by a key that the policy does not name would be ignored by every reader. */
  #checkSigner(policy: PolicyInForce): void {
    const { signer, shard } = this.#o;
    if (policy.chainer(signer.name, signer.keyId)?.active === true) return;
    throw new LineproofError(
      'CONFIG_INVALID',
      `cannot order shard ${shard}: ${signer.verifierKey} is no ACTIVE chainer key in the newest policy`,
      { shard },
    );
  }

  /** What refused bytes there are goes to `provenance.rejected` before the block that names them. COMMIT POINT of the refused bytes. */
  async #keepRejected(ordered: Ordered, signal: AbortSignal): Promise<void> {
    for (const values of grouped(ordered.rejected, REJECTED_BYTES)) {
      const records = values.map((value) => ({ key: null, value }));
      await this.#retrying(signal, () => this.#o.log.append(TOPICS.rejected, this.#o.shard, records));
    }
  }

  #launch(built: Pick<Flight, 'value' | 'accepted' | 'traces'>, view: LogView, keys: readonly Uint8Array[]): void {
    const identities = acceptedIdentities(built.accepted, -1, keys);
    const after = this.#inflight.at(-1)?.append ?? Promise.resolve(undefined);
    this.#inflight.push({ ...built, identities, view: overlay(view, built.accepted.delta), append: this.#append(built, after), tries: 0 });
  }

  /** Appends behind the flight before; a flight whose predecessor failed waits for the judgement instead of overtaking it. */
  async #append(
    { value, traces }: Pick<Flight, 'value' | 'traces'>,
    after: Promise<{ offset: number } | { error: unknown } | undefined>,
  ): Promise<{ offset: number } | { error: unknown }> {
    const before = await after;
    if (before !== undefined && 'error' in before) return before;
    try {
      const headers = traces[0] === undefined ? {} : { [TRACEPARENT]: traces[0].header };
      return await this.#o.log.append(TOPICS.chain, this.#o.shard, [{ key: null, value, headers }]);
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
        trace_id: flight.traces[0]?.traceId,
      });
    await this.#tail(signal);
    if (this.#inflight[0] !== flight) return;
    flight.tries += 1;
    if (flight.tries === ALARM_TRIES)
      this.#o.logger.error('shard holds', {
        shard: this.#o.shard,
        reason: 'the chain topic does not take the next block',
        trace_id: flight.traces[0]?.traceId,
      });
    await this.#o.clock.sleep(Math.min(RETRY_MS * 2 ** (flight.tries - 1), MAX_RETRY_MS), signal);
    let after: Flight['append'] | undefined;
    for (const again of this.#inflight) {
      again.append = this.#append(again, after ?? Promise.resolve({ offset: -1 }));
      after = again.append;
    }
  }

  /** Awaits what is in flight, so that a clean stop leaves nothing undecided. */
  async #drain(signal: AbortSignal): Promise<void> {
    for (let tries = 0; this.#inflight.length > 0 && tries < 10; tries++) await this.#settle(signal);
    await this.#writeState(true);
  }

  // --- the dedup window

  /** Looks `keys` up, and in the same call confirms the pending identities where there are enough of them. Undefined: the watermark did not match; start over. */
  async #lookup(keys: readonly Uint8Array[], signal: AbortSignal): Promise<((key: Uint8Array) => DedupHit | undefined) | undefined> {
    if (this.#watermark === undefined) {
      const stored = await this.#retrying(signal, () => this.#o.dedup.watermark(this.#o.shard));
      await this.#resync(stored, signal);
      return undefined;
    }
    const expect = this.#watermark;
    const confirms = this.#confirmDue();
    const confirmed = confirms ? this.#pending : [];
    const next = confirmed.at(-1)?.watermark ?? expect;
    const add = confirmed.flatMap(({ entries }) => entries);
    const dropBelowSlot = firstSlot(headWindowStart(this.#state.head, this.#o.sources.policies));
    const answer = await this.#call({ shard: this.#o.shard, expect, next, add, dropBelowSlot, wipe: false, lookup: keys }, signal);
    if (!answer.ok) {
      await this.#resync(answer.watermark, signal);
      return undefined;
    }
    this.#watermark = next;
    if (confirms) {
      this.#pending = [];
      this.#confirmedMs = this.#o.clock.monotonicMs();
    }
    const stored = new Map<string, DedupHit>();
    for (const [i, hit] of answer.hits.entries()) if (hit !== undefined) stored.set(keyText(keys[i] as Uint8Array), hit);
    const unconfirmed = [...this.#inflight.map(({ identities }) => identities.hits), ...this.#pending.map(({ hits }) => hits)];
    return (key) => {
      const text = keyText(key);
      for (const hits of unconfirmed) {
        const hit = hits.get(text);
        if (hit !== undefined && hit.slot >= dropBelowSlot) return hit;
      }
      return stored.get(text);
    };
  }

  #confirmDue(): boolean {
    const { clock, settings } = this.#o;
    if (this.#pending.length === 0) return false;
    const waiting = this.#pending.reduce((sum, { entries }) => sum + entries.length, 0);
    return waiting >= settings.confirmIdentities || clock.monotonicMs() - this.#confirmedMs >= settings.confirmIntervalMs;
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
      after.push(blockIdentities(walked.block, walked.seal, walked.offset, walked.sealHash));
      if (walked.seal.firstIndex === 0 && stored.size === 0) return after.toReversed();
    }
    return undefined;
  }

  /** Blocks from the head back to the start of the window. A block missing before it: the log lost what it must keep, LOG_DIVERGED. */
  async *#windowBlocks(): AsyncGenerator<WalkedBlock> {
    const { head } = this.#state;
    // What left the window under one policy does not come back under another: the window's start never falls.
    let from = headWindowStart(head, this.#o.sources.policies);
    let first = head.size;
    for await (const walked of walkBack(this.#o.log, this.#o.shard, this.#chainOffset, head.seal)) {
      const last = lastAppendedAt(walked.block);
      if (last !== undefined && last < from) return;
      yield walked;
      from = this.#windowStartAfter(walked.seal, last ?? 0, from);
      first = walked.seal.firstIndex;
    }
    if (first === 0 || this.#chainOffset < 0) return;
    throw trimmed(
      `cannot rebuild the dedup index: shard ${head.shard} of ${TOPICS.chain} lost blocks below leaf ${first}, which lie inside the dedup window`,
      { shard: head.shard, first },
    );
  }

  /** The window's start after a walked block. A policy that is not known leaves it where it is: it is not ours to shorten the window. */
  #windowStartAfter(seal: Seal, appendedAt: number, before: number): number {
    const policy = this.#o.sources.policies.byDigest(toHex(seal.policy));
    return policy === undefined ? before : dedupWindowStart(appendedAt, policy.policy, before);
  }

  /** A watermark that is not on our chain, while the log still holds its offset with another block: index and log contradict each other. */
  async #checkForeignWatermark(stored: Extract<Watermark, { kind: 'at' }>): Promise<void> {
    if (stored.size === 0) return;
    const record = await chainRecordAt(this.#o.log, this.#o.shard, stored.chainOffset);
    if (record === undefined || carriesSeal(record, fromHex(stored.seal))) return;
    throw new LineproofError(
      'LOG_DIVERGED',
      `cannot go on: the dedup index of shard ${this.#o.shard} stands at a block that is not on the chain; was the log set back?`,
      { shard: this.#o.shard, chainOffset: stored.chainOffset },
    );
  }

  /**
   * Fills the index anew from the chain, oldest block first, so that of two links of one identity the newer is remembered.
   * The chain is walked before anything is written: where it lacks a block, the index stays as it is.
   */
  async #rebuild(stored: Watermark, signal: AbortSignal): Promise<void> {
    const started = this.#o.clock.monotonicMs();
    const { shard, dedup, log } = this.#o;
    const token = toHex(randomBytes(16));
    const offsets: number[] = [];
    if (this.#chainOffset >= 0) for await (const { offset } of this.#windowBlocks()) offsets.push(offset);
    let [expect, blocks] = [stored, 0];
    const step = async (next: Watermark, add: BlockIdentities['entries'], wipe: boolean): Promise<boolean> => {
      const answer = await this.#retrying(signal, () => dedup.window({ shard, expect, next, add, wipe, lookup: [] }));
      if (answer.ok) expect = next;
      return answer.ok;
    };
    if (!(await step({ kind: 'building', token, step: 0 }, [], true))) return;
    for await (const { block, seal, offset, sealHash } of blocksAt(log, shard, offsets.toReversed())) {
      const { entries } = blockIdentities(block, seal, offset, sealHash);
      if (!(await step({ kind: 'building', token, step: ++blocks }, entries, false))) return;
    }
    if (blocks < offsets.length)
      throw trimmed(`cannot rebuild the dedup index: shard ${shard} of ${TOPICS.chain} lost blocks while they were read`, {
        shard,
        blocks,
      });
    const at = watermarkOf(this.#state.head, this.#chainOffset);
    if (!(await step(at, [], false))) return;
    this.#watermark = at;
    this.#pending = [];
    this.#o.logger.info('dedup index rebuilt', { shard, blocks, ms: Math.round(this.#o.clock.monotonicMs() - started) });
  }

  // --- housekeeping

  /** Looks for new policies and at the clocks, now and then. */
  async #lookAround(): Promise<void> {
    const now = this.#o.clock.monotonicMs();
    if (now - this.#lookedAroundMs < this.#o.settings.policyIntervalMs) return;
    this.#lookedAroundMs = now;
    if (await this.#o.sources.refreshPolicies()) await this.#o.sources.refreshSchemas();
    this.#tellPolicy();
    await this.#checkFitness();
  }

  /** Names the policy that input is judged by from now on: who published it waits for that. */
  #tellPolicy(): void {
    const { logger, shard, sources } = this.#o;
    const { version } = sources.policies.latest.policy;
    if (version === this.#toldPolicy) return;
    this.#toldPolicy = version;
    logger.info('policy in force', { shard, version });
  }

  /** Our clock dates blocks, and the index tells what was linked: where one is wrong, the shard holds. */
  async #checkFitness(): Promise<void> {
    const problem = await this.#problem();
    if (problem !== undefined && !this.#unfit) this.#o.logger.error(problem.message, { shard: this.#o.shard, ...problem.fields });
    if (problem === undefined && this.#unfit) this.#o.logger.info('shard goes on', { shard: this.#o.shard });
    this.#unfit = problem !== undefined;
  }

  /** What is wrong with clock or index. Where the two clocks differ by more than the policy allows, one of them is. */
  async #problem(): Promise<{ readonly message: string; readonly fields: Readonly<Record<string, unknown>> } | undefined> {
    const { clock, dedup, sources } = this.#o;
    const before = clock.nowMicros();
    let theirs: number | undefined;
    try {
      theirs = await dedup.nowMicros();
    } catch (error) {
      if (!(error instanceof LineproofError) || error.details['forgets'] !== true) throw error;
      return { message: 'shard holds: the dedup index may forget', fields: { reason: error.message } };
    }
    const after = clock.nowMicros();
    const differMs = theirs === undefined ? 0 : Math.round(Math.max(0, before - theirs, theirs - after) / 1000);
    if (differMs <= sources.policies.latest.policy.clockSkewMs) return undefined;
    return { message: 'shard holds: this clock and the dedup index differ by more than clockSkew', fields: { differMs } };
  }

  async #writeState(always: boolean): Promise<void> {
    const now = this.#o.clock.monotonicMs();
    if (this.#chainOffset < 0 || (!always && now - this.#stateWrittenMs < this.#o.settings.stateIntervalMs)) return;
    this.#stateWrittenMs = now;
    await this.#o.local.write(this.#state.head, this.#chainOffset, this.#segment);
  }

  /** Runs `action` until it succeeds; what cannot get better by itself is thrown. What lasts raises an alarm, once. */
  async #retrying<T>(signal: AbortSignal, action: () => Promise<T>): Promise<T> {
    const { shard, logger, clock } = this.#o;
    for (let tries = 1, waitMs = RETRY_MS; ; tries++, waitMs = Math.min(2 * waitMs, MAX_RETRY_MS)) {
      try {
        const result = await action();
        if (tries > ALARM_TRIES) logger.info('shard goes on', { shard });
        return result;
      } catch (error) {
        if (!(error instanceof LineproofError && error.retryable) || signal.aborted) throw error;
        if (tries === (hasCode(error, 'UNAVAILABLE') ? ALARM_TRIES : 1))
          logger.error('shard holds', { shard, code: error.code, reason: error.message });
        await clock.sleep(waitMs, signal);
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
    let offset = accepted.seal.inputFrom;
    for (const input of accepted.inputs) {
      metrics.add('lineproof_chainer_inputs_total', 1, { ...labels, outcome: input.outcome });
      if (input.outcome === 'REJECTED') this.#countRefused(input.reason, offset);
      for (const { outcome, reason } of input.receipts) {
        metrics.add('lineproof_chainer_receipts_total', 1, { ...labels, outcome });
        if (outcome === 'REJECTED') this.#countRefused(reason, offset);
      }
      offset += input.span;
    }
    metrics.set('lineproof_chainer_size', accepted.delta.head.size, labels);
  }

  /** A line for each trace that the block carries, so that who holds a trace id finds its block. */
  #tell({ seal, links, delta }: AcceptedBlock, offset: number, traces: readonly (Traceparent | undefined)[]): void {
    const { firstIndex, inputFrom, inputTo } = seal;
    const block = { shard: this.#o.shard, offset, firstIndex, size: delta.head.size, links: links.length, inputFrom, inputTo };
    for (const trace of traces.length === 0 ? [undefined] : traces)
      this.#o.logger.debug('block accepted', { ...block, trace_id: trace?.traceId });
  }

  #countRefused(reason: number, offset: number): void {
    const { shard, logger, metrics } = this.#o;
    metrics.add('lineproof_chainer_refused_total', 1, { ...this.#labels(), reason: reasonName(reason) ?? String(reason) });
    if (reason === REASONS.LANE_FORK)
      logger.error('lane forked: a replay, or two processes on one spool; the batch is refused and its bytes are kept', { shard, offset });
  }
}
