import { describe, expect, test } from '@jest/globals';
import { verifyArchive } from '../../auditor/verify.ts';
import { parseVerifierKey } from '../../core/key.ts';
import { richArchive, richWorld } from '../support/rich-archive.ts';

describe('an archive in which nothing is wrong', () => {
  test('is OK by the pinned root key', async () => {
    const world = await richWorld();
    const { objects } = await richArchive(world);
    const verdict = await verifyArchive(objects, { keys: [parseVerifierKey(world.root.verifierKey)] });
    expect(verdict.ok).toBe(true);
  });
});
