import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { sha256 } from '#crypto';
import { systemClock } from '../../../adapters/system-clock.ts';
import type { Collector } from '../../../collector/collector.ts';
import type { CollectorOptions } from '../../../collector/collector-options.ts';
import { RECORD, readRecords } from '../../../collector/spool-record.ts';
import { unframe } from '../../../core/avro/framing.ts';
import { toHex } from '../../../core/base/bytes.ts';
import { LIMITS } from '../../../core/base/limits.ts';
import { batchCost, decodeBatchHeader, decodeSignedBatch } from '../../../core/formats/batch.ts';
import { EVENT_SCHEMA } from '../../../core/formats/event-schema.ts';
import { shardOf } from '../../../core/formats/shard.ts';
import type { Clock } from '../../../core/ports/clock.ts';
import type { Log } from '../../../core/ports/log.ts';
import { event, idsOf, openOn, signer } from '../../support/collector.ts';
import { type Fault, faultyLog, MemoryLog } from '../../support/memory-log.ts';
import { idsIn, sentTo } from '../../support/sent-batches.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lineproof-publisher-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A log whose appends are first shown to `look`. */
function watched(log: Log, look: (value: Uint8Array, partition: number) => void | Promise<void>): Log {
  const inner = faultyLog(log, () => 'none');
  return {
    ...inner,
    append: async (topic, partition, records) => {
      for (const { value } of records) await look(value, partition);
      return log.append(topic, partition, records);
    },
  };
}

/** Every whole record that the spool's files hold at this moment. */
function onDisk(): { readonly kind: number; readonly payload: Uint8Array }[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.spool'))
    .toSorted()
    .flatMap((name) => readRecords(readFileSync(join(folder, name)), Buffer.from(name.slice(42, 58), 'hex')).records);
}

describe('what is on disk before a batch is sent for the first time', () => {
  test('is its header, its signature and each of its events', async () => {
    const log = new MemoryLog();
    // A look that threw would be one more failed append, and the next try would look better.
    const missing: string[] = [];
    let looked = 0;
    const collector = await openOn(
      watched(log, (value) => {
        const { header, keyId, signature, events } = decodeSignedBatch(unframe(value).payload);
        const records = onDisk();
        const spooled = records
          .filter(({ kind }) => kind === RECORD.batch)
          .map(({ payload }) => decodeSignedBatch(payload))
          .find((batch) => toHex(batch.header) === toHex(header));
        if (spooled === undefined || toHex(spooled.signature) !== toHex(signature) || toHex(spooled.keyId) !== toHex(keyId))
          missing.push('header');
        const stored = new Set(records.filter(({ kind }) => kind === RECORD.event).map(({ payload }) => toHex(payload.slice(8))));
        for (const bytes of events) if (!stored.has(toHex(bytes))) missing.push('event');
        looked++;
      }),
      folder,
    );
    for (let i = 0; i < 3000; i++) collector.record(event(i));
    await collector.flush();
    await collector.close();
    expect(missing).toEqual([]);
    expect(looked).toBeGreaterThan(3);
    expect(idsIn(log)).toEqual(idsOf(3000));
  });
});

