import { describe, expect, test } from '@jest/globals';
import { AUDIT_LIMITS } from '../../auditor/audit-limits.ts';
import type { Verdict } from '../../auditor/verdict.ts';
import { type VerifyOptions, verifyArchive } from '../../auditor/verify.ts';
import { logKeysOf, policyKey, schemaKey } from '../../core/archive/archive-keys.ts';
import { utf8 } from '../../core/base/bytes.ts';
import { LIMITS } from '../../core/base/limits.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import type { ByteRange, StoredObject } from '../../core/ports/object-store.ts';
import { ArchiveObjects } from '../support/forged-archive.ts';
import { required } from '../support/rich-archive.ts';
import { codes, makeScene, type Scene } from '../support/scene.ts';

const KEYS = logKeysOf(0);

async function endedScene(): Promise<Scene> {
  const scene = await makeScene();
  await scene.end();
  return scene;
}

function verify(objects: ArchiveObjects, scene: Scene, options: Partial<VerifyOptions> = {}): Promise<Verdict> {
  return verifyArchive(objects, { keys: [parseVerifierKey(scene.world.root.verifierKey)], ...options });
}

/** Counts what is asked for, and gives each object as long as a range permits. */
class CountingObjects extends ArchiveObjects {
  gets = 0;
  longest = 0;

  override async get(key: string, range?: ByteRange): Promise<StoredObject | undefined> {
    this.gets += 1;
    const stored = await super.get(key);
    if (stored === undefined) return undefined;
    const bytes = stored.bytes.slice(range?.start ?? 0, range?.end ?? stored.bytes.length);
    this.longest = Math.max(this.longest, bytes.length);
    return { ...stored, bytes };
  }
}

function counting(scene: Scene): CountingObjects {
  const objects = new CountingObjects();
  for (const [key, bytes] of scene.archive.objects.map) objects.map.set(key, bytes);
  return objects;
}

describe('the auditor decides how much it holds, not the archive', () => {
  test('more objects than the bound: NOT CHECKED, and said', async () => {
    const scene = await endedScene();
    const { objects } = scene.archive;
    const limits = { ...AUDIT_LIMITS, objects: objects.map.size };
    expect((await verify(objects, scene, { limits })).result).toBe('OK');
    // Beside everything else, so that nothing is missing: the listing ends before it.
    objects.map.set('zzz', utf8('x'));
    const verdict = await verify(objects, scene, { limits });
    expect([verdict.result, verdict.ok, codes(verdict, 'NOT CHECKED')]).toEqual([
      'NOT CHECKED',
      false,
      ['ARCHIVE', 'COMPLETE', 'LOG', 'ORDER', 'POLICY', 'SIGNATURES', 'STREAMS', 'UNIQUE'].map((property) => `${property} BEYOND_LIMIT`),
    ]);
  });

  test('more bytes of manifests than the bound: NOT CHECKED, and the first that was not read is named', async () => {
    const scene = await endedScene();
    const verdict = await verify(scene.archive.objects, scene, { limits: { ...AUDIT_LIMITS, manifestBytes: 0 } });
    const beyond = verdict.findings.find(({ code }) => code === 'BEYOND_LIMIT');
    expect([verdict.ok, beyond?.place.object]).toEqual([false, KEYS.manifest(18, scene.archive.size)]);
  });

  test('notes beyond the bound are read when they are needed', async () => {
    const scene = await endedScene();
    expect((await verify(scene.archive.objects, scene, { limits: { ...AUDIT_LIMITS, noteBytes: 0 } })).result).toBe('OK');
  });

  test('an object that has grown since it was listed is not read whole', async () => {
    const scene = await endedScene();
    const objects = counting(scene);
    const key = KEYS.manifest(0, 18);
    const listed = required(objects.map.get(key)).length;
    const grown = Object.assign(Object.create(objects) as CountingObjects, {
      async *list(prefix: string) {
        for await (const each of objects.list(prefix)) yield each.key === key ? { ...each, size: listed } : each;
      },
    });
    objects.map.set(key, new Uint8Array(64 * 1024 * 1024));
    const verdict = await verify(grown, scene);
    expect(verdict.findings.filter(({ code }) => code === 'TOO_LARGE').map(({ place }) => place.object)).toEqual([key]);
    expect(objects.longest).toBeLessThan(16 * 1024 * 1024);
  });

  test('JSON is not parsed before its depth is known, nor its payload before its signature', async () => {
    const scene = await endedScene();
    const deep = utf8('['.repeat(4_000_000));
    const before = process.memoryUsage().heapUsed;
    scene.archive.objects.map.set(KEYS.manifest(0, 18), deep).set(policyKey('7'.repeat(64)), deep.subarray(0, LIMITS.policyBytes));
    const verdict = await scene.verify();
    expect(codes(verdict)).toEqual(['ARCHIVE MANIFEST_MALFORMED', 'POLICY POLICY_INVALID']);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(200 * 1024 * 1024);
  });

  test('ten thousand planted objects of each kind are each read once', async () => {
    const scene = await endedScene();
    const objects = counting(scene);
    await verify(objects, scene);
    const usual = objects.gets;
    const [planted, kinds] = [10_000, 4];
    for (let i = 0; i < planted; i++) {
      const hex = i.toString(16).padStart(64, '7');
      objects.map.set(policyKey(hex), utf8('{}')).set(schemaKey(hex), utf8('{}'));
      objects.map.set(KEYS.manifest(100 + i, 101 + i), utf8('{}')).set(KEYS.evidence(100 + i, 101 + i), utf8('{}'));
    }
    objects.gets = 0;
    const verdict = await verify(objects, scene);
    expect(verdict.ok).toBe(false);
    expect(objects.gets).toBeLessThanOrEqual(usual + planted * kinds);
    expect(verdict.findings.length).toBeLessThan(1000);
  });

  test('records of leaves beyond the segment are named and not kept', async () => {
    const scene = await makeScene();
    const verdict = await scene.end({
      evidence: (records) => [
        ...records,
        ...Array.from({ length: 500 }, (_, i) => ({ ...required(records.at(-1)), sealIndex: 1_000_000 + i })),
      ],
    });
    expect(codes(verdict)).toEqual(['ARCHIVE RECORD_EXTRA']);
    expect(verdict.unlisted['RECORD_EXTRA']).toBe(400);
  });
});
