import { beforeEach, describe, expect, test } from '@jest/globals';
import { ArchivedLog } from '../../../archiver/archived-log.ts';
import { Segments } from '../../../archiver/segments.ts';
import type { AcceptedBlock } from '../../../core/acceptance/accept.ts';
import { logKeysOf, parseArchiveKey } from '../../../core/archive/archive-keys.ts';
import type { Sources } from '../../../core/chain/governance-source.ts';
import { decodeEnvelope, encodeEnvelope, signEnvelope } from '../../../core/keys/dsse.ts';
import type { Signer } from '../../../core/ports/signer.ts';
import { archiveChain, makeChain, type TestChain } from '../../support/archive.ts';
import { MemoryObjectStore } from '../../support/memory.ts';
import { testSigner } from '../../support/producer.ts';

const KEYS = logKeysOf(0);
const DIVERGED = { code: 'ARCHIVE_DIVERGED' };

let given: TestChain;
let objects: MemoryObjectStore;
let segments: Segments;
/** End of the first segment. */
let end: number;

beforeEach(async () => {
  given = await makeChain(9);
  objects = new MemoryObjectStore();
  await archiveChain(given, objects);
  segments = new Segments(logOf(given.sources));
  end = Math.min(...[...objects.objects.keys()].map(parseArchiveKey).flatMap((place) => (place.kind === 'manifest' ? [place.end] : [])));
});

function logOf(sources: Sources): ArchivedLog {
  const { origin, logs } = given.world;
  return new ArchivedLog({ origin, shard: 0, shards: 1, objects, sources, signer: logs[0] as Signer });
}

/** The first segment's manifest, signed by a key that is not the log's. */
async function signedByStranger(): Promise<Uint8Array> {
  const { payload } = decodeEnvelope(objects.objects.get(KEYS.manifest(0, end)) as Uint8Array, 'manifest');
  return encodeEnvelope(await signEnvelope('manifest', payload, [testSigner(`${given.world.origin}/0`, 'stranger')]));
}

describe('segments that go on after another', () => {
  test('know how much is archived', async () => {
    await segments.reset(end);
    expect(segments.archivedSize).toBe(end);
    await segments.reset(0);
    expect(segments.archivedSize).toBe(0);
  });

  test('need its manifest, not one that ends elsewhere', async () => {
    await expect(segments.reset(end + 1)).rejects.toMatchObject(DIVERGED);
    objects.objects.delete(KEYS.manifest(0, end));
    await expect(segments.reset(end)).rejects.toMatchObject(DIVERGED);
  });

  test('need one that the store gives', async () => {
    objects.get = async () => undefined;
    await expect(segments.reset(end)).rejects.toMatchObject(DIVERGED);
  });

  test('need one that a log key signed, and find it beside one that none signed', async () => {
    const own = objects.objects.get(KEYS.manifest(0, end)) as Uint8Array;
    objects.objects.set(KEYS.manifest(0, end), await signedByStranger());
    await expect(segments.reset(end)).rejects.toMatchObject(DIVERGED);
    objects.objects.set(KEYS.manifest(1, end), own);
    await expect(segments.reset(end)).resolves.toBeUndefined();
  });
});

test('a segment does not end where a schema of its events is gone', async () => {
  const { policies } = given.sources;
  const forgetful = new Segments(logOf({ policies, eventSchema: () => undefined } as unknown as Sources));
  const block = given.blocks[0] as AcceptedBlock;
  forgetful.add(block);
  await expect(forgetful.end(block.delta.head)).rejects.toMatchObject({ code: 'INTERNAL' });
});
