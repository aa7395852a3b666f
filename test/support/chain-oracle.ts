import { sha256 } from '#crypto';
import { verifyArchive } from '../../auditor/verify.ts';
import { type AcceptedBlock, accept } from '../../core/acceptance/accept.ts';
import { checkMessage, type MessageCheck } from '../../core/acceptance/batch-check.ts';
import type { LogState } from '../../core/acceptance/log-state.ts';
import { equal, toHex } from '../../core/base/bytes.ts';
import { LIMITS } from '../../core/base/limits.ts';
import { REASONS } from '../../core/base/reasons.ts';
import type { BatchHeader } from '../../core/formats/batch.ts';
import type { EvidenceInput } from '../../core/formats/evidence.ts';
import { dedupKeyOfEvent } from '../../core/formats/identity.ts';
import type { Link } from '../../core/formats/leaf.ts';
import { decodeRejected, isTimeProbe } from '../../core/formats/rejected.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import type { PolicyInForce } from '../../core/policy/policy-history.ts';
import { offsetAfter, TOPICS } from '../../core/ports/log.ts';
import type { ObjectStore } from '../../core/ports/object-store.ts';
import { BATCH_SCHEMA_ID, type World } from './producer.ts';
import type { SimLog, SimRecord } from './sim-log.ts';

export interface ReadBlock {
  readonly accepted: AcceptedBlock;
  readonly record: SimRecord;
}

/** The accepted blocks among everything that was ever appended to the chain topic, at most `limit`, and the state after them. */
export function readChain(
  log: SimLog,
  world: World,
  limit = Number.POSITIVE_INFINITY,
): { readonly blocks: readonly ReadBlock[]; readonly state: LogState } {
  const state = world.state();
  const blocks: ReadBlock[] = [];
  for (const record of log.history(TOPICS.chain, 0)) {
    const accepted = accept(state, record.value, world.context);
    if (accepted.kind !== 'accepted' || blocks.length >= limit) continue;
    state.apply(accepted.delta);
    blocks.push({ accepted, record });
  }
  return { blocks, state };
}

interface Known {
  readonly leaf: number;
  readonly digest: Uint8Array;
  readonly appendedAt: number;
}

/**
 * What the chain must say, derived from the input alone and by other code than the chainer's: which messages were taken, which events linked,
 * what left which receipt. Only what is older than the dedup window is left to the chainer. Empty: all is well.
 */
export class ChainOracle {
  readonly problems: string[] = [];
  readonly #log: SimLog;
  readonly #world: World;
  readonly #ids = new Map<string, Known>();
  readonly #headers = new Map<string, number>();
  /** The records on `provenance.rejected`, by offset and position. */
  readonly #kept = new Map<string, { readonly turn: number; readonly bytes: Uint8Array }[]>();
  readonly #lanes = new Map<string, { number: number; hash: Uint8Array; appendedAt: number }>();
  /** The producer that each stream counts for. */
  readonly #owners = new Map<string, string>();
  #appendedAt = 0;
  /** Start of the dedup window after the last block; under a policy with a longer one it does not fall. */
  #windowFrom = 0;

  constructor(log: SimLog, world: World) {
    this.#log = log;
    this.#world = world;
  }

  check(): readonly string[] {
    const { blocks, state } = readChain(this.#log, this.#world);
    for (const { turn, value } of this.#log.history(TOPICS.rejected, 0).filter((record) => !isTimeProbe(record))) {
      const { inputOffset, position, bytes } = decodeRejected(value);
      const key = `${inputOffset}.${position}`;
      this.#kept.set(key, [...(this.#kept.get(key) ?? []), { turn, bytes }]);
    }
    for (const block of blocks) this.#checkBlock(block);
    const messages = this.#log.history(TOPICS.events, 0).at(-1);
    const stretch = this.#log.stretches(TOPICS.events, 0).at(-1);
    const end = Math.max(messages === undefined ? 0 : offsetAfter(messages), stretch === undefined ? 0 : offsetAfter(stretch));
    this.#expect('end of the input', end, state.head.inputTo);
    return this.problems;
  }

  #expect(what: string, expected: unknown, actual: unknown): void {
    const [a, b] = [JSON.stringify(expected), JSON.stringify(actual)];
    if (a !== b) this.problems.push(`${what}: expected ${a}, found ${b}`);
  }

