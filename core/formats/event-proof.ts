import { compileSchema } from '../avro/schema.ts';
import { SCHEMA_TEXTS } from '../avro/schema-texts.ts';

/** The seal of an event's block, with its place in the log's tree and its chainer's signature. */
export interface SealProof {
  readonly index: number;
  readonly leaf: Uint8Array;
  readonly path: readonly Uint8Array[];
  readonly keyId: Uint8Array;
  readonly signature: Uint8Array;
}

/** The content of `extra` in a tlog-proof file (docs/formats.md §4). */
export interface EventProof {
  readonly leaf: Uint8Array;
  readonly schema: string;
  readonly event: Uint8Array;
  readonly header: Uint8Array;
  readonly keyId: Uint8Array;
  readonly signature: Uint8Array;
  readonly path: readonly Uint8Array[];
  readonly producerKey: string;
  readonly seal: SealProof | null;
  readonly policies: readonly Uint8Array[];
}

const proofs = compileSchema<EventProof>(JSON.parse(SCHEMA_TEXTS.EventProof));

/** Throws AVRO_INVALID for a value that the schema does not permit. */
export function encodeEventProof(proof: EventProof): Uint8Array {
  return proofs.encode(proof);
}

/** Throws AVRO_INVALID; the verifier checks whether the parts agree. */
export function decodeEventProof(bytes: Uint8Array): EventProof {
  return proofs.decode(bytes);
}
