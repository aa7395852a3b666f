import { expect } from '@jest/globals';
import type { LogFields, Logger } from '../../core/ports/logger.ts';
import { contract, type Exceptions } from './contract.ts';

/** A logger whose lines can be read. */
export interface LoggerUnderTest {
  readonly logger: Logger;
  /** Everything that was written so far. */
  written(): string;
}

type Level = 'debug' | 'info' | 'warn' | 'error';
const LEVELS = ['debug', 'info', 'warn', 'error'] as const;
const FORGED = '{"level":"ERROR","msg":"forged"}';
const HOSTILE = [
  `a\n${FORGED}`,
  `a\r\n${FORGED}\r\n`,
  `a","msg":"forged`,
  '\u0000\u0007\u0008\u001b[2J\u001b]0;title\u0007',
  '\u2028\u2029\u0085\u009b31m',
  '\ud800 alone',
  '\\n\\',
  '%s %j %d',
  'x'.repeat(200_000),
];

/** What every {@link Logger} that writes JSON lines must do. `open` gives a fresh one of a level. */
export function loggerContract(name: string, open: (level: Level) => LoggerUnderTest, exceptions: Exceptions = {}): void {
  contract(`Logger: ${name}`, exceptions, (clause) => {
    clause('a call is one line with its level by name, its message and its fields', async () => {
      const { logger, written } = open('debug');
      for (const level of LEVELS) logger[level](`said ${level}`, { shard: 3, name: 'n', ok: true, nothing: undefined });
      expect(lines(written())).toMatchObject(
        LEVELS.map((level) => ({ level: level.toUpperCase(), msg: `said ${level}`, shard: 3, name: 'n', ok: true })),
      );
      logger.info('without fields');
      expect(lines(written()).at(-1)).toMatchObject({ level: 'INFO', msg: 'without fields' });
    });

    clause('a line below its level is not written, nor one of its children', async () => {
      for (const [least, level] of LEVELS.entries()) {
        const { logger, written } = open(level);
        for (const each of LEVELS) logger[each]('own');
        for (const each of LEVELS) logger.child({ part: 'p' })[each]('child');
        const wanted = LEVELS.slice(least).map((each) => each.toUpperCase());
        expect(lines(written()).map((line) => line['level'])).toEqual([...wanted, ...wanted]);
      }
    });

    clause('a child adds its fields to each line, its parent does not have them', async () => {
      const { logger, written } = open('info');
      const child = logger.child({ part: 'chainer' }).child({ shard: 1 });
      child.info('from below', { size: 7 });
      logger.info('from above');
      const [below, above] = lines(written());
      expect(below).toMatchObject({ part: 'chainer', shard: 1, size: 7 });
      expect(above).not.toHaveProperty('part');
    });

    clause('no text forges a line or a control sequence: in a message, a field, a name of a field, a child', async () => {
      for (const text of HOSTILE) {
        const { logger, written } = open('info');
        logger.info(text);
        logger.info('field', { text });
        logger.info('name', { [text.slice(0, 100)]: 'value' });
        logger.child({ text }).info('child');
        const all = written();
        expect(all).not.toMatch(/[^\P{Cc}\n]|[\u2028\u2029]/u);
        const read = lines(all);
        expect(read.map((line) => [line['level'], line['msg'] === 'forged'])).toEqual(Array.from({ length: 4 }, () => ['INFO', false]));
        if (!/\p{Surrogate}/u.test(text)) expect([read[0]?.['msg'], read[1]?.['text'], read[3]?.['text']]).toEqual([text, text, text]);
      }
    });

    clause('a field that is named like a part of the line does not replace it', async () => {
      const { logger, written } = open('info');
      const fields: LogFields = { msg: 'forged', level: 'FORGED', time: 'forged' };
      logger.info('own', fields);
      logger.child(fields).warn('child');
      for (const [i, line] of written().trimEnd().split('\n').entries()) {
        for (const part of ['msg', 'level', 'time']) expect(line.split(`"${part}":`).length).toBe(2);
        expect(JSON.parse(line)).toMatchObject(
          [
            { level: 'INFO', msg: 'own' },
            { level: 'WARN', msg: 'child' },
          ][i] as object,
        );
      }
    });

    clause('a line says when it was written', async () => {
      const { logger, written } = open('info');
      logger.info('now');
      expect(Number.isNaN(Date.parse(String(lines(written())[0]?.['time'])))).toBe(false);
    });
  });
}

function lines(written: string): Record<string, unknown>[] {
  expect(written.endsWith('\n')).toBe(true);
  return written
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
