import { describe, expect, test } from '@jest/globals';
import { LIMITS } from '../../../../core/base/limits.ts';
import { REASON_TRAITS, REASONS, type ReasonName } from '../../../../core/base/reasons.ts';
import { decodeEvidence, type EvidenceInput, encodeEvidence } from '../../../../core/formats/evidence.ts';
import { decodeRejected, decodeRun, encodeRejected, encodeRun, type Rejected } from '../../../../core/formats/rejected.ts';
import { EVIDENCE } from '../../../support/forged-block.ts';
import { codeOf } from '../keys/support.ts';

const HASH = new Uint8Array(32).fill(1);
const BATCH = { header: new Uint8Array(1), keyId: new Uint8Array(4), signature: new Uint8Array(64) };
const MOST = LIMITS.runBytes / 4;
const INT = 2 ** 31 - 1;
const RECEIPT = { position: 0, digest: HASH, id: null, outcome: 'REJECTED', reason: REASONS.EVENT_INVALID, original: null } as const;

function refused(reason: number, change: Partial<EvidenceInput> = {}): EvidenceInput {
  return { outcome: 'REJECTED', span: 1, appendedAt: 5, reason, message: HASH, batch: null, receipts: [], ...change };
}

function empty(span: number): EvidenceInput {
  return refused(0, { outcome: 'EMPTY', span, message: null });
}

const END = empty(1);

/** Codes of writing and of reading these inputs; the reader gets bytes that no check of the writer stopped. */
function codes(...inputs: readonly EvidenceInput[]): (string | undefined)[] {
  return [codeOf(() => encodeEvidence(inputs)), codeOf(() => decodeEvidence(EVIDENCE.encode({ inputs })))];
}

const good = [undefined, undefined];
const bad = ['FORMAT_INVALID', 'FORMAT_INVALID'];
const named = (rejects: string): ReasonName[] =>
  (Object.keys(REASON_TRAITS) as ReasonName[]).filter((name) => REASON_TRAITS[name].rejects === rejects);

describe('the span of an entry', () => {
  test.each(named('message'))('for %s is at most that of the longest run', (name) => {
    expect(codes(refused(REASONS[name], { span: MOST }), END)).toEqual(good);
    for (const span of [MOST + 1, INT, 0, -1]) expect([span, codes(refused(REASONS[name], { span }), END)]).toEqual([span, bad]);
  });

  test.each(named('message'))('for %s is 1 if the entry has a batch: then its header could be read', (name) => {
    expect(codes(refused(REASONS[name], { span: 2, batch: BATCH }), END)).toEqual(bad);
  });

  test.each(named('batch'))('for %s is 1, with a batch and without', (name) => {
    for (const batch of [BATCH, null]) {
      expect(codes(refused(REASONS[name], { batch }), END)).toEqual(good);
      expect(codes(refused(REASONS[name], { batch, span: 2 }), END)).toEqual(bad);
    }
  });

  test('of records that no reader can read is as large as the log says', () => {
    for (const span of [1, MOST + 1, INT]) expect(codes(refused(REASONS.RECORDS_UNREADABLE, { span }))).toEqual(good);
    for (const span of [0, -1]) expect(codes(refused(REASONS.RECORDS_UNREADABLE, { span }))).toEqual(bad);
  });

  test('of EMPTY is 1 or more, of ACCEPTED and REPEATED 1', () => {
    expect([codes(empty(1)), codes(empty(INT)), codes(empty(0))]).toEqual([good, good, bad]);
    for (const outcome of ['ACCEPTED', 'REPEATED'] as const) {
      const accepted = refused(0, { outcome, message: null, batch: BATCH });
      expect([codes(accepted), codes({ ...accepted, span: 2 }, END)]).toEqual([good, bad]);
    }
  });
});

describe('records that no reader can read', () => {
  test.each<[string, Partial<EvidenceInput>]>([
    ['a batch', { batch: BATCH }],
    ['receipts', { receipts: [RECEIPT] }],
    ['no digest', { message: null }],
    ['another outcome', { outcome: 'EMPTY', message: null }],
  ])('cannot have %s', (_, change) => {
    expect(codes(refused(REASONS.RECORDS_UNREADABLE, change), END)).toEqual(bad);
  });
});

test('a run cannot have receipts, and a reason of records is not one of an event', () => {
  expect(codes(refused(REASONS.FRAMING_INVALID, { span: 2, receipts: [RECEIPT] }), END)).toEqual(bad);
  const receipt = { ...RECEIPT, reason: REASONS.RECORDS_UNREADABLE };
  expect(codeOf(() => encodeEvidence([refused(0, { outcome: 'ACCEPTED', message: null, batch: BATCH, receipts: [receipt] })]))).toBe(
    'FORMAT_INVALID',
  );
});

