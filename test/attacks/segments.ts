import { deflateRawSync } from 'node:zlib';
import { sha256 } from '#crypto';
import { encodeManifest, type Manifest, parseManifest } from '../../core/archive/manifest.ts';
import type { Retired } from '../../core/archive/retired.ts';
import { writeContainer } from '../../core/avro/ocf.ts';
import { SCHEMA_TEXTS } from '../../core/avro/schema-texts.ts';
import { concat, toHex, utf8 } from '../../core/base/bytes.ts';
import { decodeEnvelope, encodeEnvelope, signEnvelope } from '../../core/keys/dsse.ts';
import type { SegmentForgery } from '../support/forged-archive.ts';
import { START_MICROS, testId } from '../support/producer.ts';
import { retireSegment } from '../support/retired-segment.ts';
import { required } from '../support/rich-archive.ts';
import { readStateFile, type Snapshot, snapshotObjects } from '../support/snapshots.ts';
import { SEVENS } from '../support/violation.ts';
import { ALL_ELSE, type Alter, type Attack, type Results } from './attack.ts';
import { changed, nameOf, resigned } from './forging.ts';
import { NEXT_LOG, type Stage, scenePolicy } from './stage.ts';

const ARCHIVE: Results = { failed: 'ARCHIVE' };
const LOST_EVENTS: Results = { failed: 'ARCHIVE', unchecked: 'STREAMS SIGNATURES UNIQUE POLICY' };
const LOST_EVIDENCE: Results = { failed: 'ARCHIVE', unchecked: ALL_ELSE };
const LOST_SEGMENT: Results = { failed: 'ARCHIVE', open: ALL_ELSE };

/** What an archiver signs where it closes the segment. */
function closed(
  name: string,
  forgery: SegmentForgery | ((stage: Stage) => SegmentForgery),
  seen: string,
  results: Results = ARCHIVE,
): Attack {
  return { name, keys: ['log'], close: (stage) => (typeof forgery === 'function' ? forgery(stage) : forgery), seen, ...results };
}

function manifest(
  name: string,
  change: (manifest: Manifest) => Partial<Manifest>,
  seen = 'ARCHIVE MANIFEST_FIELD',
  results?: Results,
): Attack {
  return closed(`manifest-${name}`, { manifest: (each) => ({ ...each, ...change(each) }) }, seen, results);
}

const counting = (field: keyof Manifest['counts']): Attack =>
  manifest(`counts-${field.toLowerCase()}`, ({ counts }) => ({
    counts: { ...counts, [field]: field === 'perProducer' ? [] : counts[field] + 1 },
  }));

/** Another value of a file's entry in the manifest. */
const listing = (field: 'size' | 'sha256' | 'content', value: number | string, seen: string): Attack =>
  manifest(
    `lists-another-${field}`,
    ({ objects }) => ({ objects: objects.map((object, i) => (i === 0 ? { ...object, [field]: value } : object)) }),
    seen,
  );

