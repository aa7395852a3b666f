import { beforeEach, describe, expect, test } from '@jest/globals';
import { ArchivedLog } from '../../../archiver/archived-log.ts';
import { Attestor } from '../../../archiver/attestor.ts';
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

async function store(head: LogHead): Promise<void> {
  objects.objects.set(log.keys.signed, utf8(await noteOf(log.signer, head.size, frontierRoot(head.frontier))));
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
    attestor.note(headAt(3, 2));
    attestor.checkReached(headAt(3, 2));
    await attestor.reset(headAt(0));
    attestor.note(headAt(2));
    attestor.note(headAt(4));
    expect(() => attestor.checkReached(headAt(4))).toThrow(expect.objectContaining({ code: 'ARCHIVE_DIVERGED' }));
  });
});
