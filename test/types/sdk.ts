// Compiled by the check and never run: what a service may and may not write.
import type { Collector, CreateCollectorOptions, EventInput, Log, Signer } from '../../sdk/lineproof.ts';
import { accessed, createCollector, created, hasCode, transformed } from '../../sdk/lineproof.ts';

declare const signer: Signer;
declare const log: Log;

const spooling: CreateCollectorOptions = { origin: 'o', shards: 1, signer, log: null, spool: { folder: 'spool' } };
export const opened: Promise<Collector> = createCollector(spooling);
// @ts-expect-error -- a collector without a key signs nothing
export const unsigned = createCollector({ origin: 'o', shards: 1, log, spool: { folder: null } });
// @ts-expect-error -- a full spool does one of three things
export const full: CreateCollectorOptions = { ...spooling, spool: { folder: null, whenFull: 'explode' } };

export const plain: EventInput = created({
  stream: 's',
  actor: 'importer',
  outputs: ['orders.csv', { name: 'b', size: 1, digest: '00'.repeat(32) }],
});
export const caused: EventInput = transformed({
  stream: 's',
  actor: { id: 'x', kind: 'JOB' },
  parents: [{ stream: 's', id: 'x' }],
  attributes: { rows: '3' },
});
// @ts-expect-error -- a typed builder says the type itself
export const twice = created({ stream: 's', actor: 'a', type: 'DELETE' });
// @ts-expect-error -- who did it is never left open
export const nobody = accessed({ stream: 's' });
// @ts-expect-error -- there is no such type
export const unknown: EventInput = { stream: 's', actor: 'a', type: 'GUESS' };
// @ts-expect-error -- attributes are flat
export const nested = created({ stream: 's', actor: 'a', attributes: { a: { b: '1' } } });
// @ts-expect-error -- attributes are texts
export const counted = created({ stream: 's', actor: 'a', attributes: { rows: 3 } });
// @ts-expect-error -- a misspelled field is not a field
export const misspelled = created({ stream: 's', actor: 'a', ocurredAt: new Date() });
// @ts-expect-error -- a misspelled field of data is not a field
export const misnamed = created({ stream: 's', actor: 'a', outputs: [{ nmae: 'x' }] });
// @ts-expect-error -- null is not a name
export const unnamed = created({ stream: 's', actor: 'a', outputs: [{ name: null }] });
// @ts-expect-error -- a time has a type of its own
export const numbered = created({ stream: 's', actor: 'a', occurredAt: 1767225600000 });

export const repeatable: EventInput = created({ stream: 's', actor: 'a', idempotencyKey: 'k', occurredAt: '2026-01-31T10:00:00Z' });
export const identified: EventInput = created({ stream: 's', actor: 'a', id: 'x', occurredAt: new Date(0) });
// @ts-expect-error -- an event with a key says its time, or a repeated call is a conflict
export const timeless = created({ stream: 's', actor: 'a', idempotencyKey: 'k' });
// @ts-expect-error -- so does an event with an id
export const timelessId = created({ stream: 's', actor: 'a', id: 'x' });
// @ts-expect-error -- a key is a text
export const numeric = created({ stream: 's', actor: 'a', idempotencyKey: 7, occurredAt: new Date(0) });
// @ts-expect-error -- an event has an id or a key, not both
export const both = created({ stream: 's', actor: 'a', id: 'x', idempotencyKey: 'k', occurredAt: new Date(0) });

export async function record(collector: Collector): Promise<string> {
  const id: string = collector.record(plain);
  try {
    await collector.recordDurably(caused);
  } catch (error) {
    if (hasCode(error, 'SPOOL_FULL')) return id;
    // @ts-expect-error -- the list of codes is closed
    if (hasCode(error, 'NO_SUCH_CODE')) return id;
  }
  const all: boolean = await collector.close(1000);
  return String(all);
}
