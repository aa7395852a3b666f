import { afterEach, describe, expect, test } from '@jest/globals';
import { context, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { toHex } from '../../../core/base/bytes.ts';
import type { Event } from '../../../core/formats/event.ts';
import { EVENT_SCHEMA } from '../../../core/formats/event-schema.ts';
import type { Log } from '../../../core/ports/log.ts';
import { buildEvent } from '../../../sdk/event-builder.ts';
import {
  accessed,
  aggregated,
  attested,
  type Collector,
  type CreateCollectorOptions,
  createCollector,
  created,
  deleted,
  deployed,
  received,
  transformed,
  transmitted,
} from '../../../sdk/lineproof.ts';
import { signer } from '../../support/collector.ts';
import { LocalContexts } from '../../support/local-contexts.ts';
import { faultyLog, MemoryLog, memoryRegistry } from '../../support/memory-log.ts';
import { sentTo } from '../../support/sent-batches.ts';

function open(log: Log | null, more: Partial<CreateCollectorOptions> = {}): Promise<Collector> {
  return createCollector({ origin: 'test', shards: 2, signer, log, registry: memoryRegistry, spool: { folder: null }, ...more });
}

const sample = created({ stream: 's', actor: 'importer' });

/** Every event that the log took, decoded. */
function eventsIn(log: MemoryLog): Event[] {
  return sentTo(log).flatMap(({ events }) => events.map((bytes) => EVENT_SCHEMA.decode(bytes)));
}

describe('the collector of the SDK', () => {
  test('records what a service says, in the words of the event schema', async () => {
    const log = new MemoryLog();
    const collector = await open(log);
    const id = collector.record(
      transformed({
        stream: 'orders',
        actor: { id: 'cleaner', kind: 'JOB', onBehalfOf: 'team-7' },
        activity: 'clean',
        inputs: ['raw.csv'],
        outputs: [{ namespace: 'lake', name: 'clean.csv', digest: 'ab'.repeat(32), size: 12, mediaType: 'text/csv' }],
        parents: [{ stream: 'orders', id: '01890a5d-ac96-774b-bcce-b302099a8057' }],
        attributes: { rows: '12', 'a€': 'true', a: 'x' },
        facets: [{ name: 'f', schemaUrl: 'https://example.org', json: { deep: [1] } }],
      }),
    );
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    await collector.close();
    const [event] = eventsIn(log);
    expect(event).toMatchObject({
      stream: 'orders',
      type: 'TRANSFORM',
      importance: 'ESSENTIAL',
      actor: { id: 'cleaner', kind: 'JOB', onBehalfOf: 'team-7' },
      activity: { name: 'clean', runId: null },
      inputs: [{ namespace: '', name: 'raw.csv', digest: null }],
      outputs: [{ namespace: 'lake', digest: { algorithm: 'sha256' }, size: 12, mediaType: 'text/csv' }],
      attributes: [
        { key: 'a', value: 'x' },
        { key: 'a€', value: 'true' },
        { key: 'rows', value: '12' },
      ],
      facets: [{ json: '{"deep":[1]}' }],
    });
  });

  test('has a builder for each of the common kinds', () => {
    const kinds = [created, transformed, aggregated, transmitted, received, accessed, deleted, deployed, attested];
    const types = kinds.map((kind) => buildEvent(kind({ stream: 's', actor: 'a' })).type);
    expect(types).toEqual(['CREATE', 'TRANSFORM', 'AGGREGATE', 'TRANSMIT', 'RECEIVE', 'ACCESS', 'DELETE', 'DEPLOY', 'ATTEST']);
  });

  test('gives the same id for the same idempotency key in the same stream, and another one in another stream', () => {
    const idOf = (stream: string): string =>
      toHex(buildEvent(created({ stream, actor: 'a', idempotencyKey: 'order-7', occurredAt: new Date(0) })).id);
    expect(idOf('s')).toBe(idOf('s'));
    expect(idOf('s')).not.toBe(idOf('t'));
  });

  test.each<[string, Log]>([
    ['refuses', faultyLog(new MemoryLog(), () => 'refuse')],
    ['hangs', faultyLog(new MemoryLog(), () => 'hang')],
    [
      'throws at once',
      {
        ...faultyLog(new MemoryLog(), () => 'none'),
        append: () => {
          throw new Error('closed');
        },
      },
    ],
  ])('never throws because the log %s', async (_, log) => {
    const collector = await open(log);
    for (let i = 0; i < 2000; i++) collector.record(sample);
    await collector.recordDurably(sample);
    expect(await collector.close(20)).toBe(false);
    expect(() => collector.record(sample)).toThrow(expect.objectContaining({ code: 'CLOSED' }));
  });

  test('says that an event is too large', async () => {
    const collector = await open(null);
    const json = 'x'.repeat(300_000);
    expect(() => collector.record({ ...sample, facets: [{ name: 'f', schemaUrl: 'urn:f', json }] })).toThrow(
      expect.objectContaining({ code: 'LIMIT_EXCEEDED', message: expect.stringContaining('262144') }),
    );
    await collector.close();
  });

  test('names all options that are missing, and takes undefined for an option with a default', async () => {
    const lacking = createCollector({ shards: 1 } as never);
    await expect(lacking).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/origin, signer, log, spool, registry/),
    });
    await expect(createCollector(undefined as never)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    const collector = await open(null, { clock: undefined as never, logger: undefined as never, registry: undefined as never });
    await collector.recordDurably(sample);
    await collector.close();
  });
});

