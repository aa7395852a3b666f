import { utf8 } from '../../core/base/bytes.ts';
import { flip } from '../support/alterations.ts';
import { required } from '../support/rich-archive.ts';
import { ALL_ELSE, type Alter, type Attack, type Results } from './attack.ts';
import { changed, keptNotes, nameOf, namesOf, planted, swapped, without } from './forging.ts';

const TREE_HEADS = /^logs\/0\/checkpoints\/\d+\.cose$/;

const cut = (bytes: Uint8Array): Uint8Array => bytes.subarray(0, bytes.length - 7);
const emptied = (): Uint8Array => new Uint8Array(0);
const turned = (bytes: Uint8Array): Uint8Array => flip(bytes, bytes.length * 4 + 1);

const emptiedPolicies: Alter = (map) => {
  for (const name of namesOf(map, /^policies\//)) map.set(name, emptied());
};

/** Two objects that fit change places. */
function swapTwo(pattern: RegExp): Alter {
  return (map, stage) => {
    const [one, other] = namesOf(map, pattern);
    return swapped(new RegExp(required(one)), new RegExp(required(other)))(map, stage);
  };
}

const movedShard: Alter = (map) => {
  for (const name of namesOf(map, /^logs\/1\//)) {
    map.set(name.replace('logs/1/', 'logs/2/'), required(map.get(name)));
    map.delete(name);
  }
};

/** The note at the end of the first segment in the place of the newest. */
function olderNote(place: string): Alter {
  return (map) => {
    map.set(`logs/0/${place}`, required(map.get(required(keptNotes(map, 0)[0]))));
  };
}

/** Shards as they were at the end of the first segment. */
function setBack(shards: string): Alter {
  return (map) => {
    for (const signed of namesOf(map, new RegExp(`^logs/${shards}/signed$`))) {
      const log = signed.slice(0, -'signed'.length);
      const kept = namesOf(map, new RegExp(String.raw`^${log}checkpoints/\d+$`));
      const heads = namesOf(map, new RegExp(String.raw`^${log}checkpoints/\d+\.cose$`));
      const note = required(map.get(required(kept[0])));
      const snapshots = namesOf(map, new RegExp(`^${log}snapshots/`));
      for (const name of [...kept.slice(1), ...heads.slice(1), ...snapshots.slice(1)]) map.delete(name);
      for (const name of namesOf(map, new RegExp(String.raw`^${log}segments/\d*[1-9]\d*-`))) map.delete(name);
      map.set(signed, note).set(`${log}checkpoint`, note);
    }
  };
}

/** The archive without what came after its closed segments. */
export const withoutTail: Alter = (map) => {
  for (const log of ['logs/0/', 'logs/1/']) {
    const end = Math.max(
      ...namesOf(map, new RegExp(String.raw`^${log}checkpoints/\d+$`)).map((name) => Number(name.slice(`${log}checkpoints/`.length))),
    );
    const note = required(map.get(`${log}checkpoints/${end}`));
    map.set(`${log}signed`, note).set(`${log}checkpoint`, note);
  }
};

const moved = (from: RegExp, to: (name: string) => string): Alter => {
  return (map) => {
    const name = nameOf(map, from);
    map.set(to(name), required(map.get(name)));
    map.delete(name);
  };
};

const LOST_EVENTS: Results = { failed: 'ARCHIVE', unchecked: 'STREAMS SIGNATURES UNIQUE POLICY' };
const LOST_EVIDENCE: Results = { failed: 'ARCHIVE', unchecked: ALL_ELSE };
const LOST_REFUSED: Results = { failed: 'ARCHIVE', unchecked: 'COMPLETE' };
const LOST_LEAVES: Results = { failed: 'ARCHIVE LOG', unchecked: 'STREAMS SIGNATURES ORDER COMPLETE UNIQUE POLICY' };
const LOST_POLICY: Results = { failed: 'POLICY', unchecked: 'ARCHIVE LOG STREAMS SIGNATURES ORDER COMPLETE UNIQUE' };
/** The last segment has no manifest that can be used. */
const LOST_SEGMENT: Results = { failed: 'ARCHIVE', open: ALL_ELSE };
const UNREADABLE: Results = { ...LOST_LEAVES, failed: 'LOG' };
const ARCHIVE: Results = { failed: 'ARCHIVE' };
const LOG: Results = { failed: 'LOG' };

const FIRST = String.raw`^logs/0/segments/0{20}-\d+\.`;
const SECOND = String.raw`^logs/0/segments/\d*[1-9]\d*-\d+\.`;

type Row = readonly [name: string, alter: Alter, seen: string | null, more?: Partial<Attack>];

const ROWS: readonly Row[] = [
  ['removed-contents', without(/^archive\.json$/), 'ARCHIVE ABSENT'],
  ['removed-policies', without(/^policies\//), 'POLICY MISSING', LOST_POLICY],
  ['removed-schema', without(/^schemas\//), 'ARCHIVE MISSING', LOST_EVENTS],
  ['removed-signed', without(/^logs\/0\/signed/), 'ARCHIVE MISSING', ARCHIVE],
  ['removed-checkpoint', without(/^logs\/0\/checkpoint$/), 'ARCHIVE MISSING', ARCHIVE],
  ['removed-all-notes', without(/^logs\/0\/(signed|checkpoint)/), 'ARCHIVE MISSING', { failed: 'ARCHIVE', open: 'COMPLETE' }],
  ['removed-kept-notes', without(/^logs\/0\/checkpoints\//), 'ARCHIVE MISSING', ARCHIVE],
  ['removed-tree-heads', without(TREE_HEADS), 'ARCHIVE MISSING', ARCHIVE],
  ['turned-bit-of-tree-head', changed(TREE_HEADS, turned), 'LOG TREE_HEAD_WRONG', LOG],
  ['cut-tree-head', changed(TREE_HEADS, cut), 'LOG TREE_HEAD_WRONG', LOG],
  ['emptied-tree-head', changed(TREE_HEADS, emptied), 'LOG TREE_HEAD_WRONG', LOG],
  ['swapped-tree-heads-of-shards', swapped(TREE_HEADS, /^logs\/1\/checkpoints\/\d+\.cose$/), 'LOG TREE_HEAD_WRONG', LOG],
  ['swapped-tree-heads', swapTwo(TREE_HEADS), 'LOG TREE_HEAD_WRONG', LOG],
  ['planted-tree-head', planted('logs/0/checkpoints/3.cose', utf8('x')), 'ARCHIVE UNKNOWN_OBJECT'],
  ['removed-tiles', without(/^logs\/0\/tile\/0\//), 'ARCHIVE MISSING', ARCHIVE],
  ['removed-leaves', without(/^logs\/0\/tile\/entries\//), 'LOG LEAVES_MISSING', LOST_LEAVES],
  ['removed-events', without(/^logs\/0\/.*events\.avro$/), 'ARCHIVE MISSING', LOST_EVENTS],
  ['removed-evidence', without(/^logs\/0\/.*evidence\.avro$/), 'ARCHIVE MISSING', LOST_EVIDENCE],
  ['removed-refused-events', without(/^logs\/0\/.*refused\.avro$/), 'ARCHIVE MISSING', LOST_REFUSED],
  ['removed-first-manifest', without(new RegExp(`${FIRST}manifest`)), 'ARCHIVE MISSING', LOST_EVIDENCE],
  ['removed-last-manifest', without(new RegExp(`${SECOND}manifest`)), 'ARCHIVE MISSING', LOST_SEGMENT],
  ['removed-last-segment', without(new RegExp(SECOND)), 'ARCHIVE MISSING', LOST_SEGMENT],
  ['removed-snapshots', without(/^logs\/[01]\/snapshots\//), null],
  ['removed-states', without(/^logs\/[01]\/snapshots\/.*state$/), 'ARCHIVE SNAPSHOT_HALF'],
  ['removed-statements', without(/^logs\/[01]\/snapshots\/.*json$/), 'ARCHIVE SNAPSHOT_HALF'],
  ['planted-state', planted('logs/0/snapshots/3.state', new Uint8Array(5)), 'ARCHIVE SNAPSHOT_HALF'],
  ['removed-shard', without(/^logs\/1\//), 'COMPLETE SHARD_EMPTY', { open: 'COMPLETE' }],
  ['planted-stranger', planted('notes/readme.txt', utf8('verified by the operator')), 'ARCHIVE UNKNOWN_OBJECT'],
  ['planted-segment-file', planted(`logs/0/segments/${'0'.repeat(20)}-${'0'.repeat(18)}99.evidence.avro`, utf8('x')), 'ARCHIVE UNLISTED'],
  ['planted-shard', planted('logs/7/checkpoint', utf8('x')), 'ARCHIVE UNKNOWN_OBJECT'],
  ['planted-timestamp', planted('logs/0/timestamps/5.authority.tsr', utf8('x')), null],
  ['planted-tile-beyond', planted('logs/0/tile/0/001.p/9', new Uint8Array(9 * 32)), null],
  ['planted-schema', planted(`schemas/${'7'.repeat(64)}.avsc`, utf8('"string"')), 'ARCHIVE SCHEMA_DIGEST', ARCHIVE],
  ['planted-policy', planted(`policies/${'7'.repeat(64)}.json`, utf8('{}')), 'POLICY POLICY_INVALID', { failed: 'POLICY' }],
  ['swapped-notes-of-shards', swapped(/^logs\/0\/checkpoint$/, /^logs\/1\/checkpoint$/), 'LOG NOTE_MALFORMED', LOG],
  ['swapped-leaves-of-shards', swapped(/^logs\/0\/tile\/entries\//, /^logs\/1\/tile\/entries\//), 'LOG BUNDLE_INVALID', UNREADABLE],
  ['swapped-events-of-segments', swapped(new RegExp(`${FIRST}.*events`), new RegExp(`${SECOND}.*events`)), 'ARCHIVE SHA256', LOST_EVENTS],
  [
    'swapped-evidence-of-shards',
    swapped(/^logs\/0\/segments\/0{20}-.*evidence/, /^logs\/1\/segments\/0{20}-.*evidence/),
    'ARCHIVE SHA256',
    LOST_EVIDENCE,
  ],
  ['swapped-policies', swapTwo(/^policies\//), 'POLICY POLICY_INVALID', LOST_POLICY],
  [
    'renamed-manifest',
    moved(/^logs\/0\/.*manifest/, (name) => name.replace(/\d\.manifest/, '9.manifest')),
    'ARCHIVE MANIFEST_PLACE',
    LOST_SEGMENT,
  ],
  ['renamed-kept-note', moved(/^logs\/0\/checkpoints\/\d+$/, (name) => `${name}1`), 'ARCHIVE CHECKPOINT_PLACE', ARCHIVE],
  ['moved-shard', movedShard, 'COMPLETE SHARD_EMPTY', { open: 'COMPLETE' }],
  ['older-published-note', olderNote('checkpoint'), 'ARCHIVE CHECKPOINT_OLD', ARCHIVE],
  ['older-signed-note', olderNote('signed'), 'ARCHIVE SIGNED_OLD', ARCHIVE],
  ['older-shard', setBack('0'), 'COMPLETE LANE_SHORT', { open: 'COMPLETE' }],
  ['older-archive', setBack('[01]'), 'COMPLETE LANE_OPEN', { open: 'COMPLETE' }],
  ['older-archive-without-tail', withoutTail, null, { tail: true, ok: ALL_ELSE }],
  ['cut-events', changed(/^logs\/0\/.*events\.avro$/, cut), 'ARCHIVE SIZE', LOST_EVENTS],
  ['cut-evidence', changed(/^logs\/0\/.*evidence\.avro$/, cut), 'ARCHIVE SIZE', LOST_EVIDENCE],
  ['cut-leaves', changed(/^logs\/0\/tile\/entries\//, cut), 'LOG BUNDLE_INVALID', UNREADABLE],
  ['cut-manifest', changed(/^logs\/0\/.*manifest/, cut), 'ARCHIVE MANIFEST_MALFORMED', LOST_SEGMENT],
  ['emptied-checkpoint', changed(/^logs\/0\/checkpoint$/, emptied), 'LOG NOTE_MALFORMED', LOG],
  ['emptied-policies', emptiedPolicies, 'POLICY POLICY_INVALID', LOST_POLICY],
  ['emptied-schema', changed(/^schemas\//, emptied), 'ARCHIVE SCHEMA_DIGEST', LOST_EVENTS],
  ['turned-bit-of-events', changed(/^logs\/0\/.*events\.avro$/, turned), 'ARCHIVE SHA256', LOST_EVENTS],
  ['turned-bit-of-evidence', changed(/^logs\/0\/.*evidence\.avro$/, turned), 'ARCHIVE SHA256', LOST_EVIDENCE],
  ['turned-bit-of-refused-events', changed(/^logs\/0\/.*refused\.avro$/, turned), 'ARCHIVE SHA256', LOST_REFUSED],
  ['turned-bit-of-manifest', changed(/^logs\/0\/.*manifest/, turned), 'ARCHIVE MANIFEST_MALFORMED', LOST_SEGMENT],
  ['turned-bit-of-snapshot', changed(/^logs\/0\/snapshots\/.*json$/, turned), 'ARCHIVE SNAPSHOT_WRONG', ARCHIVE],
  ['turned-bit-of-state', changed(/^logs\/0\/snapshots\/.*state$/, turned), 'ARCHIVE SNAPSHOT_WRONG', ARCHIVE],
  ['turned-bit-of-schema', changed(/^schemas\//, turned), 'ARCHIVE SCHEMA_DIGEST', LOST_EVENTS],
  ['turned-bit-of-contents', changed(/^archive\.json/, turned), 'ARCHIVE ARCHIVE_JSON', ARCHIVE],
];

/** What the holder of the archive can do without any key. */
export const OBJECTS: readonly Attack[] = ROWS.map(([name, alter, seen, more]) => ({ name, keys: ['archive'], alter, seen, ...more }));
