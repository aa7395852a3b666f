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
  attributes: { rows: 3, ok: true },
});
// @ts-expect-error -- a typed builder says the type itself
export const twice = created({ stream: 's', actor: 'a', type: 'DELETE' });
// @ts-expect-error -- who did it is never left open
export const nobody = accessed({ stream: 's' });
// @ts-expect-error -- there is no such type
export const unknown: EventInput = { stream: 's', actor: 'a', type: 'GUESS' };
// @ts-expect-error -- attributes are flat
export const nested = created({ stream: 's', actor: 'a', attributes: { a: { b: 1 } } });

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
