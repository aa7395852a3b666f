import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { sha256 } from '#crypto';
import { fitting, type Intake, type Ordered, order, runLength } from '../../../chainer/order.ts';
import { concat, equal } from '../../../core/base/bytes.ts';
import { LIMITS } from '../../../core/base/limits.ts';
import { REASONS, type Reason } from '../../../core/base/reasons.ts';
import { encodeEvidence } from '../../../core/formats/evidence.ts';
import { decodeRejected, decodeRun } from '../../../core/formats/rejected.ts';
import { makeWorld, START_MICROS, type World } from '../../support/producer.ts';

const { FRAMING_INVALID, BATCH_MALFORMED, RECORDS_UNREADABLE } = REASONS;
const PROOF = { header: new Uint8Array(LIMITS.headerBytes), keyId: new Uint8Array(4), signature: new Uint8Array(LIMITS.signatureBytes) };
/** Bytes that a block leaves for its content. */
const BUDGET = 950_000;

let world: World;
beforeAll(async () => {
  world = await makeWorld();
});

type Piece = readonly [reason: Reason, value: Uint8Array, named?: 'named'] | { readonly empty: number } | { readonly unreadable: number };

/** Consecutive input. */
function intakesOf(pieces: readonly Piece[]): Intake[] {
  let offset = 0;
  return pieces.map((piece): Intake => {
    const at = { offset, timestampMicros: START_MICROS + offset };
    if ('empty' in piece) {
      offset += piece.empty;
      return { kind: 'empty', offset: at.offset, span: piece.empty };
    }
    if ('unreadable' in piece) {
      offset += piece.unreadable;
      const bytes = new Uint8Array(3).fill(piece.unreadable);
      return { kind: 'unreadable', span: piece.unreadable, digest: sha256(bytes), size: bytes.length, bytes, ...at };
    }
    offset += 1;
    const [reason, value, named] = piece;
    return { kind: 'message', value, check: { kind: 'rejected', reason, proof: named === undefined ? null : PROOF }, ...at };
  });
}

function orderOf(intakes: readonly Intake[]): Ordered {
  const rules = { acceptedAt: 2 * START_MICROS, inputGeneration: 0, laneRetentionMicros: 1e12, clockSkewMicros: 0 };
  return order(world.state(), intakes, () => undefined, rules);
}

/** Outcome or reason, and span, of each entry. */
function spans(...pieces: readonly Piece[]): (readonly [number | string, number])[] {
  return orderOf(intakesOf(pieces)).inputs.map(({ outcome, reason, span }) => [outcome === 'REJECTED' ? reason : outcome, span] as const);
}

const bad = (...bytes: readonly number[]): Piece => [FRAMING_INVALID, Uint8Array.from(bytes)];
const END: Piece = { empty: 1 };

describe('messages that are refused for one reason before a header could be read', () => {
  test('share one entry and one record, which hold their digest, their bytes, the last time and their number', () => {
    const { inputs, rejected } = orderOf(intakesOf([{ empty: 4 }, bad(1, 2), bad(), bad(3), END]));
    const bytes = Uint8Array.from([0, 0, 0, 2, 1, 2, 0, 0, 0, 0, 0, 0, 0, 1, 3]);
    expect(inputs[1]).toEqual({
      outcome: 'REJECTED',
      span: 3,
      appendedAt: START_MICROS + 6,
      reason: FRAMING_INVALID,
      message: sha256(bytes),
      batch: null,
      receipts: [],
    });
    expect(rejected.map(decodeRejected)).toEqual([
      expect.objectContaining({ inputOffset: 4, span: 3, position: -1, digest: sha256(bytes), size: bytes.length, bytes }),
    ]);
  });

  test('stand alone at the end of a block, with the digest of the value', () => {
    expect(spans(bad(1), bad(1), bad(1))).toEqual([
      [FRAMING_INVALID, 2],
      [FRAMING_INVALID, 1],
    ]);
    expect(orderOf(intakesOf([bad(7)])).inputs[0]?.message).toEqual(sha256(Uint8Array.of(7)));
  });

  test('do not share it over another reason, a message with a header, a hole, or records that nobody can read', () => {
    const between: Piece[] = [
      [BATCH_MALFORMED, new Uint8Array(1)],
      [REASONS.KEY_UNKNOWN, new Uint8Array(1), 'named'],
      { empty: 2 },
      { unreadable: 5 },
    ];
    for (const piece of between)
      expect([piece, spans(bad(), bad(), piece, bad(), bad(), END).map(([, span]) => span)]).toEqual([
        piece,
        [2, 'empty' in piece ? 2 : 'unreadable' in piece ? 5 : 1, 2, 1],
      ]);
  });

  test('with a header never share one, whatever the reason', () => {
    const named: Piece = [REASONS.KEY_UNKNOWN, new Uint8Array(1), 'named'];
    expect(spans(named, named, END).map(([, span]) => span)).toEqual([1, 1, 1]);
  });

  test('share as many bytes as a run may have, and not one more', () => {
    const half = (bytes: number): Piece => [FRAMING_INVALID, new Uint8Array(LIMITS.runBytes / 2 - 4 + bytes)];
    const spansOf = (...pieces: Piece[]): number[] => spans(...pieces, END).map(([, span]) => span);
    expect(spansOf(half(0), half(0), bad())).toEqual([2, 1, 1]);
    expect(spansOf(half(0), half(1), bad())).toEqual([1, 2, 1]);
    expect(spansOf([FRAMING_INVALID, new Uint8Array(LIMITS.runBytes - 3)], bad(), bad())).toEqual([1, 2, 1]);
    const [record] = orderOf(intakesOf([half(0), half(0), END])).rejected.map(decodeRejected);
    expect([record?.size, record?.bytes.length]).toEqual([LIMITS.runBytes, LIMITS.runBytes]);
  });

  test('are at most 16,384 where they are empty', () => {
    const intakes = intakesOf([...Array.from({ length: LIMITS.runBytes / 4 + 1 }, () => bad()), END]);
    expect([runLength(intakes, 0), runLength(intakes, 1)]).toEqual([16_384, 16_384]);
  });
});

