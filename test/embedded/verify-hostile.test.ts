import { chmodSync, mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { sha256 } from '#crypto';
import { openFolderObjectStore } from '../../adapters/folder-object-store.ts';
import type { Verdict } from '../../auditor/verdict.ts';
import { verifyArchive } from '../../auditor/verify.ts';
import { exitCodeOf } from '../../cli/exit-codes.ts';
import { segmentSyncMarker } from '../../core/acceptance/segment-rule.ts';
import { logKeysOf, policyKey } from '../../core/archive/archive-keys.ts';
import { writeContainer } from '../../core/avro/ocf.ts';
import { concat, toBase64, toHex, utf8 } from '../../core/base/bytes.ts';
import { LIMITS } from '../../core/base/limits.ts';
import { archivedEventSchema, encodeArchivedEvent } from '../../core/formats/archived-event.ts';
import { encodeLink } from '../../core/formats/leaf.ts';
import { formatCheckpoint } from '../../core/keys/checkpoint.ts';
import { encodeEnvelope, signEnvelope } from '../../core/keys/dsse.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import { signNote } from '../../core/keys/note.ts';
import { encodePolicy, policyDigest } from '../../core/policy/policy.ts';
import type { ListedObject, ObjectStore, StoredObject } from '../../core/ports/object-store.ts';
import { encodeBundle, entriesPath } from '../../core/tree/tile.ts';
import { noteOf } from '../support/archive.ts';
import { runProgram, temporaryFolder } from '../support/command.ts';
import { ArchiveObjects, ForgedArchive } from '../support/forged-archive.ts';
import { START_MICROS, testId } from '../support/producer.ts';
import { required, richWorld, SECOND } from '../support/rich-archive.ts';
import { codes, makeScene, type Scene } from '../support/scene.ts';

const KEYS = logKeysOf(0);
const SEVENS = new Uint8Array(32).fill(7);

async function endedScene(): Promise<Scene> {
  const scene = await makeScene();
  await scene.end();
  return scene;
}

function verify(store: ObjectStore, scene: Scene): Promise<Verdict> {
  return verifyArchive(store, { keys: [parseVerifierKey(scene.world.root.verifierKey)] });
}

/** The objects that notes of this code name. */
function noted({ findings }: Verdict, code: string): (string | undefined)[] {
  return findings.filter((finding) => finding.code === code && finding.severity === 'NOTE').map(({ place }) => place.object);
}

function named({ findings }: Verdict, code: string): (string | undefined)[] {
  return findings.filter((finding) => finding.code === code && finding.severity === 'FAILED').map(({ place }) => place.object);
}

/** The note with signatures of strangers, so that it has `size` bytes. */
function padded(note: Uint8Array, size: number): Uint8Array {
  const rest = size - note.length;
  const signature = toBase64(new Uint8Array(3000));
  const lines = Math.ceil(rest / (signature.length + 250));
  const lengths = Array.from({ length: lines }, (_, i) => Math.floor((rest + i) / lines));
  return concat(note, ...lengths.map((length) => utf8(`— ${'s'.repeat(length - signature.length - 6)} ${signature}\n`)));
}

/** An archive whose listing says what it wants, and that counts what is read. */
class LyingObjects extends ArchiveObjects {
  readonly sizes = new Map<string, number>();
  readonly read: string[] = [];

  constructor(objects: ArchiveObjects) {
    super();
    for (const [key, bytes] of objects.map) this.map.set(key, bytes);
  }

  override get(key: string): Promise<StoredObject | undefined> {
    this.read.push(key);
    return super.get(key);
  }

  override async *list(prefix: string): AsyncGenerator<ListedObject> {
    for await (const { key, size } of super.list(prefix)) yield { key, size: this.sizes.get(key) ?? size };
  }
}

describe('sizes that lie', () => {
  test('an object larger than its kind can be is named, and never loaded', async () => {
    const scene = await endedScene();
    const keys = [...scene.archive.objects.map.keys()];
    const kinds = new Set<string>();
    for (const key of keys) {
      const kind = key.replaceAll(/[0-9a-f]{3,}|\d+/g, 'n');
      if (kinds.has(kind)) continue;
      kinds.add(kind);
      const lying = new LyingObjects(scene.archive.objects);
      lying.sizes.set(key, 10 * 2 ** 30);
      const verdict = await verify(lying, scene);
      expect({ key, ok: verdict.ok, named: named(verdict, 'TOO_LARGE'), read: lying.read.includes(key) }).toEqual({
        key,
        ok: false,
        named: [key],
        read: false,
      });
    }
    expect(kinds.size).toBeGreaterThanOrEqual(10);
  });

  test('a note of a byte more than a note may have is named', async () => {
    const scene = await endedScene();
    const { map } = scene.archive.objects;
    map.set(KEYS.checkpoint, padded(required(map.get(KEYS.checkpoint)), LIMITS.noteBytes + 1));
    expect(named(await scene.verify(), 'TOO_LARGE')).toEqual([KEYS.checkpoint]);
  });

  test('an object that is not listed counts as missing, and is named only if it is required', async () => {
    const scene = await endedScene();
    const key = `${KEYS.folder}/tile/0/000.p/${scene.archive.size}`;
    expect(scene.archive.objects.map.delete(key)).toBe(true);
    expect(named(await scene.verify(), 'MISSING')).toEqual([key]);
  });

  test.each([2 ** 53 - 1, 2 ** 40])('a checkpoint of %d leaves, signed with the stolen log key: what is missing is named', async (size) => {
    const scene = await endedScene();
    const note = utf8(await noteOf(scene.archive.signer, size, SEVENS));
    scene.archive.objects.map.set(KEYS.signed, note).set(KEYS.checkpoint, note);
    const verdict = await scene.verify();
    expect(codes(verdict)).toEqual(expect.arrayContaining(['ARCHIVE MISSING', 'LOG LEAVES_MISSING']));
    // A thousand for each of the two notes, of which a hundred are listed.
    expect(verdict.unlisted['MISSING']).toBe(1900);
  });

  test.each(['9007199254740992', '1152921504606846976', '-1', '1e3', '007'])('a checkpoint of %s leaves is not one', async (size) => {
    const scene = await endedScene();
    const text = formatCheckpoint({ origin: 'example.org/log/0', size: 1, root: SEVENS }).replace('\n1\n', `\n${size}\n`);
    scene.archive.objects.map.set(KEYS.checkpoint, utf8(await signNote(text, scene.archive.signer)));
    const verdict = await scene.verify();
    expect([codes(verdict), named(verdict, 'NOTE_MALFORMED')]).toEqual([['LOG NOTE_MALFORMED'], [KEYS.checkpoint]]);
  });

  test('a manifest that lists one file a thousand times has it read once', async () => {
    const scene = await makeScene();
    await scene.end({ manifest: (manifest) => ({ ...manifest, objects: manifest.objects.flatMap((each) => Array(1000).fill(each)) }) });
    const counting = new LyingObjects(scene.archive.objects);
    expect(codes(await verify(counting, scene))).toEqual(['ARCHIVE MANIFEST_OBJECTS']);
    for (const key of counting.read.filter((each) => each.endsWith('.avro')))
      expect([key, counting.read.filter((each) => each === key).length]).toEqual([key, 1]);
  });

  test('an events file that decompresses to more than a segment can hold is not read to its end', async () => {
    const scene = await makeScene();
    const { archive, world } = scene;
    const big = world.schema.encode(world.event('a', 'big', { attributes: [{ key: 'k', value: 'v'.repeat(200_000) }] }));
    await scene.end();
    const [first, end] = [18, archive.size];
    const key = KEYS.events(first, end, world.schema.hex);
    const row = encodeArchivedEvent(
      {
        logIndex: first,
        streamIndex: 0,
        acceptedAt: START_MICROS,
        producer: world.producer.name,
        epoch: testId('epoch scene'),
        seq: 0,
        inputOffset: 0,
        position: 0,
        marks: 0,
        leafHash: SEVENS,
      },
      big,
    );
    const root = await rootOf(archive);
    const sync = segmentSyncMarker(`${world.origin}/0`, first, end, root);
    const pieces: Uint8Array[] = [];
    const records = Array<Uint8Array>(800).fill(row);
    for await (const piece of writeContainer(archivedEventSchema(world.schema.text), sync, records, (data) => deflateRawSync(data)))
      pieces.push(piece);
    archive.objects.map.set(key, concat(...pieces));
    const verdict = await scene.verify();
    expect(named(verdict, 'TOO_LARGE')).toEqual([key]);
    expect(verdict.findings.find(({ code }) => code === 'TOO_LARGE')?.message).toContain('decompresses');
  });

  describe('links without a seal', () => {
    const linkOf = (streamBytes: number): Uint8Array =>
      encodeLink({
        kind: 'link',
        stream: 's'.repeat(streamBytes),
        index: 0,
        previous: SEVENS,
        event: SEVENS,
        schema: SEVENS,
        acceptedAt: 1,
        inputOffset: 0,
        position: 0,
        marks: 0,
      });

    /** Links of `bytes` bytes in all, the last two shorter than the others. */
    function linksOf(bytes: number): Uint8Array[] {
      const longest = linkOf(256);
      const count = Math.ceil(bytes / longest.length);
      const less = count * longest.length - bytes;
      return [...Array<Uint8Array>(count - 2).fill(longest), linkOf(256 - Math.floor(less / 2)), linkOf(256 - Math.ceil(less / 2))];
    }

    /** How often the verdict over a log of these leaves names a block that is too large. */
    async function tooLarge(leaves: readonly Uint8Array[]): Promise<number> {
      const scene = await endedScene();
      const { archive } = scene;
      for (let n = 0; n * 256 < leaves.length; n++) {
        const bundle = leaves.slice(n * 256, (n + 1) * 256);
        archive.objects.map.set(`${KEYS.folder}/${entriesPath(n, bundle.length)}`, encodeBundle(bundle));
      }
      const note = utf8(await noteOf(archive.signer, leaves.length, SEVENS));
      archive.objects.map.set(KEYS.signed, note).set(KEYS.checkpoint, note);
      return (await scene.verify()).findings.filter(({ code }) => code === 'BLOCK_TOO_LARGE').length;
    }

    test('do not fill the memory: from the first link on that no block can hold they are skipped, and this is named once', async () => {
      const most = linksOf(LIMITS.blockBytes);
      expect(most.reduce((sum, { length }) => sum + length, 0)).toBe(LIMITS.blockBytes);
      expect(await tooLarge(most)).toBe(0);
      expect(await tooLarge([...most, linkOf(100)])).toBe(1);
      expect(await tooLarge([...most, ...most])).toBe(1);
    });
  });
});

async function rootOf(archive: ForgedArchive): Promise<Uint8Array> {
  const text = new TextDecoder().decode(await archive.note());
  return Uint8Array.from(Buffer.from(required(text.split('\n')[2]), 'base64'));
}

describe('two histories', () => {
  test.each(['signed', 'checkpoint', 'checkpointAt'] as const)(
    '%s over another root of the same size, signed with the log key: LOG',
    async (which) => {
      const scene = await endedScene();
      const { archive } = scene;
      const key = which === 'checkpointAt' ? KEYS.checkpointAt(archive.size) : KEYS[which];
      archive.objects.map.set(key, utf8(await noteOf(archive.signer, archive.size, SEVENS)));
      const verdict = await scene.verify();
      // The COSE signature beside a kept note is of the root of the leaves, and so of another one than the note's.
      const others = which === 'checkpointAt' ? ['LOG TREE_HEAD_WRONG'] : [];
      expect([codes(verdict), named(verdict, 'ROOT_WRONG')]).toEqual([['LOG ROOT_WRONG', ...others], [key]]);
    },
  );

  test.each([0, 10])('a note of %d leaves over another root is found: every size that was signed is compared', async (size) => {
    const scene = await endedScene();
    scene.archive.objects.map.set(KEYS.checkpointAt(size), utf8(await noteOf(scene.archive.signer, size, SEVENS)));
    expect(codes(await scene.verify())).toEqual(['LOG ROOT_WRONG']);
  });

  test('the same chainer and log key, another history: their tiles do not fit into this archive', async () => {
    const [scene, other] = [await endedScene(), await makeScene()];
    await other.block([await other.say('another past')]);
    await other.end();
    const { map } = scene.archive.objects;
    for (const [key, bytes] of other.archive.objects.map) if (key.includes('/tile/')) map.set(key, bytes);
    const verdict = await scene.verify();
    expect(verdict.ok).toBe(false);
    expect(verdict.properties.LOG.result).toBe('FAILED');
  });

  test.each([
    ['first', ['POLICY POLICY_CHAIN', 'POLICY POLICY_MISSING']],
    ['last', ['POLICY POLICY_CHAIN']],
  ])('two versions of a policy, both signed by the root key, the added one read %s: POLICY', async (place, failed) => {
    const scene = await makeScene();
    const { world } = scene;
    const before = world.policy;
    await world.nextPolicy();
    await scene.end();
    // Versions are read in the order of their digests: a window is looked for whose digest comes where it should.
    const payloads = Array.from({ length: 64 }, (_, i) =>
      encodePolicy({ ...before.policy, version: 2, previous: before.hex, dedupWindowMs: 59_000 - i }),
    );
    const payload = required(payloads.find((each) => toHex(policyDigest(each)) < world.policy.hex === (place === 'first')));
    const key = policyKey(toHex(policyDigest(payload)));
    scene.archive.objects.map.set(key, encodeEnvelope(await signEnvelope('policy', payload, [world.root])));
    expect(codes(await scene.verify())).toEqual(failed);
  });
});

describe('objects that were taken from elsewhere', () => {
  test('the log of another origin: LOG', async () => {
    const scene = await endedScene();
    const other = await makeScene(await richWorld());
    Object.assign(other.world, { origin: 'example.org/other' });
    const foreign = utf8(
      await signNote(formatCheckpoint({ origin: 'example.org/other/0', size: scene.archive.size, root: SEVENS }), scene.archive.signer),
    );
    scene.archive.objects.map.set(KEYS.checkpoint, foreign);
    const verdict = await scene.verify();
    expect([codes(verdict), verdict.findings.find(({ code }) => code === 'NOTE_MALFORMED')?.message]).toEqual([
      ['LOG NOTE_MALFORMED'],
      expect.stringContaining('example.org/other/0'),
    ]);
  });

  test('the logs of two shards changed places: LOG', async () => {
    const world = await richWorld(2);
    const first = new ForgedArchive(world, 0);
    const second = new ForgedArchive(world, 1, first.objects);
    for (const archive of [first, second]) {
      await archive.block({ messages: [1], appendedAt: START_MICROS, acceptedAt: START_MICROS });
      await archive.block({ messages: [1], appendedAt: START_MICROS + 20 * SECOND, acceptedAt: START_MICROS + 20 * SECOND });
      await archive.close();
    }
    const keys = [parseVerifierKey(world.root.verifierKey)];
    expect(codes(await verifyArchive(first.objects, { keys }))).toEqual([]);
    const swapped = new ArchiveObjects();
    for (const [key, bytes] of first.objects.map)
      swapped.map.set(
        key.replace(/^logs\/([01])/, (_, shard) => `logs/${1 - Number(shard)}`),
        bytes,
      );
    const verdict = await verifyArchive(swapped, { keys });
    expect([verdict.ok, codes(verdict)]).toEqual([false, expect.arrayContaining(['ARCHIVE MANIFEST_SIGNATURE', 'LOG NOTE_MALFORMED'])]);
  });

  test('a log of a shard that the origin does not have is named', async () => {
    const scene = await endedScene();
    const key = 'logs/1/checkpoint';
    scene.archive.objects.map.set(key, required(scene.archive.objects.map.get(KEYS.checkpoint)));
    const verdict = await scene.verify();
    expect([verdict.ok, codes(verdict), noted(verdict, 'UNKNOWN_OBJECT')]).toEqual([true, [], [key]]);
  });
});

async function everything<T>(given: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of given) all.push(each);
  return all;
}

