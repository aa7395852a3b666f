import { expect, test } from '@jest/globals';
import { prometheusMetrics } from '../../../adapters/prometheus-metrics.ts';
import { openStartup, Waiting } from '../../../cluster/startup.ts';
import { type ErrorCode, LineproofError } from '../../../core/base/errors.ts';
import { LASTING_REFUSAL_MS } from '../../../core/base/retry.ts';
import { TestLogger } from '../../support/memory.ts';

const AWAY = new LineproofError('UNAVAILABLE', 'cannot ask: no answer');
const REFUSED = new LineproofError('REFUSED', 'cannot ask: no', { refusal: 'Kafka SASL_REFUSED', setting: 'kafkaPassword' });

/** A start with a clock of its own; `failures` of the step, by time. */
function scene(): { waiting: Waiting; logger: TestLogger; stop: AbortController; now: () => number } {
  let now = 0;
  const [logger, stop] = [new TestLogger(), new AbortController()];
  const sleep = async (ms: number): Promise<void> => {
    now += ms;
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { waiting: new Waiting({ logger, signal: stop.signal, clock: { monotonicMs: () => now, sleep } }), logger, stop, now: () => now };
}

function codeOf(promise: Promise<unknown>): Promise<ErrorCode | undefined> {
  return promise.then(
    () => undefined,
    (error: LineproofError) => error.code,
  );
}

test('a step waits for a server for hours, says so twice a minute at most, and goes on when the server comes', async () => {
  const { waiting, logger, now } = scene();
  const hour = 3_600_000;
  expect(await waiting.until('Kafka', () => (now() < hour ? Promise.reject(AWAY) : Promise.resolve('there')))).toBe('there');
  expect([...new Set(logger.lines)]).toEqual(['warn waiting at the start']);
  expect([logger.lines.length > 60, logger.lines.length <= 121]).toEqual([true, true]);
});

test('what is waited for can be asked', async () => {
  const { waiting } = scene();
  expect(waiting.problem).toBe('starting');
  let seen = '';
  await waiting.until('Redis', async () => {
    if (seen !== '') return;
    seen = waiting.problem;
    throw AWAY;
  });
  expect(seen).toBe('starting');
  let waited = '';
  await waiting.until('Redis', async () => {
    if (waited !== '') return;
    waited = waiting.problem === 'starting' ? '' : waiting.problem;
    throw AWAY;
  });
  expect(waited).toBe('waiting for Redis: cannot ask: no answer');
  expect(waiting.problem).toBe('starting');
});

test('a refusal that lasts a minute ends the start with its setting; one that passes earlier does not', async () => {
  const lasting = scene();
  const error = await lasting.waiting.until('Kafka', () => Promise.reject(REFUSED)).catch((each: unknown) => each);
  expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('correct kafkaPassword') });
  expect(lasting.now()).toBeGreaterThanOrEqual(LASTING_REFUSAL_MS);
  expect(lasting.logger.lines[0]).toBe('warn waiting at the start');
  const passing = scene();
  await passing.waiting.until('Kafka', () => (passing.now() < 50_000 ? Promise.reject(REFUSED) : Promise.resolve()));
});

test('an explanation is asked for when nothing answers, and judged as a refusal', async () => {
  const { waiting } = scene();
  expect(
    await codeOf(
      waiting.until(
        'Kafka',
        () => Promise.reject(AWAY),
        async () => REFUSED,
      ),
    ),
  ).toBe('CONFIG_INVALID');
});

test('a stop ends the wait at once, although a request hangs', async () => {
  const { waiting, stop } = scene();
  const ended = codeOf(waiting.until('Kafka', () => new Promise(() => undefined)));
  stop.abort();
  expect(await ended).toBe('CLOSED');
  expect(await codeOf(waiting.until('Kafka', () => new Promise(() => undefined)))).toBe('CLOSED');
});

test('a service that starts is alive and not ready, says what it waits for, and gives its own answers afterwards', async () => {
  const [logger, stop] = [new TestLogger(), new AbortController()];
  const startup = await openStartup({ httpHost: '127.0.0.1', httpPort: 0 }, { metrics: prometheusMetrics(), logger, signal: stop.signal });
  const get = async (path: string): Promise<readonly [number, string]> => {
    const answer = await fetch(`http://127.0.0.1:${startup.address.port}${path}`);
    return [answer.status, (await answer.text()).trim()];
  };
  try {
    expect(await get('/healthz')).toEqual([200, 'ok']);
    expect(await get('/readyz')).toEqual([503, 'starting']);
    const step = startup.waiting.until('Kafka', () => Promise.reject(AWAY)).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await get('/readyz')).toEqual([503, 'waiting for Kafka: cannot ask: no answer']);
    startup.become({ alive: () => 'stuck', ready: () => undefined });
    expect([await get('/healthz'), await get('/readyz')]).toEqual([
      [503, 'stuck'],
      [200, 'ok'],
    ]);
    stop.abort();
    await step;
  } finally {
    await startup.close();
  }
});
