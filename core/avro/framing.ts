import { LineproofError } from '../base/errors.ts';

/** Bytes that Confluent framing puts before the Avro value. */
export const FRAMING_BYTES = 5;

/** Confluent framing: `0x00 ‖ schemaId u32 ‖ payload`, in a new array. */
export function frame(schemaId: number, payload: Uint8Array): Uint8Array {
  if (!Number.isInteger(schemaId) || schemaId < 0 || schemaId > 0xffffffff)
    throw new LineproofError('FORMAT_INVALID', `cannot frame message: schema id ${schemaId} is not an unsigned 32-bit integer`);
  const value = new Uint8Array(FRAMING_BYTES + payload.length);
  new DataView(value.buffer).setUint32(1, schemaId);
  value.set(payload, FRAMING_BYTES);
  return value;
}

/** Registry id and payload (a view) of a framed message; throws FORMAT_INVALID. */
export function unframe(value: Uint8Array): { readonly schemaId: number; readonly payload: Uint8Array } {
  if (value.length < FRAMING_BYTES || value[0] !== 0)
    throw new LineproofError('FORMAT_INVALID', 'cannot read message: it has no Confluent framing');
  const schemaId = new DataView(value.buffer, value.byteOffset, FRAMING_BYTES).getUint32(1);
  return { schemaId, payload: value.subarray(FRAMING_BYTES) };
}
