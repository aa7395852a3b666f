import { expect, test } from '@jest/globals';
import { ERROR_TRAITS, LineproofError } from '../../../../core/base/errors.ts';
import { Hold } from '../../../../core/base/hold.ts';
import { HOLD_REASONS } from '../../../../core/base/hold-reasons.ts';

function scene(): { readonly hold: Hold; readonly pass: (ms: number) => void } {
  let now = 5;
  return {
    hold: new Hold({ monotonicMs: () => now }),
    pass: (ms) => {
      now += ms;
    },
  };
}

function away(message: string): LineproofError {
  return new LineproofError('UNAVAILABLE', message);
}

test('work waits for a call from its first failure until it ends, however it ends', async () => {
  const { hold, pass } = scene();
  expect(hold.state()).toEqual({ held: undefined, restMs: Number.POSITIVE_INFINITY });
  for (const end of [async () => undefined, async () => Promise.reject(new Error('given up'))]) {
    const call = hold.during(async (failed) => {
      failed(away('no answer'));
      pass(30);
      expect(hold.state()).toEqual({ held: { reason: 'UNAVAILABLE', text: 'no answer', forMs: 30 }, restMs: 30 });
      failed(new LineproofError('DISK_FULL', 'no room'));
      pass(10);
      expect(hold.state()).toEqual({ held: { reason: 'DISK_FULL', text: 'no room', forMs: 40 }, restMs: 10 });
      await end();
    });
    await call.catch(() => undefined);
    expect(hold.state()).toEqual({ held: undefined, restMs: 10 });
  }
});

test('of calls in each other, the innermost says why, and the wait is as long as the first; its end leaves the reason of the other', async () => {
  const { hold, pass } = scene();
  await hold.during(async (failed) => {
    failed(away('outer'));
    pass(3);
    await hold.during(async (inner) => {
      inner(away('inner'));
      expect(hold.state().held).toEqual({ reason: 'UNAVAILABLE', text: 'inner', forMs: 3 });
    });
    expect(hold.state().held?.text).toBe('outer');
  });
});

test('what must change otherwise is waited for until that is said to be so no more, and stands before calls that fail for it', async () => {
  const { hold, pass } = scene();
  const finder = {};
  const held = { reason: 'CLOCKS_DIFFER', text: 'the clock is wrong' } as const;
  await hold.during(async (failed) => {
    failed(away('no answer'));
    hold.wait(finder, held);
    pass(7);
    expect(hold.state()).toEqual({ held: { ...held, forMs: 7 }, restMs: 7 });
  });
  hold.wait(finder, undefined);
  expect(hold.state()).toEqual({ held: undefined, restMs: 7 });
});

test('a caller that knows better than the code gives the reason', async () => {
  const { hold } = scene();
  await hold.during(async (failed) => {
    failed(away('not there yet'), 'POLICY_MISSING');
    expect(hold.state().held?.reason).toBe('POLICY_MISSING');
  });
});

test('every code that work on a shard waits for is a reason', () => {
  // Only a caller that records meets these.
  const ofRecording = ['SPOOL_FULL', 'NOT_ATTESTED'];
  const waited = Object.entries(ERROR_TRAITS).flatMap(([code, { retryable }]) => (retryable && !ofRecording.includes(code) ? [code] : []));
  expect(waited.filter((code) => !(code in HOLD_REASONS))).toEqual([]);
});
