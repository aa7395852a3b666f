import { equal, utf8Text } from '../core/base/bytes.ts';
import { hasCode, messageOf } from '../core/base/errors.ts';
import { type Checkpoint, parseCheckpoint } from '../core/keys/checkpoint.ts';
import { treeHeadSigner } from '../core/keys/cose.ts';
import { decodeEnvelope, envelopeSigners, type PayloadType } from '../core/keys/dsse.ts';
import type { VerifierKey } from '../core/keys/key.ts';
import { openNote, readNote } from '../core/keys/note.ts';
import { believedUntil } from '../core/policy/policy-document.ts';
import type { KeyInForce, PolicyInForce } from '../core/policy/policy-history.ts';
import type { FindingCode } from './findings-table.ts';

/** A decoded statement that a log key signed, with its fault. */
export interface Attestation<T> {
  /** Undefined where it cannot be read, or must not be used. */
  readonly value: T | undefined;
  readonly faults: readonly Fault[];
  /** The log keys that signed it rightly. */
  readonly signers: readonly VerifierKey[];
}

export interface Fault {
  /** SUSPECT: the signature is right, but only compromised keys signed, after the size up to which they are believed. */
  readonly code: 'MALFORMED' | 'SIGNATURE' | 'SUSPECT';
  readonly message: string;
}

/** The finding of each fault of a note. */
export const NOTE_FINDINGS = {
  MALFORMED: 'NOTE_MALFORMED',
  SIGNATURE: 'NOTE_SIGNATURE',
  SUSPECT: 'NOTE_SUSPECT',
} as const satisfies Record<Fault['code'], FindingCode>;

/** Reads a note of the log `origin` and judges who signed it. A note without a right signature gives no value. */
export function attestedNote(bytes: Uint8Array, origin: string, shard: number, keys: readonly KeyInForce[]): Attestation<Checkpoint> {
  let checkpoint: Checkpoint;
  let signers: VerifierKey[];
  try {
    const note = utf8Text(bytes);
    checkpoint = parseCheckpoint(readNote(note).text);
    // Whose note it is comes first: another log's keys are unknown here.
    if (checkpoint.origin !== origin)
      return { value: undefined, signers: [], faults: [{ code: 'MALFORMED', message: `it belongs to the log ${checkpoint.origin}` }] };
    const { verified } = openNote(note, verifiers(keys));
    // The keys of a log all have its name: they differ by their ids.
    signers = verifiers(keys).filter(({ id }) => verified.some((line) => equal(line.id, id)));
  } catch (error) {
    return refused(error);
  }
  const fault = signersFault(signers, keys, shard, checkpoint.size);
  return { value: fault?.code === 'SIGNATURE' ? undefined : checkpoint, signers, faults: fault === undefined ? [] : [fault] };
}

/** Reads a DSSE payload about leaves up to `end(payload)` and judges who signed it. A payload that none of the keys signed is not parsed, and gives no value. */
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
  try {
    const envelope = decodeEnvelope(bytes, type);
    const signers = envelopeSigners(envelope, verifiers(keys));
    if (signers.length === 0) return { value: undefined, signers, faults: [UNSIGNED] };
    const value = { ...decode(envelope.payload), payload: envelope.payload };
    const fault = signersFault(signers, keys, shard, end(value));
    return { value, signers, faults: fault === undefined ? [] : [fault] };
  } catch (error) {
    return refused(error);
  }
}

/** Judges who signed the COSE signature of a tree head that a note states, too. Without a right signature it gives no value. */
export function attestedTreeHead(bytes: Uint8Array, head: Checkpoint, shard: number, keys: readonly KeyInForce[]): Attestation<Checkpoint> {
  const signer = treeHeadSigner(bytes, head, verifiers(keys));
  const signers = signer === undefined ? [] : [signer];
  const fault = signersFault(signers, keys, shard, head.size);
  return { value: signer === undefined ? undefined : head, signers, faults: fault === undefined ? [] : [fault] };
}

const UNSIGNED: Fault = { code: 'SIGNATURE', message: 'no log key signed it' };

/** The fault if nobody signed leaves up to `end`, or only compromised keys that are not believed that far. */
function signersFault(signers: readonly VerifierKey[], keys: readonly KeyInForce[], shard: number, end: number): Fault | undefined {
  if (signers.length === 0) return UNSIGNED;
  const believed = keys.filter(({ verifier }) => signers.includes(verifier)).some(({ entry }) => end <= believedUntil(entry, shard));
  return believed
    ? undefined
    : { code: 'SUSPECT', message: `only a compromised log key signed it, and that key is not believed up to ${end} leaves` };
}

/**
 * Whether every log key that signed leaves up to some size is RETIRED in the policy of the last block before that size. Then it was signed by a key that was
 * out of use: an archiver refuses to. A key that this policy does not name yet is one that a later version added.
 */
export function isOutOfUse(signers: readonly VerifierKey[], policy: PolicyInForce | undefined): boolean {
  if (policy === undefined) return false;
  const retired = policy.policy.logs.filter(({ status }) => status === 'RETIRED');
  return signers.length > 0 && signers.every(({ text }) => retired.some(({ key }) => key === text));
}

function verifiers(keys: readonly KeyInForce[]): VerifierKey[] {
  return keys.map(({ verifier }) => verifier);
}

function refused<T>(error: unknown): Attestation<T> {
  const code = hasCode(error, 'SIGNATURE_INVALID') ? 'SIGNATURE' : 'MALFORMED';
  return { value: undefined, signers: [], faults: [{ code, message: messageOf(error) }] };
}
