import { describe, expect, test } from '@jest/globals';
import { Findings } from '../../auditor/findings.ts';
import { type ArchivedEventView, type QueryOptions, queryArchive } from '../../auditor/query.ts';
import { logKeysOf, schemaKey } from '../../core/archive/archive-keys.ts';
import { toHex, utf8 } from '../../core/base/bytes.ts';
import type { Event } from '../../core/formats/event.ts';
import { EVENT_SCHEMA } from '../../core/formats/event-schema.ts';
import { formatUuid } from '../../core/formats/identity.ts';
import type { StoredObject } from '../../core/ports/object-store.ts';
import { EVENT_SCHEMA_V2 } from '../support/event-v2.ts';
import type { ArchiveObjects } from '../support/forged-archive.ts';
import { makeWorld, START_MICROS, testId } from '../support/producer.ts';
import { required } from '../support/rich-archive.ts';
import { makeScene, type Scene } from '../support/scene.ts';

const KEYS = logKeysOf(0);

async function query(objects: ArchiveObjects, options: QueryOptions = {}, findings = new Findings()): Promise<ArchivedEventView[]> {
  const found: ArchivedEventView[] = [];
  for await (const view of queryArchive(objects, options, findings)) found.push(view);
  return found;
}

/** A first segment of twelve events on stream `a`, and a second one with events of two schemas on `a` and `b`. */
async function mixedScene(): Promise<Scene> {
  const world = await makeWorld({ schemas: [EVENT_SCHEMA, EVENT_SCHEMA_V2], policy: (policy) => ({ ...policy, segmentMaxAgeMs: 10_000 }) });
  const scene = await makeScene(world);
  const full: Partial<Event> = {
    outputs: [
      {
        namespace: 'n',
        name: 'o',
        version: null,
        digest: { algorithm: 'sha-256', value: new Uint8Array([0xab, 0x01]) },
        size: 3,
        mediaType: null,
      },
    ],
    trace: { traceId: testId('trace'), spanId: testId('span').slice(0, 8) },
  };
  const later = { ...world.event('a', 'later', full), purpose: 'audit', labels: ['x'] } as Event;
  await scene.block([await scene.lane.next([EVENT_SCHEMA_V2.encode(later)], { schema: EVENT_SCHEMA_V2.digest })]);
  await scene.block([await scene.lane.next(world.events('b', 'x'))]);
  await scene.end();
  return scene;
}

