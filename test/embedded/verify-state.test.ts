import { describe, expect, test } from '@jest/globals';
import { sha256 } from '#crypto';
import type { Verdict } from '../../auditor/verdict.ts';
import { verifyArchive } from '../../auditor/verify.ts';
import { logKeysOf, schemaKey } from '../../core/archive/archive-keys.ts';
import type { Manifest } from '../../core/archive/manifest.ts';
import type { Retired } from '../../core/archive/retired.ts';
import {
  encodeSnapshotStatement,
  type HeldLane,
  parseSnapshotStatement,
  type SnapshotStatement,
  type StreamHead,
} from '../../core/archive/snapshot.ts';
import { toHex, utf8 } from '../../core/base/bytes.ts';
import { eventDigest } from '../../core/formats/event.ts';
import { EVENT_SCHEMA } from '../../core/formats/event-schema.ts';
import type { Receipt } from '../../core/formats/evidence.ts';
import { shardOf } from '../../core/formats/shard.ts';
import { decodeEnvelope, encodeEnvelope, signEnvelope } from '../../core/keys/dsse.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import type { Policy } from '../../core/policy/policy-document.ts';
import { decodeBundle, encodeBundle, entriesPath, tilePath } from '../../core/tree/tile.ts';
import { noteOf } from '../support/archive.ts';
import { EVENT_SCHEMA_V2 } from '../support/event-v2.ts';
import { ForgedArchive, rootAt } from '../support/forged-archive.ts';
import { makeWorld, START_MICROS, testId, testSigner, type World } from '../support/producer.ts';
import { retireSegment } from '../support/retired-segment.ts';
import { required, richArchive, richWorld, SECOND } from '../support/rich-archive.ts';
import { codes, makeScene, Scene } from '../support/scene.ts';
import { readStateFile, type Snapshot, snapshotObjects } from '../support/snapshots.ts';
import { changeInput } from '../support/violation.ts';

const KEYS = logKeysOf(0);
const SEVENS = new Uint8Array(32).fill(7);

const withStream =
  (change: (head: StreamHead) => Partial<StreamHead>) =>
  ({ streams }: Snapshot): Partial<Snapshot> => ({
    streams: streams.map((head) => (head.stream === 'b' ? { ...head, ...change(head) } : head)),
  });
const withLane =
  (change: (lane: HeldLane) => Partial<HeldLane>) =>
  ({ lanes }: Snapshot): Partial<Snapshot> => ({ lanes: lanes.map((lane) => ({ ...lane, ...change(lane) })) });

