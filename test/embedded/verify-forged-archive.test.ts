import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { sha256 } from '#crypto';
import { verifyArchive } from '../../auditor/verify.ts';
import { segmentSyncMarker } from '../../core/acceptance/segment-rule.ts';
import { logKeysOf } from '../../core/archive/archive-keys.ts';
import { encodeManifest, type Manifest, parseManifest } from '../../core/archive/manifest.ts';
import { readContainer, writeContainer } from '../../core/avro/ocf.ts';
import { SCHEMA_TEXTS } from '../../core/avro/schema-texts.ts';
import { concat, toHex, utf8 } from '../../core/base/bytes.ts';
import { decodeEnvelope, encodeEnvelope, signEnvelope } from '../../core/keys/dsse.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import { noteOf } from '../support/archive.ts';
import { rootAt, type SegmentForgery } from '../support/forged-archive.ts';
import { START_MICROS, testId } from '../support/producer.ts';
import { required, SECOND } from '../support/rich-archive.ts';
import { codes, makeScene, type Scene } from '../support/scene.ts';
import { SEVENS } from '../support/violation.ts';

const KEYS = logKeysOf(0);

describe('an archiver that signs content that the log does not give', () => {
  const wrongFields: Readonly<Record<string, (manifest: Manifest) => Partial<Manifest>>> = {
    'counts.links': ({ counts }) => ({ counts: { ...counts, links: counts.links + 1 } }),
    'counts.seals': ({ counts }) => ({ counts: { ...counts, seals: counts.seals + 1 } }),
    'counts.duplicates': ({ counts }) => ({ counts: { ...counts, duplicates: counts.duplicates + 1 } }),
    'counts.conflicts': ({ counts }) => ({ counts: { ...counts, conflicts: counts.conflicts + 1 } }),
    'counts.repeated': ({ counts }) => ({ counts: { ...counts, repeated: counts.repeated + 1 } }),
    'counts.rejected': ({ counts }) => ({ counts: { ...counts, rejected: counts.rejected + 1 } }),
    'counts.empty': ({ counts }) => ({ counts: { ...counts, empty: counts.empty + 1 } }),
    'counts.sampledOut': ({ counts }) => ({ counts: { ...counts, sampledOut: counts.sampledOut + 1 } }),
    'counts.perProducer': ({ counts }) => ({ counts: { ...counts, perProducer: [] } }),
    occurred: () => ({ occurred: { from: 0, to: START_MICROS } }),
    accepted: ({ accepted }) => ({ accepted: { ...accepted, from: accepted.from - 1 } }),
    policies: () => ({ policies: [] }),
    offsets: ({ offsets }) => ({ offsets: offsets.map((range) => ({ ...range, to: range.to + 1 })) }),
  };
  test.each(Object.entries(wrongFields))('the manifest’s %s is wrong: ARCHIVE', async (_, change) => {
    const scene = await makeScene();
    const verdict = await scene.end({ manifest: (manifest) => ({ ...manifest, ...change(manifest) }) });
    expect(codes(verdict)).toEqual(['ARCHIVE MANIFEST_FIELD']);
  });

  test.each([
    ['it follows another manifest', { previous: '7'.repeat(64) }, ['ARCHIVE MANIFEST_PREVIOUS']],
    ['it is of another log', { origin: 'example.org/other/0' }, ['ARCHIVE MANIFEST_PLACE']],
    ['it begins elsewhere', { first: 1 }, ['ARCHIVE MANIFEST_PLACE']],
    ['it ends elsewhere', { end: 1000 }, ['ARCHIVE MANIFEST_PLACE']],
    ['it states another root', { root: '7'.repeat(64) }, ['ARCHIVE CONTAINER', 'LOG ROOT_WRONG']],
    ['it lists nothing', { objects: [] }, ['ARCHIVE MANIFEST_OBJECTS']],
    ['it knows no schema', { schemas: [] }, ['ARCHIVE MANIFEST_OBJECTS']],
  ])('the manifest: %s', async (_, change, failed) => {
    const scene = await makeScene();
    expect(codes(await scene.end({ manifest: (manifest) => ({ ...manifest, ...change }) }))).toEqual(expect.arrayContaining(failed));
  });

  test.each([
    ['SIZE', 'size', 1],
    ['SHA256', 'sha256', '7'.repeat(64)],
    ['CONTENT', 'content', '7'.repeat(64)],
  ])('the manifest states another %s of a file: ARCHIVE', async (code, field, value) => {
    for (const at of [0, 1]) {
      const scene = await makeScene();
      const verdict = await scene.end({
        manifest: (manifest) => ({
          ...manifest,
          objects: manifest.objects.map((object, i) => (i === at ? { ...object, [field]: value } : object)),
        }),
      });
      expect(codes(verdict)).toEqual([`ARCHIVE ${code}`]);
    }
  });

  /** Signs a manifest, changed, and stores it where it then belongs. */
  async function addManifest({ archive }: Scene, key: string, change: (manifest: Manifest) => Partial<Manifest>): Promise<string> {
    const { payload } = decodeEnvelope(required(archive.objects.map.get(key)), 'manifest');
    const before = parseManifest(payload);
    const manifest = { ...before, previous: toHex(sha256(payload)), ...change(before) };
    const added = KEYS.manifest(manifest.first, manifest.end);
    archive.objects.map.set(added, encodeEnvelope(await signEnvelope('manifest', encodeManifest(manifest), [archive.signer])));
    return added;
  }

  test('a second manifest over leaves that have one: ARCHIVE', async () => {
    const scene = await makeScene();
    const key = await addManifest(scene, KEYS.manifest(0, 18), () => ({ first: 3 }));
    const overlap = (await scene.verify()).findings.find(({ code }) => code === 'SEGMENT_OVERLAP');
    expect([overlap?.property, overlap?.place.object]).toEqual(['ARCHIVE', key]);
  });

  test('a manifest over no leaves: ARCHIVE', async () => {
    const scene = await makeScene();
    await addManifest(scene, KEYS.manifest(0, 18), () => ({ first: 18 }));
    expect(codes(await scene.verify())).toEqual(['ARCHIVE MANIFEST_PLACE']);
  });

  test.each([24, 25])(
    'a manifest that ends within a block, at leaf %d: ARCHIVE, and the segment that the log has is missing',
    async (end) => {
      const scene = await makeScene();
      const { archive } = scene;
      await scene.block([await scene.say('x', 'y', 'z')]);
      scene.time += 20 * SECOND;
      await scene.block([await scene.say('u', 'v', 'w')]);
      await archive.publish();
      const root = rootAt(archive, end);
      archive.objects.map.set(KEYS.checkpointAt(end), utf8(await noteOf(archive.signer, end, root)));
      const key = await addManifest(scene, KEYS.manifest(0, 18), () => ({ first: 18, end, root: toHex(root) }));
      const { findings } = await scene.verify();
      const named = (code: string): unknown[] => findings.filter((finding) => finding.code === code).map(({ place }) => place.object);
      expect([named('SEGMENT_END'), named('MISSING')]).toEqual([[key], expect.arrayContaining([KEYS.manifest(18, 26)])]);
    },
  );

  test('a manifest that cannot be read is not said to be missing', async () => {
    const scene = await makeScene();
    await scene.end();
    for (const key of [KEYS.manifest(0, 18), KEYS.manifest(18, scene.archive.size)]) {
      const verdict = await verifyArchive(
        scene.archive.objects.changed((map) => map.set(key, SEVENS)),
        { keys: [parseVerifierKey(scene.world.root.verifierKey)] },
      );
      expect([codes(verdict).includes('ARCHIVE MANIFEST_MALFORMED'), codes(verdict).includes('ARCHIVE MISSING')]).toEqual([true, false]);
    }
  });

  test('bytes after the end of compressed records: ARCHIVE', async () => {
    const scene = await makeScene();
    await scene.end();
    const { archive, world } = scene;
    const root = Uint8Array.from(Buffer.from(required(new TextDecoder().decode(await archive.note()).split('\n')[2]), 'base64'));
    const sync = segmentSyncMarker(`${world.origin}/0`, 18, archive.size, root);
    const key = KEYS.evidence(18, archive.size);
    const records: Uint8Array[] = [];
    const read = (at: number, length: number): Uint8Array => required(archive.objects.map.get(key)).subarray(at, at + length);
    for await (const part of readContainer(SCHEMA_TEXTS.BlockEvidence, sync, read, (data) => inflateRawSync(data)))
      records.push(...part.records);
    const pieces: Uint8Array[] = [];
    for await (const piece of writeContainer(SCHEMA_TEXTS.BlockEvidence, sync, records, (data) => concat(deflateRawSync(data), SEVENS)))
      pieces.push(piece);
    archive.objects.map.set(key, concat(...pieces));
    expect(codes(await scene.verify())).toContain('ARCHIVE CONTAINER');
  });

  const columns = {
    streamIndex: 99,
    acceptedAt: 99,
    producer: 'somebody',
    epoch: testId('another'),
    seq: 99,
    inputOffset: 99,
    position: 99,
    marks: 1,
    leafHash: SEVENS,
  };
  test.each(Object.entries(columns))('the column %s is wrong: ARCHIVE', async (name, value) => {
    const scene = await makeScene();
    const verdict = await scene.end({
      rows: (rows) => rows.map((row, i) => (i === 1 ? { ...row, columns: { ...row.columns, [name]: value } } : row)),
    });
    expect(codes(verdict)).toEqual(['ARCHIVE COLUMN_WRONG']);
  });

  test.each([
    ['a record is left out', (rows: readonly unknown[]) => rows.slice(1), ['ARCHIVE EVENT_MISSING']],
    ['a record is there twice', (rows: readonly unknown[]) => [rows[0], ...rows], ['ARCHIVE RECORD_ORDER']],
    ['records changed places', (rows: readonly unknown[]) => rows.toReversed(), ['ARCHIVE RECORD_ORDER']],
  ])('events: %s', async (_, change, failed) => {
    const scene = await makeScene();
    expect(codes(await scene.end({ rows: (rows) => change(rows) as typeof rows }))).toEqual(failed);
  });

  test('events: a record of no link: ARCHIVE', async () => {
    const scene = await makeScene();
    const verdict = await scene.end({
      rows: (rows) => {
        const last = required(rows.at(-1));
        return [...rows, { ...last, columns: { ...last.columns, logIndex: last.columns.logIndex + 1 } }];
      },
    });
    expect(codes(verdict)).toEqual(['ARCHIVE RECORD_EXTRA']);
  });

  test.each([
    ['exchanged', (scene: Scene) => required(scene.world.events('a', 'something else')[0]), ['STREAMS EVENT_DIGEST']],
    ['removed', () => null, ['STREAMS EVENT_REMOVED']],
  ])('an archived event was %s', async (_, event, failed) => {
    const scene = await makeScene();
    const verdict = await scene.end({ rows: (rows) => rows.map((row, i) => (i === 1 ? { ...row, event: event(scene) } : row)) });
    expect(codes(verdict)).toEqual(failed);
  });

  test('a receipt that points to a removed event cannot be judged, and is not a finding', async () => {
    const scene = await makeScene();
    await scene.block([await scene.say('x'), await scene.say('x')]);
    const verdict = await scene.end({ rows: ([first, ...rest]) => [{ ...required(first), event: null }, ...rest] });
    expect(codes(verdict)).toEqual(['STREAMS EVENT_REMOVED']);
  });

  test.each([
    ['a record is left out', (records: readonly unknown[]) => records.slice(0, -1), ['ARCHIVE EVIDENCE_MISSING']],
    ['a record is there twice', (records: readonly unknown[]) => [records[0], ...records], ['ARCHIVE RECORD_ORDER']],
  ])('evidence: %s', async (_, change, failed) => {
    const scene = await makeScene();
    const found = codes(await scene.end({ evidence: (records) => change(records) as typeof records }));
    expect(found).toEqual(expect.arrayContaining(failed));
  });

  test('evidence: a record of no block: ARCHIVE', async () => {
    const scene = await makeScene();
    const verdict = await scene.end({
      evidence: (records) => [...records, { ...required(records.at(-1)), sealIndex: required(records.at(-1)).sealIndex + 1 }],
    });
    expect(codes(verdict)).toEqual(['ARCHIVE RECORD_EXTRA']);
  });

  test('evidence: of another block: ARCHIVE', async () => {
    const scene = await makeScene();
    const verdict = await scene.end({
      evidence: (records) => records.map((record, i) => (i === 1 ? { ...record, evidence: required(records[0]).evidence } : record)),
    });
    expect(codes(verdict)).toContain('ARCHIVE EVIDENCE_DIGEST');
  });

  test('a segment is cut before its age: ARCHIVE', async () => {
    const scene = await makeScene();
    await scene.block([await scene.say('x')]);
    await scene.archive.close();
    expect(codes(await scene.end())).toEqual(['ARCHIVE SEGMENT_END']);
  });

  test('a segment goes on beyond its age: ARCHIVE', async () => {
    const scene = await makeScene();
    for (let i = 0; i < 7; i++) await scene.block([await scene.say(`x ${i}`)]);
    expect(codes(await scene.end())).toEqual(['ARCHIVE SEGMENT_END']);
  });

  test('where the size of a removed event is not known, a segment may be cut early, and not go on beyond its age', async () => {
    const without: SegmentForgery = { rows: ([first, ...rest]) => [{ ...required(first), event: null }, ...rest] };
    const early = await makeScene();
    await early.block([await early.say('x')]);
    await early.archive.close(without);
    expect(codes(await early.end())).toEqual(['STREAMS EVENT_REMOVED']);
    const late = await makeScene();
    for (let i = 0; i < 7; i++) await late.block([await late.say(`x ${i}`)]);
    expect(codes(await late.end(without))).toEqual(['ARCHIVE SEGMENT_END', 'STREAMS EVENT_REMOVED']);
  });

  test('files of a segment and its checkpoint without a manifest, which the log alone would not show: ARCHIVE, named once', async () => {
    const scene = await makeScene();
    await scene.block([await scene.say('x')]);
    await scene.archive.close();
    const key = KEYS.manifest(18, scene.archive.size);
    expect(scene.archive.objects.map.delete(key)).toBe(true);
    const verdict = await scene.verify();
    expect([codes(verdict), verdict.findings.filter(({ code }) => code === 'MISSING').map(({ place }) => place.object)]).toEqual([
      ['ARCHIVE MISSING'],
      [key],
    ]);
  });

  test('leaves between two segments that no manifest covers, which the log alone would not show: ARCHIVE, named once', async () => {
    const scene = await makeScene();
    await scene.block([await scene.say('x')]);
    await scene.archive.close();
    const key = KEYS.manifest(18, scene.archive.size);
    await scene.end();
    expect(scene.archive.objects.map.delete(key)).toBe(true);
    const { findings } = await scene.verify();
    expect(findings.filter(({ code }) => code === 'MISSING').map(({ place }) => place.object)).toEqual([key]);
  });

  test('a segment that ended has no manifest, and nothing else is left of it: ARCHIVE', async () => {
    const scene = await makeScene();
    await scene.end();
    const { map } = scene.archive.objects;
    const segment = new RegExp(`-0*${scene.archive.size}\\.|checkpoints/${scene.archive.size}$`);
    for (const key of map.keys()) if (segment.test(key)) map.delete(key);
    const verdict = await scene.verify();
    expect(codes(verdict)).toEqual(['ARCHIVE MISSING']);
    expect(verdict.ok).toBe(false);
  });
});
