import { beforeAll, describe, expect, test } from '@jest/globals';
import { LogTime } from '../../../chainer/log-time.ts';
import { isAhead, sealTime } from '../../../chainer/seal-time.ts';
import { isTimeProbe } from '../../../core/formats/rejected.ts';
import type { PolicyInForce } from '../../../core/policy/policy-history.ts';
import { type Appended, type NewRecord, TOPICS } from '../../../core/ports/log.ts';
import { makeWorld } from '../../support/producer.ts';

const SECOND = 1_000_000;
const SKEW_MS = 5_000;
let policy: PolicyInForce;

beforeAll(async () => {
  policy = (await makeWorld({ policy: (made) => ({ ...made, clockSkewMs: SKEW_MS }) })).policy;
});

describe('the time of a seal', () => {
  const sealAt = (head: number, now: number, same: boolean): number =>
    sealTime({ acceptedAt: head * SECOND, policy: same ? policy.hex : 'another' }, policy, now * SECOND) / SECOND;

  test.each([
    [100, 107, true, 107],
    [100, 90, true, 100],
    [100, 90, false, 90],
    // Within the skew two machines may differ: no policy makes time fall for that.
    [100, 95, false, 100],
    [100, 94, false, 94],
    [100, 107, false, 107],
  ])('after a block of %d s, at %d s, under the same policy: %s, is %d s', (head, now, same, expected) => {
    expect(sealAt(head, now, same)).toBe(expected);
  });

  test('is ahead beyond the skew', () => {
    expect(isAhead(5 * SECOND, policy, 0)).toBe(false);
    expect(isAhead(5 * SECOND + 1, policy, 0)).toBe(true);
  });
});

describe('the time of the log', () => {
  let nowMs = 1_000;
  let answer: number | undefined;
  const appended: [string, number, readonly NewRecord[]][] = [];
  const log = {
    append: async (topic: string, shard: number, records: readonly NewRecord[]): Promise<Appended> => {
      appended.push([topic, shard, records]);
      nowMs += 400;
      return { offset: 0, timestampMicros: answer };
    },
  };
  const time = new LogTime(log, { monotonicMs: () => nowMs, nowMicros: () => 0, sleep: async () => undefined });

  test('is unknown where no answer told it', async () => {
    expect(time.latestMicros).toBeUndefined();
    await time.append(TOPICS.chain, 3, []);
    expect(time.latestMicros).toBeUndefined();
  });

  test('goes on from the last answer, as if that had come at once: never too early', async () => {
    answer = 77 * SECOND;
    await time.append(TOPICS.chain, 3, []);
    expect(time.latestMicros).toBe(77 * SECOND + 400_000);
    nowMs += 2_000;
    expect(time.latestMicros).toBe(79 * SECOND + 400_000);
    answer = 7 * SECOND;
    await time.append(TOPICS.chain, 3, []);
    expect(time.latestMicros).toBe(7 * SECOND + 400_000);
  });

  test('is asked for with one record that says nothing', async () => {
    appended.length = 0;
    await time.ask(3);
    expect(appended).toEqual([[TOPICS.rejected, 3, [expect.objectContaining({ value: new Uint8Array(0) })]]]);
    expect(appended.flatMap(([, , records]) => records).every(isTimeProbe)).toBe(true);
    expect(isTimeProbe({ key: null, value: new Uint8Array(0) })).toBe(false);
  });
});