describe('a snapshot that the log key signed and that contradicts the log', () => {
  /** What is changed, and what the finding says of the first difference. */
  const wrong: Readonly<Record<string, readonly [change: (snapshot: Snapshot) => Partial<Snapshot>, said: string]>> = {
    shards: [() => ({ shards: 2 }), 'shards of the head'],
    seal: [() => ({ seal: SEVENS }), 'seal of the head'],
    frontier: [({ frontier }) => ({ frontier: frontier.map(() => SEVENS) }), 'frontier of the head'],
    inputGeneration: [() => ({ inputGeneration: 1 }), 'inputGeneration of the head'],
    inputTo: [({ inputTo }) => ({ inputTo: inputTo + 1 }), 'inputTo of the head'],
    'two times': [({ appendedAt }) => ({ appendedAt: appendedAt + 1, acceptedAt: 1 }), 'appendedAt, acceptedAt of the head'],
    policy: [() => ({ policy: SEVENS }), 'policy of the head'],
    final: [() => ({ final: true }), 'final of the head'],
    'a stream’s index': [withStream(({ index }) => ({ index: index + 1 })), 'index of stream "b"'],
    'a stream’s hash': [withStream(() => ({ hash: SEVENS })), 'hash of stream "b"'],
    'a stream’s leaf': [withStream(({ logIndex }) => ({ logIndex: logIndex - 1 })), 'logIndex of stream "b"'],
    'a stream left out': [
      ({ streams }) => ({ streams: streams.filter(({ stream }) => stream !== 'b') }),
      'stream "b" is not where it belongs',
    ],
    'a stream too much': [
      ({ streams }) => ({ streams: [...streams, { ...required(streams[0]), stream: 'aa' }] }),
      'stream "b" is not where it belongs',
    ],
    'a lane’s number': [withLane(({ number }) => ({ number: number + 1 })), 'number of lane'],
    'a lane’s header': [withLane(() => ({ hash: SEVENS })), 'hash of lane'],
    'a lane’s time': [withLane(({ appendedAt }) => ({ appendedAt: appendedAt + 1 })), 'appendedAt of lane'],
    'a lane left out': [
      () => ({ lanes: [] }),
      'lane 0a592c61462856627256670d8c61c8d8 of "example.org/log/producer" is not where it belongs',
    ],
    'a lane too much': [
      ({ lanes }) => ({ lanes: [...lanes, { ...required(lanes[0]), epoch: SEVENS.subarray(16).fill(255) }] }),
      'it goes on after the last lane',
    ],
  };
  test.each(Object.entries(wrong))('%s: ARCHIVE, naming the first difference', async (_, [change, said]) => {
    const scene = await twoStreams();
    const snapshot = newestOf(scene);
    await put(scene, { ...snapshot, ...change(snapshot) });
    expect(await faultOf(scene)).toContain(`another state than the log gives: ${said}`);
  });

  test('a statement of another log: ARCHIVE', async () => {
    const scene = await twoStreams();
    await put(scene, { ...newestOf(scene), origin: 'example.org/other' });
    expect(await faultOf(scene)).toContain(`its statement is about ${scene.archive.size} leaves of example.org/other/0`);
  });

  test('a statement of another size, number of bytes or digest: ARCHIVE', async () => {
    const scene = await twoStreams();
    const { size, signer } = scene.archive;
    const { map } = scene.archive.objects;
    const right = parseSnapshotStatement(decodeEnvelope(required(map.get(KEYS.snapshot(size))), 'snapshot').payload);
    const said = async (change: Partial<SnapshotStatement>): Promise<string> => {
      const payload = encodeSnapshotStatement({ ...right, ...change });
      map.set(KEYS.snapshot(size), encodeEnvelope(await signEnvelope('snapshot', payload, [signer])));
      return faultOf(scene);
    };
    expect(await said({ size: size - 1 })).toContain(`its statement is about ${size - 1} leaves`);
    expect(await said({ bytes: right.bytes + 1 })).toContain(
      `its state has ${right.bytes} bytes, and its statement names ${right.bytes + 1}`,
    );
    expect(await said({ sha256: '7'.repeat(64) })).toContain('its statement names another digest than its state has');
  });

  test('a state that does not begin with a head: ARCHIVE', async () => {
    const scene = await twoStreams();
    const { map } = scene.archive.objects;
    const key = KEYS.state(scene.archive.size);
    map.set(key, required(map.get(key)).slice().fill(0, 0, 8));
    expect(await faultOf(scene)).toContain('its state does not begin with a head');
  });

  test('one half of a snapshot: noted, wherever it stands', async () => {
    const [state, statement] = [await twoStreams(), await twoStreams()];
    const { size } = state.archive;
    state.archive.objects.map.delete(KEYS.snapshot(size));
    state.archive.objects.map.set(KEYS.state(5), new Uint8Array(1));
    statement.archive.objects.map.delete(KEYS.state(size));
    for (const [scene, objects] of [
      [state, [KEYS.state(size), KEYS.state(5)]],
      [statement, [KEYS.snapshot(size)]],
    ] as const) {
      const verdict = await scene.verify();
      const halves = verdict.findings.filter(({ code }) => code === 'SNAPSHOT_HALF');
      expect([codes(verdict), new Set(halves.map(({ place }) => place.object))]).toEqual([[], new Set(objects)]);
    }
  });

  /** A scene with the streams `a` and `b`, closed with a snapshot. */
  async function twoStreams(): Promise<Scene> {
    const scene = await makeScene();
    await scene.block([await scene.world.lane('second').next(scene.world.events('b', 'x'))]);
    await scene.end({ snapshot: true });
    return scene;
  }

  function newestOf({ archive: { objects, size } }: Scene): Snapshot {
    return readStateFile(required(objects.map.get(KEYS.state(size))));
  }

  async function put({ archive: { objects, size, signer } }: Scene, forged: Snapshot): Promise<void> {
    for (const [name, bytes] of await snapshotObjects(forged, [signer], { shard: 0, size })) objects.map.set(name, bytes);
  }

  async function faultOf(scene: Scene): Promise<string> {
    const verdict = await scene.verify();
    expect(codes(verdict)).toEqual(['ARCHIVE SNAPSHOT_WRONG']);
    const finding = verdict.findings.find(({ code }) => code === 'SNAPSHOT_WRONG');
    const names = finding?.message.includes('its statement is about') === true ? KEYS.snapshot : KEYS.state;
    expect(finding?.place.object).toBe(names(scene.archive.size));
    return finding?.message ?? '';
  }

  test('it leaves out the lanes that are held no longer: OK', async () => {
    const scene = await makeScene();
    await scene.block([await scene.world.lane('forgotten').next(scene.world.events('a', 'x'))]);
    scene.time += 3600 * SECOND;
    await scene.block([await scene.say('y')]);
    await scene.archive.close({ snapshot: true });
    expect(readStateFile(required(scene.archive.objects.map.get(KEYS.state(scene.archive.size)))).lanes).toHaveLength(1);
    expect(codes(await scene.verify())).toEqual([]);
  });

  test('a snapshot where no segment ends: ARCHIVE', async () => {
    const scene = await makeScene();
    await scene.block([await scene.say('x')]);
    await scene.archive.snapshot();
    await scene.end();
    expect(codes(await scene.verify())).toEqual(['ARCHIVE SNAPSHOT_WRONG']);
  });
});

