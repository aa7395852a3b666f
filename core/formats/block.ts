import { FRAMING_BYTES } from '../avro/framing.ts';
import { compileSchema } from '../avro/schema.ts';
import { SCHEMA_TEXTS } from '../avro/schema-texts.ts';
import { mustFit, mustHold } from '../base/format-checks.ts';
import { LIMITS } from '../base/limits.ts';

/** One step of a shard's log, every part as bytes (docs/formats.md §3). */
export interface Block {
  readonly seal: Uint8Array;
  readonly keyId: Uint8Array;
  readonly signature: Uint8Array;
  readonly links: readonly Uint8Array[];
  readonly events: readonly Uint8Array[];
  /** Events of the REJECTED and CONFLICT receipts in the evidence, in their order. */
  readonly refused: readonly Uint8Array[];
  readonly evidence: Uint8Array;
}

const blocks = compileSchema<Block>(JSON.parse(SCHEMA_TEXTS.Block));

/** The block without framing; throws the error that {@link decodeBlock} would throw on the bytes. */
export function encodeBlock(block: Block): Uint8Array {
  checkBlock(block);
  return fitting(blocks.encode(block));
}

/** Throws AVRO_INVALID, FORMAT_INVALID or LIMIT_EXCEEDED; seal, links, events and evidence stay undecoded. */
export function decodeBlock(bytes: Uint8Array): Block {
  const block = blocks.decode(fitting(bytes));
  checkBlock(block);
  return block;
}

function fitting(bytes: Uint8Array): Uint8Array {
  mustFit(bytes.length + FRAMING_BYTES, LIMITS.blockBytes, 'block');
  return bytes;
}

function checkBlock(block: Block): void {
  mustFit(block.signature.length, LIMITS.signatureBytes, 'signature');
  mustFit(block.seal.length, LIMITS.leafBytes, 'seal');
  for (const link of block.links) mustFit(link.length, LIMITS.leafBytes, 'link');
  mustHold(block.links.length === block.events.length, 'cannot take block: it does not have one event for each link');
}
