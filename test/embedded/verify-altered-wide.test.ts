import { beforeAll, describe, expect, test } from '@jest/globals';
import type { Verdict } from '../../auditor/verdict.ts';
import { verifyArchive } from '../../auditor/verify.ts';
import { logKeysOf, parseArchiveKey } from '../../core/archive/archive-keys.ts';
import { utf8, utf8Text } from '../../core/base/bytes.ts';
import type { Event } from '../../core/formats/event.ts';
import { EVENT_SCHEMA } from '../../core/formats/event-schema.ts';
import { shardOf } from '../../core/formats/shard.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import { parseTilePath } from '../../core/tree/tile.ts';
import { expectNamed, flip, flips, reordered } from '../support/alterations.ts';
import { EVENT_SCHEMA_V2 } from '../support/event-v2.ts';
import { type ArchiveObjects, ForgedArchive } from '../support/forged-archive.ts';
import { makeWorld, START_MICROS, type TestLane, type World } from '../support/producer.ts';
import { retireSegment } from '../support/retired-segment.ts';
import { required, SECOND } from '../support/rich-archive.ts';

const TIMEOUT_MS = 300_000;
const DAY = 86_400 * SECOND;
const SHARDS = 3;

let world: World;
let honest: ArchiveObjects;
/** What neither a note nor a manifest requires. */
let optional: string[];
let needed: string[];

beforeAll(async () => {
  world = await makeWorld({
    shards: SHARDS,
    schemas: [EVENT_SCHEMA, EVENT_SCHEMA_V2],
    policy: (policy) => ({ ...policy, segmentMaxAgeMs: 10_000, retention: { eventsKeepMs: 86_400_000, refusedKeepMs: null } }),
  });
  const first = new ForgedArchive(world, 0);
  const archives = [first, new ForgedArchive(world, 1, first.objects)];
  for (const archive of archives) await fill(archive);
  honest = first.objects;
  await retire(required(archives[0]));
  const sizes = archives.map(({ size }) => size);
  optional = [...honest.map.keys()].filter((key) => isOptional(key, sizes));
  needed = [...honest.map.keys()].filter((key) => !optional.includes(key));
}, TIMEOUT_MS);

/** Three segments under three policies, the second one a day before the third; events of two schemas in each; two published sizes in between. */
async function fill(archive: ForgedArchive): Promise<void> {
  const [one, two] = [world.lane('one', world.producer, archive.shard), world.lane('two', world.producer, archive.shard)];
  const streams = ['s1', 's2', 's3', 's4', 's5', 's6', 's7'].filter((name) => shardOf(name, SHARDS) === archive.shard);
  let time = START_MICROS;
  for (let segment = 0; segment < 3; segment++) {
    for (let block = 0; block < 3; block++) {
      time += 5 * SECOND;
      const stream = required(streams[block % streams.length]);
      const words = [0, 1, 2].map((i) => `${segment} ${block} ${i}`);
      const messages = [await one.next(world.events(stream, ...words)), await later(two, stream, `${segment} ${block}`)];
      if (segment === 2 && block === 2) messages.push(await farewell(one), await farewell(two));
      await archive.block({ messages, acceptedAt: time, appendedAt: time });
      if (block === 0) await archive.publish();
    }
    await archive.close({ snapshot: segment === 1 });
    if (segment < 2 && archive.shard === 0) await world.nextPolicy((policy) => ({ ...policy, dedupWindowMs: policy.dedupWindowMs + 1000 }));
    if (segment === 1) time += 2 * DAY;
  }
}

/** A batch of one event of the later schema. */
function later(lane: TestLane, stream: string, word: string): ReturnType<TestLane['next']> {
  const event = { ...world.event(stream, `later ${word}`), purpose: 'audit', labels: ['x'] } as Event;
  return lane.next([EVENT_SCHEMA_V2.encode(event)], { schema: EVENT_SCHEMA_V2.digest });
}

async function farewell(lane: TestLane): ReturnType<TestLane['next']> {
  return lane.next([], { lanes: [] });
}

/** Retention removes the events of the first segment, with a record of it. */
async function retire(archive: ForgedArchive): Promise<void> {
  const keys = logKeysOf(archive.shard);
  const key = required([...honest.map.keys()].toSorted().find((each) => each.startsWith(keys.segments) && each.endsWith('.manifest.json')));
  await retireSegment(honest.map, key, { signer: archive.signer, policy: world.policy.hex });
}

function isOptional(key: string, sizes: readonly number[]): boolean {
  const place = parseArchiveKey(key);
  if (place.kind === 'archive' || place.kind === 'snapshot' || place.kind === 'state') return true;
  if (place.kind !== 'tile') return false;
  const { level, width } = parseTilePath(place.path);
  const at = Math.floor(required(sizes[place.shard]) / 256 ** (level === 'entries' ? 0 : level));
  return width < 256 && width !== at % 256;
}

function verify(objects: ArchiveObjects): Promise<Verdict> {
  return verifyArchive(objects, { keys: [parseVerifierKey(world.root.verifierKey)] });
}