describe('events that retention removed', () => {
  const DAY_MS = 86_400_000;
  const LAST_MS = 20_000;
  const keeping = (eventsKeepMs: number | null): Promise<World> =>
    makeWorld({ policy: (policy): Policy => ({ ...policy, segmentMaxAgeMs: 10_000, retention: { eventsKeepMs, refusedKeepMs: null } }) });

  /** Removes the first segment's events when the archive goes on for `afterMs` more, with a record of it. */
  async function removed(world: World, change: ChangeRecord = () => ({}), afterMs = 2 * DAY_MS): Promise<Verdict> {
    const scene = await makeScene(world);
    await goOn(scene, afterMs);
    await retire(scene, KEYS.manifest(0, 18), change);
    return scene.verify();
  }

  /** A segment of two blocks, the first of them `afterMs` later and the last {@link LAST_MS} after that. */
  async function goOn(scene: Scene, afterMs: number): Promise<void> {
    scene.time += afterMs * 1000 - 2 * SECOND;
    await scene.block([]);
    scene.time += LAST_MS * 1000 - 2 * SECOND;
    await scene.block([]);
    await scene.archive.close();
  }

  type ChangeRecord = (retired: Retired, manifest: Manifest) => Partial<Retired>;

  /** Removes the events of a segment, or its files of another kind, with a record of it. */
  async function retire({ archive, world }: Scene, key: string, change: ChangeRecord = () => ({}), kind = '.events.avro'): Promise<void> {
    await retireSegment(archive.objects.map, key, { signer: archive.signer, policy: world.policy.hex, change, kind });
  }

  test('as the policy allows are not a finding, and are counted', async () => {
    const verdict = await removed(await keeping(DAY_MS));
    expect([codes(verdict), verdict.ok]).toEqual([[], true]);
    expect(verdict.properties.STREAMS.counts['retired']).toBe(12);
  });

  test('of refused events goes by a time of its own', async () => {
    const verdictOf = async (eventsKeepMs: number | null, refusedKeepMs: number | null): Promise<Verdict> => {
      const world = await makeWorld({
        policy: (policy): Policy => ({
          ...policy,
          segmentMaxAgeMs: 10_000,
          retention: { eventsKeepMs, refusedKeepMs },
          producers: policy.producers.map((each) => ({ ...each, streams: ['a'] })),
        }),
      });
      const scene = await makeScene(world);
      await scene.block([await scene.lane.next(world.events('b', 'not permitted'))]);
      await scene.end();
      await goOn(scene, 2 * DAY_MS);
      const key = required([...scene.archive.objects.map.keys()].filter((each) => each.endsWith('.manifest.json'))[1]);
      await retire(scene, key, undefined, '.refused.avro');
      return scene.verify();
    };
    const allowed = await verdictOf(null, DAY_MS);
    expect([codes(allowed), codes(allowed, 'NOTE')]).toEqual([[], ['COMPLETE REFUSED_RETIRED']]);
    expect(codes(await verdictOf(DAY_MS, null))).toEqual(['ARCHIVE MISSING', 'ARCHIVE RETIRED_WRONG']);
  });

  const wrong = ['ARCHIVE MISSING', 'ARCHIVE RETIRED_WRONG'];
  test('against the policy: ARCHIVE', async () => {
    expect(codes(await removed(await keeping(null)))).toEqual(wrong);
  });

  test.each([
    ['RETIRED', null],
    ['COMPROMISED', [1000]],
  ] as const)(
    'by a log key that is %s in the newest policy: ARCHIVE, since nothing tells when it signed that',
    async (status, believed) => {
      const scene = await makeScene(await keeping(DAY_MS));
      const { world, archive } = scene;
      await goOn(scene, 2 * DAY_MS);
      const [before, after] = [archive.signer, testSigner(archive.signer.name, 'after')];
      await world.nextPolicy((policy) => ({
        ...policy,
        logs: policy.logs.flatMap((entry) => [
          { ...entry, status, believed },
          { ...entry, key: after.verifierKey },
        ]),
      }));
      archive.signer = after;
      await goOn(scene, LAST_MS);
      archive.signer = before;
      await retire(scene, KEYS.manifest(0, 18));
      expect(codes(await scene.verify())).toEqual(wrong);
      archive.signer = after;
      await retire(scene, KEYS.manifest(0, 18));
      expect(codes(await scene.verify())).toEqual([]);
      // Who pins log keys alone believes no policy.
      archive.signer = before;
      await retire(scene, KEYS.manifest(0, 18));
      expect(codes(await scene.verify(before.verifierKey, after.verifierKey))).toEqual([]);
    },
  );

  test('as soon as the policy allows it are not a finding; a millisecond too early: ARCHIVE', async () => {
    expect(codes(await removed(await keeping(DAY_MS), undefined, DAY_MS - LAST_MS))).toEqual([]);
    expect(codes(await removed(await keeping(DAY_MS), undefined, DAY_MS - LAST_MS - 1))).toEqual(wrong);
  });

  test.each<[string, boolean, string[], number]>([
    ['a duplicate is recognised by the digest in its leaf', false, [], 1],
    ['a new event hidden behind them is found: UNIQUE', true, ['UNIQUE RECEIPT_WRONG'], 0],
  ])('still are originals: %s', async (_, hidden, failed, duplicates) => {
    const scene = await makeScene(await keeping(DAY_MS));
    const word = hidden ? 'new' : 'early 0';
    const digest = eventDigest(EVENT_SCHEMA.digest, required(scene.world.events('a', word)[0]));
    await scene.block([await scene.say(word)], (forgery) => {
      const receipt: Receipt = { position: 0, digest, id: testId(`a ${word}`), outcome: 'DUPLICATE', reason: 0, original: 0 };
      forgery.links = [];
      forgery.events = [];
      changeInput(forgery, 0, { receipts: [receipt] });
    });
    await scene.end();
    await goOn(scene, 2 * DAY_MS);
    await retire(scene, KEYS.manifest(0, 18));
    const verdict = await scene.verify();
    expect([codes(verdict), verdict.properties.UNIQUE.counts['duplicates']]).toEqual([failed, duplicates]);
  });

  test('that still exist although a record names them are read and counted as any event', async () => {
    const scene = await makeScene(await keeping(DAY_MS));
    scene.time += 2 * DAY_MS * 1000;
    await scene.end();
    const { map } = scene.archive.objects;
    const before = new Map(map);
    await retire(scene, KEYS.manifest(0, 18));
    for (const [key, bytes] of before) map.set(key, bytes);
    const verdict = await scene.verify();
    expect([codes(verdict), verdict.properties.STREAMS.counts['retired']]).toEqual([[], 0]);
    const events = required([...map.keys()].find((key) => key.endsWith('.events.avro')));
    map.set(events, SEVENS);
    expect(codes(await scene.verify())).toContain('ARCHIVE SHA256');
  });

  test('do not excuse the other fields of a manifest: ARCHIVE', async () => {
    const scene = await makeScene(await keeping(DAY_MS));
    await scene.end({ manifest: (manifest) => ({ ...manifest, counts: { ...manifest.counts, empty: 7 } }) });
    const key = KEYS.manifest(18, scene.archive.size);
    await goOn(scene, 2 * DAY_MS);
    await retire(scene, key);
    const verdict = await scene.verify();
    expect([codes(verdict), verdict.findings.find(({ severity }) => severity === 'FAILED')?.place.object]).toEqual([
      ['ARCHIVE MANIFEST_FIELD'],
      key,
    ]);
  });

  test.each<[string, ChangeRecord]>([
    ['another origin', () => ({ origin: 'example.org/other/0' })],
    ['a segment that begins elsewhere', ({ first }) => ({ first: first + 1 })],
    ['a segment that ends elsewhere', ({ end }) => ({ end: end + 1 })],
    ['another manifest', () => ({ manifest: '7'.repeat(64) })],
    ['a policy that is not there', () => ({ policy: '7'.repeat(64) })],
    ['the evidence too', (_, { objects }) => ({ objects })],
    ['another object', ({ objects }) => ({ objects: objects.map((object) => ({ ...object, size: object.size + 1 })) })],
  ])('with a record that names %s: ARCHIVE', async (_, change) => {
    expect(codes(await removed(await keeping(DAY_MS), change))).toEqual(wrong);
  });
});

