import { sha256 } from '#crypto';
import type { LogView } from '../../core/acceptance/log-state.ts';
import { frame } from '../../core/avro/framing.ts';
import { equal } from '../../core/base/bytes.ts';
import { decodeBatchHeader, encodeSignedBatch } from '../../core/formats/batch.ts';
import { eventDigest } from '../../core/formats/event.ts';
import type { EvidenceInput } from '../../core/formats/evidence.ts';
import type { Link } from '../../core/formats/leaf.ts';
import { type Forgery, rechain } from './forged-block.ts';
import { BATCH_SCHEMA_ID, type TestMessage } from './producer.ts';
import { required } from './rich-archive.ts';

/** The evidence of a message, whatever it deserves. */
export function inputOf(
  message: TestMessage,
  change: Partial<EvidenceInput> & Pick<EvidenceInput, 'outcome' | 'appendedAt'>,
): EvidenceInput {
  const { header, keyId, signature, value } = message;
  const digest = change.outcome === 'REJECTED' ? sha256(value) : null;
  return { span: 1, reason: 0, message: digest, batch: { header, keyId, signature }, receipts: [], ...change };
}

/** Makes the last input of the block an accepted batch with all its events linked, whatever the rules say of it. */
export function acceptAnyway(view: LogView, forgery: Forgery, message: TestMessage, linkChange: Partial<Link> = {}): void {
  const last = required(forgery.inputs.pop());
  const offset = view.head.inputTo + forgery.inputs.reduce((sum, { span }) => sum + span, 0);
  forgery.inputs.push(inputOf(message, { outcome: 'ACCEPTED', appendedAt: last.appendedAt }));
  const { schema } = decodeBatchHeader(message.header);
  const links = message.events.map((bytes, position): Link => {
    return {
      kind: 'link',
      stream: 'a',
      index: 0,
      previous: new Uint8Array(32),
      event: eventDigest(schema, bytes),
      schema,
      acceptedAt: required(forgery.seal.acceptedAt),
      inputOffset: offset,
      position,
      marks: 0,
      ...linkChange,
    };
  });
  forgery.links = rechain(view, [...forgery.links, ...links]);
  forgery.events.push(...message.events);
  forgery.refused = forgery.refused.filter((refused) => !message.events.some((event) => equal(event, refused)));
}

/** The message with a bit of its signature flipped. */
export function forgedSignature(given: TestMessage): TestMessage {
  const forged = { ...given, signature: given.signature.map((byte, i) => (i === 40 ? byte ^ 1 : byte)) };
  return { ...forged, value: frame(BATCH_SCHEMA_ID, encodeSignedBatch(forged)) };
}

/** The message under the same signed header, as whoever carries it can make it: with other events. */
export function carrying(good: TestMessage, events: readonly Uint8Array[]): TestMessage {
  const swapped = { ...good, events };
  return { ...swapped, value: frame(BATCH_SCHEMA_ID, encodeSignedBatch(swapped)) };
}
