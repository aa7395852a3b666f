import { describe, expect, test } from '@jest/globals';
import { judgeLane, type LaneOutcome, type LaneStep } from '../../../../core/acceptance/lane.ts';
import type { Lane } from '../../../../core/acceptance/log-state.ts';
import { testId } from '../../../support/producer.ts';

const RETENTION = 1000;
/** Headers 0 to 6 were accepted, number 6 at time 5000. */
const LAST: Lane = { number: 7, hash: testId('header 6'), appendedAt: 5000 };
const NEXT: LaneStep = { number: 7, previous: LAST.hash, hash: testId('header 7'), appendedAt: 5001 };

/** The table of docs/formats.md §2, rows from above; what only the dedup index knows is asked before. */
const TABLE: readonly [LaneOutcome, string, Lane | undefined, Partial<LaneStep>][] = [
  ['REPEATED', "the lane's last header again", LAST, { number: 6, hash: LAST.hash, previous: testId('header 5') }],
  ['REPEATED', "the lane's last header again, at the very end of its retention", LAST, { number: 6, hash: LAST.hash, appendedAt: 6000 }],
  ['FORK', 'a lower number', LAST, { number: 6 }],
  ['FORK', 'number 0 of a lane that is held', LAST, { number: 0, previous: new Uint8Array(32) }],
  ['FORK', 'the expected number after another header', LAST, { previous: testId('another') }],
  ['NEXT', 'the expected number after the last header', LAST, {}],
  ['NEXT', 'the expected number at the very end of retention', LAST, { appendedAt: 6000 }],
  ['NEXT', 'number 0 of a lane that was never seen', undefined, { number: 0 }],
  ['NEXT', 'number 0 of a lane that is not held any more', LAST, { number: 0, appendedAt: 6001 }],
  ['GAP', 'a higher number', LAST, { number: 8 }],
  ['GAP', 'a higher number, though it names the last header', LAST, { number: 9, previous: LAST.hash }],
  ['GAP', 'a number above 0 of a lane that was never seen', undefined, { number: 1 }],
  ['GAP', 'a number above 0 of a lane that is not held any more', LAST, { appendedAt: 6001 }],
  ['GAP', 'the last header of a lane that is not held any more', LAST, { number: 6, hash: LAST.hash, appendedAt: 6001 }],
];

describe("a lane's next header", () => {
  test.each(TABLE)('is %s: %s', (outcome, _, lane, step) => {
    expect(judgeLane(lane, { ...NEXT, ...step }, RETENTION)).toBe(outcome);
  });
});
