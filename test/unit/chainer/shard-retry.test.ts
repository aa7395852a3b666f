import { expect, test } from '@jest/globals';
import { shardRetry } from '../../../chainer/shard-retry.ts';
import { type ErrorCode, LineproofError } from '../../../core/base/errors.ts';
import { Hold } from '../../../core/base/hold.ts';
import type { Clock } from '../../../core/ports/clock.ts';
import { TestLogger } from '../../support/memory.ts';

class WholeLogger extends TestLogger {
  override info(message?: string): void {
    this.lines.push(`info ${message}`);
  }
}

interface Scene {
  readonly logger: WholeLogger;
  readonly hold: Hold;
  pass(ms: number): void;
  /** Runs a call that fails with these codes, and then succeeds. */
  run(codes: readonly ErrorCode[]): Promise<void>;
}

function scene(): Scene {
  let now = 0;
  const clock: Clock = {
    nowMicros: () => 0,
    monotonicMs: () => now,
    sleep: async (ms) => {
      now += ms;
    },
  };
  const [logger, hold] = [new WholeLogger(), new Hold(clock)];
  const retry = shardRetry({ shard: 0, clock, logger, hold, handsOver: ['DISK_FULL'] });
  const run = async (codes: readonly ErrorCode[]): Promise<void> => {
    const left = [...codes];
    await retry(new AbortController().signal, async () => {
      const code = left.shift();
      if (code !== undefined) throw new LineproofError(code, `told to fail: ${code}`);
    });
  };
  const pass = (ms: number): void => {
    now += ms;
  };
  return { logger, hold, pass, run };
}

test('a server that is away for a moment raises no alarm', async () => {
  const { logger, run } = scene();
  await run(Array.from({ length: 5 }, () => 'UNAVAILABLE' as const));
  expect(logger.lines).toEqual([]);
});

test.each<[string, readonly ErrorCode[]]>([
  ['lasts', Array.from({ length: 20 }, () => 'UNAVAILABLE' as const)],
  ['is not that of a server', ['IO_FAILED']],
  ['comes after one of a server', ['UNAVAILABLE', 'IO_FAILED', 'UNAVAILABLE']],
])('a failure that %s raises one alarm, and the end of it is told', async (_, codes) => {
  const { logger, run } = scene();
  await run(codes);
  expect(logger.lines).toEqual(['error shard holds', 'info shard goes on']);
});

test.each<[string, readonly ErrorCode[]]>([
  ['that nothing helps', [...Array.from({ length: 7 }, () => 'UNAVAILABLE' as const), 'CHAIN_TRIMMED']],
  ['that another process may not have', Array.from({ length: 9 }, () => 'DISK_FULL' as const)],
])('a loop that ends with an error %s holds the shard no longer', async (_, codes) => {
  const { hold, run } = scene();
  await expect(run(codes)).rejects.toMatchObject({ code: codes.at(-1) });
  expect(hold.state().held).toBeUndefined();
});

test('a disk that refuses writes again and again is handed over, also if each call succeeds in the end', async () => {
  const { pass, run } = scene();
  const failing = async (): Promise<number> => {
    for (let calls = 0; calls < 100; calls++) {
      await run([]);
      await run(['DISK_FULL', 'DISK_FULL']).catch((error: { code: ErrorCode }) => {
        expect(error.code).toBe('DISK_FULL');
        throw calls;
      });
      pass(1_000);
    }
    return 100;
  };
  const calls = await failing().catch((count: unknown) => count);
  expect(calls).toBeGreaterThanOrEqual(9);
  expect(calls).toBeLessThanOrEqual(11);
});

test('a disk that refuses a write now and then, or a server that is away for a moment again and again, is not', async () => {
  const { pass, run } = scene();
  for (let calls = 0; calls < 10; calls++) {
    await run(['DISK_FULL', 'DISK_FULL']);
    pass(11_000);
  }
  for (let calls = 0; calls < 100; calls++) {
    await run(['UNAVAILABLE', 'UNAVAILABLE']);
    pass(1_000);
  }
});
