import { compileSchema } from '../avro/schema.ts';
import { SCHEMA_TEXTS } from '../avro/schema-texts.ts';
import { mustCount, mustFit } from '../base/format-checks.ts';
import { LIMITS } from '../base/limits.ts';

/** A block's evidence in a segment's evidence file (docs/formats.md §5). */
export interface BlockEvidence {
  /** Tree index of the block's seal. */
  readonly sealIndex: number;
  readonly keyId: Uint8Array;
  readonly signature: Uint8Array;
  readonly evidence: Uint8Array;
}

const records = compileSchema<BlockEvidence>(JSON.parse(SCHEMA_TEXTS.BlockEvidence));

/** Throws the error that {@link decodeBlockEvidence} would throw on the bytes. */
export function encodeBlockEvidence(record: BlockEvidence): Uint8Array {
  checkRecord(record);
  return records.encode(record);
}

/** Throws AVRO_INVALID, FORMAT_INVALID or LIMIT_EXCEEDED. */
export function decodeBlockEvidence(bytes: Uint8Array): BlockEvidence {
  const record = records.decode(bytes);
  checkRecord(record);
  return record;
}

function checkRecord(record: BlockEvidence): void {
  mustCount('block evidence', record.sealIndex);
  mustFit(record.signature.length, LIMITS.signatureBytes, 'signature');
  mustFit(record.evidence.length, LIMITS.blockBytes, 'evidence');
}
