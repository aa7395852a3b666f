import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { toHex } from '../../../core/base/bytes.ts';
import { event, idsOf, openOn } from '../../support/collector.ts';
import { type Fault, faultyLog, MemoryLog } from '../../support/memory-log.ts';
import { idsIn, sentTo } from '../../support/sent-batches.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lineproof-collector-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a collector', () => {
  test.each([['on disk'], ['in memory']])('publishes what it recorded %s and closes with a final heartbeat', async (where) => {
    const log = new MemoryLog();
    const collector = await openOn(log, where === 'on disk' ? folder : null);
    for (let i = 0; i < 5000; i++) collector.record(event(i));
    await collector.flush();
    expect(collector.stats.acknowledged).toBe(5000);
    expect(await collector.close()).toBe(true);
    expect(idsIn(log)).toEqual(idsOf(5000));
    const last = sentTo(log).at(-1)?.parsed;
    expect(last?.count).toBe(0);
    expect(last?.lanes.every(({ final }) => final)).toBe(true);
    expect(last?.lanes.reduce((sum, { seq }) => sum + seq, 0)).toBe(5000);
  });

  test('survives a log that refuses, hangs and loses answers', async () => {
    const log = new MemoryLog();
    const faults: Fault[] = ['refuse', 'none', 'lose-answer', 'hang'];
    let at = 0;
    const collector = await openOn(
      faultyLog(log, () => faults[at++ % faults.length] as Fault),
      folder,
      { appendTimeoutMs: 20 },
    );
    for (let i = 0; i < 3000; i++) collector.record(event(i));
    await collector.flush();
    await collector.close();
    expect(idsIn(log)).toEqual(idsOf(3000));
  });

  test('leaves events that the log did not take to the next start, which states the earlier lanes as final', async () => {
    const log = new MemoryLog();
    let fault: Fault = 'none';
    const first = await openOn(
      faultyLog(log, () => fault),
      folder,
      { appendTimeoutMs: 50 },
    );
    for (let i = 0; i < 100; i++) first.record(event(i));
    await first.flush();
    fault = 'refuse';
    for (let i = 100; i < 3000; i++) await Promise.resolve(first.record(event(i)));
    await first.recordDurably(event(3000));
    expect(await first.close(20)).toBe(false);
    const second = await openOn(log, folder);
    await second.flush();
    expect(second.stats.moved).toBeGreaterThan(0);
    expect(await second.close()).toBe(true);
    expect(idsIn(log)).toEqual(idsOf(3001));
    const epochs = new Set(sentTo(log).map(({ parsed }) => toHex(parsed.epoch)));
    expect(epochs.size).toBe(2);
    const stated = sentTo(log).flatMap(({ parsed }) => parsed.lanes.filter(({ epoch }) => toHex(epoch) !== toHex(parsed.epoch)));
    expect(stated.length).toBeGreaterThan(0);
    expect(stated.every(({ final }) => final)).toBe(true);
  });

  test('a spool copied in the middle of work forks nothing and loses nothing', async () => {
    const log = new MemoryLog();
    let fault: Fault = 'none';
    const copy = `${folder}-copy`;
    const first = await openOn(
      faultyLog(log, () => fault),
      folder,
      { appendTimeoutMs: 50 },
    );
    for (let i = 0; i < 500; i++) first.record(event(i));
    await first.flush();
    fault = 'lose-answer';
    for (let i = 500; i < 4000; i++) first.record(event(i));
    await first.recordDurably(event(4000));
    cpSync(folder, copy, { recursive: true, filter: (path) => !path.endsWith('.socket') });
    const second = await openOn(log, copy);
    fault = 'none';
    first.record(event(4001));
    second.record(event(4002));
    await Promise.all([first.flush(), second.flush()]);
    await Promise.all([first.close(), second.close()]);
    expect(idsIn(log)).toEqual(idsOf(4003));
    rmSync(copy, { recursive: true, force: true });
  });

  test('only spools if there is no log, and refuses a second process on its folder', async () => {
    const alone = await openOn(null, folder);
    await alone.recordDurably(event(1));
    await expect(openOn(null, folder)).rejects.toMatchObject({ code: 'DATA_IN_USE' });
    await alone.close();
    const log = new MemoryLog();
    const next = await openOn(log, folder);
    await next.flush();
    await next.close();
    expect(idsIn(log)).toEqual(idsOf(1, 1));
  });

  test('with a full spool refuses events, or drops AUXILIARY events and counts them, as its options say', async () => {
    const refusing = await openOn(null, null, { spool: { folder: null, maxBytes: 1000, whenFull: 'refuse' } });
    expect(() => Array.from({ length: 20 }, (_, i) => refusing.record(event(i)))).toThrow(expect.objectContaining({ code: 'SPOOL_FULL' }));
    const log = new MemoryLog();
    const dropping = await openOn(log, null, { spool: { folder: null, maxBytes: 1000, whenFull: 'drop-auxiliary' }, lingerMs: 1000 });
    for (let i = 0; i < 100; i++) dropping.record(event(i, { importance: i < 50 ? 'ESSENTIAL' : 'AUXILIARY' }));
    await dropping.close();
    expect(dropping.stats).toMatchObject({ dropped: 50, recorded: 50 });
    const perLane = new Map(sentTo(log).map(({ parsed }) => [parsed.shard, parsed.sampledOut]));
    expect([...perLane.values()].reduce((sum, dropped) => sum + dropped, 0)).toBe(50);
  });

  test('an invalid event is refused at once', async () => {
    const collector = await openOn(new MemoryLog(), null);
    expect(() => collector.record(event(1, { stream: '' }))).toThrow(expect.objectContaining({ code: 'EVENT_INVALID' }));
    await collector.close();
  });
});
