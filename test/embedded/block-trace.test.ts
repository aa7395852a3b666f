import { afterEach, expect, jest, test } from '@jest/globals';
import { unframe } from '../../core/avro/framing.ts';
import { toHex, utf8 } from '../../core/base/bytes.ts';
import { decodeBlock } from '../../core/formats/block.ts';
import { decodeLeaf, type Seal } from '../../core/formats/leaf.ts';
import { TOPICS } from '../../core/ports/log.ts';
import { EmbeddedShard } from '../support/embedded-shard.ts';
import { recordsOf } from '../support/log-records.ts';
import { makeWorld } from '../support/producer.ts';
import { codes } from '../support/scene.ts';

// Real folders: a busy disk takes its time.
jest.setTimeout(60_000);

let shard: EmbeddedShard | undefined;
afterEach(async () => {
  await shard?.close();
  shard = undefined;
});

const GOOD = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

test('a block carries the trace of its batch as it came, and nothing else from the headers of its input', async () => {
  const world = await makeWorld();
  shard = await EmbeddedShard.open(world);
  const lane = world.lane('traced');
  const batch = async (word: string): Promise<Uint8Array> => (await lane.next(world.events('s', word))).value;
  await shard.send(await batch('good'), { traceparent: utf8(GOOD), other: utf8('x') });
  const bad = ['', GOOD.toUpperCase(), `${GOOD} `, `01${GOOD.slice(2)}`, `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`, 'x'.repeat(100_000)];
  for (const text of bad) await shard.send(await batch(`bad ${text.slice(0, 60)}`), { traceparent: utf8(text) });
  await shard.send(utf8('no batch, refused'), { traceparent: utf8(GOOD) });
  await shard.send(await batch('none'));
  const records = await shard.stores.log.read(TOPICS.chain, 0, 0, { maxBytes: 1e7, waitMs: 0 });
  const carried = recordsOf(records).map(({ value, headers }) => {
    const { inputFrom, inputTo } = decodeLeaf(decodeBlock(unframe(value).payload).seal) as Seal;
    return [inputFrom, inputTo, Object.entries(headers).map(([name, bytes]) => [name, toHex(bytes)])];
  });
  const none = Array.from({ length: bad.length + 2 }, (_, i) => [i + 1, i + 2, []]);
  expect(carried).toEqual([[0, 1, [['traceparent', toHex(utf8(GOOD))]]], ...none]);
  await shard.closeSegment();
  expect(codes(await shard.verify())).toEqual([]);
});
