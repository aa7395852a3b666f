import { describe, expect, test } from '@jest/globals';
import { schemaKey } from '../../core/archive/archive-keys.ts';
import { utf8 } from '../../core/base/bytes.ts';
import type { Event } from '../../core/formats/event.ts';
import { EVENT_SCHEMA } from '../../core/formats/event-schema.ts';
import { shardOf } from '../../core/formats/shard.ts';
import { EVENT_SCHEMA_V2 } from '../support/event-v2.ts';
import { acceptAnyway } from '../support/forged-batch.ts';
import { rechain } from '../support/forged-block.ts';
import { makeWorld, type World } from '../support/producer.ts';
import { required, richWorld } from '../support/rich-archive.ts';
import { codes, makeScene } from '../support/scene.ts';
import { changeLink, expectFound, firstOf, SEVENS, speech, type Violation } from '../support/violation.ts';

describe('streams', () => {
  const rows: readonly Violation[] = [
    { name: 'a link skips a position', failed: ['STREAMS STREAM_INDEX'], spoil: (forgery) => changeLink(forgery, 1, { index: 99 }) },
    {
      name: 'a link follows another one: a second history beside the tree',
      failed: ['STREAMS STREAM_PREVIOUS'],
      spoil: (forgery) => changeLink(forgery, 1, { previous: SEVENS }),
    },
    {
      name: 'an event is linked under another stream than its own',
      failed: ['STREAMS EVENT_STREAM'],
      spoil: (forgery, { archive }) => {
        changeLink(forgery, 1, { stream: 'z' });
        forgery.links = rechain(archive.state, forgery.links);
      },
    },
    {
      name: 'an event breaks a rule that its schema cannot say',
      failed: ['STREAMS EVENT_UNACCEPTABLE'],
      messages: async ({ world, lane }) => [await lane.next([unsorted(world.schema.encode(world.event('a', 'x', TWO_ATTRIBUTES)))])],
      spoil: (forgery, { archive }, given) => acceptAnyway(archive.state, forgery, firstOf(given)),
    },
    {
      name: 'an event hides a second record after its end',
      failed: ['ARCHIVE CONTAINER'],
      messages: async ({ world, lane }) => [await lane.next(world.events('a', 'x').map((bytes) => Uint8Array.from([...bytes, ...bytes])))],
      spoil: (forgery, { archive }, given) => acceptAnyway(archive.state, forgery, firstOf(given)),
    },
  ];
  test.each(rows)('$name: $failed', expectFound);

  test('a stream of another shard: STREAMS', async () => {
    const scene = await makeScene(await richWorld(2));
    const foreign = required(['s1', 's2', 's3', 's4', 's5'].find((name) => shardOf(name, 2) === 1));
    const given = await scene.lane.next(scene.world.events(foreign, 'x'));
    await scene.block([given], (forgery) => acceptAnyway(scene.archive.state, forgery, given, { stream: foreign }));
    expect(codes(await scene.end())).toEqual(expect.arrayContaining(['STREAMS EVENT_UNACCEPTABLE', 'STREAMS STREAM_SHARD']));
  });
});

const TWO_ATTRIBUTES: Partial<Event> = {
  attributes: [
    { key: 'akey', value: 'v' },
    { key: 'bkey', value: 'v' },
  ],
};

/** Swaps the two keys of {@link TWO_ATTRIBUTES} in place. */
function unsorted(bytes: Uint8Array): Uint8Array {
  const swapped = bytes.slice();
  const [a, b] = [Buffer.from(bytes).indexOf('akey'), Buffer.from(bytes).indexOf('bkey')];
  swapped.set(utf8('b'), a);
  swapped.set(utf8('a'), b);
  return swapped;
}

function worldOfTwoSchemas(): Promise<World> {
  return makeWorld({ schemas: [EVENT_SCHEMA, EVENT_SCHEMA_V2], policy: (policy) => ({ ...policy, segmentMaxAgeMs: 10_000 }) });
}

test('the schema of a batch is missing, and no event was archived under it: ARCHIVE, naming it', async () => {
  const scene = await makeScene(await worldOfTwoSchemas());
  const { world } = scene;
  const fork = await world.lane('scene').next([], { schema: EVENT_SCHEMA_V2.digest });
  await scene.block([await scene.lane.next([], { schema: EVENT_SCHEMA_V2.digest }), fork]);
  await scene.end();
  const object = schemaKey(EVENT_SCHEMA_V2.hex);
  expect(scene.archive.objects.map.delete(object)).toBe(true);
  const verdict = await scene.verify();
  expect([codes(verdict), verdict.findings.find(({ code }) => code === 'MISSING')?.place.object]).toEqual([['ARCHIVE MISSING'], object]);
});

test('events of two schemas take turns in a stream and a segment: OK', async () => {
  const scene = await makeScene(await worldOfTwoSchemas());
  const { world, lane } = scene;
  const later = [EVENT_SCHEMA_V2.encode(world.event('a', 'later'))];
  await scene.block([await scene.say('x'), await lane.next(later, { schema: EVENT_SCHEMA_V2.digest }), await scene.say('y')]);
  expect(codes(await scene.end())).toEqual([]);
});

test('a link or an archived row is given another schema than its batch', async () => {
  const world = await worldOfTwoSchemas();
  const [scene, other] = [await makeScene(world), await makeScene(world)];
  await scene.block(await speech(scene), (forgery) => changeLink(forgery, 1, { schema: EVENT_SCHEMA_V2.digest }));
  expect(codes(await scene.end())).toContain('STREAMS LINK_SCHEMA');
  const later = EVENT_SCHEMA_V2.encode(world.event('a', 'later'));
  await other.block([await other.say('x'), await other.lane.next([later], { schema: EVENT_SCHEMA_V2.digest })]);
  const moved = await other.end({
    rows: ([first, ...rest]) => [{ ...required(first), schema: EVENT_SCHEMA_V2.hex, event: null }, ...rest],
  });
  expect(codes(moved)).toEqual(['ARCHIVE COLUMN_WRONG', 'STREAMS EVENT_REMOVED']);
});
