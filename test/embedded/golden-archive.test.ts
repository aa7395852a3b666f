import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { openFolderObjectStore } from '../../adapters/folder-object-store.ts';
import { PROPERTIES } from '../../auditor/property.ts';
import { verifyArchive } from '../../auditor/verify.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import type { ObjectStore } from '../../core/ports/object-store.ts';
import { goldenArchive } from '../support/golden-scene.ts';
import { type GoldenVerdict, goldenVerdict } from '../support/golden-verdict.ts';

const golden = (name: string): string => fileURLToPath(new URL(`../golden/${name}`, import.meta.url));
const stored = JSON.parse(readFileSync(golden('verdict.json'), 'utf8')) as GoldenVerdict;
const rootKey = readFileSync(golden('root.pub'), 'utf8').trim();

async function verdictOf(objects: ObjectStore): Promise<GoldenVerdict> {
  return goldenVerdict(await verifyArchive(objects, { keys: [parseVerifierKey(rootKey)] }));
}

describe('the golden archive', () => {
  let verdict: GoldenVerdict;
  beforeAll(async () => {
    verdict = await verdictOf(await openFolderObjectStore(golden('archive')));
  });

  test.each(PROPERTIES)('has the verdict about %s that it had when it was made', (property) => {
    expect(verdict.properties[property]).toEqual(stored.properties[property]);
  });

  test('has the moment, the refusals, the findings and the word that it had', () => {
    expect(verdict).toEqual(stored);
    expect(verdict.result).toBe('OK');
  });

  test('is what its script makes: a format that changed replaces it', async () => {
    const made = await goldenArchive();
    expect(made.rootKey).toBe(rootKey);
    expect(await verdictOf(made.objects)).toEqual(stored);
  });

  test('has a duplicate, a conflict, refusals of messages, events and records, and a rotation', () => {
    const { UNIQUE, POLICY } = stored.properties;
    expect([UNIQUE.counts['duplicates'], UNIQUE.counts['conflicts'], POLICY.counts['versions']]).toEqual([1, 1, 3]);
    const { messages, events, records } = stored.refused;
    expect([messages, events, records].map((each) => each > 0)).toEqual([true, true, true]);
    expect(stored.shards.map(({ size, archived }) => size > 0 && size === archived)).toEqual([true, true]);
  });
});
