import { equal, utf8Text } from '../core/base/bytes.ts';
import { hasCode } from '../core/base/errors.ts';
import { type Checkpoint, parseCheckpoint } from '../core/keys/checkpoint.ts';
import { decodeEnvelope, envelopeSigners, type PayloadType } from '../core/keys/dsse.ts';
import type { VerifierKey } from '../core/keys/key.ts';
import { openNote } from '../core/keys/note.ts';
import type { KeyInForce } from '../core/policy/policy-history.ts';

/** What the log key signed, taken apart; `faults` is empty where nothing is wrong with it. */
export interface Attestation<T> {
  /** Undefined where it cannot be read. */
  readonly value: T | undefined;
  readonly faults: readonly Fault[];
}

export interface Fault {
  /** SUSPECT: rightly signed, but only by keys that are not believed that far. */
  readonly code: 'MALFORMED' | 'SIGNATURE' | 'SUSPECT';
  readonly message: string;
}

/** Reads a note of the log `origin` and judges who signed it. Without a right signature it has no value. */
export function attestedNote(bytes: Uint8Array, origin: string, shard: number, keys: readonly KeyInForce[]): Attestation<Checkpoint> {
  let checkpoint: Checkpoint;
  let signers: VerifierKey[];
  try {
    const { text, verified } = openNote(utf8Text(bytes), verifiers(keys));
    checkpoint = parseCheckpoint(text);
    // The keys of a log all have its name: they differ by their ids.
    signers = verifiers(keys).filter(({ id }) => verified.some((line) => equal(line.id, id)));
  } catch (error) {
    return refused(error);
  }
  if (checkpoint.origin !== origin)
    return { value: undefined, faults: [{ code: 'MALFORMED', message: `it is of the log ${checkpoint.origin}` }] };
  const fault = signersFault(signers, keys, shard, checkpoint.size);
  return { value: fault?.code === 'SIGNATURE' ? undefined : checkpoint, faults: fault === undefined ? [] : [fault] };
}

/** Reads a DSSE payload about leaves up to `end(payload)` and judges who signed it. It keeps its value without a signature, for what can still be compared. */
export function attestedPayload<T extends object>(
  bytes: Uint8Array,
  type: PayloadType,
  {
    shard,
    keys,
    decode,
    end,
  }: { shard: number; keys: readonly KeyInForce[]; decode: (payload: Uint8Array) => T; end: (value: T) => number },
): Attestation<T & { readonly payload: Uint8Array }> {
  let value: (T & { readonly payload: Uint8Array }) | undefined;
  try {
    const envelope = decodeEnvelope(bytes, type);
    value = { ...decode(envelope.payload), payload: envelope.payload };
    const fault = signersFault(envelopeSigners(envelope, verifiers(keys)), keys, shard, end(value));
    return { value, faults: fault === undefined ? [] : [fault] };
  } catch (error) {
    return { ...refused<T & { readonly payload: Uint8Array }>(error), value };
  }
}

/** What is wrong with the signers of something about leaves up to `end`: none, or only such as are not believed that far. */
function signersFault(signers: readonly VerifierKey[], keys: readonly KeyInForce[], shard: number, end: number): Fault | undefined {
  if (signers.length === 0) return { code: 'SIGNATURE', message: 'no log key signed it' };
  const believed = keys
    .filter(({ verifier }) => signers.includes(verifier))
    .some(({ entry }) => entry.believed === null || end <= (entry.believed[shard] ?? 0));
  return believed
    ? undefined
    : { code: 'SUSPECT', message: `it is signed only by a compromised log key, which is not believed up to ${end} leaves` };
}

function verifiers(keys: readonly KeyInForce[]): VerifierKey[] {
  return keys.map(({ verifier }) => verifier);
}

function refused<T>(error: unknown): Attestation<T> {
  const code = hasCode(error, 'SIGNATURE_INVALID') ? 'SIGNATURE' : 'MALFORMED';
  return { value: undefined, faults: [{ code, message: error instanceof Error ? error.message : String(error) }] };
}
