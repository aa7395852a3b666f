import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { archiveAnchor, openLogNote } from '../../core/archive/archive-anchor.ts';
import { logKeysOf } from '../../core/archive/archive-keys.ts';
import { utf8 } from '../../core/base/bytes.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { archiveChain, makeChain, noteOf, type TestChain } from '../support/archive.ts';
import { MemoryObjectStore } from '../support/memory.ts';
import { testSigner } from '../support/producer.ts';
import { readStateFile, type Snapshot, snapshotObjects } from '../support/snapshots.ts';

const KEYS = logKeysOf(0);

let chain: TestChain;
let whole: MemoryObjectStore;
let log: Signer;
/** A signer with the log's name and another key. */
let stranger: Signer;
let older: number;
let newest: number;

beforeAll(async () => {
  chain = await makeChain(14);
  whole = new MemoryObjectStore();
  await archiveChain(chain, whole);
  log = chain.world.logs[0] as Signer;
  stranger = testSigner(log.name, 'stranger');
  const sizes = [...whole.objects.keys()].filter((key) => key.startsWith(KEYS.snapshots)).map((key) => Number(/\d+(?=\.json$)/.exec(key)));
  [newest, older] = sizes.toSorted((a, b) => b - a) as [number, number];
});

describe('a note of the log', () => {
  const root = new Uint8Array(32).fill(5);
  const open = (note: string): unknown => openLogNote(utf8(note), log.name, [parseVerifierKey(log.verifierKey)]);

  test('is opened with its content', async () => {
    const note = await noteOf(log, 7, root);
    expect(open(note)).toEqual({ origin: log.name, size: 7, root, note });
  });

  test('is refused if only a foreign key signed it', async () => {
    const note = await noteOf(stranger, 7, root);
    expect(() => open(note)).toThrow(expect.objectContaining({ code: 'ARCHIVE_DIVERGED' }));
  });

  test('is refused if it is about another log, though the log key signed it', async () => {
    const note = await noteOf(log, 7, root);
    expect(() => openLogNote(utf8(note), `${log.name}0`, [parseVerifierKey(log.verifierKey)])).toThrow(
      expect.objectContaining({ code: 'ARCHIVE_DIVERGED' }),
    );
  });

  test('is refused if its text was changed after it was signed', async () => {
    const note = (await noteOf(log, 7, root)).replace('\n7\n', '\n8\n');
    expect(() => open(note)).toThrow(expect.objectContaining({ code: 'ARCHIVE_DIVERGED' }));
  });
});

test('the signed note of an archive without one is undefined', async () => {
  const anchor = archiveAnchor(new MemoryObjectStore(), chain.sources, chain.world.origin, 1);
  expect(await anchor.signed(0)).toBeUndefined();
});

describe('the newest snapshot', () => {
  let store: MemoryObjectStore;

  beforeEach(() => {
    store = new MemoryObjectStore();
    for (const [key, bytes] of whole.objects) store.objects.set(key, bytes);
  });

  async function found(shards = 1): Promise<number | undefined> {
    return (await archiveAnchor(store, chain.sources, chain.world.origin, shards).snapshot(0))?.head.size;
  }

  /** Puts what `change` makes of the newest snapshot in its place, signed by `signer`. */
  async function put(change: (snapshot: Snapshot) => Snapshot, signer = log): Promise<void> {
    const before = readStateFile(whole.objects.get(KEYS.state(newest)) as Uint8Array);
    const changed = await snapshotObjects(change(before), [signer], { shard: 0, size: newest });
    for (const [key, bytes] of changed) store.objects.set(key, bytes);
  }

  test('is used as long as nothing was changed', async () => {
    await put((snapshot) => snapshot);
    expect(await found()).toBe(newest);
  });

  test('gives the whole state that it holds, with the policy in force, if there is one', async () => {
    const { sources, world, blocks } = chain;
    const point = await archiveAnchor(store, sources, world.origin, 1).snapshot(0);
    const block = blocks.find(({ delta }) => delta.head.size === newest);
    expect(point?.head).toEqual(block?.delta.head);
    expect(point?.chainOffset).toBe(blocks.indexOf(block as (typeof blocks)[0]));
    for (const [stream, end] of block?.delta.streams ?? []) expect([...(point?.streams ?? [])]).toContainEqual([stream, end]);
    for (const [key, lane] of block?.delta.lanes ?? []) expect([...(point?.lanes ?? [])]).toContainEqual([key, lane]);
    await put((snapshot) => ({ ...snapshot, policy: null }));
    expect((await archiveAnchor(store, sources, world.origin, 1).snapshot(0))?.head).toEqual({ ...block?.delta.head, policy: null });
  });

  test('is skipped if a foreign key signed it', async () => {
    await put((snapshot) => snapshot, stranger);
    expect(await found()).toBe(older);
  });

  test('is skipped if its frontier has another hash', async () => {
    await put((snapshot) => ({ ...snapshot, frontier: snapshot.frontier.map((hash) => hash.map((byte) => byte ^ 1)) }));
    expect(await found()).toBe(older);
  });

  test.each<[string, (snapshot: Snapshot) => Snapshot]>([
    ['another origin', (snapshot) => ({ ...snapshot, origin: 'example.org/other' })],
    ['another number of shards', (snapshot) => ({ ...snapshot, shards: 2 })],
    ['another size with the same frontier', (snapshot) => ({ ...snapshot, size: 2 * snapshot.size })],
  ])('is skipped if it is of %s', async (_, change) => {
    await put(change);
    expect(await found()).toBe(older);
  });

  test('is skipped if it is of another shard', async () => {
    await put((snapshot) => ({ ...snapshot, shards: 2 }));
    expect(await found(2)).toBe(newest);
    await put((snapshot) => ({ ...snapshot, shard: 1, shards: 2 }));
    expect(await found(2)).toBeUndefined();
  });

  test('is skipped if it is stored under another size than its own', async () => {
    for (const [from, to] of [
      [KEYS.snapshot(older), KEYS.snapshot(newest)],
      [KEYS.state(older), KEYS.state(newest)],
      [KEYS.checkpointAt(older), KEYS.checkpointAt(newest)],
    ] as const)
      store.objects.set(to, whole.objects.get(from) as Uint8Array);
    store.objects.delete(KEYS.snapshot(older));
    const smaller = await found();
    expect(smaller === undefined || smaller < older).toBe(true);
  });

  test.each<[string, () => Promise<string>]>([
    ['gives another root', () => noteOf(log, newest, new Uint8Array(32))],
    ['gives another size', async () => noteOf(log, older, await rootAt(newest))],
    ['is signed by a stranger', async () => noteOf(stranger, newest, await rootAt(newest))],
  ])('is skipped if the note of its size %s', async (_, note) => {
    store.objects.set(KEYS.checkpointAt(newest), utf8(await note()));
    expect(await found()).toBe(older);
  });

  test('is skipped if the note of its size is missing', async () => {
    store.objects.delete(KEYS.checkpointAt(newest));
    expect(await found()).toBe(older);
  });

  test('is found beside an object that has no place there', async () => {
    store.objects.set(`${KEYS.snapshots}notes.txt`, new Uint8Array(1));
    expect(await found()).toBe(newest);
  });

  async function rootAt(size: number): Promise<Uint8Array> {
    const bytes = whole.objects.get(KEYS.checkpointAt(size)) as Uint8Array;
    return openLogNote(bytes, log.name, [parseVerifierKey(log.verifierKey)]).root;
  }
});
