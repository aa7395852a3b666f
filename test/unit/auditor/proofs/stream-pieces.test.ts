import { describe, expect, test } from '@jest/globals';
import type { ProofSubject } from '../../../../auditor/proofs/proof-subject.ts';
import type { ProofVerdict } from '../../../../auditor/proofs/proof-verdict.ts';
import { streamPieces } from '../../../../auditor/proofs/stream-pieces.ts';

/** The verdict about the `n`th link of a stream, whose hash is its name. */
function link(stream: string, n: number, change: Partial<ProofSubject> = {}, ok = true): ProofVerdict {
  const subject = {
    log: 'o/0',
    stream,
    streamIndex: n,
    leafHash: `${stream}${n}`,
    previous: `${stream}${n - 1}`,
    ...change,
  } as ProofSubject;
  return { ok, subject } as ProofVerdict;
}

const spans = (verdicts: readonly ProofVerdict[]): [string, number, number, boolean][] =>
  streamPieces(verdicts).map(({ stream, from, to, whole }) => [stream, from, to, whole]);

describe('proofs of one stream', () => {
  test('are one piece where each link names the one before it, in any order', () => {
    expect(spans([link('a', 3), link('a', 1), link('a', 2)])).toEqual([['a', 1, 3, true]]);
  });

  test('are two pieces where a link between them is missing', () => {
    expect(spans([link('a', 0), link('a', 1), link('a', 3)])).toEqual([
      ['a', 0, 1, true],
      ['a', 3, 3, false],
    ]);
  });

  test('are two pieces where a link names another one before it', () => {
    expect(spans([link('a', 0), link('a', 1, { previous: 'other' })])).toEqual([
      ['a', 0, 0, false],
      ['a', 1, 1, false],
    ]);
  });

  test('are two pieces from where two links follow one, and none of them is left out', () => {
    const other = link('a', 1, { leafHash: 'other' });
    const after = link('a', 2, { previous: 'other' });
    for (const order of [
      [link('a', 0), link('a', 1), other, after],
      [after, other, link('a', 1), link('a', 0)],
    ])
      expect(
        spans(order)
          .map(([, from, to]) => to - from + 1)
          .reduce((sum, length) => sum + length),
      ).toBe(4);
  });

  test('are no piece where the numbers do not follow each other', () => {
    expect(spans([link('a', 0), link('a', 5, { previous: 'a0' })])).toHaveLength(2);
  });

  test('count once, and only where their verdict is OK', () => {
    expect(spans([link('a', 0), link('a', 0), link('a', 1, {}, false)])).toEqual([['a', 0, 0, false]]);
  });
});

test('streams of one name in two logs are two', () => {
  expect(spans([link('a', 0), link('a', 1, { log: 'o/1' })])).toHaveLength(2);
});

test('a file that names no event is in no piece', () => {
  expect(streamPieces([{ ok: false, subject: null } as ProofVerdict])).toEqual([]);
});
