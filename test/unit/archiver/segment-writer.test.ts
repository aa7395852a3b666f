import { expect, test } from '@jest/globals';
import { SegmentWriter } from '../../../archiver/segment-writer.ts';
import { makeWorld } from '../../support/producer.ts';

test('an event whose batch is not in its block is not archived; the error names its leaf', async () => {
  const world = await makeWorld();
  const state = world.state();
  const lane = world.lane('one');
  const first = await world.block(state, { messages: [await lane.next(world.events('a', '1', '2'))] });
  state.apply(first.accepted.delta);
  const messages = [await lane.next(world.events('a', '3')), await lane.next(world.events('a', '4'))];
  const { accepted } = await world.block(state, { messages });
  const headers = new Map([...accepted.headers].slice(0, 1));
  const writer = new SegmentWriter(`${world.origin}/0`, 0, 0);
  writer.add(first.accepted);
  // Two links and a seal, then the link whose batch is there.
  expect(() => writer.add({ ...accepted, headers })).toThrow(
    expect.objectContaining({ code: 'INTERNAL', message: 'cannot archive leaf 4: its batch is not in the block' }),
  );
});
