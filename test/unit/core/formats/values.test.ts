import { describe, expect, test } from '@jest/globals';
import {
  decodeStateRecord,
  encodeStateRecord,
  type HeldLane,
  type SnapshotHead,
  type StreamHead,
} from '../../../../core/archive/snapshot.ts';
import { compileSchema } from '../../../../core/avro/schema.ts';
import { SCHEMA_TEXTS } from '../../../../core/avro/schema-texts.ts';
import { hasCode } from '../../../../core/base/errors.ts';
import { LIMITS } from '../../../../core/base/limits.ts';
import { type ArchivedColumns, decodeArchivedEvent, encodeArchivedEvent } from '../../../../core/formats/archived-event.ts';
import { decodeSignedBatch, encodeSignedBatch, type SignedBatch } from '../../../../core/formats/batch.ts';
import { type BlockEvidence, decodeBlockEvidence, encodeBlockEvidence } from '../../../../core/formats/block-evidence.ts';
import { decodeEvidence, type EvidenceInput, encodeEvidence, type Receipt } from '../../../../core/formats/evidence.ts';
import { decodeLeaf, encodeLink, encodeSeal, type Link, type Seal } from '../../../../core/formats/leaf.ts';

const HASH = new Uint8Array(32).fill(7);
const EPOCH = new Uint8Array(16).fill(1);
const LONG_NAME = 'n'.repeat(LIMITS.nameBytes + 1);
const tooLong = (limit: number): Uint8Array => new Uint8Array(limit + 1);

const link: Link = {
  kind: 'link',
  stream: 'a',
  index: 0,
  previous: HASH,
  event: HASH,
  schema: HASH,
  acceptedAt: 0,
  inputOffset: 0,
  position: 0,
  marks: 0,
};
const seal: Seal = {
  kind: 'seal',
  origin: 'o/0',
  firstIndex: 0,
  links: 1,
  root: HASH,
  previous: HASH,
  inputGeneration: 0,
  inputFrom: 1,
  inputTo: 1,
  evidence: HASH,
  policy: HASH,
  acceptedAt: 0,
  chainer: 'c',
  final: false,
};
const receipt: Receipt = { position: 0, digest: HASH, id: null, outcome: 'DUPLICATE', reason: 0, original: 0 };
const batch = { header: Uint8Array.of(1), keyId: new Uint8Array(4), signature: new Uint8Array(64) };
const input: EvidenceInput = { outcome: 'ACCEPTED', span: 1, appendedAt: 0, reason: 0, message: null, batch, receipts: [receipt] };
const signed: SignedBatch = { ...batch, events: [] };
const evidence: BlockEvidence = { sealIndex: 0, keyId: new Uint8Array(4), signature: new Uint8Array(64), evidence: Uint8Array.of(1) };
const head: StreamHead = { stream: 'a', index: 0, hash: HASH, logIndex: 0, producer: 'p' };
const lane: HeldLane = { producer: 'p', epoch: EPOCH, number: 1, hash: HASH, appendedAt: 0 };
const snapshot: SnapshotHead = {
  origin: 'o',
  shard: 0,
  shards: 1,
  size: 2,
  frontier: [HASH],
  seal: HASH,
  inputGeneration: 0,
  inputTo: 0,
  appendedAt: 0,
  acceptedAt: 0,
  chainOffset: 0,
  policy: null,
  final: false,
};
const columns: ArchivedColumns = {
  logIndex: 0,
  streamIndex: 0,
  acceptedAt: 0,
  producer: 'p',
  epoch: EPOCH,
  seq: 0,
  inputOffset: 0,
  position: 0,
  marks: 1,
  leafHash: HASH,
};

/** The bytes of a value as Avro alone writes them, whatever it says. */
function bytesOf(name: keyof typeof SCHEMA_TEXTS, value: unknown): Uint8Array {
  return compileSchema<unknown>(JSON.parse(SCHEMA_TEXTS[name])).encode(value);
}

/** Expects both ways of a format to refuse a value, and to take the one that it was made from. */
function refusing<T>(
  name: keyof typeof SCHEMA_TEXTS,
  { good, encode, decode, raw = (value) => value }: FormatUnderTest<T>,
  wrong: Readonly<Record<string, Partial<T>>>,
): void {
  describe(name, () => {
    test('a value that holds together goes both ways', () => {
      expect(decode(encode(good))).toBeDefined();
      expect(bytesOf(name, raw(good))).toEqual(encode(good));
    });
    test.each(Object.entries(wrong))('%s: neither written nor read', (_, change) => {
      const value = { ...good, ...change };
      for (const act of [() => encode(value), () => decode(bytesOf(name, raw(value)))]) {
        let error: unknown;
        try {
          act();
        } catch (caught) {
          error = caught;
        }
        expect(hasCode(error, 'FORMAT_INVALID') || hasCode(error, 'LIMIT_EXCEEDED')).toBe(true);
      }
    });
  });
}

