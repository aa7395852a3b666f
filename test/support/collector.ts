import { systemClock } from '../../adapters/system-clock.ts';
import { type Collector, openCollector } from '../../collector/collector.ts';
import type { CollectorOptions } from '../../collector/collector-options.ts';
import { toHex } from '../../core/base/bytes.ts';
import type { Event } from '../../core/formats/event.ts';
import { EVENT_SCHEMA } from '../../core/formats/event-schema.ts';
import { idFromKey } from '../../core/formats/identity.ts';
import { keySigner } from '../../core/keys/key.ts';
import type { Log } from '../../core/ports/log.ts';
import { memoryRegistry, noMetrics, quietLogger } from './memory-log.ts';

export const signer = keySigner('test/collector', new Uint8Array(32).fill(7));

/** A collector of the tests' producer on `log`, with its spool in that folder or in memory. */
export function openOn(log: Log | null, spool: string | null, more: Partial<CollectorOptions> = {}): Promise<Collector> {
  return openCollector({
    origin: 'test',
    shards: 3,
    signer,
    eventSchema: EVENT_SCHEMA,
    registry: memoryRegistry,
    log,
    clock: systemClock,
    logger: quietLogger,
    metrics: noMetrics,
    spool: { folder: spool },
    ...more,
  });
}

/** An event for each number, with a different id, on one of seven streams. */
export function event(number: number, more: Partial<Event> = {}): Event {
  const stream = `s/${number % 7}`;
  return {
    id: idFromKey(stream, String(number)),
    stream,
    type: 'CREATE',
    importance: 'ESSENTIAL',
    occurredAt: number,
    actor: { id: 'a', kind: 'SERVICE', onBehalfOf: null },
    activity: null,
    inputs: [],
    outputs: [],
    parents: [],
    trace: null,
    attributes: [],
    facets: [],
    ...more,
  };
}

/** Ids of {@link event} `from` and those after it. */
export const idsOf = (count: number, from = 0): Set<string> => new Set(Array.from({ length: count }, (_, i) => toHex(event(from + i).id)));