describe('what has not ended', () => {
  test('leaves that no segment holds yet are OPEN, not OK', async () => {
    const scene = await makeScene();
    await scene.block([await scene.say('x')]);
    await scene.archive.publish();
    const verdict = await scene.verify();
    const open = Object.entries(verdict.properties).flatMap(([property, { result }]) => (result === 'OPEN' ? [property] : []));
    expect([verdict.ok, open]).toEqual([true, ['LOG', 'STREAMS', 'SIGNATURES', 'ORDER', 'COMPLETE', 'UNIQUE', 'POLICY']]);
    expect([verdict.result, verdict.shards]).toEqual(['OPEN', [expect.objectContaining({ size: scene.archive.size, archived: 18 })]]);
  });

  test('a snapshot of a size that no segment ends at yet is reported', async () => {
    const scene = await makeScene();
    await scene.block([await scene.say('x')]);
    await scene.archive.publish();
    await scene.archive.snapshot();
    const verdict = await scene.verify();
    expect([codes(verdict), codes(verdict, 'NOTE')]).toEqual([[], ['ARCHIVE BEYOND_CHECKPOINT']]);
  });

  test('segments that begin with a block without links are OK', async () => {
    const scene = await makeScene();
    await scene.block([]);
    expect(codes(await scene.end())).toEqual([]);
  });

  test('an archive in which nothing was logged is not OK', async () => {
    const scene = await makeScene();
    const { map } = scene.archive.objects;
    for (const key of map.keys()) if (key.startsWith('logs/')) map.delete(key);
    const verdict = await scene.verify();
    expect([verdict.ok, codes(verdict), codes(verdict, 'OPEN')]).toEqual([false, [], ['COMPLETE SHARD_EMPTY']]);
  });

  test('a lane without a final statement is OPEN', async () => {
    const verdict = await (await makeScene()).verify();
    expect([verdict.ok, codes(verdict), codes(verdict, 'OPEN')]).toEqual([true, [], ['COMPLETE LANE_OPEN']]);
  });

  test('a note that is signed and not yet published is checked, and reported', async () => {
    const scene = await makeScene();
    const published = required(scene.archive.objects.map.get(KEYS.checkpoint));
    await scene.block([await scene.say('x')]);
    await scene.archive.publish();
    scene.archive.objects.map.set(KEYS.checkpoint, published);
    const verdict = await scene.verify();
    expect([codes(verdict), codes(verdict, 'NOTE')]).toEqual([[], ['ARCHIVE CHECKPOINT_BEHIND']]);
    expect(verdict.properties.LOG.counts['leaves']).toBe(scene.archive.size);
    for (const size of [18, scene.archive.size]) {
      const tile = `${KEYS.folder}/${tilePath(0, 0, size)}`;
      const without = scene.archive.objects.changed((map) => map.delete(tile));
      const { findings } = await verifyArchive(without, { keys: [parseVerifierKey(scene.world.root.verifierKey)] });
      expect(findings.filter(({ code }) => code === 'MISSING').map(({ place }) => place.object)).toEqual([tile]);
    }
  });

  test('the checkpoint of another size under a checkpoint’s name: ARCHIVE', async () => {
    const scene = await makeScene();
    await scene.end();
    const { map } = scene.archive.objects;
    map.set(KEYS.checkpointAt(18), required(map.get(KEYS.checkpointAt(scene.archive.size))));
    expect(codes(await scene.verify())).toEqual(['ARCHIVE CHECKPOINT_PLACE']);
  });

  test('a signed note that is older than the checkpoint was set back: ARCHIVE', async () => {
    const scene = await makeScene();
    await scene.end();
    const { map } = scene.archive.objects;
    map.set(KEYS.signed, required(map.get(KEYS.checkpointAt(18))));
    expect(codes(await scene.verify())).toEqual(['ARCHIVE SIGNED_OLD']);
  });

  test('notes that are older than segments and their checkpoints were set back: ARCHIVE', async () => {
    const scene = await makeScene();
    await scene.end();
    const { map } = scene.archive.objects;
    const old = required(map.get(KEYS.checkpointAt(18)));
    map.set(KEYS.signed, old).set(KEYS.checkpoint, old);
    const message = (verdict: Verdict): unknown[] =>
      verdict.findings.filter(({ code }) => code === 'CHECKPOINT_OLD').map(({ message: said }) => said);
    const newer = expect.stringContaining(`checkpoints/${scene.archive.size} is newer`);
    const further = expect.stringContaining(`segments go to leaf ${scene.archive.size}`);
    expect(message(await scene.verify())).toEqual([newer, further]);
    map.delete(KEYS.checkpointAt(scene.archive.size));
    const verdict = await scene.verify();
    expect([message(verdict), codes(verdict)]).toEqual([[further], expect.arrayContaining(['ARCHIVE MISSING'])]);
  });

  test('files of a segment whose manifest was not written yet are reported', async () => {
    const scene = await makeScene();
    await scene.block([await scene.say('x')]);
    await scene.archive.publish();
    const first = required([...scene.archive.objects.map.keys()].find((key) => key.endsWith('.events.avro')));
    scene.archive.objects.map.set(
      KEYS.evidence(scene.archive.size - 2, scene.archive.size),
      required(scene.archive.objects.map.get(first)),
    );
    expect(codes(await scene.verify(), 'NOTE')).toEqual(['ARCHIVE BEYOND_CHECKPOINT']);
  });

  test('tiles of a size that was never signed are reported; altered where they overlap: LOG', async () => {
    const scene = await makeScene();
    const size = scene.archive.size;
    const before = scene.archive.objects.changed(() => undefined);
    await scene.block([await scene.say('x')]);
    await scene.archive.publish();
    const later = [`logs/0/tile/0/000.p/${scene.archive.size}`, `logs/0/tile/entries/000.p/${scene.archive.size}`];
    expect(scene.archive.size).toBeGreaterThan(size);
    for (const key of later) before.map.set(key, required(scene.archive.objects.map.get(key)));
    scene.archive.objects.map.clear();
    for (const [key, bytes] of before.map) scene.archive.objects.map.set(key, bytes);
    expect([codes(await scene.verify()), codes(await scene.verify(), 'NOTE')]).toEqual([[], ['ARCHIVE BEYOND_CHECKPOINT']]);
    for (const key of later) {
      const bytes = required(before.map.get(key)).slice();
      bytes[5] = required(bytes[5]) ^ 1;
      scene.archive.objects.map.set(key, bytes);
      const verdict = await scene.verify();
      expect(codes(verdict)).toEqual(['LOG TILE_WRONG']);
      expect(verdict.findings.find(({ code }) => code === 'TILE_WRONG')?.place.object).toBe(key);
      scene.archive.objects.map.set(key, required(before.map.get(key)));
    }
  });
});