describe('an archive that grows while it is read', () => {
  /** Grows by a block, at most `times` times, each time after its listing was given. */
  function growing(scene: Scene, times: number, segments: boolean): ObjectStore {
    const { objects } = scene.archive;
    let grown = 0;
    const list = async function* (prefix: string): AsyncGenerator<ListedObject> {
      for (const each of await everything(objects.list(prefix))) yield each;
      if (grown++ >= times) return;
      await scene.block([await scene.say(`grown ${grown}`)]);
      if (segments) {
        scene.time += 20 * SECOND;
        await scene.block([]);
      }
      await (segments ? scene.archive.close() : scene.archive.publish());
    };
    return Object.assign(Object.create(objects) as ArchiveObjects, { list });
  }

  test.each([
    ['tiles', 1, false],
    ['tiles, again and again', 3, false],
    ['segments', 2, true],
  ])('by %s is judged as it was when it was listed: no finding', async (_, times, segments) => {
    const scene = await makeScene();
    const before = scene.archive.size;
    const verdict = await verify(growing(scene, times, segments), scene);
    expect([verdict.ok, codes(verdict)]).toEqual([true, []]);
    expect(verdict.properties.LOG.counts['leaves']).toBeGreaterThan(before);
  });

  /** An archive at rest, each of whose first listings leaves out one object, as a store may in which it is just replaced. */
  class Restless extends LyingObjects {
    readonly absent: readonly string[];
    listings = 0;

    constructor(objects: ArchiveObjects, ...absent: readonly string[]) {
      super(objects);
      this.absent = absent;
    }

    override async *list(prefix: string): AsyncGenerator<ListedObject> {
      const absent = this.absent[this.listings++];
      for await (const each of super.list(prefix)) if (each.key !== absent) yield each;
    }
  }

  test.each([
    ['the first', [KEYS.checkpoint]],
    ['the second', ['', KEYS.checkpoint]],
    ['each', [KEYS.checkpoint, KEYS.signed]],
  ])('without a note in %s listing: it is listed until it no longer changes, and is OK', async (_, absent) => {
    const scene = await endedScene();
    const verdict = await verify(new Restless(scene.archive.objects, ...absent), scene);
    expect([verdict.ok, codes(verdict)]).toEqual([true, []]);
  });

  test('not at all is listed twice, and a note, however large a note may be, is judged as it was read with the listing', async () => {
    const scene = await endedScene();
    const { map } = scene.archive.objects;
    map.set(KEYS.checkpoint, padded(required(map.get(KEYS.checkpoint)), LIMITS.noteBytes));
    const watched = new Restless(scene.archive.objects);
    const verdict = await verify(watched, scene);
    expect([verdict.ok, codes(verdict), watched.listings]).toEqual([true, [], 2]);
    expect(watched.read.filter((key) => key === KEYS.checkpoint)).toHaveLength(2);
  });

  test('faster than it can be listed is judged nevertheless', async () => {
    const scene = await makeScene();
    expect(typeof (await verify(growing(scene, 1000, false), scene)).ok).toBe('boolean');
  });

  test('an object that is removed after it was listed is MISSING', async () => {
    const scene = await endedScene();
    const key = KEYS.evidence(0, 18);
    const { objects } = scene.archive;
    const get = (asked: string): Promise<StoredObject | undefined> => (asked === key ? Promise.resolve(undefined) : objects.get(asked));
    const verdict = await verify(Object.assign(Object.create(objects) as ArchiveObjects, { get }), scene);
    expect([verdict.ok, named(verdict, 'MISSING')]).toEqual([false, [key]]);
  });
});

