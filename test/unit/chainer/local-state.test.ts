import { expect, test } from '@jest/globals';
import { LocalState } from '../../../chainer/local-state.ts';
import { genesis, type LogDelta } from '../../../core/acceptance/log-state.ts';
import { openSegment } from '../../../core/acceptance/segment-rule.ts';
import { MemoryStateStore } from '../../support/memory-state-store.ts';

const HASH = new Uint8Array(32);

/** What a block changes that leaves `size` leaves, and names its stream and lane. */
function delta(size: number, name: string): LogDelta {
  return {
    head: { ...genesis('example.org/log', 0, 1), size },
    streams: new Map([[name, { index: size, logIndex: size, hash: HASH, producer: 'example.org/é' }]]),
    lanes: new Map([[name, { number: size, hash: HASH, appendedAt: size }]]),
    lanesFrom: 0,
  };
}

test('a load discards changes that were remembered but not written: they belong to a later size', async () => {
  const local = new LocalState(new MemoryStateStore(), 0);
  local.remember(delta(2, 'written'), []);
  await local.write(delta(2, '').head, 0, openSegment(0));
  local.remember(delta(5, 'written'), []);
  local.remember(delta(7, 'remembered'), ['written']);
  await local.load();
  local.remember(delta(3, 'after'), []);
  await local.write(delta(3, '').head, 1, openSegment(0));
  const point = await local.load();
  const sizes = [...(point?.streams ?? [])].map(([name, { logIndex }]) => [name, logIndex]);
  const lanes = [...(point?.lanes ?? [])].map(([name, { number }]) => [name, number]);
  expect([point?.head.size, sizes, lanes]).toEqual([
    3,
    [
      ['after', 3],
      ['written', 2],
    ],
    [
      ['after', 3],
      ['written', 2],
    ],
  ]);
});