describe('leaves that cannot be read', () => {
  const failed = ['ARCHIVE MISSING', 'LOG LEAVES_MISSING'];
  const unshown = ['COMPLETE', 'ORDER', 'POLICY', 'SIGNATURES', 'STREAMS', 'UNIQUE'].map((property) => `${property} UNSHOWN`);

  test('fail the log, each property that rests on them is not checked, and from there on nothing but tree and files is judged', async () => {
    const world = await richWorld();
    const { objects } = await richArchive(world);
    const keys = [parseVerifierKey(world.root.verifierKey)];
    const bundles = [`${KEYS.folder}/${entriesPath(0, 256)}`, `${KEYS.folder}/${entriesPath(1, 256)}`];
    const without = objects.changed((map) => {
      for (const key of bundles) map.delete(key);
    });
    const verdict = await verifyArchive(without, { keys });
    expect([codes(verdict), codes(verdict, 'NOT CHECKED')]).toEqual([failed, unshown]);
    expect(verdict.findings.filter(({ code }) => code === 'LEAVES_MISSING' || code === 'UNSHOWN')).toHaveLength(7);
    for (const key of [KEYS.evidence(0, 367), KEYS.evidence(367, 523)]) {
      const { findings } = await verifyArchive(
        without.changed((map) => map.delete(key)),
        { keys },
      );
      expect(findings.filter(({ code }) => code === 'MISSING').map(({ place }) => place.object)).toContain(key);
    }
  });

  test('leave the snapshots after them unjudged', async () => {
    const scene = await makeScene();
    await scene.end({ snapshot: true });
    const { size, objects } = scene.archive;
    expect(objects.map.delete(`${KEYS.folder}/${entriesPath(0, size)}`)).toBe(true);
    const verdict = await scene.verify();
    expect([codes(verdict), codes(verdict, 'NOTE')]).toEqual([failed, []]);
  });
});

