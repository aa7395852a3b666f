import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { prometheusMetrics } from '../../../adapters/prometheus-metrics.ts';
import { OVERFLOW_BYTES } from '../../../collector/collector-options.ts';
import { shardOf } from '../../../core/formats/shard.ts';
import { event, idsOf, openOn, signer } from '../../support/collector.ts';
import { type Fault, faultyLog, listen, MemoryLog } from '../../support/memory-log.ts';
import { idsIn, sentTo } from '../../support/sent-batches.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lineproof-bounds-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A switch on a log: while it is away, appends are refused. */
function switchedLog(): { readonly log: MemoryLog; readonly switched: ReturnType<typeof faultyLog>; set(fault: Fault): void } {
  const log = new MemoryLog();
  let fault: Fault = 'refuse';
  return {
    log,
    switched: faultyLog(log, () => fault),
    set: (next) => {
      fault = next;
    },
  };
}

const facets = [{ name: 'f', schemaUrl: '', json: 'x'.repeat(100_000) }];

test('the size of a spool and its bound are told while the log takes nothing, and at the next start', async () => {
  const spool = { folder, maxBytes: 1_000_000 };
  const onDisk = (): number =>
    readdirSync(folder).reduce((sum, name) => sum + (name.endsWith('.spool') ? statSync(join(folder, name)).size : 0), 0);
  const sizes: number[] = [];
  for (let start = 0; start < 2; start++) {
    const metrics = prometheusMetrics();
    const collector = await openOn(null, null, { spool, metrics });
    const told = async (): Promise<number> => Number(/^lineproof_collector_spool_bytes (\d+)$/m.exec(await metrics.text())?.[1]);
    if (start === 1) expect(await told()).toBeGreaterThanOrEqual(sizes.at(-1) as number);
    await collector.recordDurably(event(start, { facets }));
    sizes.push(onDisk());
    expect(await told()).toBe(sizes.at(-1));
    expect(await metrics.text()).toMatch(/^lineproof_collector_spool_limit_bytes 1000000$/m);
    await collector.close();
  }
  expect(sizes[1]).toBeGreaterThan(200_000);
});

describe('a full spool', () => {
  test.each([['on disk'], ['in memory']])(
    '%s that blocks lets recordDurably wait and goes on once the log takes what is in it',
    async (where) => {
      const { log, switched, set } = switchedLog();
      const spool = { folder: where === 'on disk' ? folder : null, maxBytes: 1_000_000 };
      const collector = await openOn(switched, null, { spool });
      for (let i = 0; i < 10; i++) await collector.recordDurably(event(i, { facets }));
      let resolved = 0;
      const waiting = [10, 11, 12].map(async (i) => {
        await collector.recordDurably(event(i, { facets }));
        resolved++;
      });
      // A turn of the loop would be enough for a spool with room.
      await new Promise((resolve) => void setImmediate(resolve));
      expect(resolved).toBe(0);
      set('none');
      await Promise.all(waiting);
      await collector.flush();
      await collector.close();
      expect(idsIn(log)).toEqual(idsOf(13));
    },
  );

  test('that blocks takes a bounded burst of calls that cannot wait, and then says that it is full', async () => {
    const heard = listen();
    const collector = await openOn(null, null, { spool: { folder: null, maxBytes: 1000 }, metrics: heard.metrics });
    const big = (i: number) => event(i, { facets: [{ name: 'f', schemaUrl: '', json: 'x'.repeat(250_000) }] });
    let taken = 0;
    const fill = (): void => {
      for (;;) {
        collector.record(big(taken));
        taken++;
      }
    };
    expect(fill).toThrow(expect.objectContaining({ code: 'SPOOL_FULL', message: expect.stringContaining('full') }));
    expect(collector.stats.spoolBytes).toBeLessThan(1000 + OVERFLOW_BYTES + 300_000);
    expect(taken).toBeGreaterThan(OVERFLOW_BYTES / 300_000);
    expect(heard.counts.get('lineproof_collector_refused_total')).toBe(1);
    await collector.close();
  });

  test('that is smaller than one segment gives its room back as the log takes what is in it', async () => {
    const log = new MemoryLog();
    const collector = await openOn(log, null, { spool: { folder, maxBytes: 1_000_000, whenFull: 'refuse' }, lingerMs: 0 });
    for (let i = 0; i < 60; i++) {
      await collector.recordDurably(event(i, { facets }));
      await collector.flush();
    }
    expect(collector.stats.spoolBytes).toBeLessThan(1_000_000);
    await collector.close();
    expect(idsIn(log)).toEqual(idsOf(60));
  });

  test('counts what it drops in a signed header, also for a lane that sends nothing more', async () => {
    const { log, switched, set } = switchedLog();
    const heard = listen();
    const collector = await openOn(switched, null, {
      spool: { folder: null, maxBytes: 300, whenFull: 'drop-auxiliary' },
      metrics: heard.metrics,
    });
    for (let i = 0; i < 5; i++) collector.record(event(i, { stream: 'filling' }));
    const home = shardOf(signer.name, 3);
    const silent = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].find(
      (stream) => ![home, shardOf('filling', 3)].includes(shardOf(stream, 3)),
    ) as string;
    for (let i = 5; i < 75; i++) collector.record(event(i, { stream: silent, importance: 'AUXILIARY' }));
    const { dropped } = collector.stats;
    expect(dropped).toBe(70);
    set('none');
    expect(await collector.close()).toBe(true);
    const stated = new Map<number, number>();
    for (const { parsed } of sentTo(log)) stated.set(parsed.shard, Math.max(stated.get(parsed.shard) ?? 0, parsed.sampledOut));
    expect([...stated.values()].reduce((sum, each) => sum + each, 0)).toBe(dropped);
    expect(heard.counts.get('lineproof_collector_dropped_total')).toBe(dropped);
  });

  test('drops no ESSENTIAL event', async () => {
    const collector = await openOn(null, null, { spool: { folder: null, maxBytes: 300, whenFull: 'drop-auxiliary' } });
    for (let i = 0; i < 50; i++) collector.record(event(i));
    expect(collector.stats).toMatchObject({ recorded: 50, dropped: 0 });
    await collector.close();
  });
});

