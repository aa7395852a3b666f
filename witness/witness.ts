import { sha256 } from '#crypto';
import { equal, toHex, utf8, utf8Text } from '../core/base/bytes.ts';
import { hasCode, LineproofError, messageOf } from '../core/base/errors.ts';
import { cosign } from '../core/keys/cosignature.ts';
import type { VerifierKey } from '../core/keys/key.ts';
import { formatNote, formatSignature, type NoteSignature, openNote } from '../core/keys/note.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import type { Signer } from '../core/ports/signer.ts';
import { ADD_CHECKPOINT } from '../core/ports/witness.ts';
import { EMPTY_ROOT } from '../core/tree/hash.ts';
import { checkConsistency } from '../core/tree/proof.ts';
import { type ClaimedCheckpoint, readClaimed, readWitnessRequest, type WitnessRequest } from './witness-request.ts';

/** Another process can be faster than ours now and then, not each time. */
const MAX_TRIES = 100;

/** What the witness answers, as HTTP says it. */
export interface WitnessReply {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

export interface WitnessOptions {
  /** The keys of the logs that are witnessed, by name: a log has the name of its keys. */
  readonly logs: readonly VerifierKey[];
  /** Holds the newest cosigned note of each log. What it has stored must survive a power cut. */
  readonly store: ObjectStore;
  readonly signer: Signer;
  readonly clock: Clock;
  /** Called with each log's size once it is cosigned and stored. */
  readonly cosigned?: (origin: string, size: number) => void;
}

const TEXT = 'text/plain; charset=utf-8';

/** A reply that ends the checks. */
class Refusal extends Error {
  readonly reply: WitnessReply;

  constructor(status: number, body: string, type = TEXT) {
    super(body);
    this.reply = { status, type, body: `${body}\n` };
  }
}

/** Path of a log's newest cosigned note, below the monitoring prefix and in the store. */
export function monitoringPath(origin: string): string {
  return `${toHex(sha256(utf8(origin)))}/checkpoint`;
}

/**
 * A witness of some logs (C2SP tlog-witness). It holds one thing for each log: the newest note that it cosigned. It never cosigns what does not extend that note,
 * however many of its processes work on one store.
 */
export class WitnessCore {
  readonly #o: WitnessOptions;
  readonly #logs: ReadonlyMap<string, readonly VerifierKey[]>;
  /** Replacements on their way: what they write can be read before it survives a power cut. */
  readonly #writing = new Set<Promise<unknown>>();

  constructor(options: WitnessOptions) {
    this.#o = options;
    this.#logs = grouped(options.logs);
  }

  /** Answers one add-checkpoint. Throws only what the store or the signer throws. */
  async add(body: string): Promise<WitnessReply> {
    try {
      const request = readRequest(body);
      this.#checkSigned(request);
      if (request.oldSize > request.checkpoint.size) throw new Refusal(400, 'the old size is above the size of the checkpoint');
      return await this.#extend(request);
    } catch (error) {
      if (error instanceof Refusal) return error.reply;
      throw error;
    }
  }

  /** The newest cosigned note of the log whose monitoring path this is; undefined if there is none. */
  async newest(path: string): Promise<string | undefined> {
    if (!/^[0-9a-f]{64}\/checkpoint$/.test(path)) return undefined;
    const stored = await this.#o.store.get(path);
    // Nobody sees a cosignature that a power cut could take back.
    await Promise.all(this.#writing);
    return stored === undefined ? undefined : utf8Text(stored.bytes);
  }

  /** 404 for a log that nobody asked to witness; 403 unless a key of the log signed, and none of them wrongly. */
  #checkSigned({ note, checkpoint }: WitnessRequest): void {
    const keys = this.#logs.get(checkpoint.origin);
    if (keys === undefined) throw new Refusal(404, 'this witness does not know the log');
    try {
      openNote(formatNote(note.text, note.signatures), keys);
    } catch (error) {
      throw new Refusal(403, messageOf(error));
    }
  }

  /** COMMIT POINT: the cosigned note is in the store, by compare-and-swap and durably, before anybody sees the cosignature. */
  async #extend(request: WitnessRequest): Promise<WitnessReply> {
    const { store, signer, clock, cosigned } = this.#o;
    const { note, checkpoint } = request;
    const path = monitoringPath(checkpoint.origin);
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const stored = await store.get(path);
      const known = stored === undefined ? undefined : storedCheckpoint(path, stored.bytes);
      checkGrowth(request, known);
      const line = await cosign(note.text, Math.floor(clock.nowMicros() / 1e6), signer);
      const kept = formatNote(note.text, [...this.#ownLines(request), line]);
      if ((await this.#replace(path, kept, stored?.etag)) === undefined) continue;
      cosigned?.(checkpoint.origin, checkpoint.size);
      return { status: 200, type: TEXT, body: formatSignature(line) };
    }
    throw new LineproofError('IO_FAILED', `cannot store ${path}: what is there can be neither read nor replaced`, { path });
  }

  async #replace(path: string, note: string, etag: string | undefined): Promise<string | undefined> {
    const writing = this.#o.store.replace(path, utf8(note), etag);
    this.#writing.add(writing);
    try {
      return await writing;
    } finally {
      this.#writing.delete(writing);
    }
  }

  /** The signatures of the log's own keys. */
  #ownLines({ note, checkpoint }: WitnessRequest): readonly NoteSignature[] {
    const keys = this.#logs.get(checkpoint.origin) ?? [];
    return note.signatures.filter(({ name, id }) => keys.some((key) => key.name === name && equal(key.id, id)));
  }
}

function grouped(keys: readonly VerifierKey[]): Map<string, VerifierKey[]> {
  const logs = new Map<string, VerifierKey[]>();
  for (const key of keys) logs.set(key.name, [...(logs.get(key.name) ?? []), key]);
  return logs;
}

function readRequest(body: string): WitnessRequest {
  try {
    return readWitnessRequest(body);
  } catch (error) {
    if (hasCode(error, 'FORMAT_INVALID', 'LIMIT_EXCEEDED', 'KEY_INVALID')) throw new Refusal(400, messageOf(error));
    throw error;
  }
}

/** The checkpoint in a note that this witness stored. Throws ARCHIVE_DIVERGED: an older note in its place would let the witness cosign two histories. */
function storedCheckpoint(path: string, bytes: Uint8Array): ClaimedCheckpoint {
  try {
    const note = utf8Text(bytes);
    return readClaimed(note.slice(0, note.lastIndexOf('\n\n') + 1));
  } catch (error) {
    const advice = 'start a witness with another key in another folder, since this one forgot what it cosigned';
    throw new LineproofError('ARCHIVE_DIVERGED', `cannot go on: the stored note ${path} cannot be read; ${advice}`, { path }, error);
  }
}

/** 409 unless the question begins at what the witness knows, and for another root of that size; 422 unless the proof shows that the checkpoint extends it. */
function checkGrowth({ oldSize, proof, checkpoint }: WitnessRequest, known: ClaimedCheckpoint | undefined): void {
  const { size, root } = known ?? { size: 0, root: EMPTY_ROOT };
  const isFork = checkpoint.size === size && proof.length === 0 && !equal(checkpoint.root, root);
  if (oldSize !== size || isFork) throw new Refusal(409, String(size), ADD_CHECKPOINT.sizeType);
  if (!checkConsistency(proof, size, root, checkpoint.size, checkpoint.root))
    throw new Refusal(422, 'the proof does not show that the checkpoint extends what this witness cosigned');
}
