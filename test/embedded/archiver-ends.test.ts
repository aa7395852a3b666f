import { describe, expect, test } from '@jest/globals';
import { logKeysOf } from '../../core/archive/archive-keys.ts';
import { type ErrorCode, LineproofError } from '../../core/base/errors.ts';
import { archiveChain, makeChain } from '../support/archive.ts';
import { MemoryObjectStore } from '../support/memory.ts';

const KEYS = logKeysOf(0);

/** Runs with a store that answers each write with an error of this code; before the first note is due, the run gets the signal to end. */
async function endWith(code: ErrorCode, publishIntervalMs = 3_600_000): Promise<MemoryObjectStore> {
  const objects = new MemoryObjectStore();
  objects.create = async () => {
    throw new LineproofError(code, 'the store is not there');
  };
  await archiveChain(await makeChain(2), objects, { settings: { publishIntervalMs } });
  return objects;
}

describe('a run that got the signal to end', () => {
  test.each<ErrorCode>(['CLOSED', 'UNAVAILABLE', 'ANSWER_UNUSABLE'])('ends without its last note if the store says %s', async (code) => {
    expect((await endWith(code)).objects.has(KEYS.signed)).toBe(false);
  });

  test.each<ErrorCode>(['ARCHIVE_DIVERGED', 'INTERNAL'])('throws %s nevertheless', async (code) => {
    await expect(endWith(code)).rejects.toMatchObject({ code });
  });
});

test('a store that is closed while a run goes on ends it with the error', async () => {
  await expect(endWith('CLOSED', 0)).rejects.toMatchObject({ code: 'CLOSED' });
});

test('a shard that is not worked on any more has no sizes', async () => {
  const { archiver } = await archiveChain(await makeChain(2), new MemoryObjectStore());
  expect([archiver.attestedSize(0), archiver.attestedTo(0), archiver.archivedSize(0)]).toEqual([undefined, undefined, undefined]);
});
