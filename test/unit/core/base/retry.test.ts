import { describe, expect, test } from '@jest/globals';
import { type ErrorCode, LineproofError } from '../../../../core/base/errors.ts';
import { isOfStop, LASTING_REFUSAL_MS, mayPass, RefusalWatch, retry, waitAfter } from '../../../../core/base/retry.ts';

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
    monotonicMs: () => 0,
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

describe('a refusal', () => {
  const refused = (refusal: string): LineproofError =>
    new LineproofError('REFUSED', 'cannot read: no', { refusal, setting: 'kafkaPassword' });
  const away = new LineproofError('UNAVAILABLE', 'cannot read: no answer');

  /** Codes that the watch gives for one failure each `stepMs`. */
  function judged(stepMs: number, failures: readonly LineproofError[]): readonly string[] {
    const watch = new RefusalWatch();
    return failures.map((failure, i) => watch.judge(failure, 1_000 + i * stepMs).code);
  }

  test('passes until nothing else came for the stated time; then it is configuration, and names the setting', () => {
    const codes = judged(
      LASTING_REFUSAL_MS / 10,
      Array.from({ length: 11 }, () => refused('a')),
    );
    expect(codes).toEqual([...Array.from({ length: 10 }, () => 'REFUSED'), 'CONFIG_INVALID']);
    const watch = new RefusalWatch();
    for (let i = 0; i < 10; i++) watch.judge(refused('a'), i);
    expect(watch.judge(refused('a'), LASTING_REFUSAL_MS).message).toBe(
      'cannot read: no (nothing but this refusal for 60 s; correct kafkaPassword)',
    );
  });

  test.each([
    ['another refusal', refused('b')],
    ['an answer that did not come', away],
  ])('is counted from the beginning after %s', (_, between) => {
    const nine = Array.from({ length: 9 }, () => refused('a'));
    expect(judged(LASTING_REFUSAL_MS / 10, [...nine, between, ...nine])).not.toContain('CONFIG_INVALID');
  });

  test('that came only a few times in a long time may pass: a process that stood still has not asked in between', () => {
    expect(judged(10 * LASTING_REFUSAL_MS, [refused('a'), refused('a'), refused('a'), refused('a')])).not.toContain('CONFIG_INVALID');
  });

  test('ends a loop of tries with CONFIG_INVALID, and does not before', async () => {
    let now = 0;
    const clock = {
      monotonicMs: () => now,
      sleep: async (ms: number): Promise<void> => {
        now += ms;
      },
    };
    const ended = retry(
      { pace: { firstMs: 1_000, maxMs: 5_000 }, clock, signal: new AbortController().signal, onFailure: () => undefined },
      () => Promise.reject(refused('a')),
    );
    await expect(ended).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    expect([now >= LASTING_REFUSAL_MS, now < 1.2 * LASTING_REFUSAL_MS]).toEqual([true, true]);
  });

  test('of a topic that is not there may pass, as of a broker that has just started; a place that is not there in a file does not', () => {
    expect(mayPass(new LineproofError('NOT_FOUND', 'no topic', { refusal: 'Kafka UNKNOWN_TOPIC_OR_PARTITION', setting: 's' }))).toBe(true);
    expect(mayPass(new LineproofError('NOT_FOUND', 'no file'))).toBe(false);
    expect(mayPass(new LineproofError('CONFIG_INVALID', 'lasted', { refusal: 'a', setting: 's' }))).toBe(false);
  });
});

test('work that is told to stop may end with any failure that would have been waited for, and with no other', () => {
  const [going, stopped] = [new AbortController().signal, AbortSignal.abort()];
  const passing = ['CLOSED', 'UNAVAILABLE', 'ANSWER_UNUSABLE', 'REFUSED', 'INDEX_FORGETS', 'DISK_FULL', 'IO_FAILED'] as const;
  for (const code of passing) {
    const error = new LineproofError(code, 'told to fail');
    expect([code, isOfStop(error, stopped), isOfStop(error, going)]).toEqual([code, true, false]);
  }
  for (const error of [
    new LineproofError('LOG_DIVERGED', 'told to fail'),
    new LineproofError('CONFIG_INVALID', 'told to fail'),
    new Error('bug'),
  ])
    expect(isOfStop(error, stopped)).toBe(false);
});