test('the last message of a block has an entry of its own', () => {
  const run = refused(REASONS.FRAMING_INVALID, { span: 2 });
  expect([codes(run), codes(run, run)]).toEqual([bad, bad]);
  expect([codes(run, refused(REASONS.FRAMING_INVALID)), codes(run, END), codes()]).toEqual([good, good, good]);
});

test('an entry without a batch has at most 50 bytes', () => {
  const most = refused(REASONS.RECORDS_UNREADABLE, { span: INT, appendedAt: Number.MAX_SAFE_INTEGER });
  expect(encodeEvidence([most]).length - encodeEvidence([]).length - 1).toBe(50);
});

describe('a record on provenance.rejected', () => {
  const record: Rejected = {
    origin: 'ö'.repeat(127),
    shard: LIMITS.policyItems - 1,
    inputGeneration: INT,
    inputOffset: Number.MAX_SAFE_INTEGER,
    span: INT,
    position: -1,
    outcome: 'REJECTED',
    reason: REASONS.RECORDS_UNREADABLE,
    digest: HASH,
    size: INT,
    bytes: new Uint8Array(LIMITS.rejectedBytes),
  };
  const outcomeOf = (change: Partial<Rejected>): string | undefined => codeOf(() => encodeRejected({ ...record, ...change }));

  test('has at most 66 bytes beside its origin and the bytes that it keeps, and is read again', () => {
    const bytes = encodeRejected(record);
    expect(bytes.length - 254 - LIMITS.rejectedBytes).toBeLessThanOrEqual(66);
    expect(decodeRejected(bytes)).toEqual(record);
  });

  test('covers one offset where it is about an event or a conflict, and never none', () => {
    expect([outcomeOf({ span: 1, position: 0 }), outcomeOf({ span: 1, outcome: 'CONFLICT' })]).toEqual([undefined, undefined]);
    for (const change of [{ position: 0 }, { outcome: 'CONFLICT' }, { span: 0 }, { span: -1 }] as const)
      expect([change, outcomeOf(change)]).toEqual([change, 'FORMAT_INVALID']);
  });

  test.each(named('message'))('of a run for %s is no larger than a run may be', (name) => {
    const of = (size: number): Partial<Rejected> => ({ reason: REASONS[name], size, bytes: new Uint8Array(size), span: 2 });
    expect([outcomeOf(of(LIMITS.runBytes)), outcomeOf(of(LIMITS.runBytes + 1))]).toEqual([undefined, 'FORMAT_INVALID']);
    expect(outcomeOf({ ...of(LIMITS.runBytes + 1), span: 1 })).toBeUndefined();
  });
});

describe('the bytes of a run', () => {
  const values = [[1, 2], [], [3], []].map((bytes) => Uint8Array.from(bytes));

  test('are the value of a single message, and of several each length and value', () => {
    expect(encodeRun([values[0] as Uint8Array])).toEqual(values[0]);
    expect([...encodeRun(values)]).toEqual([0, 0, 0, 2, 1, 2, 0, 0, 0, 0, 0, 0, 0, 1, 3, 0, 0, 0, 0]);
  });

  test('give the messages again, also where they lie in a larger buffer', () => {
    const bytes = Uint8Array.from([9, ...encodeRun(values), 9]).subarray(1, -1);
    expect(decodeRun(bytes, values.length)).toEqual(values);
    expect(decodeRun(Uint8Array.of(0, 0), 1)).toEqual([Uint8Array.of(0, 0)]);
  });

  test('are refused where they end early, go on, or are those of fewer or more messages', () => {
    const bytes = encodeRun(values);
    for (let end = 0; end < bytes.length; end++)
      expect([end, codeOf(() => decodeRun(bytes.subarray(0, end), 4))]).toEqual([end, 'FORMAT_INVALID']);
    expect(codeOf(() => decodeRun(Uint8Array.from([...bytes, 0]), 4))).toBe('FORMAT_INVALID');
    for (const span of [2, 3, 5]) expect([span, codeOf(() => decodeRun(bytes, span))]).toEqual([span, 'FORMAT_INVALID']);
    expect(codeOf(() => decodeRun(Uint8Array.from([255, 255, 255, 255, 0, 0, 0, 0]), 2))).toBe('FORMAT_INVALID');
  });
});