/** Without a record of retention, the events are missing. */
function namesOf(key: string): string[] {
  if (!key.endsWith('.retired.json')) return [key];
  return world.schemas.map(({ hex }) => key.replace('retired.json', `${hex.slice(0, 16)}.events.avro`)).concat(key);
}

test('the archive has one of everything, and is OK', async () => {
  const verdict = await verify(honest);
  expect([verdict.ok, verdict.findings.filter(({ severity }) => severity === 'FAILED')]).toEqual([true, []]);
  expect(verdict.properties.STREAMS.counts['retired']).toBeGreaterThan(0);
  expect(verdict.properties.POLICY.counts).toEqual({ versions: 3 });
  const kinds = new Set(needed.map((key) => parseArchiveKey(key).kind));
  expect([...kinds].toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
    'checkpoint',
    'checkpointAt',
    'coseAt',
    'events',
    'evidence',
    'manifest',
    'policy',
    'retired',
    'schema',
    'signed',
    'tile',
  ]);
  expect(optional.length).toBeGreaterThanOrEqual(9);
  expect(needed.filter((key) => key.endsWith('.events.avro'))).toHaveLength(10);
});

describe('every object that a note or a manifest requires', () => {
  test(
    'missing: FAILED, naming it',
    async () => {
      for (const key of needed) expectNamed(await verify(honest.changed((map) => map.delete(key))), namesOf(key), `${key} missing`);
    },
    TIMEOUT_MS,
  );

  test(
    'truncated: FAILED, naming it',
    async () => {
      for (const key of needed) {
        const bytes = required(honest.map.get(key));
        for (const length of [0, 1, Math.floor(bytes.length / 2), bytes.length - 1])
          expectNamed(
            await verify(honest.changed((map) => map.set(key, bytes.subarray(0, length)))),
            namesOf(key),
            `${key} cut to ${length}`,
          );
      }
    },
    TIMEOUT_MS,
  );

  test(
    'swapped with its neighbours: FAILED, naming one of the two',
    async () => {
      const keys = [...honest.map.keys()].toSorted();
      for (const key of needed) {
        const at = keys.indexOf(key);
        for (const other of [keys[at - 1], keys[at + 1]]) {
          const [mine, theirs] = [required(honest.map.get(key)), other === undefined ? undefined : honest.map.get(other)];
          if (other === undefined || theirs === undefined || Buffer.compare(mine, theirs) === 0) continue;
          const swapped = honest.changed((map) => map.set(key, theirs).set(other, mine));
          expectNamed(await verify(swapped), [...namesOf(key), ...namesOf(other)], `${key} swapped with ${other}`);
        }
      }
    },
    TIMEOUT_MS,
  );

  test(
    'a bit flipped at the first, the last and seeded places: FAILED, naming it',
    async () => {
      for (const [i, key] of needed.entries()) {
        const bytes = required(honest.map.get(key));
        for (const bit of flips(bytes.length, i + 1))
          expectNamed(await verify(honest.changed((map) => map.set(key, flip(bytes, bit)))), namesOf(key), `${key} bit ${bit}`);
      }
    },
    TIMEOUT_MS,
  );

  test(
    'JSON that is not canonical: FAILED, naming it',
    async () => {
      const keys = [...honest.map.keys()].filter((key) => /\.(?:json|avsc)$/.test(key));
      expect(keys.length).toBeGreaterThanOrEqual(15);
      for (const key of keys) {
        const text = utf8Text(required(honest.map.get(key)));
        for (const other of [text.replace(':', ': '), `${text}\n`, reordered(text)]) {
          expect(other).not.toBe(text);
          expectNamed(await verify(honest.changed((map) => map.set(key, utf8(other)))), namesOf(key), `${key} respelled`);
        }
      }
    },
    TIMEOUT_MS,
  );
});

describe('every object that nothing requires', () => {
  test(
    'missing, each alone and all together: OK',
    async () => {
      for (const key of optional) expect([key, (await verify(honest.changed((map) => map.delete(key)))).ok]).toEqual([key, true]);
      const without = honest.changed((map) => {
        for (const key of optional) map.delete(key);
      });
      expect((await verify(without)).ok).toBe(true);
    },
    TIMEOUT_MS,
  );

  test(
    'altered: FAILED, naming it',
    async () => {
      for (const [i, key] of optional.entries()) {
        const bytes = required(honest.map.get(key));
        for (const bit of flips(bytes.length, i + 1000))
          expectNamed(await verify(honest.changed((map) => map.set(key, flip(bytes, bit)))), [key], `${key} bit ${bit}`);
      }
    },
    TIMEOUT_MS,
  );
});

test('an older checkpoint and note under newer segments, in each shard: FAILED', async () => {
  for (const shard of [0, 1]) {
    const keys = logKeysOf(shard);
    const old = required(
      [...honest.map].find(([key]) => parseArchiveKey(key).kind === 'checkpointAt' && key.startsWith(`${keys.folder}/`))?.[1],
    );
    expectNamed(await verify(honest.changed((map) => map.set(keys.checkpoint, old))), [keys.checkpoint], `old checkpoint ${shard}`);
    const both = honest.changed((map) => map.set(keys.checkpoint, old).set(keys.signed, old));
    expectNamed(await verify(both), [keys.checkpoint], `both old ${shard}`);
  }
});