describe('a tree that ends within a block', () => {
  test('is UNSEALED: LOG', async () => {
    const scene = await makeScene();
    const { archive } = scene;
    await scene.block([await scene.say('x', 'y')]);
    await archive.publish();
    const { map } = archive.objects;
    const [tile, bundle] = [0, 'entries'].map((level) => `${KEYS.folder}/tile/${level}/000.p/`) as [string, string];
    map.set(`${tile}20`, required(map.get(`${tile}21`)).subarray(0, 20 * 32));
    map.set(`${bundle}20`, encodeBundle(decodeBundle(required(map.get(`${bundle}21`))).slice(0, 20)));
    const note = utf8(await noteOf(archive.signer, 20, rootAt(archive, 20)));
    map.set(KEYS.signed, note).set(KEYS.checkpoint, note);
    for (const key of [`${tile}21`, `${bundle}21`]) map.delete(key);
    expect(codes(await scene.verify())).toEqual(['LOG UNSEALED']);
  });
});

describe('objects that have no place', () => {
  test.each([
    ['logs/0/notes.txt', 'ARCHIVE UNKNOWN_OBJECT'],
    ['logs/0/tile/0/x000/001', 'ARCHIVE UNKNOWN_OBJECT'],
    ['logs/0/tile/9/000', 'ARCHIVE UNKNOWN_OBJECT'],
    ['logs/0/timestamps/18.somebody.tsr', 'ARCHIVE UNKNOWN_OBJECT'],
    ['logs/7/signed', 'ARCHIVE UNKNOWN_OBJECT'],
    ['policies/readme.txt', 'ARCHIVE UNKNOWN_OBJECT'],
    ['README.txt', 'ARCHIVE UNKNOWN_OBJECT'],
    ['logs/0/tile/0/000.manifest.json', 'ARCHIVE UNKNOWN_OBJECT'],
    [KEYS.evidence(0, 3), 'ARCHIVE UNLISTED'],
    [KEYS.events(0, 18, '7'.repeat(64)), 'ARCHIVE UNLISTED'],
    [KEYS.retired(0, 3), 'ARCHIVE UNLISTED'],
    [KEYS.retired(3, 18), 'ARCHIVE UNLISTED'],
  ])('%s: a note, and no result changes: %s', async (key, noted) => {
    const scene = await makeScene();
    await scene.end();
    scene.archive.objects.map.set(key, new Uint8Array([1, 2, 3]));
    const verdict = await scene.verify();
    expect([verdict.result, codes(verdict), codes(verdict, 'NOTE')]).toEqual(['OK', [], [noted]]);
    expect(verdict.findings[0]?.place.object).toBe(key);
  });
});

