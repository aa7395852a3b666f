import { expect, test } from '@jest/globals';
import { limitedLogger } from '../../../adapters/limited-logger.ts';
import type { LogFields, Logger } from '../../../core/ports/logger.ts';

type Line = readonly [level: string, message: string, fields: LogFields];

/** A limited logger with a clock of the test's, and what came through. */
function scene(): { logger: ReturnType<typeof limitedLogger>; lines: Line[]; pass: (ms: number) => void } {
  let now = 0;
  const lines: Line[] = [];
  const kept = (bound: LogFields): Logger => {
    const at =
      (level: string) =>
      (message: string, fields: LogFields = {}): void =>
        void lines.push([level, message, { ...bound, ...fields }]);
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), child: (fields) => kept({ ...bound, ...fields }) };
  };
  return {
    logger: limitedLogger(kept({}), { nowMs: () => now }),
    lines,
    pass: (ms) => {
      now += ms;
    },
  };
}

test('a few lines a minute of one message pass, and the count of the others comes with the last of them', () => {
  const { logger, lines, pass } = scene();
  for (let second = 0; second < 180; second++) {
    for (let i = 0; i < 40; i++)
      logger.warn(`Connection error: connect ECONNREFUSED 127.0.0.1:${9000 + i}`, { part: 'kafkajs', namespace: 'Connection', i });
    pass(1_000);
  }
  logger.flush();
  expect(lines.length).toBeLessThanOrEqual(3 * 6 + 1);
  const told = lines.reduce((sum, [, , { leftOut = 0 }]) => sum + 1 + Number(leftOut), 0);
  expect(told).toBe(180 * 40);
});

test('messages, parts, shards and levels are counted apart; information is not counted', () => {
  const { logger, lines } = scene();
  const child = logger.child({ shard: 3 });
  for (let i = 0; i < 100; i++) {
    logger.warn('one');
    logger.warn('two');
    logger.error('one');
    logger.warn('one', { part: 'kafkajs' });
    logger.warn('one', { shard: 1 });
    logger.warn('one', { shard: 2 });
    child.warn('one');
    logger.info('joined');
    logger.debug('seen');
  }
  const counts = new Map<string, number>();
  for (const [level, message, { part = '', shard = '' }] of lines) {
    const key = `${level} ${message} ${part}${shard}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  expect(Object.fromEntries(counts)).toEqual({
    'warn one ': 5,
    'warn two ': 5,
    'error one ': 5,
    'warn one kafkajs': 5,
    'warn one 1': 5,
    'warn one 2': 5,
    'warn one 3': 5,
    'info joined ': 100,
    'debug seen ': 100,
  });
});

test('a line comes as it was given, and a single one that was left out comes too', () => {
  const { logger, lines, pass } = scene();
  for (let i = 0; i < 6; i++) logger.error('shard holds', { shard: 1, reason: `r${i}` });
  expect(lines.at(-1)).toEqual(['error', 'shard holds', { shard: 1, reason: 'r4' }]);
  pass(61_000);
  logger.error('shard holds', { shard: 1, reason: 'later' });
  expect(lines.slice(-2)).toEqual([
    ['error', 'shard holds', { shard: 1, reason: 'r5' }],
    ['error', 'shard holds', { shard: 1, reason: 'later' }],
  ]);
});

test('messages without number do not grow the count of kinds without bound', () => {
  const { logger, lines } = scene();
  const words = Array.from({ length: 20_000 }, (_, i) => i.toString(2).replaceAll('0', 'a').replaceAll('1', 'b'));
  for (const word of words) logger.warn(word);
  expect(lines.length).toBeLessThan(5_000);
  logger.flush();
  expect(lines.reduce((sum, [, , { leftOut = 0 }]) => sum + 1 + Number(leftOut), 0)).toBe(words.length);
});
