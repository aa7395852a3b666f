import { equal, utf8Text } from '../../core/base/bytes.ts';
import { LineproofError } from '../../core/base/errors.ts';
import { mustFit } from '../../core/base/format-checks.ts';
import { LIMITS } from '../../core/base/limits.ts';
import { type BatchHeader, decodeBatchHeader } from '../../core/formats/batch.ts';
import { type Event, isEventDigest } from '../../core/formats/event.ts';
import { decodeEventProof, type EventProof } from '../../core/formats/event-proof.ts';
import { compileEventSchema, type EventSchema } from '../../core/formats/event-schema.ts';
import { decodeLeaf, type Link, type Seal } from '../../core/formats/leaf.ts';
import { parseTlogProof } from '../../core/formats/tlog-proof.ts';
import { type Checkpoint, parseCheckpoint } from '../../core/keys/checkpoint.ts';
import { parseVerifierKey, type VerifierKey } from '../../core/keys/key.ts';
import { readNote } from '../../core/keys/note.ts';

/** A proof file taken apart. Nothing in it is verified: every part is a claim. */
export interface ProofParts {
  readonly index: number;
  /** Inclusion path of the link. */
  readonly path: readonly Uint8Array[];
  /** The signed note, verbatim, and what it states. */
  readonly note: string;
  readonly checkpoint: Checkpoint;
  readonly proof: EventProof;
  readonly link: Link;
  readonly schema: EventSchema;
  readonly event: Event;
  readonly header: BatchHeader;
  readonly producerKey: VerifierKey;
  readonly seal: Seal | null;
  /** Number of the shard, from the checkpoint's origin. */
  readonly shard: number;
  /** Name of the system of logs, from the checkpoint's origin. */
  readonly origin: string;
}

/** The first byte of a tagged COSE_Sign1, with which no text begins. */
const COSE_SIGN1 = 0xd2;

function isLeaf(bytes: Uint8Array): boolean {
  // The branch of a link, with which no text begins.
  if (bytes[0] !== 0) return false;
  try {
    decodeLeaf(bytes);
    return true;
  } catch {
    return false;
  }
}

/** Takes a proof file apart. Throws a coded error where a part cannot be read. */
export function readProof(bytes: Uint8Array): ProofParts {
  mustFit(bytes.length, LIMITS.proofBytes, 'proof');
  const other = bytes[0] === COSE_SIGN1 ? 'a COSE receipt' : isLeaf(bytes) ? 'the leaf of a COSE receipt' : undefined;
  if (other !== undefined)
    throw new LineproofError(
      'FORMAT_INVALID',
      `cannot read proof: it is ${other}; a verifier of COSE receipts checks a receipt with its leaf`,
    );
  const { extra, index, path, checkpoint: note } = parseTlogProof(utf8Text(bytes));
  if (extra.length === 0)
    throw new LineproofError('FORMAT_INVALID', 'cannot read proof: it has no extra line, so it names no event: only a leaf of some log');
  const checkpoint = parseCheckpoint(readNote(note).text);
  const proof = decodeEventProof(extra);
  const schema = compileEventSchema(proof.schema);
  if (schema.text !== proof.schema) throw new LineproofError('FORMAT_INVALID', 'cannot read proof: its schema is not in canonical form');
  return {
    ...placeOf(checkpoint.origin),
    index,
    path,
    note,
    checkpoint,
    proof,
    schema,
    link: linkOf(proof.leaf),
    event: schema.decode(proof.event),
    header: decodeBatchHeader(proof.header),
    producerKey: parseVerifierKey(proof.producerKey),
    seal: proof.seal === null ? null : sealOf(proof.seal.leaf),
  };
}

function placeOf(log: string): { readonly origin: string; readonly shard: number } {
  const match = /^(.+)\/(0|[1-9][0-9]{0,3})$/.exec(log);
  if (match === null) throw new LineproofError('FORMAT_INVALID', 'cannot read proof: its checkpoint is not of a shard of an origin');
  return { origin: match[1] as string, shard: Number(match[2]) };
}

function linkOf(bytes: Uint8Array): Link {
  const leaf = decodeLeaf(bytes);
  if (leaf.kind === 'link') return leaf;
  throw new LineproofError('FORMAT_INVALID', 'cannot read proof: its leaf is not a link');
}

function sealOf(bytes: Uint8Array): Seal {
  const leaf = decodeLeaf(bytes);
  if (leaf.kind === 'seal') return leaf;
  throw new LineproofError('FORMAT_INVALID', 'cannot read proof: the leaf of its seal is not a seal');
}

/** How the parts of a proof contradict each other, in sentences; none where they agree (docs/formats.md §4). */
export function contradictions(parts: ProofParts): string[] {
  const { link, schema, header, proof, producerKey, origin, shard, checkpoint, index } = parts;
  const checks: readonly (readonly [boolean, string])[] = [
    [equal(link.schema, schema.digest), 'the link names another schema than the proof holds'],
    [equal(header.schema, schema.digest), 'the batch names another schema than the proof holds'],
    [
      header.origin === origin && header.shard === shard,
      `the batch is for ${header.origin}/${header.shard}, the note of ${checkpoint.origin}`,
    ],
    [link.position < header.count, `the link has position ${link.position} in a batch of ${header.count} events`],
    [
      producerKey.name === header.producer && equal(producerKey.id, proof.keyId),
      "the producer's key in the proof is not the one that the batch names",
    ],
    [index < checkpoint.size, `the proof is of leaf ${index}, and the note covers ${checkpoint.size} leaves`],
    ...sealChecks(parts),
  ];
  return checks.flatMap(([holds, sentence]) => (holds ? [] : [sentence]));
}

function sealChecks({ seal, proof, link, index, checkpoint }: ProofParts): readonly (readonly [boolean, string])[] {
  if (seal === null || proof.seal === null) return [];
  const first = seal.firstIndex;
  return [
    [seal.origin === checkpoint.origin, `the seal is of ${seal.origin}, the note of ${checkpoint.origin}`],
    [first <= index && index < first + seal.links, `the seal closes leaves ${first} to ${first + seal.links - 1}, not leaf ${index}`],
    [proof.seal.index === first + seal.links, 'the seal is not the leaf after the last one of its block'],
    [seal.acceptedAt === link.acceptedAt, 'the link has another time than its seal'],
    [
      seal.inputFrom <= link.inputOffset && link.inputOffset < seal.inputTo,
      'the link names an input offset that its block did not consume',
    ],
  ];
}

/** Whether the event in the proof is the one that the link names. */
export function isEventOfLink({ link, proof }: ProofParts): boolean {
  return isEventDigest(link.event, link.schema, proof.event);
}
