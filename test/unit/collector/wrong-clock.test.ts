import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../../adapters/system-clock.ts';
import { LogClock } from '../../../collector/log-clock.ts';
import { EVENT_SCHEMA } from '../../../core/formats/event-schema.ts';
import type { Clock } from '../../../core/ports/clock.ts';
import type { Log } from '../../../core/ports/log.ts';
import { event, openOn } from '../../support/collector.ts';
import { faultyLog, listen, MemoryLog } from '../../support/memory-log.ts';
import { sentTo } from '../../support/sent-batches.ts';

const HOUR = 3_600_000_000;
const SECOND = 1_000_000;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lineproof-wrong-clock-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The machine's clock, set wrong by so many microseconds. */
function clockOff(by: () => number): Clock {
  return { ...systemClock, nowMicros: () => systemClock.nowMicros() + by() };
}

/** A log that dates what it takes by the right clock. */
function dated(log: MemoryLog): Log {
  return {
    ...faultyLog(log, () => 'none'),
    append: async (topic, partition, records) => ({
      ...(await log.append(topic, partition, records)),
      timestampMicros: systemClock.nowMicros(),
    }),
  };
}

describe('a collector whose clock is wrong', () => {
  test('logs it once, shows in its metrics how far it is off, and logs when it is right again', async () => {
    let off = 0;
    const { logger, metrics, lines, gauges } = listen();
    const collector = await openOn(dated(new MemoryLog()), folder, { clock: clockOff(() => off), logger, metrics, lingerMs: 0 });
    expect(collector.stats.clockOffsetMs).toBeUndefined();
    const seconds: (number | undefined)[] = [];
    for (const [number, hours] of [0, 2, 2, -2, -2, 0, 0].entries()) {
      off = hours * HOUR;
      collector.record(event(number));
      await collector.flush();
      expect(gauges.get('lineproof_collector_clock_offset_seconds')).toBeCloseTo((collector.stats.clockOffsetMs as number) / 1000);
      seconds.push(Math.round((collector.stats.clockOffsetMs as number) / 60_000) * 60);
    }
    await collector.close();
    expect(seconds.map((each) => each ?? 0)).toEqual([0, 7200, 7200, -7200, -7200, 0, 0].map((each) => expect.closeTo(each, 0)));
    expect(lines).toEqual([
      "warn local clock is ahead of the log's; event times recorded here are off by the same amount",
      "warn local clock is behind the log's; event times recorded here are off by the same amount",
      "info local clock agrees with the log's again",
    ]);
  });

  test('keeps the order of the events of a stream, also if the clock is set back between two starts', async () => {
    for (const [start, hours] of [2, -2, 0].entries()) {
      const hung = await openOn(
        faultyLog(new MemoryLog(), () => 'hang'),
        folder,
        { shards: 1, lingerMs: 0, clock: clockOff(() => hours * HOUR) },
      );
      for (let number = 0; number < 20; number++) await hung.recordDurably(event(20 * start + number));
      await hung.close(0);
    }
    const log = new MemoryLog();
    const collector = await openOn(log, folder, { shards: 1, clock: clockOff(() => -3 * HOUR) });
    await collector.flush();
    expect(await collector.close()).toBe(true);
    const sent = sentTo(log).flatMap(({ events }) => events.map((bytes) => EVENT_SCHEMA.readHead(bytes).occurredAt));
    expect(sent).toEqual(Array.from({ length: 60 }, (_, number) => number));
  });
});

describe('the clock of the log', () => {
  /** Hears of one append after another: asked, taken by the log's clock, answered; seconds. */
  function heard(...answers: readonly (readonly [asked: number, taken: number, answered: number])[]) {
    let now = 0;
    const { logger, metrics, lines } = listen();
    const logClock = new LogClock({ clock: { ...systemClock, nowMicros: () => now }, logger, metrics });
    const offsets = answers.map(([asked, taken, answered]) => {
      now = answered * SECOND;
      logClock.heard(asked * SECOND, taken * SECOND);
      return (logClock.offsetMs as number) / 1000;
    });
    return { offsets, lines };
  }

  test('differs by the time that the delay of the answer does not explain', () => {
    expect(heard([1000, 1000, 1300], [1000, 1150, 1300], [1000, 1300, 1300], [1000, 990, 1300], [1000, 1310, 1300])).toEqual({
      offsets: [0, 0, 0, 10, -10],
      lines: [],
    });
  });

  test('is not reported again and again if it stays near the limit', () => {
    const { lines } = heard(...[61, 59, 61, 40, 61, 29, 59, 61].map((off) => [1000 + off, 1000, 1000 + off] as const));
    expect(lines.map((line) => line.split(' ').slice(0, 4).join(' '))).toEqual([
      'warn local clock is',
      'info local clock agrees',
      'warn local clock is',
    ]);
  });
});