describe('a folder that is made to harm its reader', () => {
  const folder = temporaryFolder('hostile');
  let scene: Scene;
  beforeAll(async () => {
    scene = await makeScene();
    await scene.end({ snapshot: true });
  });
  beforeEach(() => {
    rmSync(folder.path, { recursive: true, force: true });
    for (const [key, bytes] of scene.archive.objects.map) {
      mkdirSync(dirname(join(folder.path, key)), { recursive: true });
      writeFileSync(join(folder.path, key), bytes);
    }
  });
  afterAll(() => folder.release());

  const judge = async (): Promise<Verdict> => verify(await openFolderObjectStore(folder.path), scene);
  const pathOf = (key: string): string => join(folder.path, key);
  const outside = (key: string): string => {
    const path = `${folder.path}-outside`;
    writeFileSync(path, required(scene.archive.objects.map.get(key)));
    return path;
  };

  test('as it was made: OK', async () => {
    expect((await judge()).ok).toBe(true);
  });

  const makePipe = async (path: string): Promise<void> => expect(await runProgram('mkfifo', [path])).toMatchObject({ code: 0 });
  const plants: readonly (readonly [string, (path: string, key: string) => unknown])[] = [
    ['a folder', (path) => mkdirSync(path)],
    [
      'a folder that is not empty',
      (path) => {
        mkdirSync(path);
        writeFileSync(join(path, 'x'), 'x');
      },
    ],
    ['a link to the same bytes outside of the archive', (path, key) => symlinkSync(outside(key), path)],
    ['a link to itself', (path) => symlinkSync(path, path)],
    ['a link to a device without end', (path) => symlinkSync('/dev/zero', path)],
    ['a pipe that nobody writes to', makePipe],
    [
      'ten gigabytes of nothing',
      (path) => {
        writeFileSync(path, '');
        truncateSync(path, 10 * 2 ** 30);
      },
    ],
  ];
  const places = [
    'logs/0/checkpoint',
    'logs/0/signed',
    KEYS.manifest(0, 18),
    KEYS.evidence(0, 18),
    'logs/0/tile/0/000.p/23',
    'logs/0/tile/entries/000.p/23',
  ];
  test.each(plants.flatMap(([what, plant]) => places.map((key) => [what, key, plant] as const)))(
    '%s in the place of %s: FAILED, naming it',
    async (_, key, plant) => {
      expect(scene.archive.size).toBe(23);
      rmSync(pathOf(key));
      await plant(pathOf(key), key);
      const verdict = await judge();
      const failed = verdict.findings.filter(({ severity }) => severity === 'FAILED').map(({ place }) => place.object);
      expect([verdict.ok, failed]).toEqual([false, expect.arrayContaining([key])]);
      rmSync(pathOf(key), { recursive: true });
    },
  );

  test.each(['archive.json', 'logs/0/tile/0/000.p/18', 'logs/0/tile/entries/000.p/18', KEYS.snapshot(23)])(
    'a link in the place of %s, which may be missing: FAILED',
    async (key) => {
      const path = outside(key);
      rmSync(pathOf(key));
      symlinkSync(path, pathOf(key));
      expect(named(await judge(), 'MISSING')).toEqual([key]);
    },
  );

  test('a planted link, pipe or file that no note and no manifest knows is named', async () => {
    symlinkSync('/etc/passwd', pathOf('logs/0/passwd'));
    await makePipe(pathOf('policies/pipe'));
    writeFileSync(pathOf('schemas/notes.txt'), 'x');
    writeFileSync(Buffer.concat([Buffer.from(`${folder.path}/logs/0/`), Buffer.from([0xff, 0xfe])]), 'x');
    const verdict = await judge();
    expect([verdict.ok, noted(verdict, 'UNKNOWN_OBJECT')]).toEqual([
      true,
      ['logs/0/passwd', 'logs/0/\uFFFD\uFFFD', 'policies/pipe', 'schemas/notes.txt'],
    ]);
  });

  describe('a file or folder that this user may not read', () => {
    /** As somebody who is not root, for whom every file is readable. */
    async function unprivileged<T>(work: () => Promise<T>): Promise<T> {
      if (process.geteuid?.() !== 0) return work();
      process.seteuid?.(65_534);
      try {
        return await work();
      } finally {
        process.seteuid?.(0);
      }
    }

    test.each(['logs/0/checkpoint', KEYS.evidence(0, 18), 'logs/0/tile', 'policies'])(
      '%s: an error of this machine, and no finding',
      async (key) => {
        chmodSync(folder.path, 0o755);
        chmodSync(pathOf(key), 0);
        const error = await unprivileged(async () =>
          judge().then(
            () => undefined,
            (reason: unknown) => reason,
          ),
        );
        chmodSync(pathOf(key), 0o755);
        expect(error).toMatchObject({ code: 'IO_FAILED', message: expect.stringMatching(/EACCES/) });
        expect(exitCodeOf(error)).toBe(74);
      },
    );
  });
});

test('bytes and names of an archive never reach a terminal as control characters', async () => {
  const scene = await endedScene();
  scene.archive.objects.map.set('logs/0/\u001b]0;owned\u0007', sha256(SEVENS));
  const { verdictText } = await import('../../auditor/verdict-text.ts');
  expect(verdictText(await scene.verify())).not.toMatch(/[^\P{Cc}\n]/u);
});