describe('a lane', () => {
  test('has one header unacknowledged at most, and sends it again as the same bytes', async () => {
    const log = new MemoryLog();
    const faults: Fault[] = ['refuse', 'lose-answer', 'refuse', 'none'];
    const tries = new Map<number, string[]>();
    let call = 0;
    const collector = await openOn(
      {
        ...faultyLog(log, () => 'none'),
        append: async (topic, partition, records) => {
          const value = records[0]?.value as Uint8Array;
          const { header } = decodeSignedBatch(unframe(value).payload);
          const { number } = decodeBatchHeader(header);
          tries.set(number, [...(tries.get(number) ?? []), toHex(sha256(value))]);
          // Each earlier number was acknowledged before this one came.
          if (acknowledged !== number) early.push(number);
          const fault = faults[call++ % faults.length];
          if (fault === 'refuse') throw new Error('refused');
          const offset = await log.append(topic, partition, records);
          if (fault === 'lose-answer') throw new Error('answer lost');
          acknowledged++;
          return offset;
        },
      },
      folder,
      { shards: 1 },
    );
    let acknowledged = 0;
    const early: number[] = [];
    for (let i = 0; i < 2500; i++) collector.record(event(i));
    await collector.flush();
    await collector.close();
    expect(early).toEqual([]);
    expect([...tries.values()].every((sent) => sent.length === 4 && new Set(sent).size === 1)).toBe(true);
    expect(tries.size).toBeGreaterThan(2);
    expect(idsIn(log)).toEqual(idsOf(2500));
  });

  test('takes an answer that comes after the time-out as an acknowledgement', async () => {
    const log = new MemoryLog();
    const late: (() => void)[] = [];
    const collector = await openOn(
      {
        ...faultyLog(log, () => 'none'),
        append: async (topic, partition, records) => {
          const offset = await log.append(topic, partition, records);
          // The first answer comes when the second try is under way, and the second never.
          await new Promise<void>((resolve) => {
            late.push(resolve);
            if (late.length === 2) late[0]?.();
          });
          return offset;
        },
      },
      folder,
      { shards: 1, appendTimeoutMs: 20 },
    );
    collector.record(event(1));
    await collector.flush();
    expect(late.length).toBe(2);
    expect(idsIn(log)).toEqual(idsOf(1, 1));
    await collector.close(0);
  });

  test('waits longer after each refusal, up to a bound', async () => {
    const sleeps: number[] = [];
    const clock: Clock = {
      ...systemClock,
      sleep: (ms, signal) => {
        if (ms < 10_000) sleeps.push(ms);
        return systemClock.sleep(ms === 30_000 ? ms : 0, signal);
      },
    };
    let refusals = 0;
    const log = new MemoryLog();
    const collector = await openOn(
      faultyLog(log, () => (refusals++ < 12 ? 'refuse' : 'none')),
      null,
      { clock, lingerMs: 0, shards: 1 },
    );
    collector.record(event(1));
    await collector.flush();
    const waits = sleeps.slice(0, 12);
    // Each is 0.5 to 1.5 times 25 ms, 50 ms … 5 s.
    for (const [i, ms] of waits.entries()) {
      const base = Math.min(25 * 2 ** i, 5000);
      expect([i, ms >= base / 2 && ms <= 1.5 * base]).toEqual([i, true]);
    }
    await collector.close();
  });
});

describe('a batch', () => {
  test('ends at 1,024 events, or before it would cost more than 768 KiB', async () => {
    const log = new MemoryLog();
    const collector = await openOn(log, folder, { shards: 1, lingerMs: 60_000 });
    for (let i = 0; i < 2048; i++) collector.record(event(i));
    const facets = [{ name: 'f', schemaUrl: '', json: 'x'.repeat(100_000) }];
    for (let i = 2048; i < 2088; i++) collector.record(event(i, { facets }));
    await collector.flush();
    const costs = sentTo(log).map(({ events, parsed }) => ({
      count: parsed.count,
      cost: events.reduce((sum, bytes) => sum + batchCost(bytes.length, Buffer.byteLength(EVENT_SCHEMA.readHead(bytes).stream)), 0),
    }));
    expect(costs.slice(0, 2).map(({ count }) => count)).toEqual([1024, 1024]);
    expect(Math.max(...costs.map(({ cost }) => cost))).toBeLessThanOrEqual(LIMITS.batchBytes);
    // Each batch but the last is one that no further event would fit into.
    for (const { count, cost } of costs.slice(2, -1)) expect([count, cost + 100_000 > LIMITS.batchBytes]).toEqual([count, true]);
    await collector.close();
  });

  test.each([
    ['events', 1024, 0],
    ['bytes', 8, 100_000],
  ])('that is full by its %s is sent without waiting for the linger time', async (_, count, bytes) => {
    const log = new MemoryLog();
    const arrived = new Promise<void>((resolve) => {
      void openOn(
        watched(log, () => resolve()),
        folder,
        { shards: 1, lingerMs: 2 ** 30 },
      ).then((collector) => {
        opened = collector;
        const facets = [{ name: 'f', schemaUrl: '', json: 'x'.repeat(bytes) }];
        for (let i = 0; i < count; i++) collector.record(event(i, { facets }));
      });
    });
    let opened: Collector | undefined;
    await arrived;
    await opened?.close();
    expect(idsIn(log)).toEqual(idsOf(count));
  });

  test('waits for more events as long as the linger time, and no longer', async () => {
    const log = new MemoryLog();
    const waits: number[] = [];
    const clock: Clock = {
      ...systemClock,
      sleep: (ms, signal) => {
        waits.push(ms);
        return systemClock.sleep(ms === 777 ? 1 : ms, signal);
      },
    };
    const collector = await openOn(log, null, { shards: 1, lingerMs: 777, clock });
    collector.record(event(1));
    while (log.records.length === 0) await new Promise((resolve) => void setImmediate(resolve));
    expect(waits.filter((ms) => ms === 777)).toEqual([777]);
    await collector.close();
  });
});

