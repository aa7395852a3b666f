import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { sha256 } from '#crypto';
import { segmentSyncMarker } from '../../core/acceptance/segment-rule.ts';
import { archiveAnchor } from '../../core/archive/archive-anchor.ts';
import { parseArchiveKey } from '../../core/archive/archive-keys.ts';
import { type Manifest, parseManifest } from '../../core/archive/manifest.ts';
import { readContainer, writeContainer } from '../../core/avro/ocf.ts';
import { SCHEMA_TEXTS } from '../../core/avro/schema-texts.ts';
import { concat, fromHex, toHex, utf8 } from '../../core/base/bytes.ts';
import { archivedEventSchema, decodeArchivedEvent } from '../../core/formats/archived-event.ts';
import { decodeBlockEvidence } from '../../core/formats/block-evidence.ts';
import { EVENT_SCHEMA } from '../../core/formats/event-schema.ts';
import { decodeEnvelope } from '../../core/keys/dsse.ts';
import { TOPICS } from '../../core/ports/log.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { type ArchiveRun, archiveChain, makeChain, noteOf, type TestChain } from '../support/archive.ts';
import { forge, honest } from '../support/forged-block.ts';
import { MemoryObjectStore } from '../support/memory.ts';
import { makeWorld, testSigner } from '../support/producer.ts';
import { checkTree, readNote } from '../support/tree-check.ts';

const FOLDER = 'logs/0';

function keysOf(store: MemoryObjectStore, kind: string): string[] {
  return [...store.objects.keys()].filter((key) => parseArchiveKey(key).kind === kind).toSorted();
}

function manifests(store: MemoryObjectStore): Manifest[] {
  return keysOf(store, 'manifest').map((key) => parseManifest(decodeEnvelope(store.objects.get(key) as Uint8Array, 'manifest').payload));
}

