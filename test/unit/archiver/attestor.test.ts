import { beforeEach, describe, expect, test } from '@jest/globals';
import { ArchivedLog } from '../../../archiver/archived-log.ts';
import { Attestor } from '../../../archiver/attestor.ts';
import { Publication } from '../../../archiver/publication.ts';
import { genesis, type LogHead } from '../../../core/acceptance/log-state.ts';
import { utf8 } from '../../../core/base/bytes.ts';
import type { Signer } from '../../../core/ports/signer.ts';
import { EMPTY_FRONTIER, extendFrontier, frontierRoot } from '../../../core/tree/frontier.ts';
import { noteOf } from '../../support/archive.ts';
import { MemoryLog, MemoryObjectStore, testSources } from '../../support/memory.ts';
import { makeWorld, type World } from '../../support/producer.ts';

let world: World;
let objects: MemoryObjectStore;
let log: ArchivedLog;
let attestor: Attestor;

beforeEach(async () => {
  world = await makeWorld();
  objects = new MemoryObjectStore();
  const sources = await testSources(world, new MemoryLog());
  log = new ArchivedLog({ origin: world.origin, shard: 0, shards: 1, objects, sources, signer: world.logs[0] as Signer });
  attestor = new Attestor(log);
});

/** The end of a log of so many leaves, which all have this hash. */
function headAt(size: number, leaf = 1): LogHead {
  const hashes = Array.from({ length: size }, () => new Uint8Array(32).fill(leaf));
  return { ...genesis(world.origin, 0, 1), size, frontier: extendFrontier(EMPTY_FRONTIER, hashes) };
}

async function noteAt({ size, frontier }: LogHead): Promise<string> {
  return noteOf(log.signer, size, frontierRoot(frontier));
}

async function store(head: LogHead): Promise<void> {
  objects.objects.set(log.keys.signed, utf8(await noteAt(head)));
}

/** Lets another archiver store a note each time before ours would replace the object `key`, as often as there are notes. */
function overtake(key: string, ...notes: string[]): void {
  const { replace } = objects;
  objects.replace = async (at, bytes, etag) => {
    const note = at === key ? notes.shift() : undefined;
    if (note !== undefined) await replace.call(objects, key, utf8(note), (await objects.get(key))?.etag);
    return replace.call(objects, at, bytes, etag);
  };
}

/** Starts at the log's beginning and reads on to these sizes, the last of which is to be attested. */
async function readTo(...sizes: readonly number[]): Promise<LogHead> {
  await attestor.reset(headAt(0));
  for (const size of sizes) attestor.rememberRoot(headAt(size));
  return headAt(sizes.at(-1) as number);
}

/** Attests and publishes, as an archiver does where nobody has to witness. */
async function attest(head: LogHead): Promise<void> {
  await new Publication(log).show(await attestor.attest(head), []);
}

function stored(key: string): string {
  return new TextDecoder().decode(objects.objects.get(key));
}

describe('an attestor', () => {
  test('covers no leaf before there is a note', async () => {
    expect(attestor.size).toBe(0);
    await attestor.reset(headAt(0));
    expect(attestor.size).toBe(0);
  });

  test('that begins again does not believe a note that only an earlier reading of the chain had on it', async () => {
    await store(headAt(3, 2));
    await attestor.reset(headAt(0));
    attestor.rememberRoot(headAt(3, 2));
    attestor.checkReached(headAt(3, 2));
    await attestor.reset(headAt(0));
    attestor.rememberRoot(headAt(2));
    attestor.rememberRoot(headAt(4));
    expect(() => attestor.checkReached(headAt(4))).toThrow(expect.objectContaining({ code: 'ARCHIVE_DIVERGED' }));
  });
});

describe('a note that another archiver stores while ours is being signed', () => {
  test('stops ours where it has another root', async () => {
    const foreign = await noteAt(headAt(4, 2));
    overtake(log.keys.signed, foreign);
    await expect(attest(await readTo(2, 4))).rejects.toMatchObject({ code: 'ARCHIVE_DIVERGED' });
    expect([stored(log.keys.signed), objects.objects.has(log.keys.checkpoint)]).toEqual([foreign, false]);
  });

  test('is followed by ours where it is an older one of the same chain', async () => {
    overtake(log.keys.signed, await noteAt(headAt(2)));
    await attest(await readTo(2, 4));
    expect([stored(log.keys.signed), stored(log.keys.checkpoint), attestor.size]).toEqual([
      await noteAt(headAt(4)),
      await noteAt(headAt(4)),
      4,
    ]);
  });

  test('is shown in the place of ours where it is a newer one', async () => {
    const newer = await noteAt(headAt(6));
    overtake(log.keys.signed, newer);
    await attest(await readTo(2, 4));
    expect([stored(log.keys.signed), stored(log.keys.checkpoint), attestor.size]).toEqual([newer, newer, 6]);
  });

  test('is shown by it, and ours does not take the place of its checkpoint', async () => {
    const newer = await noteAt(headAt(6));
    overtake(log.keys.checkpoint, newer);
    await attest(await readTo(2, 4));
    expect([stored(log.keys.checkpoint), attestor.size]).toEqual([newer, 4]);
  });

  test('is shown by it, and gives way to our newer checkpoint', async () => {
    overtake(log.keys.checkpoint, await noteAt(headAt(2)));
    await attest(await readTo(2, 4));
    expect(stored(log.keys.checkpoint)).toBe(await noteAt(headAt(4)));
  });
});

describe('a store whose note was set back', () => {
  test('to a size before the last one that we attested stops the shard', async () => {
    await attest(await readTo(2, 4));
    await store(headAt(2));
    attestor.rememberRoot(headAt(6));
    await expect(attest(headAt(6))).rejects.toMatchObject({ code: 'ARCHIVE_DIVERGED' });
  });

  test('to the size that we reached is signed on from there', async () => {
    await store(headAt(6));
    await attest(await readTo(2, 4));
    expect(attestor.size).toBe(6);
    await store(headAt(4));
    attestor.rememberRoot(headAt(8));
    await attest(headAt(8));
    expect([stored(log.keys.signed), attestor.size]).toEqual([await noteAt(headAt(8)), 8]);
  });
});

test('a note that is stored already is not written again', async () => {
  await attest(await readTo(2));
  const written: string[] = [];
  objects.replace = async (key) => {
    written.push(key);
    return undefined;
  };
  await attest(headAt(2));
  expect(written).toEqual([]);
});

test('a checkpoint of this size with another root is never given our cosignatures', async () => {
  const foreign = await noteAt(headAt(4, 2));
  objects.objects.set(log.keys.checkpoint, utf8(foreign));
  await expect(attest(await readTo(2, 4))).rejects.toMatchObject({ code: 'ARCHIVE_DIVERGED' });
  expect(stored(log.keys.checkpoint)).toBe(foreign);
});