describe('query', () => {
  test('gives every archived event once, in the order of the log, whatever its schema', async () => {
    const { archive } = await mixedScene();
    const found = await query(archive.objects);
    const places = found.map(({ logIndex }) => logIndex);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(new Set(places).size).toBe(16);
    expect(found.map(({ event }) => event?.stream).filter((stream) => stream === 'b')).toHaveLength(1);
  });

  test('of a stream gives its events by position, and reports the streams of all others', async () => {
    const { archive } = await mixedScene();
    const others: string[] = [];
    const found = await query(archive.objects, { stream: 'b', onOther: (stream) => others.push(stream) });
    expect(found.map(({ streamIndex, event }) => [streamIndex, event?.stream])).toEqual([[0, 'b']]);
    expect([others.length, new Set(others)]).toEqual([15, new Set(['a'])]);
    expect(await query(archive.objects, { stream: 'nothing' })).toEqual([]);
  });

  test('shows the place of an event and every field: ids as UUIDs, other bytes hexadecimal, a field of a later schema left out', async () => {
    const { archive, world } = await mixedScene();
    const later = required((await query(archive.objects)).find(({ logIndex }) => logIndex === 18));
    expect(later).toMatchObject({
      shard: 0,
      streamIndex: 12,
      acceptedAt: new Date(START_MICROS / 1000 + 14_000).toISOString(),
      producer: world.producer.name,
      leafHash: expect.stringMatching(/^[0-9a-f]{64}$/),
      object: KEYS.events(18, archive.size, EVENT_SCHEMA_V2.hex),
      event: {
        id: formatUuid(testId('a later')),
        type: 'CREATE',
        occurredAt: START_MICROS,
        outputs: [{ digest: { algorithm: 'sha-256', value: 'ab01' }, size: 3 }],
        trace: { traceId: toHex(testId('trace')) },
      },
    });
    expect(Object.keys(required(later.event ?? undefined))).not.toContain('purpose');
  });

  test('skips events that retention removed, and says so', async () => {
    const { archive } = await mixedScene();
    const gone = KEYS.events(0, 18, EVENT_SCHEMA.hex);
    archive.objects.map.delete(gone);
    archive.objects.map.set(KEYS.retired(0, 18), utf8('{}'));
    const removed: string[] = [];
    expect(await query(archive.objects, { onRemoved: (object) => removed.push(object) })).toHaveLength(4);
    expect(removed).toEqual([gone]);
  });

  test('uses a file that exists beside a record of retention, and skips a manifest that was removed meanwhile', async () => {
    const { archive } = await mixedScene();
    archive.objects.map.set(KEYS.retired(0, 18), utf8('{}'));
    expect(await query(archive.objects)).toHaveLength(16);
    const key = KEYS.manifest(0, 18);
    const get = async (asked: string): Promise<StoredObject | undefined> => (asked === key ? undefined : archive.objects.get(asked));
    expect(await query(Object.assign(Object.create(archive.objects) as ArchiveObjects, { get }))).toHaveLength(4);
  });

  test.each([
    ['an events file', KEYS.events(0, 18, EVENT_SCHEMA.hex), 4],
    ['a schema', schemaKey(EVENT_SCHEMA.hex), 1],
  ])('without %s says what is missing, and gives the other events', async (_, key, others) => {
    const { archive } = await mixedScene();
    expect(archive.objects.map.delete(key)).toBe(true);
    const findings = new Findings();
    expect(await query(archive.objects, {}, findings)).toHaveLength(others);
    expect([...new Set(findings.list.map(({ code, place }) => `${code} ${place.object}`))]).toEqual([`MISSING ${key}`]);
  });

  test.each<[string, string, string, number]>([
    ['a schema that is not JSON', `schemas/${'7'.repeat(64)}.avsc`, '{', 16],
    ['a schema that nests without end', `schemas/${'7'.repeat(64)}.avsc`, '['.repeat(1_000_000), 16],
    [
      'a schema of records that contain themselves',
      `schemas/${'7'.repeat(64)}.avsc`,
      '{"type":"record","name":"Event","fields":[{"name":"id","type":"Event"}]}',
      16,
    ],
    ['the schema of its events, replaced', schemaKey(EVENT_SCHEMA.hex), '{"type":"string"}', 1],
    ['a manifest that nests without end', KEYS.manifest(0, 18), '['.repeat(1_000_000), 4],
  ])('of %s: a finding, and the other events', async (_, key, text, others) => {
    const { archive } = await mixedScene();
    archive.objects.map.set(key, utf8(text));
    const findings = new Findings();
    expect(await query(archive.objects, {}, findings)).toHaveLength(others);
    expect(findings.list.map(({ severity, place }) => [severity, place.object])).toEqual([['FAILED', key]]);
  });

  test('of a damaged file ends in an error of the file, not in wrong events', async () => {
    const { archive } = await mixedScene();
    const key = KEYS.events(0, 18, EVENT_SCHEMA.hex);
    const bytes = required(archive.objects.map.get(key)).slice();
    bytes[bytes.length - 40] = required(bytes[bytes.length - 40]) ^ 1;
    archive.objects.map.set(key, bytes);
    const findings = new Findings();
    expect(await query(archive.objects, {}, findings)).toHaveLength(4);
    expect(findings.list.map(({ code, place }) => [code, place.object])).toEqual([['CONTAINER', key]]);
  });
});