describe('a schema', () => {
  const spaced = EVENT_SCHEMA_V2.text.replace(':', ': ');
  test.each([
    ['under a name that is not its digest', schemaKey('7'.repeat(64)), EVENT_SCHEMA_V2.text, ['ARCHIVE SCHEMA_DIGEST']],
    ['in another than its canonical form', schemaKey(toHex(sha256(utf8(spaced)))), spaced, ['ARCHIVE SCHEMA_INVALID']],
    ['that is none', schemaKey(toHex(sha256(utf8('{}')))), '{}', ['ARCHIVE SCHEMA_INVALID']],
  ])('%s: ARCHIVE, naming it', async (_, key, text, failed) => {
    const scene = await makeScene();
    scene.archive.objects.map.set(key, utf8(text));
    const verdict = await scene.verify();
    expect([codes(verdict), verdict.findings.find(({ severity }) => severity === 'FAILED')?.place.object]).toEqual([failed, key]);
  });
});

test('the schema of archived events is missing: ARCHIVE, named for each file that cannot be read without it', async () => {
  const scene = await makeScene();
  await scene.end();
  const key = schemaKey(scene.world.schema.hex);
  expect(scene.archive.objects.map.delete(key)).toBe(true);
  const verdict = await scene.verify();
  const files = verdict.findings.filter(({ message }) => message === 'the schema of an events file is not in the archive');
  expect([codes(verdict), files.map(({ place }) => place.object)]).toEqual([['ARCHIVE MISSING'], [key, key]]);
});

