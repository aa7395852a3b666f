import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { fromHex, toHex } from '../../../core/base/bytes.ts';
import { parseTraceparent } from '../../../core/base/traceparent.ts';
import type { EventTrace } from '../../../core/formats/event.ts';
import { EVENT_SCHEMA } from '../../../core/formats/event-schema.ts';
import { event, openOn } from '../../support/collector.ts';
import { faultyLog, MemoryLog } from '../../support/memory-log.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lineproof-batch-trace-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const spanId = fromHex('b7ad6b7169203331');
const traceOf = (digit: string, sampled?: boolean): EventTrace => ({
  traceId: fromHex(digit.repeat(32)),
  spanId,
  ...(sampled === undefined ? {} : { sampled }),
});

/** Of each batch that has events: how many, and the trace that it names. */
function batches(log: MemoryLog): { readonly traceId: string | undefined; readonly sampled: boolean | undefined }[] {
  return log.records.map(({ headers }) => {
    const found = parseTraceparent(headers['traceparent']);
    expect(toHex(headers['content-type'] as Uint8Array)).toBe(toHex(Buffer.from('application/avro')));
    return { traceId: found?.traceId, sampled: found?.sampled };
  });
}

/** What the message of a batch of events with these traces names. */
async function sent(...traces: readonly (EventTrace | null)[]): Promise<ReturnType<typeof batches>[number] | undefined> {
  const log = new MemoryLog();
  const collector = await openOn(log, null, { lingerMs: 60_000 });
  for (const [i, trace] of traces.entries()) collector.record(event(i, { stream: 's', trace }));
  await collector.flush();
  const [first, ...more] = batches(log);
  expect(more).toEqual([]);
  await collector.close();
  return first;
}

describe('the message of a batch', () => {
  test('names the trace of its first event that has one', async () => {
    expect(await sent(null, traceOf('a'), traceOf('b'))).toEqual({ traceId: 'a'.repeat(32), sampled: false });
  });

  test('names a trace that is recorded before one that is not', async () => {
    expect(await sent(traceOf('a', false), traceOf('b', true), traceOf('c', true))).toEqual({ traceId: 'b'.repeat(32), sampled: true });
  });

  test('names no trace if no event has one, or only one that no span can have', async () => {
    expect(await sent(null, null)).toEqual({ traceId: undefined, sampled: undefined });
    expect(await sent({ traceId: new Uint8Array(16), spanId })).toEqual({ traceId: undefined, sampled: undefined });
  });

  test('of a heartbeat names none', async () => {
    const log = new MemoryLog();
    const collector = await openOn(log, null);
    collector.record(event(0, { trace: traceOf('a') }));
    await collector.close();
    expect(batches(log).map(({ traceId }) => traceId)).toEqual(['a'.repeat(32), undefined]);
  });

  test.each(['refuse', 'lose-answer'] as const)('names it in each try when the log is told to %s', async (fault) => {
    const log = new MemoryLog();
    let tries = 0;
    const collector = await openOn(
      faultyLog(log, () => (tries++ < 2 ? fault : 'none')),
      null,
    );
    collector.record(event(0, { trace: traceOf('a') }));
    await collector.flush();
    expect(new Set(batches(log).map(({ traceId }) => traceId))).toEqual(new Set(['a'.repeat(32)]));
    await collector.close();
  });

  test('names the trace of its events if an earlier start left it, as a batch or as events', async () => {
    const stream = 's';
    const hanging = await openOn(
      faultyLog(new MemoryLog(), () => 'hang'),
      folder,
      { lingerMs: 0 },
    );
    await hanging.recordDurably(event(0, { stream, trace: traceOf('a', true) }));
    await hanging.close(50);
    const spooling = await openOn(null, folder);
    await spooling.recordDurably(event(1, { stream, trace: traceOf('b', true) }));
    await spooling.close();
    const log = new MemoryLog();
    const collector = await openOn(log, folder, { lingerMs: 0 });
    await collector.close();
    const named = batches(log).flatMap(({ traceId }) => (traceId === undefined ? [] : [traceId]));
    expect(named).toEqual(['a'.repeat(32), 'b'.repeat(32)]);
  });
});

test('the event does not hold whether its span is recorded', () => {
  expect(toHex(EVENT_SCHEMA.encode(event(0, { trace: traceOf('a', true) })))).toBe(
    toHex(EVENT_SCHEMA.encode(event(0, { trace: traceOf('a') }))),
  );
});