interface FormatUnderTest<T> {
  readonly good: T;
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array): unknown;
  /** The value as its schema has it. */
  raw?(value: T): unknown;
}

const leaf = (branch: string) => (value: object) => ({ branch, value });
refusing(
  'Leaf',
  { good: link, encode: encodeLink, decode: decodeLeaf, raw: leaf('Link') },
  {
    'a stream without a name': { stream: '' },
    'a negative index': { index: -1 },
    'a negative time': { acceptedAt: -1 },
    'a negative offset': { inputOffset: -1 },
    'a negative position': { position: -1 },
    'a mark that nobody knows': { marks: 2 },
  },
);
refusing(
  'Leaf',
  { good: seal, encode: encodeSeal, decode: decodeLeaf, raw: leaf('Seal') },
  {
    'a long origin': { origin: LONG_NAME },
    'a long name of the chainer': { chainer: LONG_NAME },
    'a negative first index': { firstIndex: -1 },
    'a negative number of links': { links: -1 },
    'a negative generation': { inputGeneration: -1 },
    'a negative offset': { inputFrom: -1, inputTo: 0 },
    'a negative time': { acceptedAt: -1 },
    'input that ends before it starts': { inputTo: 0 },
  },
);
const withReceipt = (change: Partial<Receipt>): Partial<EvidenceInput> => ({ receipts: [{ ...receipt, ...change }] });
refusing<EvidenceInput>(
  'Evidence',
  { good: input, encode: (value) => encodeEvidence([value]), decode: decodeEvidence, raw: (value) => ({ inputs: [value] }) },
  {
    'a duplicate with a reason': withReceipt({ reason: 32 }),
    'a refused event without a reason': withReceipt({ outcome: 'REJECTED', original: null }),
    'a refused event with the reason of a batch': withReceipt({ outcome: 'REJECTED', original: null, reason: 1 }),
    'a refused event with an original': withReceipt({ outcome: 'REJECTED', reason: 32 }),
    'a duplicate of nothing': withReceipt({ original: null }),
    'a negative original': withReceipt({ original: -1 }),
  },
);
refusing(
  'SignedBatch',
  { good: signed, encode: encodeSignedBatch, decode: decodeSignedBatch },
  {
    'a long header': { header: tooLong(LIMITS.headerBytes) },
    'a long signature': { signature: tooLong(LIMITS.signatureBytes) },
  },
);
refusing(
  'BlockEvidence',
  { good: evidence, encode: encodeBlockEvidence, decode: decodeBlockEvidence },
  {
    'a negative index': { sealIndex: -1 },
    'a long signature': { signature: tooLong(LIMITS.signatureBytes) },
    'long evidence': { evidence: tooLong(LIMITS.blockBytes) },
  },
);
refusing<SnapshotHead>(
  'Snapshot',
  {
    good: snapshot,
    encode: (value) => encodeStateRecord({ branch: 'SnapshotHead', value }),
    decode: decodeStateRecord,
    raw: leaf('SnapshotHead'),
  },
  {
    'a long origin': { origin: LONG_NAME },
    'a shard that there is not': { shard: 1 },
    'a negative chain offset': { chainOffset: -1 },
    'a frontier of another size': { size: 3 },
  },
);
refusing<StreamHead>(
  'Snapshot',
  { good: head, encode: (value) => encodeStateRecord({ branch: 'StreamHead', value }), decode: decodeStateRecord, raw: leaf('StreamHead') },
  {
    'a stream without a name': { stream: '' },
    'a negative index of a stream': { index: -1 },
    'a long name of a producer': { producer: LONG_NAME },
  },
);
refusing<HeldLane>(
  'Snapshot',
  { good: lane, encode: (value) => encodeStateRecord({ branch: 'HeldLane', value }), decode: decodeStateRecord, raw: leaf('HeldLane') },
  { 'a long name of the producer': { producer: LONG_NAME }, 'a negative number': { number: -1 } },
);

describe('ArchivedEvent', () => {
  const wrong: Readonly<Record<string, Partial<ArchivedColumns>>> = {
    'a long name of the producer': { producer: LONG_NAME },
    'a negative index': { logIndex: -1 },
    'a mark that nobody knows': { marks: 2 },
  };
  test.each(Object.entries(wrong))('%s is not written', (_, change) => {
    expect(() => encodeArchivedEvent({ ...columns, ...change }, null)).toThrow(/cannot take/);
  });

  test('a mark that nobody knows is not read', () => {
    const bytes = encodeArchivedEvent(columns, null);
    expect(decodeArchivedEvent(bytes)).toBeDefined();
    // Before the leaf hash and the byte of the union.
    bytes[bytes.length - 34] = 4;
    expect(() => decodeArchivedEvent(bytes)).toThrow(/unknown marks/);
  });
});

test('a logical type that no schema of ours uses is refused', () => {
  expect(() => compileSchema({ type: 'int', logicalType: 'date' })).toThrow(/logical type "date"/);
});
