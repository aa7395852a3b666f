import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import type { CollectorOptions } from '../../collector/collector-options.ts';
import { RECORD, readRecords } from '../../collector/spool-record.ts';
import { toHex } from '../../core/base/bytes.ts';
import { EVENT_SCHEMA } from '../../core/formats/event-schema.ts';
import { event, openOn } from '../support/collector.ts';
import { faultyLog, type Heard, listen, MemoryLog } from '../support/memory-log.ts';
import { idsIn, sentTo } from '../support/sent-batches.ts';

// Thousands of spools are opened here; in memory that takes seconds, and what is tested does not depend on the disk.
const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'lineproof-recovery-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Acknowledged {
  readonly id: string;
  /** Size of the spool's file when its promise had resolved. */
  readonly at: number;
}

/** A spool as a killed process leaves it. */
interface KilledSpool {
  readonly name: string;
  readonly bytes: Buffer;
  readonly acknowledged: readonly Acknowledged[];
  /** The log it was sent to. */
  readonly log: MemoryLog;
}

const only = (path: string): string => readdirSync(path).find((name) => name.endsWith('.spool')) as string;

/** Records `count` events one by one; the log takes those before `hangAt` and then answers nothing any more. */
async function killedSpool(count: number, hangAt: number, options: Partial<CollectorOptions> = {}): Promise<KilledSpool> {
  const path = mkdtempSync(join(folder, 'killed-'));
  const log = new MemoryLog();
  let hangs = false;
  const collector = await openOn(
    faultyLog(log, () => (hangs ? 'hang' : 'none')),
    path,
    { shards: 1, lingerMs: 0, ...options },
  );
  const acknowledged: Acknowledged[] = [];
  for (let i = 0; i < count; i++) {
    if (i === hangAt) await collector.flush();
    hangs = i >= hangAt;
    const id = await collector.recordDurably(event(i));
    acknowledged.push({ id: toHex(id), at: statSync(join(path, only(path))).size });
  }
  const killed = { name: only(path), bytes: readFileSync(join(path, only(path))), acknowledged, log };
  await collector.close(0);
  return killed;
}

interface Reopened {
  readonly ids: Set<string>;
  /** Ids of events that were sent now, in all batches. */
  readonly sent: readonly string[];
  readonly heard: Heard;
  /** Files that stay in the folder. */
  readonly kept: readonly string[];
}

/** Opens what is left of a spool, with the log as it was, and lets everything be sent. */
async function reopen({ name, log }: KilledSpool, bytes: Buffer, others: ReadonlyMap<string, Buffer> = new Map()): Promise<Reopened> {
  const path = join(folder, 'reopened');
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path);
  for (const [file, content] of [...others, [name, bytes] as const]) writeFileSync(join(path, file), content);
  const after = new MemoryLog();
  for (const { partition, value, key, headers } of log.records) await after.append('', partition, [{ key, value, headers }]);
  const heard = listen();
  const collector = await openOn(after, path, { shards: 1, lingerMs: 0, logger: heard.logger, metrics: heard.metrics });
  await collector.flush();
  expect(await collector.close()).toBe(true);
  const kept = readdirSync(path);
  const batches = sentTo(after).slice(log.records.length);
  const sent = batches.flatMap(({ events }) => events.map((each) => toHex(EVENT_SCHEMA.readHead(each).id)));
  return { ids: idsIn(after), sent, heard, kept };
}

const DAMAGED = 'lineproof_collector_spool_damaged_total';