describe('a disk that fails', () => {
  /** What Node's file handles inherit from: no disk here fails when told to, and only the call to the system is replaced. */
  async function fileHandles(): Promise<{ datasync(): Promise<void> }> {
    const handle = await open(join(folder, 'probe'), 'w');
    await handle.close();
    return Object.getPrototypeOf(handle);
  }

  /** Runs `work` while fdatasync fails as long as `fails` says so. */
  async function withFailingSync(fails: () => boolean, work: () => Promise<void>): Promise<void> {
    const prototype = await fileHandles();
    const { datasync } = prototype;
    prototype.datasync = function sync(this: unknown) {
      return fails()
        ? Promise.reject(Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' }))
        : datasync.call(this as never);
    };
    try {
      await work();
    } finally {
      prototype.datasync = datasync;
    }
  }

  test('at fsync is reported to every caller that waits, and the events are written again when it works', async () => {
    let fails = false;
    const heard = listen();
    await withFailingSync(
      () => fails,
      async () => {
        const spool = join(folder, 'spool');
        const collector = await openOn(null, spool, { logger: heard.logger });
        await collector.recordDurably(event(0));
        fails = true;
        const first = collector.recordDurably(event(1));
        const outcomes: Promise<unknown>[] = [first.catch((error: unknown) => error)];
        // The first write is under way: what comes now stands behind it.
        await new Promise((resolve) => void setImmediate(() => setImmediate(resolve)));
        outcomes.push(collector.recordDurably(event(2)).catch((error: unknown) => error));
        for (const outcome of await Promise.all(outcomes))
          expect(outcome).toMatchObject({ code: 'IO_FAILED', message: expect.stringContaining('cannot write to spool') });
        fails = false;
        await collector.recordDurably(event(3));
        await collector.close();
        const log = new MemoryLog();
        const next = await openOn(log, spool, { logger: heard.logger, metrics: heard.metrics });
        await next.flush();
        await next.close();
        expect(idsIn(log)).toEqual(idsOf(4));
        expect(heard.counts.has('lineproof_collector_spool_damaged_total')).toBe(false);
        expect(heard.lines).toContain('error IO_FAILED');
      },
    );
  });

  test('and never works again does not keep a collector from closing, with a log or without', async () => {
    let fails = false;
    await withFailingSync(
      () => fails,
      async () => {
        for (const log of [new MemoryLog(), null]) {
          const collector = await openOn(log, join(folder, `spool-${String(log === null)}`));
          fails = true;
          collector.record(event(1));
          expect(await collector.close(50)).toBe(false);
          fails = false;
        }
      },
    );
  });
});