const MANIFESTS: readonly Attack[] = [
  ...(['links', 'seals', 'duplicates', 'conflicts', 'repeated', 'rejected', 'empty', 'sampledOut', 'perProducer'] as const).map(counting),
  manifest('counts-near-2-53', ({ counts }) => ({ counts: { ...counts, links: 2 ** 53 - 1 } })),
  manifest('with-another-time-of-events', () => ({ occurred: { from: 0, to: START_MICROS } })),
  manifest('with-another-time-of-blocks', ({ accepted }) => ({ accepted: { ...accepted, from: accepted.from - 1 } })),
  manifest('without-policies', () => ({ policies: [] })),
  manifest('with-other-offsets', ({ offsets }) => ({ offsets: offsets.map((range) => ({ ...range, to: range.to + 1 })) })),
  manifest('after-another', () => ({ previous: '7'.repeat(64) }), 'ARCHIVE MANIFEST_PREVIOUS'),
  manifest('after-none', () => ({ previous: null }), 'ARCHIVE MANIFEST_PREVIOUS'),
  manifest('of-the-other-shard', () => ({ origin: 'example.org/log/1' }), 'ARCHIVE MANIFEST_PLACE', LOST_SEGMENT),
  manifest('that-begins-elsewhere', ({ first }) => ({ first: first + 1 }), 'ARCHIVE MANIFEST_PLACE', LOST_SEGMENT),
  manifest('that-ends-elsewhere', () => ({ end: 1000 }), 'ARCHIVE MANIFEST_PLACE', LOST_SEGMENT),
  {
    ...manifest('of-another-root', () => ({ root: '7'.repeat(64) }), 'LOG ROOT_WRONG'),
    failed: 'ARCHIVE LOG',
    unchecked: 'STREAMS SIGNATURES ORDER COMPLETE UNIQUE POLICY',
    // The product expects the sync markers of the root that the manifest states, the other verifier those of the tree's.
    differs: ['ARCHIVE OK FAILED'],
  },
  manifest('without-files', () => ({ objects: [] }), 'ARCHIVE MANIFEST_OBJECTS', LOST_EVIDENCE),
  manifest('without-schemas', () => ({ schemas: [] }), 'ARCHIVE MANIFEST_FIELD', LOST_EVENTS),
  manifest('that-lists-a-file-twice', ({ objects }) => ({ objects: [...objects, required(objects[0])] }), 'ARCHIVE MANIFEST_OBJECTS'),
  manifest(
    'that-lists-a-file-a-thousand-times',
    ({ objects }) => ({ objects: objects.flatMap((each) => Array(1000).fill(each)) }),
    'ARCHIVE MANIFEST_OBJECTS',
  ),
  manifest('that-lists-files-in-another-order', ({ objects }) => ({ objects: objects.toReversed() }), 'ARCHIVE MANIFEST_OBJECTS'),
  manifest(
    'that-lists-a-file-of-another-segment',
    ({ objects }) => ({ objects: [...objects, { ...required(objects[0]), name: '../../1/checkpoint' }] }),
    'ARCHIVE MANIFEST_OBJECTS',
  ),
  listing('size', 1, 'ARCHIVE SIZE'),
  listing('sha256', '7'.repeat(64), 'ARCHIVE SHA256'),
  listing('content', '7'.repeat(64), 'ARCHIVE CONTENT'),
  {
    name: 'manifest-that-is-not-canonical',
    keys: ['log'],
    alter: changed(/^logs\/0\/.*manifest/, (bytes) =>
      resigned(bytes, 'manifest', [NEXT_LOG], (payload) => utf8(new TextDecoder().decode(payload).replace('{', '{ '))),
    ),
    seen: 'ARCHIVE MANIFEST_MALFORMED',
    ...LOST_SEGMENT,
  },
  {
    name: 'manifest-over-leaves-that-have-one',
    keys: ['log'],
    alter: async (map) => {
      const key = nameOf(map, /^logs\/0\/.*manifest/);
      const { payload } = decodeEnvelope(required(map.get(key)), 'manifest');
      const before = parseManifest(payload);
      const second = { ...before, first: before.first + 2, previous: toHex(sha256(payload)) };
      const name = key.replace(String(before.first).padStart(20, '0'), String(second.first).padStart(20, '0'));
      map.set(name, encodeEnvelope(await signEnvelope('manifest', encodeManifest(second), [NEXT_LOG])));
    },
    seen: 'ARCHIVE SEGMENT_OVERLAP',
    ...ARCHIVE,
  },
];