describe('a spool that a killed process left', () => {
  test('holds every kind of record that a start writes before it is killed, and all of it is sent', async () => {
    const killed = await killedSpool(9, 6);
    const magic = Buffer.from(killed.name.slice(42, 58), 'hex');
    const kinds = new Set(readRecords(killed.bytes, magic).records.map(({ kind }) => kind));
    expect([...kinds].toSorted((a, b) => a - b)).toEqual([RECORD.event, RECORD.batch, RECORD.acknowledged, RECORD.state]);
    const { ids, heard } = await reopen(killed, killed.bytes);
    expect(ids).toEqual(new Set(killed.acknowledged.map(({ id }) => id)));
    expect(heard.counts.has(DAMAGED)).toBe(false);
  });

  test('and that is cut at any byte loses nothing that was acknowledged before that byte, and is not damage', async () => {
    const killed = await killedSpool(7, 5);
    for (let cut = 0; cut <= killed.bytes.length; cut++) {
      const { ids, heard, kept } = await reopen(killed, killed.bytes.subarray(0, cut));
      expect([cut, killed.acknowledged.filter(({ id, at }) => at <= cut && !ids.has(id))]).toEqual([cut, []]);
      expect([cut, heard.counts.has(DAMAGED)]).toEqual([cut, false]);
      // A disk that loses the content of a file leaves an empty one.
      expect([cut, kept]).toEqual([cut, cut === 0 ? [killed.name.replace('.spool', '.damaged')] : []]);
      expect([cut, heard.lines.includes('warn a file of the spool is empty')]).toEqual([cut, cut === 0]);
    }
  }, 120_000);

  test('and that is larger is as safe at seeded bytes', async () => {
    const killed = await killedSpool(600, 300);
    let seed = 20_260_101;
    for (let i = 0; i < 60; i++) {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      const cut = seed % killed.bytes.length;
      const { ids, heard } = await reopen(killed, killed.bytes.subarray(0, cut));
      expect([cut, killed.acknowledged.filter(({ id, at }) => at <= cut && !ids.has(id))]).toEqual([cut, []]);
      expect([cut, heard.counts.has(DAMAGED)]).toEqual([cut, false]);
    }
  }, 120_000);

  test('and that is damaged at any byte loses one event at most, keeps what follows, and says so', async () => {
    const killed = await killedSpool(7, 5);
    for (let at = 0; at < killed.bytes.length; at++) {
      const bytes = Buffer.from(killed.bytes);
      bytes[at] = (bytes[at] as number) ^ (1 << (at % 8));
      const { ids, heard, kept } = await reopen(killed, bytes);
      const lost = killed.acknowledged.filter(({ id }) => !ids.has(id));
      expect([at, lost.length <= 1, (heard.counts.get(DAMAGED) ?? 0) >= 1]).toEqual([at, true, true]);
      expect([at, heard.lines.includes('error SPOOL_DAMAGED')]).toEqual([at, true]);
      // Under a name that no start takes for a part of the spool.
      expect(kept).toEqual([killed.name.replace('.spool', '.damaged')]);
    }
  }, 120_000);

  test('and was being taken over when that start was killed too, at any byte: everything is sent, and once', async () => {
    const killed = await killedSpool(7, 5);
    const path = mkdtempSync(join(folder, 'taken-over-'));
    writeFileSync(join(path, killed.name), killed.bytes);
    const second = await openOn(null, path, { shards: 1 });
    expect(second.stats).toMatchObject({ moved: 1, leftBatches: 1 });
    const [name, ...more] = readdirSync(path).filter((file) => file.endsWith('.spool') && file !== killed.name);
    expect(more).toEqual([]);
    const bytes = readFileSync(join(path, name as string));
    await second.close();
    for (let cut = 0; cut <= bytes.length; cut++) {
      const taken = new Map([[name as string, bytes.subarray(0, cut)]]);
      const { ids, sent, heard } = await reopen(killed, killed.bytes, taken);
      expect([cut, killed.acknowledged.filter(({ id }) => !ids.has(id))]).toEqual([cut, []]);
      expect([cut, sent.length, new Set(sent).size]).toEqual([cut, 2, 2]);
      expect([cut, heard.counts.has(DAMAGED)]).toEqual([cut, false]);
    }
  }, 120_000);
});
