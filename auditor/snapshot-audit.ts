import { sha256Stream } from '#crypto';
import { logKeysOf } from '../core/archive/archive-keys.ts';
import {
  decodeStateRecord,
  parseSnapshotStatement,
  type SnapshotHead,
  type SnapshotStatement,
  type StateRecord,
} from '../core/archive/snapshot.ts';
import { readWindows, statePieces } from '../core/archive/state-file.ts';
import { attempt } from '../core/base/attempt.ts';
import { concat, equal, fromHex, toHex } from '../core/base/bytes.ts';
import { LIMITS } from '../core/base/limits.ts';
import type { PolicyInForce } from '../core/policy/policy-history.ts';
import type { Frontier } from '../core/tree/frontier.ts';
import { attestedPayload, isOutOfUse } from './attestation.ts';
import type { Audit } from './audit.ts';
import type { ReplayedLog } from './replayed-log.ts';

/** The state that the leaves give. */
interface GivenState {
  readonly log: ReplayedLog;
  readonly frontier: Frontier;
  readonly policy: PolicyInForce | undefined;
}

/** Bytes of the length before each record. */
const LENGTH = 4;
/** An audit does nothing else meanwhile. */
const NO_TURNS = { next: (): Promise<void> => Promise.resolve() };

/** A fault of one of the two objects of a snapshot. */
interface SnapshotFault {
  readonly object: string;
  readonly message: string;
}

/** The faults of a stored snapshot, compared with the state that the leaves give. A part of its file is in memory at a time. */
export async function snapshotFaults(bytes: Uint8Array, audit: Audit, given: GivenState): Promise<SnapshotFault[]> {
  const { shard, governance, origin, listed } = audit;
  const { value, faults, signers } = attestedPayload(bytes, 'snapshot', {
    shard,
    keys: governance.logKeys(shard),
    decode: parseSnapshotStatement,
    end: ({ size }) => size,
  });
  const { size } = given.frontier;
  const names = logKeysOf(shard);
  const said = faults.map(({ message }) => message);
  if (isOutOfUse(signers, given.policy)) said.push('only a log key signed it that the policy in force there calls RETIRED');
  if (value !== undefined && (value.origin !== `${origin}/${shard}` || value.size !== size))
    said.push(`its statement is about ${value.size} leaves of ${value.origin}`);
  const ofStatement = said.map((message) => ({ object: names.snapshot(size), message }));
  const stored = listed.get(names.state(size));
  if (value === undefined || stored === undefined) return ofStatement;
  const message =
    stored === value.bytes
      ? await stateFault(audit, given, value)
      : `its state has ${stored} bytes, and its statement names ${value.bytes}`;
  return message === undefined ? ofStatement : [...ofStatement, { object: names.state(size), message }];
}

/** The first difference between the stored file and the one that the leaves give. */
async function stateFault(audit: Audit, given: GivenState, { bytes, sha256 }: SnapshotStatement): Promise<string | undefined> {
  const digest = sha256Stream();
  const stored = new StoredBytes(readWindows(audit.objects, logKeysOf(audit.shard).state(given.frontier.size), bytes));
  const head = headOf(await stored.peek(LENGTH + LIMITS.stateRecordBytes));
  if (head === undefined) return 'its state does not begin with a head';
  // Where the block lies on the chain topic, no archive can tell.
  const derived = await statePieces(derive(audit, given, head.chainOffset), given.log, NO_TURNS);
  for await (const piece of derived) {
    const found = await stored.take(piece.length);
    if (!equal(found, piece)) return `it states another state than the log gives: ${difference(piece, found)}`;
    digest.update(found);
  }
  if ((await stored.peek(1)).length > 0) return 'it states another state than the log gives: it goes on after the last lane';
  return toHex(digest.digest()) === sha256 ? undefined : 'its statement names another digest than its state has';
}

/** The head of the state as the log gives it. */
function derive({ origin, shard, shards }: Audit, { log: { head }, frontier }: GivenState, chainOffset: number): SnapshotHead {
  const { seal, inputGeneration, inputTo, appendedAt, acceptedAt, policy, final } = head;
  return {
    origin,
    shard,
    shards,
    size: frontier.size,
    frontier: frontier.hashes,
    seal,
    inputGeneration,
    inputTo,
    appendedAt,
    acceptedAt,
    chainOffset,
    policy: policy === null ? null : fromHex(policy),
    final,
  };
}

/** Bytes of an object in pieces of any length. Only its methods change its fields. */
class StoredBytes {
  readonly #windows: AsyncIterator<Uint8Array>;
  #window: Uint8Array = new Uint8Array(0);

  constructor(windows: AsyncIterable<Uint8Array>) {
    this.#windows = windows[Symbol.asyncIterator]();
  }

  /** The next `length` bytes, or as many as there are. */
  async take(length: number): Promise<Uint8Array> {
    const found = await this.peek(length);
    this.#window = this.#window.subarray(found.length);
    return found;
  }

  async peek(length: number): Promise<Uint8Array> {
    while (this.#window.length < length) {
      const { done, value } = await this.#windows.next();
      if (done === true) break;
      this.#window = concat(this.#window, value);
    }
    return this.#window.subarray(0, length);
  }
}

function headOf(bytes: Uint8Array): SnapshotHead | undefined {
  const record = recordAt(bytes, 0);
  return record?.branch === 'SnapshotHead' ? record.value : undefined;
}

/** The record whose length stands at `at`; undefined if it cannot be read. */
function recordAt(bytes: Uint8Array, at: number): StateRecord | undefined {
  return attempt(() => {
    const end = at + LENGTH + new DataView(bytes.buffer, bytes.byteOffset).getUint32(at);
    return end > bytes.length ? undefined : decodeStateRecord(bytes.subarray(at + LENGTH, end));
  });
}

/** What differs first between a derived piece, which holds whole records, and the stored bytes in its place. */
function difference(derived: Uint8Array, stored: Uint8Array): string {
  let at = 0;
  for (;;) {
    const end = at + LENGTH + new DataView(derived.buffer, derived.byteOffset).getUint32(at);
    if (end >= derived.length || !equal(derived.subarray(at, end), stored.subarray(at, end))) break;
    at = end;
  }
  const right = recordAt(derived, at) as StateRecord;
  const wrong = recordAt(stored, at);
  if (wrong === undefined || nameOf(wrong) !== nameOf(right)) return `${nameOf(right)} is not where it belongs`;
  const fields = Object.entries(right.value).filter(
    ([field, value]) => plain(value) !== plain(wrong.value[field as keyof typeof wrong.value]),
  );
  return `${fields.map(([field]) => field).join(', ')} of ${nameOf(right)}`;
}

function nameOf({ branch, value }: StateRecord): string {
  if (branch === 'SnapshotHead') return 'the head';
  if (branch === 'StreamHead') return `stream ${JSON.stringify(value.stream)}`;
  return `lane ${toHex(value.epoch)} of ${JSON.stringify(value.producer)}`;
}

function plain(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => (each instanceof Uint8Array ? [...each] : each));
}