describe('a heartbeat', () => {
  const home = shardOf(signer.name, 3);

  test('goes to the home lane, states every lane, and does not wait for a pause in the work', async () => {
    const log = new MemoryLog();
    let time = 0;
    // A quarter of the heartbeat interval goes by with every batch.
    const clock: Clock = { ...systemClock, monotonicMs: () => time };
    const collector: Collector = await openOn(
      watched(log, () => {
        time += 250;
        // The home lane always has something to send.
        if (next < 100) collector.record(event(next++, { stream: homeStream }));
      }),
      folder,
      { clock, heartbeatMs: 1000, lingerMs: 0 },
    );
    const homeStream = Array.from({ length: 50 }, (_, i) => `h/${i}`).find((stream) => shardOf(stream, 3) === home) as string;
    let next = 20;
    for (let i = 0; i < 20; i++) collector.record(event(i, { stream: i % 2 === 0 ? `s/${i}` : homeStream }));
    while (collector.stats.acknowledged < 100) await new Promise((resolve) => void setImmediate(resolve));
    const during = sentTo(log).filter(({ parsed }) => parsed.count === 0);
    expect(during.length).toBeGreaterThan(5);
    await collector.close();
    const beats = sentTo(log).filter(({ parsed }) => parsed.count === 0);
    expect(
      beats.every(
        ({ parsed }) => parsed.shard === home && !parsed.lanes.slice(0, -1).some(({ final }) => final !== parsed.lanes.at(-1)?.final),
      ),
    ).toBe(true);
    expect(beats.map(({ parsed }) => parsed.lanes.at(-1)?.final)).toEqual(beats.map((_, i) => i === beats.length - 1));
    for (const { parsed } of beats) {
      // What it states of its own lane counts the heartbeat itself.
      expect(parsed.lanes.find(({ shard }) => shard === home)).toMatchObject({ number: parsed.number + 1, seq: parsed.firstSeq });
    }
  });

  test('counts everything that was recorded before its time', async () => {
    const log = new MemoryLog();
    const states: { readonly createdAt: number; readonly seq: number }[] = [];
    let micros = 1_000_000;
    const recordedAt: number[] = [];
    const clock: Clock = { ...systemClock, nowMicros: () => micros++ };
    let monotonic = 0;
    const slowSigner = {
      ...signer,
      // While a batch of another lane is being signed, the home lane states how far things are.
      sign: async (message: Uint8Array) => {
        monotonic += 1000;
        for (let i = 0; i < 20; i++) await new Promise((resolve) => void setImmediate(resolve));
        return signer.sign(message);
      },
    };
    const other = Array.from({ length: 50 }, (_, i) => `o/${i}`).find((stream) => shardOf(stream, 3) !== home) as string;
    const collector = await openOn(log, null, {
      clock: { ...clock, monotonicMs: () => monotonic, sleep: (ms, signal) => systemClock.sleep(Math.min(ms, 1), signal) },
      signer: slowSigner,
      heartbeatMs: 1000,
      lingerMs: 0,
    });
    // On a busy machine the home lane gets its turn less often.
    const heartbeats = (): number => sentTo(log).filter(({ parsed }) => parsed.count === 0).length;
    for (let i = 0; i < 40 || (heartbeats() < 4 && i < 4000); i++) {
      recordedAt.push(micros);
      collector.record(event(i, { stream: other }));
      for (let turn = 0; turn < 7; turn++) await new Promise((resolve) => void setImmediate(resolve));
    }
    await collector.flush();
    await collector.close();
    for (const { parsed } of sentTo(log)) {
      const stated = parsed.lanes.find(({ shard }) => shard === shardOf(other, 3));
      if (parsed.count === 0) states.push({ createdAt: parsed.createdAt, seq: stated?.seq ?? 0 });
    }
    expect(states.length).toBeGreaterThan(3);
    for (const { createdAt, seq } of states) expect(recordedAt.filter((at) => at < createdAt).length).toBeLessThanOrEqual(seq);
  });

  test('becomes several if one cannot state all lanes, and all of them are sent', async () => {
    const shards = 150;
    const options: Partial<CollectorOptions> = { shards, lingerMs: 0 };
    const log = new MemoryLog();
    const streams = new Map<number, string>();
    for (let i = 0; streams.size < 120; i++) streams.set(shardOf(`w/${i}`, shards), `w/${i}`);
    const record = (collector: Collector, from: number): void => {
      let number = from;
      for (const stream of streams.values()) collector.record(event(number++, { stream }));
    };
    const first = await openOn(log, folder, options);
    record(first, 0);
    await first.flush();
    await first.close(0);
    const second = await openOn(log, folder, options);
    record(second, 10_000);
    await second.flush();
    expect(await second.close()).toBe(true);
    const beats = sentTo(log).filter(({ parsed }) => parsed.count === 0);
    expect(beats.length).toBeLessThan(10);
    const final = new Set<string>();
    for (const { parsed } of beats)
      for (const { epoch, shard, final: ends } of parsed.lanes) if (ends) final.add(`${toHex(epoch)}/${shard}`);
    const lanes = new Set(sentTo(log).map(({ parsed }) => `${toHex(parsed.epoch)}/${parsed.shard}`));
    expect([...lanes].filter((lane) => !final.has(lane))).toEqual([]);
  }, 30_000);
});

