import { expect, test } from '@jest/globals';
import { Waits } from '../../../../core/base/waits.ts';

function scene(): { readonly waits: Waits; readonly pass: (ms: number) => void } {
  let now = 5;
  return {
    waits: new Waits({ monotonicMs: () => now }),
    pass: (ms) => {
      now += ms;
    },
  };
}

test('work waits for a call from its first failure until it ends, however it ends', async () => {
  const { waits, pass } = scene();
  expect(waits.state()).toEqual({ reason: undefined, forMs: 0, restMs: Number.POSITIVE_INFINITY });
  for (const end of [async () => undefined, async () => Promise.reject(new Error('given up'))]) {
    const call = waits.during(async (failed) => {
      failed('no answer');
      pass(30);
      expect(waits.state()).toEqual({ reason: 'no answer', forMs: 30, restMs: 30 });
      failed('still none');
      pass(10);
      expect(waits.state()).toEqual({ reason: 'still none', forMs: 40, restMs: 10 });
      await end();
    });
    await call.catch(() => undefined);
    expect(waits.state()).toEqual({ reason: undefined, forMs: 0, restMs: 10 });
  }
});

test('of two calls that fail, the end of one leaves the reason of the other', async () => {
  const { waits } = scene();
  await waits.during(async (failed) => {
    failed('outer');
    await waits.during(async (inner) => inner('inner'));
    expect(waits.state().reason).toBe('outer');
  });
});

test('what must change otherwise is waited for until that is said to be so no more', () => {
  const { waits, pass } = scene();
  const key = {};
  waits.wait(key, 'the clock is wrong');
  pass(7);
  expect(waits.state()).toEqual({ reason: 'the clock is wrong', forMs: 7, restMs: 7 });
  waits.wait(key, undefined);
  expect(waits.state()).toEqual({ reason: undefined, forMs: 0, restMs: 7 });
});