/** A message that is refused: unlike offsets without one, it moves the log's time. */
const GARBAGE = new Uint8Array(1);

describe('two shards', () => {
  /** When the near shard's last message was appended, after the start, and what clocks may differ by. */
  const [STATED, SKEW] = [SECOND + 1000, SECOND];

  /** A producer whose home is shard 0, with a lane in each shard; the last shard's batch may be dropped or come late. */
  async function twoShards(final: boolean, dropped: boolean, readFor: number): Promise<Verdict> {
    const world = await richWorld(2);
    expect(shardOf(world.producer.name, 2)).toBe(1);
    const [far, home] = [new ForgedArchive(world, 0), undefined];
    expect(home).toBeUndefined();
    const near = new ForgedArchive(world, 1, far.objects);
    const epoch = testId('epoch both');
    const nearLane = world.lane('both', world.producer, 1);
    const farLane = world.lane('both', world.producer, 0);
    expect(nearLane.epoch).toEqual(epoch);
    const stream = (shard: number): string => required(['s1', 's2', 's3', 's4', 's5'].find((name) => shardOf(name, 2) === shard));
    const sent = await farLane.next(world.events(stream(0), 'x'));
    await far.block({ messages: dropped ? [GARBAGE] : [sent], appendedAt: START_MICROS, acceptedAt: START_MICROS });
    const lanes = [
      { epoch, shard: 0, number: 1, seq: 1, final },
      { epoch, shard: 1, number: 2, seq: 1, final },
    ];
    const spoken = [await nearLane.next(world.events(stream(1), 'y')), await nearLane.next([], { lanes })];
    await near.block({ messages: spoken, appendedAt: START_MICROS + SECOND, acceptedAt: START_MICROS + SECOND });
    for (const archive of [far, near]) {
      const time = START_MICROS + (archive === far ? readFor : 30 * SECOND);
      await archive.block({ messages: [GARBAGE], appendedAt: time, acceptedAt: START_MICROS + 30 * SECOND });
      await archive.close();
    }
    const scene = new Scene(world);
    for (const [key, bytes] of far.objects.map) scene.archive.objects.map.set(key, bytes);
    return scene.verify();
  }

  test('lanes of one epoch in two shards, stated as ended: OK', async () => {
    const verdict = await twoShards(true, false, 30 * SECOND);
    expect([verdict.ok, codes(verdict), codes(verdict, 'OPEN')]).toEqual([true, [], []]);
  });

  test('a batch that another shard never got is a gap, once that shard has read so far', async () => {
    expect(codes(await twoShards(true, true, STATED + SKEW + 1))).toEqual(['COMPLETE GAP']);
  });

  test('it is still open while that shard has not read so far, or the producer goes on', async () => {
    for (const verdict of [await twoShards(true, true, STATED + SKEW), await twoShards(false, true, 30 * SECOND)]) {
      expect([codes(verdict), codes(verdict, 'OPEN')]).toEqual([[], expect.arrayContaining(['COMPLETE LANE_SHORT'])]);
    }
  });

  test('a shard of which the archive holds nothing is open', async () => {
    const scene = await makeScene(await richWorld(2));
    const verdict = await scene.end();
    expect(codes(verdict, 'OPEN')).toContain('COMPLETE SHARD_EMPTY');
  });
});