test('records that no reader can read are one entry for each of their batches, with its digest and what is kept of it', () => {
  const { inputs, rejected } = orderOf(intakesOf([{ unreadable: 7 }, { unreadable: 1 }]));
  expect(inputs.map(({ reason, span, batch, appendedAt }) => [reason, span, batch, appendedAt - START_MICROS])).toEqual([
    [RECORDS_UNREADABLE, 7, null, 0],
    [RECORDS_UNREADABLE, 1, null, 7],
  ]);
  expect(inputs.map(({ message }) => message)).toEqual([7, 1].map((byte) => sha256(new Uint8Array(3).fill(byte))));
  expect(rejected.map(decodeRejected).map(({ inputOffset, span, size, bytes }) => [inputOffset, span, size, ...bytes])).toEqual([
    [0, 7, 3, 7, 7, 7],
    [7, 1, 3, 1, 1, 1],
  ]);
});

describe('what refusals cost', () => {
  test('100,000 empty messages: 8 entries, 400 bytes of evidence, and 4 bytes each on provenance.rejected', () => {
    const { inputs, rejected } = orderOf(intakesOf(Array.from({ length: 100_000 }, () => bad())));
    expect(inputs).toHaveLength(8);
    expect(encodeEvidence(inputs).length).toBeLessThanOrEqual(400);
    expect(rejected.reduce((sum, { length }) => sum + length, 0)).toBeLessThan(403_000);
  });

  test('1,000,000 tiny messages fit into one block', () => {
    const tiny = bad(1);
    const intakes = intakesOf(Array.from({ length: 1_000_000 }, () => tiny));
    expect(fitting(intakes, BUDGET)).toBe(intakes.length);
    expect(encodeEvidence(orderOf(intakes).inputs).length).toBeLessThan(8_000);
  });

  test('as many messages as fit, refused for two reasons in turn, stay within the bytes that a block leaves for them', () => {
    const intakes = intakesOf(
      Array.from({ length: 10_000 }, (_, i): Piece => [i % 2 === 0 ? FRAMING_INVALID : BATCH_MALFORMED, new Uint8Array(1)]),
    );
    const count = fitting(intakes, BUDGET);
    expect([count > 3_000, count < intakes.length]).toEqual([true, true]);
    expect(encodeEvidence(orderOf(intakes.slice(0, count)).inputs).length).toBeLessThanOrEqual(50 * count + 8);
  });
});

test('whatever comes: entries cover the input without a hole, a reader takes them, what fits stays below its bound, and each refused byte is kept', () => {
  const value = fc.oneof(
    fc.uint8Array({ maxLength: 9 }),
    fc.integer({ min: 20_000, max: 70_000 }).map((length) => new Uint8Array(length)),
  );
  const piece = fc.oneof(
    { weight: 8, arbitrary: fc.tuple(fc.constantFrom<Reason>(FRAMING_INVALID, FRAMING_INVALID, BATCH_MALFORMED), value) },
    { weight: 1, arbitrary: value.map((bytes): Piece => [REASONS.KEY_UNKNOWN, bytes, 'named']) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 9 }).map((empty): Piece => ({ empty })) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 9 }).map((unreadable): Piece => ({ unreadable })) },
  );
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 60 }), fc.integer({ min: 1, max: 12_000 }), (pieces, budget) => {
      const all = intakesOf(pieces);
      const count = fitting(all, budget);
      const intakes = all.slice(0, count);
      const { inputs, rejected } = orderOf(intakes);
      const evidence = encodeEvidence(inputs);
      if (count > runLength(all, 0)) expect(evidence.length).toBeLessThanOrEqual(budget);
      const last = intakes.at(-1);
      const end = last === undefined ? 0 : last.offset + (last.kind === 'message' ? 1 : last.span);
      expect(inputs.reduce((sum, { span }) => sum + span, 0)).toBe(end);
      const kept = rejected.map(decodeRejected);
      const values = kept.flatMap(({ bytes, span, reason }) => (reason === RECORDS_UNREADABLE ? [] : decodeRun(bytes, span)));
      const sent = intakes.flatMap((each) => (each.kind === 'message' ? [each.value] : []));
      expect(equal(concat(...values), concat(...sent))).toBe(true);
      expect(kept.map(({ digest }) => digest)).toEqual(inputs.flatMap(({ message }) => (message === null ? [] : [message])));
    }),
    { numRuns: 200 },
  );
});
