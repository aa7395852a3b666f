import { describe, expect, test } from '@jest/globals';
import { type ErrorCode, LineproofError } from '../../../../core/base/errors.ts';
import { retry, waitAfter } from '../../../../core/base/retry.ts';

const PACE = { firstMs: 10, maxMs: 50 };

interface Run {
  readonly outcome: string;
  readonly waits: readonly number[];
  /** Failures that were told, with their numbers. */
  readonly told: readonly string[];
}

/** Retries a call that fails with `failures` one after another and then succeeds; the signal aborts during wait number `abortAt`. */
async function run(failures: readonly unknown[], abortAt?: number): Promise<Run> {
  const stop = new AbortController();
  const left = [...failures];
  const waits: number[] = [];
  const told: string[] = [];
  const clock = {
    sleep: async (ms: number): Promise<void> => {
      waits.push(ms);
      if (waits.length === abortAt) stop.abort();
    },
  };
  const onFailure = ({ code }: LineproofError, count: number): void => void told.push(`${count} ${code}`);
  const outcome = await retry({ pace: PACE, clock, signal: stop.signal, onFailure }, async () => {
    if (left.length > 0) throw left.shift();
    return 'done';
  }).catch((error: unknown) => (error instanceof LineproofError ? error.code : String(error)));
  return { outcome, waits, told };
}

function failing(...codes: readonly ErrorCode[]): LineproofError[] {
  return codes.map((code) => new LineproofError(code, 'told to fail'));
}

describe('a call that is tried again', () => {
  test('is made once if it succeeds', async () => {
    expect(await run([])).toEqual({ outcome: 'done', waits: [], told: [] });
  });

  test('is made until it succeeds, after waits that double up to the longest', async () => {
    const five = failing('UNAVAILABLE', 'DISK_FULL', 'UNAVAILABLE', 'UNAVAILABLE', 'IO_FAILED');
    expect(await run(five)).toEqual({
      outcome: 'done',
      waits: [10, 20, 40, 50, 50],
      told: ['1 UNAVAILABLE', '2 DISK_FULL', '3 UNAVAILABLE', '4 UNAVAILABLE', '5 IO_FAILED'],
    });
  });

  test.each<[string, unknown]>([
    ['LOG_BEHIND', failing('LOG_BEHIND')[0]],
    ['Error: a bug', new Error('a bug')],
  ])('ends with %s, which no retry can help', async (outcome, error) => {
    expect(await run([...failing('UNAVAILABLE'), error, ...failing('UNAVAILABLE')])).toEqual({
      outcome,
      waits: [10],
      told: ['1 UNAVAILABLE'],
    });
  });

  test('is tried once more after the signal aborted, and then ends with its failure', async () => {
    expect(await run(failing('UNAVAILABLE', 'IO_FAILED', 'UNAVAILABLE'), 1)).toEqual({
      outcome: 'IO_FAILED',
      waits: [10],
      told: ['1 UNAVAILABLE'],
    });
    expect((await run(failing('UNAVAILABLE'), 1)).outcome).toBe('done');
  });
});

test('the wait stays at the longest, however many failures there were', () => {
  expect([1, 2, 3, 4, 5_000].map((failures) => waitAfter(failures, PACE))).toEqual([10, 20, 40, 50, 50]);
});