/** Everything but snapshots, which are derived and name offsets of the chain topic. */
function evidenceOf(store: MemoryObjectStore): [string, Uint8Array][] {
  return [...store.objects]
    .filter(([key]) => !/^(?:snapshot|state)$/.test(parseArchiveKey(key).kind))
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function copyOf(store: MemoryObjectStore): MemoryObjectStore {
  const copy = new MemoryObjectStore();
  for (const [key, bytes] of store.objects) copy.objects.set(key, bytes);
  return copy;
}

async function recordsOf(store: MemoryObjectStore, manifest: Manifest, name: string, schema: string): Promise<Uint8Array[]> {
  const bytes = store.objects.get(`${FOLDER}/segments/${name}`) as Uint8Array;
  const sync = segmentSyncMarker(manifest.origin, manifest.first, manifest.end, fromHex(manifest.root));
  const records: Uint8Array[] = [];
  for await (const block of readContainer(
    schema,
    sync,
    (at, length) => bytes.subarray(at, at + length),
    (data) => inflateRawSync(data),
  ))
    records.push(...block.records);
  return records;
}

/** How a second run ends after `spoil` changed archive or chain. */
async function outcome(spoil: (objects: MemoryObjectStore, given: TestChain) => Promise<void>): Promise<string> {
  const given = await makeChain(9);
  const objects = new MemoryObjectStore();
  await archiveChain(given, objects);
  await spoil(objects, given);
  try {
    await archiveChain(given, objects);
    return 'goes on';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

function log(given: TestChain): Signer {
  return given.world.logs[0] as Signer;
}

let chain: TestChain;
let store: MemoryObjectStore;
let metrics: ArchiveRun['metrics'];

beforeAll(async () => {
  chain = await makeChain(14);
  store = new MemoryObjectStore();
  ({ metrics } = await archiveChain(chain, store));
});

describe('an archive of a chain', () => {
  test('holds a complete tree whose root the log key signed, and its leaves are the chain', async () => {
    const leaves = checkTree(store, FOLDER, `${FOLDER}/checkpoint`, log(chain));
    expect(leaves).toEqual(chain.blocks.flatMap(({ block }) => [...block.links, block.seal]));
    expect(store.objects.get(`${FOLDER}/signed`)).toEqual(store.objects.get(`${FOLDER}/checkpoint`));
    for (const key of keysOf(store, 'checkpointAt')) checkTree(store, FOLDER, key, log(chain));
    expect(metrics.last.get('lineproof_archiver_attested_size')).toBe(leaves.length);
    expect(metrics.last.get('lineproof_archiver_verified_size')).toBe(leaves.length);
    expect(metrics.last.get('lineproof_archiver_archived_size')).toBe(manifests(store).at(-1)?.end);
  });

  test('has segments that follow each other, each described by what is stored', async () => {
    const all = manifests(store);
    expect(all.length).toBeGreaterThanOrEqual(3);
    let [end, offset, previous]: [number, number, string | null] = [0, 0, null];
    for (const [i, manifest] of all.entries()) {
      expect([manifest.first, manifest.previous, manifest.origin]).toEqual([end, previous, `${chain.world.origin}/0`]);
      expect(manifest.offsets).toEqual([{ generation: 0, from: offset, to: expect.any(Number) }]);
      ({ end } = manifest);
      offset = manifest.offsets[0]?.to as number;
      const envelope = store.objects.get(keysOf(store, 'manifest')[i] as string) as Uint8Array;
      previous = toHex(sha256(decodeEnvelope(envelope, 'manifest').payload));
      expect(readNote(store, `${FOLDER}/checkpoints/${end}`, log(chain))).toMatchObject({
        size: end,
        root: fromHex(manifest.root),
      });
      for (const object of manifest.objects) {
        const bytes = store.objects.get(`${FOLDER}/segments/${object.name}`) as Uint8Array;
        expect([object.size, object.sha256]).toEqual([bytes.length, toHex(sha256(bytes))]);
        const records = await recordsOf(
          store,
          manifest,
          object.name,
          object.name.endsWith('evidence.avro') ? SCHEMA_TEXTS.BlockEvidence : archivedEventSchema(EVENT_SCHEMA.text),
        );
        expect(object.content).toBe(toHex(sha256(concat(...records))));
      }
    }
    expect(keysOf(store, 'evidence')).toHaveLength(all.length);
  });

  test('has every event with its columns and every block with its evidence', async () => {
    const events = [];
    const evidence = [];
    for (const manifest of manifests(store)) {
      for (const { name } of manifest.objects) {
        const isEvidence = name.endsWith('evidence.avro');
        const records = await recordsOf(
          store,
          manifest,
          name,
          isEvidence ? SCHEMA_TEXTS.BlockEvidence : archivedEventSchema(EVENT_SCHEMA.text),
        );
        if (isEvidence) evidence.push(...records.map(decodeBlockEvidence));
        else events.push(...records.map((record) => decodeArchivedEvent(record)));
      }
    }
    const archived = chain.blocks.filter(({ seal }) => seal.firstIndex < (manifests(store).at(-1)?.end as number));
    expect(evidence).toEqual(
      archived.map(({ block, seal }) => ({
        sealIndex: seal.firstIndex + seal.links,
        keyId: block.keyId,
        signature: block.signature,
        evidence: block.evidence,
      })),
    );
    const expected = archived.flatMap(({ block, links, seal, headers, leafHashes }) =>
      links.map((link, i) => ({
        logIndex: seal.firstIndex + i,
        streamIndex: link.index,
        producer: chain.world.producer.name,
        seq: (headers.get(link.inputOffset)?.firstSeq as number) + link.position,
        inputOffset: link.inputOffset,
        leafHash: leafHashes[i],
        event: block.events[i],
      })),
    );
    expect(events.map(({ columns, event }) => ({ ...columns, event }))).toEqual(expected.map((row) => expect.objectContaining(row)));
  });

  test('counts what its evidence and links say', async () => {
    const [first] = manifests(store);
    const blocks = chain.blocks.filter(({ seal }) => seal.firstIndex < (first?.end as number));
    const links = blocks.reduce((sum, block) => sum + block.links.length, 0);
    const times = blocks.map(({ seal }) => seal.acceptedAt);
    expect(first?.counts).toEqual({
      links,
      seals: blocks.length,
      duplicates: 0,
      conflicts: 0,
      repeated: 0,
      rejected: blocks.length,
      empty: blocks.length,
      sampledOut: 0,
      perProducer: [{ producer: chain.world.producer.name, links }],
    });
    expect(first?.accepted).toEqual({ from: Math.min(...times), to: Math.max(...times) });
    expect(first?.occurred).not.toBeNull();
    expect(first?.policies).toEqual([chain.world.policy.hex]);
    expect(first?.schemas).toEqual([EVENT_SCHEMA.hex]);
  });

  test('names its policies, schemas and keys', () => {
    const { world } = chain;
    expect(store.objects.get(`policies/${world.policy.hex}.json`)).toEqual(world.envelopes[0]);
    expect(store.objects.get(`schemas/${EVENT_SCHEMA.hex}.avsc`)).toEqual(utf8(EVENT_SCHEMA.text));
    expect(JSON.parse(new TextDecoder().decode(store.objects.get('archive.json')))).toEqual({
      origin: world.origin,
      shards: 1,
      roots: [world.root.verifierKey],
      logs: world.logs.map(({ verifierKey }) => verifierKey),
    });
  });

  test('lets a chainer and the next start find the newest snapshot and note', async () => {
    const anchor = archiveAnchor(store, chain.sources, chain.world.origin, 1);
    expect(await anchor.signed(0)).toMatchObject({ size: chain.state.head.size });
    const sizes = keysOf(store, 'snapshot').map((key) => parseArchiveKey(key) as { size: number });
    const point = await anchor.snapshot(0);
    expect(point?.head.size).toBe(Math.max(...sizes.map(({ size }) => size)));
    expect([...(point?.streams ?? [])].length).toBeGreaterThan(0);
  });

  test('trims the chain before the dedup window, and the input that was consumed', async () => {
    const { start, end } = await chain.log.bounds(TOPICS.chain, 0);
    const point = await archiveAnchor(store, chain.sources, chain.world.origin, 1).snapshot(0);
    expect([start > 0, start < end]).toEqual([true, true]);
    const windowMicros = 121_000_000;
    const [oldest, second] = [chain.blocks[start], chain.blocks[start + 1]].map((block) => block?.delta.head.appendedAt as number) as [
      number,
      number,
    ];
    const cutoff = (point?.head.appendedAt as number) - windowMicros;
    expect([oldest < cutoff, second >= cutoff]).toEqual([true, true]);
    expect((await chain.log.bounds(TOPICS.events, 0)).start).toBe((point?.head.inputTo as number) - 1);
  });

  test('is continued at the next start, from the snapshot', async () => {
    const given = await makeChain(14);
    const objects = new MemoryObjectStore();
    await archiveChain(given, objects);
    const before = new Map(objects.objects);
    for (let i = 0; i < 6; i++) await given.grow([`more ${i}`]);
    await archiveChain(given, objects);
    const leaves = checkTree(objects, FOLDER, `${FOLDER}/checkpoint`, log(given));
    expect(leaves).toHaveLength(given.state.head.size);
    for (const [key, bytes] of before)
      if (!['signed', 'checkpoint'].includes(parseArchiveKey(key).kind)) expect(objects.objects.get(key)).toBe(bytes);
    expect(manifests(objects).map(({ first, end }) => [first, end])).toEqual(
      manifests(objects).map(({ end }, i) => [i === 0 ? 0 : manifests(objects)[i - 1]?.end, end]),
    );
  });
});

test('every metric of an archiver names its shard', async () => {
  const seen = new Map<string, unknown>();
  const gone: unknown[] = [];
  const note = (name: string, _: number, labels?: object): void => void seen.set(name, labels);
  await archiveChain(await makeChain(9), new MemoryObjectStore(), {
    metrics: { add: note, set: note, observe: note, forget: (name: string, labels?: object) => void gone.push([name, labels]) },
  });
  expect(seen.size).toBeGreaterThan(3);
  for (const [name, labels] of seen) expect([name, labels]).toEqual([name, { shard: '0' }]);
  // When the work on the shard ends, its gauges go.
  expect(gone.length).toBeGreaterThan(2);
  expect(gone).toEqual(gone.map(() => [expect.stringMatching(/^lineproof_archiver_/), { shard: '0' }]));
});

test('an archive that is complete already is not written to', async () => {
  const given = await makeChain(9);
  const objects = new MemoryObjectStore();
  await archiveChain(given, objects);
  const before = copyOf(objects);
  const written: string[] = [];
  objects.replace = async (key) => {
    written.push(key);
    return undefined;
  };
  await archiveChain(given, objects);
  expect([written, objects.objects]).toEqual([[], before.objects]);
});

describe('blocks that are not accepted', () => {
  test('leave no trace: late, repeated and forged ones', async () => {
    const clean = await makeChain(9);
    const dirty = await makeChain(0, clean.world);
    for (const [i, value] of clean.values.entries()) {
      const junk = [clean.values[Math.max(0, i - 1)] as Uint8Array, value.subarray(1), new Uint8Array(0), value];
      await dirty.log.append(
        TOPICS.chain,
        0,
        junk.map((each) => ({ key: null, value: each })),
      );
    }
    const [one, two] = [new MemoryObjectStore(), new MemoryObjectStore()];
    await archiveChain(clean, one);
    await archiveChain(dirty, two);
    expect(evidenceOf(two)).toEqual(evidenceOf(one));
  });
});

describe('an archive that contradicts the chain stops the shard', () => {
  test('when nothing was changed, it does not', async () => {
    expect(await outcome(async () => undefined)).toBe('goes on');
  });

  test('a note over another root', async () => {
    const code = await outcome(async (objects, given) => {
      objects.objects.set(`${FOLDER}/signed`, utf8(await noteOf(log(given), given.state.head.size, new Uint8Array(32))));
    });
    expect(code).toBe('ARCHIVE_DIVERGED');
  });

  test('a note at a size that is not the end of a block', async () => {
    const code = await outcome(async (objects, given) => {
      objects.objects.set(`${FOLDER}/signed`, utf8(await noteOf(log(given), given.state.head.size - 1, new Uint8Array(32))));
    });
    expect(code).toBe('ARCHIVE_DIVERGED');
  });

  test('a note that nobody in the policy signed', async () => {
    const code = await outcome(async (objects, given) => {
      const stranger = testSigner(log(given).name, 'stranger');
      objects.objects.set(`${FOLDER}/signed`, utf8(await noteOf(stranger, 3, new Uint8Array(32))));
    });
    expect(code).toBe('ARCHIVE_DIVERGED');
  });

  test('a block in a format that this version does not know, signed by a chainer key', async () => {
    const code = await outcome(async (_, given) => {
      const { world, state } = given;
      const value = await forge(state, { ...honest(world, state, { messages: [] }), sealBytes: new Uint8Array([2, 0]) });
      await given.log.append(TOPICS.chain, 0, [{ key: null, value }]);
    });
    expect(code).toBe('FORMAT_UNKNOWN');
  });

  test('a chain that lost its attested tail', async () => {
    expect(await outcome(async (_, given) => given.log.cut(TOPICS.chain, 0, 1))).toBe('LOG_BEHIND');
  });

  test('a chain that lost more than its snapshot', async () => {
    expect(await outcome(async (_, given) => given.log.cut(TOPICS.chain, 0, 8))).toBe('LOG_BEHIND');
  });

  test('a chain that lost what its snapshot ends with, and nothing before', async () => {
    const code = await outcome(async (objects, given) => {
      const point = await archiveAnchor(objects, given.sources, given.world.origin, 1).snapshot(0);
      const { end } = await given.log.bounds(TOPICS.chain, 0);
      given.log.cut(TOPICS.chain, 0, end - (point?.chainOffset ?? 0));
      expect((await given.log.bounds(TOPICS.chain, 0)).end).toBe(point?.chainOffset);
    });
    expect(code).toBe('LOG_BEHIND');
  });

  test('a chain that has another block where the snapshot ends', async () => {
    const code = await outcome(async (objects, given) => {
      const sizes = keysOf(objects, 'snapshot').map((key) => (parseArchiveKey(key) as { size: number }).size);
      const at = given.blocks.findIndex(({ delta }) => delta.head.size === Math.max(...sizes));
      const tail = given.values.slice(at + 1);
      given.log.cut(TOPICS.chain, 0, tail.length + 1);
      await given.log.append(
        TOPICS.chain,
        0,
        [new Uint8Array(9), ...tail].map((value) => ({ key: null, value })),
      );
    });
    expect(code).toBe('LOG_DIVERGED');
  });

  test('blocks that were trimmed before they were archived', async () => {
    const code = await outcome(async (objects, given) => {
      objects.objects.clear();
      await given.log.trim(TOPICS.chain, 0, 2);
    });
    expect(code).toBe('CHAIN_TRIMMED');
  });

  test.each(['tile', 'events', 'evidence', 'manifest', 'checkpointAt', 'coseAt', 'snapshot', 'state', 'policy', 'schema'])(
    'other content in the place of an object of kind %s',
    async (kind) => {
      const given = await makeChain(9);
      const [whole, objects] = [new MemoryObjectStore(), new MemoryObjectStore()];
      await archiveChain(given, whole);
      const key = keysOf(whole, kind)[0] as string;
      const bytes = (whole.objects.get(key) as Uint8Array).slice();
      bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
      objects.objects.set(key, bytes);
      const fresh = await makeChain(0, given.world);
      await fresh.log.append(
        TOPICS.chain,
        0,
        given.values.map((value) => ({ key: null, value })),
      );
      await expect(archiveChain(fresh, objects)).rejects.toMatchObject({ code: 'ARCHIVE_DIVERGED' });
      expect(readNote(objects, `${FOLDER}/signed`, log(given))?.size ?? 0).toBeLessThanOrEqual(given.state.head.size);
    },
  );

  test.each(['/tile/0/', '/tile/entries/'])('a store that gives back other bytes below %s than it took', async (place) => {
    const given = await makeChain(9);
    const objects = new MemoryObjectStore();
    const get = objects.get.bind(objects);
    objects.get = async (key, range) => {
      const stored = await get(key, range);
      return stored === undefined || !key.includes(place)
        ? stored
        : { ...stored, bytes: stored.bytes.map((byte, i) => (i === stored.bytes.length - 1 ? byte ^ 1 : byte)) };
    };
    await expect(archiveChain(given, objects)).rejects.toMatchObject({ code: 'ARCHIVE_DIVERGED' });
    expect(keysOf(objects, 'manifest')).toEqual([]);
  });

  test('a log key that the policy does not name', async () => {
    const given = await makeChain(1);
    const signers = [testSigner(log(given).name, 'stranger')];
    const objects = new MemoryObjectStore();
    await expect(archiveChain(given, objects, { signers })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    expect(objects.objects.size).toBe(0);
  });

  test('a tile of the snapshot that is missing, or damaged', async () => {
    for (const spoil of ['missing', 'damaged']) {
      const code = await outcome(async (objects, given) => {
        const point = await archiveAnchor(objects, given.sources, given.world.origin, 1).snapshot(0);
        const key = `${FOLDER}/tile/0/000.p/${point?.head.size}`;
        expect(objects.objects.has(key)).toBe(true);
        if (spoil === 'missing') objects.objects.delete(key);
        else
          objects.objects.set(
            key,
            (objects.objects.get(key) as Uint8Array).map((byte, i) => (i === 0 ? byte ^ 1 : byte)),
          );
      });
      expect(code).toBe('ARCHIVE_DIVERGED');
    }
  });
});

describe('an object that is stored already', () => {
  test('is kept if it was compressed differently, described by its size and digest', async () => {
    const given = await makeChain(9);
    const [whole, objects] = [new MemoryObjectStore(), new MemoryObjectStore()];
    const values = given.values.map((value) => ({ key: null, value }));
    await archiveChain(given, whole);
    const [first] = manifests(whole) as [Manifest];
    const name = first.objects[0]?.name as string;
    const schema = archivedEventSchema(EVENT_SCHEMA.text);
    const sync = segmentSyncMarker(first.origin, first.first, first.end, fromHex(first.root));
    const pieces: Uint8Array[] = [];
    const records = await recordsOf(whole, first, name, schema);
    for await (const piece of writeContainer(schema, sync, records, (data) => deflateRawSync(data, { level: 0 }))) pieces.push(piece);
    const other = concat(...pieces);
    objects.objects.set(`${FOLDER}/segments/${name}`, other);
    const fresh = await makeChain(0, given.world);
    await fresh.log.append(TOPICS.chain, 0, values);
    await archiveChain(fresh, objects);
    const [taken] = manifests(objects) as [Manifest];
    expect(objects.objects.get(`${FOLDER}/segments/${name}`)).toBe(other);
    expect(taken.objects[0]).toEqual({ name, size: other.length, sha256: toHex(sha256(other)), content: first.objects[0]?.content });
  });

  test('is kept if another log key of the policy signed it', async () => {
    const second = testSigner('example.org/log/0', 'second');
    const world = await makeWorld({
      policy: (policy) => ({
        ...policy,
        segmentMaxAgeMs: 60_000,
        logs: [...policy.logs, { ...policy.logs[0], key: second.verifierKey } as (typeof policy.logs)[0]],
      }),
    });
    const given = await makeChain(9, world);
    const [whole, objects] = [new MemoryObjectStore(), new MemoryObjectStore()];
    await archiveChain(given, whole, { signers: [second] });
    const fresh = await makeChain(0, world);
    await fresh.log.append(
      TOPICS.chain,
      0,
      given.values.map((value) => ({ key: null, value })),
    );
    const signed = ['manifest', 'checkpointAt', 'coseAt'].flatMap((kind) => keysOf(whole, kind));
    expect(signed.length).toBeGreaterThanOrEqual(4);
    for (const key of signed) objects.objects.set(key, whole.objects.get(key) as Uint8Array);
    await archiveChain(fresh, objects);
    for (const key of signed) expect([key, objects.objects.get(key)]).toEqual([key, whole.objects.get(key)]);
    expect(readNote(objects, `${FOLDER}/signed`, log(given))?.size).toBe(given.state.head.size);
  });

  test('a snapshot that is damaged or foreign is skipped for an older one, or for the start of the log', async () => {
    const given = await makeChain(14);
    const objects = new MemoryObjectStore();
    await archiveChain(given, objects);
    const anchor = archiveAnchor(objects, given.sources, given.world.origin, 1);
    const sizes = keysOf(objects, 'snapshot')
      .map((key) => (parseArchiveKey(key) as { size: number }).size)
      .toSorted((a, b) => b - a);
    expect(sizes.length).toBeGreaterThan(1);
    for (const [i, size] of sizes.entries()) {
      expect((await anchor.snapshot(0))?.head.size).toBe(size);
      const key = `${FOLDER}/snapshots/${size}.json`;
      const bytes = objects.objects.get(key) as Uint8Array;
      if (i % 2 === 0) objects.objects.set(key, bytes.subarray(1));
      else objects.objects.delete(`${FOLDER}/checkpoints/${size}`);
    }
    expect(await anchor.snapshot(0)).toBeUndefined();
  });
});

test('two archivers at the same time make one archive', async () => {
  const given = await makeChain(12);
  const values = given.values.map((value) => ({ key: null, value }));
  const [alone, shared] = [new MemoryObjectStore(), new MemoryObjectStore()];
  await archiveChain(given, alone);
  const fresh = await makeChain(0, given.world);
  await fresh.log.append(TOPICS.chain, 0, values);
  await Promise.all([archiveChain(fresh, shared), archiveChain(fresh, shared)]);
  expect([...shared.objects.keys()].toSorted()).toEqual([...alone.objects.keys()].toSorted());
  for (const [key, bytes] of alone.objects) expect([key, shared.objects.get(key)]).toEqual([key, bytes]);
});

test('an archiver that comes late to a shard that another one works on takes over its notes', async () => {
  const given = await makeChain(5);
  const objects = new MemoryObjectStore();
  await archiveChain(given, objects);
  const behind = copyOf(objects);
  await given.grow(['later']);
  await archiveChain(given, objects);
  behind.objects.set(`${FOLDER}/signed`, objects.objects.get(`${FOLDER}/signed`) as Uint8Array);
  await archiveChain(given, behind);
  expect(readNote(behind, `${FOLDER}/checkpoint`, log(given))?.size).toBe(given.state.head.size);
  checkTree(behind, FOLDER, `${FOLDER}/checkpoint`, log(given));
});

test('an archiver that writes its snapshot after another one wrote a newer goes on', async () => {
  const given = await makeChain(9);
  const values = given.values.map((value) => ({ key: null, value }));
  const fresh = await makeChain(0, given.world);
  await fresh.log.append(TOPICS.chain, 0, values);
  const shared = new MemoryObjectStore();
  const late: MemoryObjectStore = Object.create(shared);
  let overtaken = false;
  late.create = async (key, content) => {
    if (parseArchiveKey(key).kind === 'snapshot' && !overtaken) {
      overtaken = true;
      await archiveChain(fresh, shared);
      expect(keysOf(shared, 'snapshot').some((newer) => newer > key)).toBe(true);
    }
    return shared.create(key, content);
  };
  const { logger } = await archiveChain(fresh, late);
  expect([overtaken, logger.lines]).toEqual([true, []]);
  expect(readNote(shared, `${FOLDER}/checkpoint`, log(given))?.size).toBe(given.state.head.size);
});