describe('the trace context of an event', () => {
  afterEach(() => context.disable());
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const spanId = 'b7ad6b7169203331';
  const within = (span: { traceId: string; spanId: string; traceFlags?: number }): Event =>
    context.with(trace.setSpanContext(ROOT_CONTEXT, { traceFlags: 1, ...span }), () => buildEvent(sample));

  test('is that of the active span if the service uses OpenTelemetry', () => {
    context.setGlobalContextManager(new LocalContexts());
    const { trace: found } = within({ traceId, spanId });
    expect([toHex(found?.traceId ?? new Uint8Array(0)), toHex(found?.spanId ?? new Uint8Array(0))]).toEqual([traceId, spanId]);
    expect(found?.sampled).toBe(true);
    expect(within({ traceId, spanId, traceFlags: 2 }).trace?.sampled).toBe(false);
    expect(within({ traceId, spanId, traceFlags: 'x' as never }).trace?.sampled).toBe(false);
    expect(buildEvent(sample).trace).toBeNull();
  });

  test('is null if there is no span, or the span has ids that no span can have', () => {
    context.setGlobalContextManager(new LocalContexts());
    expect(within({ traceId: '0'.repeat(32), spanId }).trace).toBeNull();
    expect(within({ traceId: 'hello', spanId }).trace).toBeNull();
    expect(within({ traceId: 7 as never, spanId }).trace).toBeNull();
  });

  test('is null if the service has no OpenTelemetry, or one that throws', () => {
    expect(buildEvent(sample).trace).toBeNull();
    const api = Symbol.for('opentelemetry.js.api.1');
    const before = (globalThis as Record<symbol, unknown>)[api];
    try {
      delete (globalThis as Record<symbol, unknown>)[api];
      expect(buildEvent(sample).trace).toBeNull();
      (globalThis as Record<symbol, unknown>)[api] = {
        context: {
          active: () => {
            throw new Error('broken');
          },
        },
      };
      expect(buildEvent(sample).trace).toBeNull();
    } finally {
      (globalThis as Record<symbol, unknown>)[api] = before;
    }
  });

  test('is that of the caller if the caller gives one', () => {
    context.setGlobalContextManager(new LocalContexts());
    const said = context.with(trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: 1 }), () =>
      buildEvent({ ...sample, trace: null }),
    );
    expect(said.trace).toBeNull();
  });

  test('is null for an event with a key unless the caller gives one, because a repeated call has another span', () => {
    context.setGlobalContextManager(new LocalContexts());
    const keyed = created({ stream: 's', actor: 'a', idempotencyKey: 'k', occurredAt: new Date(0) });
    const found = (input: typeof keyed): Event['trace'] =>
      context.with(trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: 1 }), () => buildEvent(input).trace);
    expect(found(keyed)).toBeNull();
    expect(toHex(found({ ...keyed, trace: { traceId, spanId } })?.spanId ?? new Uint8Array(0))).toBe(spanId);
  });
});