const COLUMNS = {
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

const changeRow = (at: number, change: object): SegmentForgery => ({
  rows: (rows) => rows.map((row, i) => (i === at ? { ...row, ...change } : row)),
});

const FILES: readonly Attack[] = [
  ...Object.entries(COLUMNS).map(([name, value]) =>
    closed(
      `column-${name.toLowerCase()}`,
      { rows: (rows) => rows.map((row, i) => (i === 1 ? { ...row, columns: { ...row.columns, [name]: value } } : row)) },
      'ARCHIVE COLUMN_WRONG',
    ),
  ),
  closed('event-left-out-of-its-file', { rows: (rows) => rows.slice(1) }, 'ARCHIVE EVENT_MISSING', LOST_EVENTS),
  closed('event-twice-in-its-file', { rows: (rows) => [required(rows[0]), ...rows] }, 'ARCHIVE RECORD_ORDER'),
  closed('events-in-another-order', { rows: (rows) => rows.toReversed() }, 'ARCHIVE RECORD_ORDER'),
  closed(
    'event-of-no-link',
    {
      rows: (rows) => [
        ...rows,
        { ...required(rows.at(-1)), columns: { ...required(rows.at(-1)).columns, logIndex: required(rows.at(-1)).columns.logIndex + 1 } },
      ],
    },
    'ARCHIVE RECORD_EXTRA',
  ),
  closed(
    'archived-event-exchanged',
    ({ world }) => changeRow(1, { event: required(world.events('a', 'something else')[0]) }),
    'STREAMS EVENT_DIGEST',
    { failed: 'STREAMS' },
  ),
  closed('archived-event-removed', changeRow(1, { event: null }), 'STREAMS EVENT_REMOVED', {
    failed: 'STREAMS',
    unchecked: 'SIGNATURES UNIQUE POLICY',
  }),
  closed('evidence-left-out', { evidence: (records) => records.slice(0, -1) }, 'ARCHIVE EVIDENCE_MISSING', LOST_EVIDENCE),
  closed('evidence-twice', { evidence: (records) => [required(records[0]), ...records] }, 'ARCHIVE RECORD_ORDER'),
  closed(
    'evidence-of-no-block',
    { evidence: (records) => [...records, { ...required(records.at(-1)), sealIndex: 99 }] },
    'ARCHIVE RECORD_EXTRA',
  ),
  closed(
    'evidence-of-another-block',
    { evidence: (records) => records.map((record, i) => (i === 1 ? { ...record, evidence: required(records[0]).evidence } : record)) },
    'ARCHIVE EVIDENCE_DIGEST',
    LOST_EVIDENCE,
  ),
  closed(
    'signature-of-another-block',
    { evidence: (records) => records.map((record, i) => (i === 1 ? { ...record, signature: required(records[0]).signature } : record)) },
    'SIGNATURES SEAL_SIGNATURE',
    { failed: 'SIGNATURES' },
  ),
  closed('refused-events-of-no-block', { refused: () => [{ sealIndex: 99, events: [SEVENS] }] }, 'ARCHIVE RECORD_EXTRA'),
  closed(
    'refused-events-that-nobody-refused',
    ({ archive }) => ({ refused: () => [{ sealIndex: archive.size + 2, events: [SEVENS] }] }),
    'ARCHIVE RECORD_EXTRA',
  ),
];

/** A segment that ends elsewhere than the log ends it. */
const ENDS: readonly Attack[] = [
  {
    name: 'segment-cut-early',
    keys: ['log'],
    play: async (stage) => {
      await stage.block([await stage.wide.say(0, 'x')]);
      await stage.archive.close();
    },
    seen: 'ARCHIVE SEGMENT_END',
    ...ARCHIVE,
  },
  {
    name: 'segments-merged',
    keys: ['log'],
    play: async (stage) => {
      stage.time += 70_000_000;
      await stage.block([await stage.wide.say(0, 'x')]);
    },
    seen: 'ARCHIVE SEGMENT_END',
    ...ARCHIVE,
  },
];

interface Removal {
  /** Whether the events of the first segment are removed, or of the last. */
  readonly first?: boolean;
  readonly change?: (statement: Retired) => Partial<Retired>;
}

/** Events are declared removed by retention. */
function retired({ first: isFirst = false, change }: Removal = {}): Alter {
  return async (map, { world }) => {
    const key = nameOf(map, isFirst ? /^logs\/0\/segments\/0{20}-.*manifest/ : /^logs\/0\/.*manifest/);
    await retireSegment(map, key, { signer: NEXT_LOG, policy: world.policy.hex, ...(change === undefined ? {} : { change }) });
  };
}

const keeping = (policy: Parameters<typeof scenePolicy>[0]): ReturnType<typeof scenePolicy> => ({
  ...scenePolicy(policy),
  retention: { eventsKeepMs: 1, refusedKeepMs: null },
});

const RETIRED: readonly Attack[] = [
  { name: 'events-removed-as-the-policy-allows', keys: ['log'], policy: keeping, alter: retired({ first: true }), seen: null },
  {
    name: 'events-removed-before-their-time',
    keys: ['log'],
    policy: keeping,
    alter: retired(),
    seen: 'ARCHIVE RETIRED_WRONG',
    ...LOST_EVENTS,
  },
  { name: 'events-removed-though-no-policy-allows-it', keys: ['log'], alter: retired(), seen: 'ARCHIVE RETIRED_WRONG', ...LOST_EVENTS },
  {
    name: 'events-removed-under-an-unknown-policy',
    keys: ['log'],
    policy: keeping,
    alter: retired({ first: true, change: () => ({ policy: '7'.repeat(64) }) }),
    seen: 'ARCHIVE RETIRED_WRONG',
    ...LOST_EVENTS,
  },
  {
    name: 'events-removed-of-another-manifest',
    keys: ['log'],
    policy: keeping,
    alter: retired({ first: true, change: () => ({ manifest: '7'.repeat(64) }) }),
    seen: 'ARCHIVE RETIRED_WRONG',
    ...LOST_EVENTS,
  },
  {
    name: 'removal-of-files-that-the-manifest-does-not-list',
    keys: ['log'],
    policy: keeping,
    alter: retired({ first: true, change: ({ objects }) => ({ objects: [...objects, { ...required(objects[0]), name: 'x' }] }) }),
    seen: 'ARCHIVE RETIRED_WRONG',
    ...LOST_EVENTS,
  },
];

/** The newest snapshot of shard 0 with another state, signed again in its place. */
function restated(change: (snapshot: Snapshot) => Partial<Snapshot>): Alter {
  return async (map) => {
    const name = nameOf(map, /^logs\/0\/snapshots\/.*state$/);
    const before = readStateFile(required(map.get(name)));
    for (const [key, bytes] of await snapshotObjects({ ...before, ...change(before) }, [NEXT_LOG], before)) map.set(key, bytes);
  };
}

/** A snapshot that says something else, signed again. */
function snapshot(name: string, change: (snapshot: Snapshot) => Partial<Snapshot>): Attack {
  return { name: `snapshot-${name}`, keys: ['log'], alter: restated(change), seen: 'ARCHIVE SNAPSHOT_WRONG', ...ARCHIVE };
}

const SNAPSHOTS: readonly Attack[] = [
  snapshot('of-another-size', ({ size }) => ({ size: size - 1 })),
  snapshot('of-another-frontier', ({ frontier }) => ({ frontier: frontier.map(() => SEVENS) })),
  snapshot('of-another-input-place', ({ inputTo }) => ({ inputTo: inputTo + 1 })),
  snapshot('of-the-input-near-2-53', () => ({ inputTo: 2 ** 53 - 1 })),
  snapshot('of-another-time', ({ acceptedAt }) => ({ acceptedAt: acceptedAt + 1 })),
  snapshot('without-a-stream', ({ streams }) => ({ streams: streams.slice(1) })),
  snapshot('with-another-end-of-a-stream', ({ streams }) => ({ streams: streams.map((each) => ({ ...each, index: each.index + 1 })) })),
  snapshot('without-a-lane', ({ lanes }) => ({ lanes: lanes.slice(1) })),
  snapshot('with-another-lane', ({ lanes }) => ({ lanes: lanes.map((each) => ({ ...each, number: each.number + 1 })) })),
  snapshot('of-no-policy', () => ({ policy: null })),
  snapshot('of-a-final-log', () => ({ final: true })),
  {
    name: 'snapshot-of-another-chain-offset',
    keys: ['log'],
    alter: restated(() => ({ chainOffset: 2 ** 53 - 1 })),
    seen: null,
  },
];

const bytesOf = async (records: readonly Uint8Array[], sync: Uint8Array): Promise<Uint8Array> => {
  const pieces: Uint8Array[] = [];
  for await (const piece of writeContainer(SCHEMA_TEXTS.BlockEvidence, sync, records, (data) => deflateRawSync(data))) pieces.push(piece);
  return concat(...pieces);
};

/** A file of 64 MiB of zeros in a few kilobytes, in the place of the evidence. */
const BOMBS: readonly Attack[] = [
  {
    name: 'evidence-that-unpacks-to-much',
    keys: ['archive'],
    alter: changed(/^logs\/0\/.*evidence/, (bytes) => bytesOf(Array<Uint8Array>(256).fill(new Uint8Array(262_144)), bytes.slice(-16))),
    seen: 'ARCHIVE SIZE',
    ...LOST_EVIDENCE,
  },
];

export const SEGMENT_ATTACKS: readonly Attack[] = [...MANIFESTS, ...FILES, ...ENDS, ...RETIRED, ...SNAPSHOTS, ...BOMBS];