describe('a start after a start', () => {
  test('sends what the earlier start left first and in order, has a new epoch, and states the earlier lanes as final until a heartbeat was acknowledged', async () => {
    const log = new MemoryLog();
    const open = (fault: () => Fault): Promise<Collector> => openOn(faultyLog(log, fault), folder, { shards: 1, lingerMs: 0 });
    const first = await open(() => (log.records.length === 0 ? 'none' : 'refuse'));
    for (let i = 0; i < 1500; i++) first.record(event(i));
    await first.recordDurably(event(1500));
    expect(await first.close(10)).toBe(false);
    // The second start can send, but no heartbeat of it arrives.
    const second = await openOn(
      {
        ...faultyLog(log, () => 'none'),
        append: (topic, partition, records) => {
          const { header } = decodeSignedBatch(unframe(records[0]?.value as Uint8Array).payload);
          if (decodeBatchHeader(header).count === 0) return Promise.reject(new Error('no heartbeats'));
          return log.append(topic, partition, records);
        },
      },
      folder,
      { shards: 1, lingerMs: 0 },
    );
    await second.close(100);
    const third = await open(() => 'none');
    await third.flush();
    expect(await third.close()).toBe(true);
    const sent = sentTo(log);
    const epochs = [...new Set(sent.map(({ parsed }) => toHex(parsed.epoch)))];
    expect(epochs).toEqual(epochs.toSorted());
    expect(sent.map(({ parsed }) => epochs.indexOf(toHex(parsed.epoch)))).toEqual(
      sent.map(({ parsed }) => epochs.indexOf(toHex(parsed.epoch))).toSorted((a, b) => a - b),
    );
    expect(idsIn(log)).toEqual(idsOf(1501));
    const finals = new Map<string, number>();
    for (const { parsed } of sent) for (const { epoch, number, final } of parsed.lanes) if (final) finals.set(toHex(epoch), number);
    for (const epoch of epochs)
      expect([epoch, finals.get(epoch)]).toEqual([epoch, sent.filter(({ parsed }) => toHex(parsed.epoch) === epoch).length]);
  });
});

test('one error names everything that is wrong with the options', async () => {
  const wrong = {
    origin: '',
    shards: 0,
    spool: { folder: '', maxBytes: Number.NaN, whenFull: 'explode' as never },
    lingerMs: -1,
    heartbeatMs: 0,
  };
  const error = await openOn(new MemoryLog(), null, wrong).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
  for (const name of ['origin', 'shards', 'spool.folder', 'spool.maxBytes', 'spool.whenFull', 'lingerMs', 'heartbeatMs'])
    expect((error as Error).message).toContain(name);
});

test('a second call of close does nothing', async () => {
  const log = new MemoryLog();
  const collector = await openOn(log, null);
  collector.record(event(1));
  expect(await Promise.all([collector.close(), collector.close()])).toEqual([true, true]);
});
