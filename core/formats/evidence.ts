import { compileSchema } from '../avro/schema.ts';
import { SCHEMA_TEXTS } from '../avro/schema-texts.ts';
import { mustCount, mustFit, mustHold } from '../base/format-checks.ts';
import { LIMITS } from '../base/limits.ts';
import { REASONS, reasonTraits } from '../base/reasons.ts';

/** Messages of the longest run: each takes 4 bytes of {@link LIMITS.runBytes} or more. */
const RUN_MESSAGES = LIMITS.runBytes / 4;
/** Offsets of the longest entry, as an Avro int can state them. What is longer takes several entries. */
export const ENTRY_OFFSETS = 2 ** 31 - 1;

/** An event of an accepted batch that was not linked. */
export interface Receipt {
  readonly position: number;
  readonly digest: Uint8Array;
  readonly id: Uint8Array | null;
  readonly outcome: 'DUPLICATE' | 'CONFLICT' | 'REJECTED';
  readonly reason: number;
  /** Tree index of the link with the same identity. */
  readonly original: number | null;
}

/** The outcome of one input message, of a run of rejected messages, of records that no reader can read, or of offsets without a record (docs/formats.md §3). */
export interface EvidenceInput {
  readonly outcome: 'ACCEPTED' | 'REPEATED' | 'REJECTED' | 'EMPTY';
  /** Offsets covered. */
  readonly span: number;
  /** Microseconds since 1970. */
  readonly appendedAt: number;
  readonly reason: number;
  readonly message: Uint8Array | null;
  readonly batch: { readonly header: Uint8Array; readonly keyId: Uint8Array; readonly signature: Uint8Array } | null;
  readonly receipts: readonly Receipt[];
}

const evidence = compileSchema<{ readonly inputs: readonly EvidenceInput[] }>(JSON.parse(SCHEMA_TEXTS.Evidence));

/** Throws the error that {@link decodeEvidence} would throw on the bytes. */
export function encodeEvidence(inputs: readonly EvidenceInput[]): Uint8Array {
  checkInputs(inputs);
  const bytes = evidence.encode({ inputs });
  mustFit(bytes.length, LIMITS.blockBytes, 'evidence');
  return bytes;
}

/** Throws AVRO_INVALID, FORMAT_INVALID or LIMIT_EXCEEDED. */
export function decodeEvidence(bytes: Uint8Array): readonly EvidenceInput[] {
  mustFit(bytes.length, LIMITS.blockBytes, 'evidence');
  const { inputs } = evidence.decode(bytes);
  checkInputs(inputs);
  return inputs;
}

function checkInputs(inputs: readonly EvidenceInput[]): void {
  for (const input of inputs) checkInput(input);
  const last = inputs.at(-1);
  // Else the input topic, which keeps its last consumed message, could not be compared with it.
  mustHold(
    last === undefined || last.span === 1 || !isRun(last),
    'cannot take evidence: its last message does not have an entry of its own',
  );
}

/** Whether an entry is about messages that were refused before a header could be read. */
function isRun({ reason }: EvidenceInput): boolean {
  return reasonTraits(reason)?.rejects === 'message';
}

/** The largest span of an entry. */
function mostOffsets(input: EvidenceInput): number {
  if (input.outcome === 'EMPTY' || reasonTraits(input.reason)?.rejects === 'records') return ENTRY_OFFSETS;
  return isRun(input) && input.batch === null ? RUN_MESSAGES : 1;
}

function checkInput(input: EvidenceInput): void {
  const { outcome, batch, reason } = input;
  const rejected = outcome === 'REJECTED';
  const rejects = reasonTraits(reason)?.rejects;
  mustCount('evidence', input.appendedAt);
  mustHold(
    input.span >= 1 && input.span <= mostOffsets(input),
    "cannot take evidence: an input's span does not fit its outcome or its reason",
  );
  mustHold(rejected === (input.message !== null), 'cannot take evidence: REJECTED inputs, and no others, have a message digest');
  mustHold(
    rejected ? rejects === 'records' || rejects === 'message' || rejects === 'batch' : reason === REASONS.NONE,
    "cannot take evidence: an input's reason does not fit its outcome",
  );
  mustHold(rejects !== 'records' || batch === null, 'cannot take evidence: records that cannot be read have no batch');
  mustHold(
    rejected || (batch === null) === (outcome === 'EMPTY'),
    'cannot take evidence: ACCEPTED and REPEATED inputs have a batch, EMPTY ones have none',
  );
  mustHold(outcome === 'ACCEPTED' || input.receipts.length === 0, 'cannot take evidence: only ACCEPTED inputs have receipts');
  if (batch !== null) {
    mustFit(batch.header.length, LIMITS.headerBytes, 'batch header');
    mustFit(batch.signature.length, LIMITS.signatureBytes, 'signature');
  }
  let before = -1;
  for (const receipt of input.receipts) {
    checkReceipt(receipt);
    mustHold(receipt.position > before, 'cannot take evidence: positions of receipts do not rise');
    before = receipt.position;
  }
}

function checkReceipt({ outcome, reason, original }: Receipt): void {
  const rejected = outcome === 'REJECTED';
  mustHold(
    rejected ? reasonTraits(reason)?.rejects === 'event' : reason === REASONS.NONE,
    "cannot take evidence: a receipt's reason does not fit its outcome",
  );
  mustHold(rejected === (original === null), 'cannot take evidence: DUPLICATE and CONFLICT receipts, and no others, have an original');
  if (original !== null) mustCount('receipt', original);
}
