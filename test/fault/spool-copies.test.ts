import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Collector } from '../../collector/collector.ts';
import { formatUuid } from '../../core/formats/identity.ts';
import { event } from '../support/collector.ts';
import { type Fault, faultyLog } from '../support/memory-log.ts';
import { type ArchiveSays, openPipeline, type TestPipeline } from '../support/pipeline.ts';

let folder: string;
let system: TestPipeline;
let fault: Fault;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lineproof-copies-'));
  fault = 'none';
  system = await openPipeline(join(folder, 'data'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A collector of the pipeline on the spool of that name, whose log fails as `fault` says. */
function open(name: string): Promise<Collector> {
  const log = faultyLog(system.pipeline.stores.log, () => fault);
  return system.collect({ log, spool: { folder: join(folder, name) }, appendTimeoutMs: 50, lingerMs: 0 });
}

async function recordDurably(collector: Collector, from: number, to: number): Promise<void> {
  await Promise.all(Array.from({ length: to - from }, (_, i) => collector.recordDurably(event(from + i))));
}

/** As somebody at a shell does it, with the lock and its socket. */
const copy = (from: string, to: string): void => void execFileSync('cp', ['-R', join(folder, from), join(folder, to)]);

/** Every event of 0 to `count` − 1 is linked once and no other, no lane forked, and the auditor finds nothing wrong. */
function mustBeWhole({ verdict, links }: ArchiveSays, count: number): void {
  expect([...links.keys()].toSorted()).toEqual(Array.from({ length: count }, (_, i) => formatUuid(event(i).id)).toSorted());
  expect([...links.values()].filter((times) => times !== 1)).toEqual([]);
  const { findings, properties } = verdict;
  expect(findings.filter(({ severity }) => severity !== 'NOTE')).toEqual([]);
  expect([verdict.ok, properties.COMPLETE.result, properties.UNIQUE.result]).toEqual([true, 'OK', 'OK']);
  expect(JSON.stringify(findings)).not.toContain('FORK');
}

describe('a spool that was copied with events and batches that the log has not acknowledged', () => {
  test.each<[string, Fault]>([
    ['and had not arrived', 'refuse'],
    ['and had arrived', 'lose-answer'],
    ['and never get an answer', 'hang'],
  ])(
    '%s loses nothing and forks nothing when both run',
    async (_, during) => {
      const first = await open('spool');
      await recordDurably(first, 0, 500);
      await first.flush();
      fault = during;
      await recordDurably(first, 500, 4000);
      copy('spool', 'copy');
      const second = await open('copy');
      await recordDurably(second, 4000, 4500);
      fault = 'none';
      await recordDurably(first, 4500, 5000);
      await Promise.all([first.flush(), second.flush()]);
      expect(await Promise.all([first.close(), second.close()])).toEqual([true, true]);
      mustBeWhole(await system.end(), 5000);
    },
    60_000,
  );

  test('and restored when more was sent since loses nothing and forks nothing', async () => {
    const first = await open('spool');
    await recordDurably(first, 0, 500);
    await first.flush();
    fault = 'refuse';
    await recordDurably(first, 500, 2500);
    copy('spool', 'older');
    fault = 'none';
    await recordDurably(first, 2500, 3000);
    await first.flush();
    await first.close();
    const later = await open('spool');
    await recordDurably(later, 3000, 3500);
    await later.flush();
    await later.close();
    rmSync(join(folder, 'spool'), { recursive: true });
    copy('older', 'spool');
    const restored = await open('spool');
    await recordDurably(restored, 3500, 4000);
    await restored.flush();
    expect(await restored.close()).toBe(true);
    mustBeWhole(await system.end(), 4000);
  }, 60_000);

  test('and copied again while the copy runs, three deep, is as whole', async () => {
    const collectors = [await open('spool-0')];
    fault = 'lose-answer';
    for (let depth = 0; depth < 3; depth++) {
      await recordDurably(collectors[depth] as Collector, depth * 1000, (depth + 1) * 1000);
      copy(`spool-${depth}`, `spool-${depth + 1}`);
      collectors.push(await open(`spool-${depth + 1}`));
    }
    fault = 'none';
    for (const collector of collectors.toReversed()) expect(await collector.close()).toBe(true);
    mustBeWhole(await system.end(), 3000);
  }, 60_000);
});
