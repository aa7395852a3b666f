import { describe, expect, test } from '@jest/globals';
import { verifyArchive } from '../../auditor/verify.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import { richArchive, richWorld } from '../support/rich-archive.ts';

describe('an archive in which nothing is wrong', () => {
  test('is OK by the pinned root key, each of its tiles is read once, and progress goes from bundle to bundle', async () => {
    const world = await richWorld();
    const { objects } = await richArchive(world);
    const progress: [number, number][] = [];
    const verdict = await verifyArchive(objects, {
      keys: [parseVerifierKey(world.root.verifierKey)],
      onProgress: (done, total) => progress.push([done, total]),
    });
    expect([verdict.ok, verdict.findings.filter(({ severity }) => severity !== 'NOTE')]).toEqual([true, []]);
    expect(verdict.properties.ARCHIVE.counts['tiles']).toBe([...objects.map.keys()].filter((key) => key.includes('/tile/')).length);
    expect(verdict.properties.COMPLETE.counts).toEqual({ lanes: 2, heartbeats: 2, gaps: 0, offsets: 25, sampledOut: 0 });
    expect(progress).toEqual([
      [256, 512],
      [512, 512],
      [554, 554],
    ]);
  });
});
