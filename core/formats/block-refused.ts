import { compileSchema } from '../avro/schema.ts';
import { SCHEMA_TEXTS } from '../avro/schema-texts.ts';
import { mustCount, mustFit, mustHold } from '../base/format-checks.ts';
import { LIMITS } from '../base/limits.ts';

/** A block's refused events in a segment's file of them (docs/formats.md §5). */
export interface BlockRefused {
  /** Tree index of the block's seal. */
  readonly sealIndex: number;
  /** Of the REJECTED and CONFLICT receipts in the block's evidence, in their order; at least one. */
  readonly events: readonly Uint8Array[];
}

const records = compileSchema<BlockRefused>(JSON.parse(SCHEMA_TEXTS.BlockRefused));

/** Throws the error that {@link decodeBlockRefused} would throw on the bytes. */
export function encodeBlockRefused(record: BlockRefused): Uint8Array {
  checkRecord(record);
  const bytes = records.encode(record);
  mustFit(bytes.length, LIMITS.blockBytes, 'refused events');
  return bytes;
}

/** Throws AVRO_INVALID, FORMAT_INVALID or LIMIT_EXCEEDED. */
export function decodeBlockRefused(bytes: Uint8Array): BlockRefused {
  mustFit(bytes.length, LIMITS.blockBytes, 'refused events');
  const record = records.decode(bytes);
  checkRecord(record);
  return record;
}

function checkRecord(record: BlockRefused): void {
  mustCount('refused events', record.sealIndex);
  mustHold(record.events.length > 0, 'cannot take refused events: a block without any has no record');
}