  #checkBlock({ accepted, record }: ReadBlock): void {
    const { seal, links, inputs } = accepted;
    const policy = this.#world.policies.byDigest(toHex(seal.policy)) as PolicyInForce;
    const at = new Map(links.map((link, i) => [`${link.inputOffset}.${link.position}`, { link, leaf: seal.firstIndex + i }]));
    let offset = seal.inputFrom;
    for (const input of inputs) {
      if (input.outcome === 'EMPTY') this.#checkEmpty(offset, input.span);
      else if (input.reason === REASONS.RECORDS_UNREADABLE) this.#checkUnreadable(input, offset, record.turn);
      else if (input.span > 1) this.#checkRun(input, offset, policy, record.turn);
      else this.#checkInput(input, offset, policy, at, record.turn);
      offset += input.span;
    }
    this.#windowFrom = Math.max(this.#windowFrom, this.#appendedAt - policy.policy.dedupWindowMs * 1000);
    this.#expect(`links left over in the block at ${seal.firstIndex}`, [], [...at.keys()]);
  }

  #checkEmpty(offset: number, span: number): void {
    const all = [...this.#log.history(TOPICS.events, 0), ...this.#log.stretches(TOPICS.events, 0)];
    const held = all.filter((entry) => offsetAfter(entry) > offset && entry.offset < offset + span);
    this.#expect(`messages passed over at ${offset}`, 0, held.length);
  }

  #checkUnreadable({ outcome, span, message: digest, appendedAt, batch }: EvidenceInput, offset: number, turn: number): void {
    const stretch = this.#log.stretches(TOPICS.events, 0).find((each) => each.offset === offset);
    if (stretch === undefined) return void this.problems.push(`offset ${offset} can be read, and is called unreadable`);
    this.#appendedAt = Math.max(this.#appendedAt, stretch.timestampMicros);
    const found = [outcome, span, appendedAt, batch, digest === null ? null : toHex(digest)];
    this.#expect(`the unreadable records at ${offset}`, ['REJECTED', stretch.span, this.#appendedAt, null, toHex(stretch.digest)], found);
    this.#checkKept(offset, -1, turn, stretch.bytes);
    return undefined;
  }

  /** An entry for several messages: each of them is refused for its reason without a header, and all of their bytes are kept and have its digest. */
  #checkRun(
    { outcome, span, reason, message: digest, appendedAt, batch }: EvidenceInput,
    offset: number,
    policy: PolicyInForce,
    turn: number,
  ): void {
    const messages = this.#log.history(TOPICS.events, 0).filter((record) => record.offset >= offset && record.offset < offset + span);
    this.#expect(`messages of the run at ${offset}`, span, messages.length);
    const bytes: number[] = [];
    for (const { value, timestampMicros } of messages) {
      this.#appendedAt = Math.max(this.#appendedAt, timestampMicros);
      const check = checkMessage(value, { ...this.#world.rules(), policy }, (id) => id === BATCH_SCHEMA_ID);
      const found = check.kind === 'rejected' ? [check.reason, check.proof] : [check.kind];
      this.#expect(`a message of the run at ${offset}`, [reason, null], found);
      bytes.push(0, 0, value.length >> 8, value.length & 255, ...value);
    }
    const all = Uint8Array.from(bytes);
    this.#expect(
      `the run at ${offset}`,
      ['REJECTED', this.#appendedAt, null, toHex(sha256(all))],
      [outcome, appendedAt, batch, toHex(digest ?? all)],
    );
    this.#checkKept(offset, -1, turn, all);
  }

  #checkInput(
    input: EvidenceInput,
    offset: number,
    policy: PolicyInForce,
    at: Map<string, { link: Link; leaf: number }>,
    turn: number,
  ): void {
    const message = this.#log.history(TOPICS.events, 0).find((record) => record.offset === offset);
    if (message === undefined) return void this.problems.push(`offset ${offset} holds no message, and has ${input.outcome}`);
    this.#appendedAt = Math.max(this.#appendedAt, message.timestampMicros);
    this.#expect(`appendedAt of ${offset}`, this.#appendedAt, input.appendedAt);
    const check = checkMessage(message.value, { ...this.#world.rules(), policy }, (id) => id === BATCH_SCHEMA_ID);
    if (check.kind === 'hold') return void this.problems.push(`offset ${offset} is held`);
    const reason = check.kind === 'rejected' ? check.reason : this.#laneReason(check.proven.header, check.proof.header, policy);
    const outcome = reason === 'REPEATED' ? reason : reason === 0 ? 'ACCEPTED' : 'REJECTED';
    if (reason === 'OLD' && ['REPEATED', 'REJECTED'].includes(input.outcome)) return undefined;
    this.#expect(`outcome of ${offset}`, [outcome, reason === 'REPEATED' ? 0 : reason], [input.outcome, input.reason]);
    if (outcome === 'REJECTED') this.#checkKept(offset, -1, turn, message.value);
    if (check.kind === 'proven' && outcome === 'ACCEPTED') this.#checkBatch(check, input, offset, policy, at, turn);
    return undefined;
  }

  /** OLD: accepted before the window began, so that either answer about it is right. */
  #laneReason(header: BatchHeader, bytes: Uint8Array, policy: PolicyInForce): number | 'REPEATED' | 'OLD' {
    const hash = sha256(bytes);
    const accepted = this.#headers.get(toHex(hash));
    const key = `${header.producer} ${toHex(header.epoch)}`;
    const lane = this.#lanes.get(key);
    const last = lane !== undefined && equal(lane.hash, hash);
    if (accepted !== undefined) return last || this.#within(accepted, policy) ? 'REPEATED' : 'OLD';
    const fits = header.number > (lane?.number ?? -1) || (header.number === lane?.number && equal(lane.hash, header.previous));
    if (!fits) return REASONS.LANE_FORK;
    const own = [...this.#lanes.keys()].filter((each) => each.startsWith(`${header.producer} `)).length;
    if (lane === undefined && own >= capOf(policy, header.producer, 'maxLanes')) return REASONS.LANE_CAP;
    this.#headers.set(toHex(hash), this.#appendedAt);
    this.#lanes.set(key, { number: header.number + 1, hash, appendedAt: this.#appendedAt });
    return 0;
  }

  #within(appendedAt: number, policy: PolicyInForce): boolean {
    return appendedAt >= Math.max(this.#windowFrom, this.#appendedAt - policy.policy.dedupWindowMs * 1000);
  }

  #checkBatch(
    check: Extract<MessageCheck, { kind: 'proven' }>,
    input: EvidenceInput,
    offset: number,
    policy: PolicyInForce,
    at: Map<string, { link: Link; leaf: number }>,
    turn: number,
  ): void {
    const receipts: unknown[] = [];
    for (const [position, event] of check.events.entries()) {
      const linked = at.get(`${offset}.${position}`);
      at.delete(`${offset}.${position}`);
      const { reason, head, digest } = event;
      if (reason !== 0 || head === undefined) {
        receipts.push([position, 'REJECTED', reason, null]);
        this.#checkKept(offset, position, turn, event.bytes);
        continue;
      }
      const key = toHex(dedupKeyOfEvent(head.stream, head.id));
      const known = this.#ids.get(key);
      if (known !== undefined && (linked === undefined || this.#within(known.appendedAt, policy))) {
        const outcome = equal(known.digest, digest) ? 'DUPLICATE' : 'CONFLICT';
        receipts.push([position, outcome, 0, known.leaf]);
        if (outcome === 'CONFLICT') this.#checkKept(offset, position, turn, event.bytes);
        if (linked !== undefined)
          this.problems.push(`event ${offset}.${position} is linked as leaf ${linked.leaf}, and was as ${known.leaf}`);
        continue;
      }
      if (!this.#begins(head.stream, check.proven.header.producer, policy)) {
        receipts.push([position, 'REJECTED', REASONS.STREAM_CAP, null]);
        this.#checkKept(offset, position, turn, event.bytes);
        if (linked !== undefined) this.problems.push(`event ${offset}.${position} is linked, and its stream is one too many`);
        continue;
      }
      if (linked === undefined) this.problems.push(`event ${offset}.${position} is not linked`);
      else this.#ids.set(key, { leaf: linked.leaf, digest, appendedAt: this.#appendedAt });
    }
    this.#expect(
      `receipts of ${offset}`,
      receipts,
      input.receipts.map(({ position, outcome, reason, original }) => [position, outcome, reason, original]),
    );
  }

  /** Whether an event may be linked to a stream: one that is there, or one that its producer may begin. */
  #begins(stream: string, producer: string, policy: PolicyInForce): boolean {
    if (this.#owners.has(stream)) return true;
    const own = [...this.#owners.values()].filter((owner) => owner === producer).length;
    if (own >= capOf(policy, producer, 'maxStreams')) return false;
    this.#owners.set(stream, producer);
    return true;
  }

  /** Refused bytes lie on `provenance.rejected`, and did before the block that names them was appended. */
  #checkKept(offset: number, position: number, turn: number, bytes: Uint8Array): void {
    const kept = this.#kept
      .get(`${offset}.${position}`)
      ?.some((each) => each.turn < turn && equal(each.bytes, bytes.subarray(0, LIMITS.rejectedBytes)));
    if (!kept) this.problems.push(`bytes of ${offset}.${position} were not kept before the block`);
  }
}

/** The simulated producers have one key each. */
function capOf({ policy }: PolicyInForce, producer: string, cap: 'maxStreams' | 'maxLanes'): number {
  return policy.producers.find(({ key }) => key.startsWith(`${producer}+`))?.[cap] ?? 0;
}

/** What the auditor, with the root key, finds wrong or not ended in an archive. */
export async function auditProblems(objects: ObjectStore, world: World): Promise<readonly string[]> {
  const { ok, findings } = await verifyArchive(objects, { keys: [parseVerifierKey(world.root.verifierKey)] });
  const problems = findings
    .filter(({ severity }) => severity !== 'NOTE')
    .map(({ severity, property, code, message, place }) => `${severity} ${property} ${code}: ${message} ${JSON.stringify(place)}`);
  return ok || problems.length > 0 ? problems : ['the verdict is not green, and says nothing why'];
}
