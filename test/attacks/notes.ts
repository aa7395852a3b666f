import { sha256 } from '#crypto';
import { policyKey } from '../../core/archive/archive-keys.ts';
import { concat, toBase64, utf8, utf8Text } from '../../core/base/bytes.ts';
import { type Checkpoint, parseCheckpoint } from '../../core/keys/checkpoint.ts';
import { signTreeHead } from '../../core/keys/cose.ts';
import { decodeEnvelope, type EnvelopeSignature, encodeEnvelope, signEnvelope } from '../../core/keys/dsse.ts';
import { readNote, signNote } from '../../core/keys/note.ts';
import type { Policy } from '../../core/policy/policy-document.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { noteOf } from '../support/archive.ts';
import { rootAt } from '../support/forged-archive.ts';
import { testSigner } from '../support/producer.ts';
import { required } from '../support/rich-archive.ts';
import { SEVENS } from '../support/violation.ts';
import { ALL_ELSE, type Alter, type Attack } from './attack.ts';
import { changed, nameOf, planted, resigned } from './forging.ts';
import { active, NEXT_LOG, type Stage, scenePolicy } from './stage.ts';

const CHECKPOINT = /^logs\/0\/checkpoint$/;
const MANIFEST = /^logs\/0\/.*manifest/;
const EMPTY_ROOT = sha256(new Uint8Array(0));
const LOG = { failed: 'LOG' };
/** The manifest of the last segment counts no more. */
const NO_MANIFEST = { failed: 'ARCHIVE', open: ALL_ELSE };

/** The root key that the reader pins, of which the archive's makers have only the name. */
const REAL_ROOT = testSigner('example.org/log/root', 'the real one');
const REAL_LOG = testSigner('example.org/log/1', 'the real one');
const STRANGER = testSigner('example.org/log/0', 'stranger');

const NOTHING_PROVEN = { unchecked: 'ARCHIVE LOG STREAMS SIGNATURES ORDER COMPLETE UNIQUE', failed: 'POLICY' };

/** Changes lines of the newest published note. */
const edited = (change: (text: string) => string): Alter => changed(CHECKPOINT, (bytes) => utf8(change(utf8Text(bytes))));

/** Puts another note in the place of the published and of the signed one. */
const replaced = (make: (stage: Stage) => Promise<Uint8Array> | Uint8Array): Alter => {
  return async (map, stage) => {
    const note = await make(stage);
    map.set('logs/0/checkpoint', note).set('logs/0/signed', note);
  };
};

const signedBy = (signer: Signer, name?: string): Alter =>
  replaced(async ({ archive, world }) => {
    const whole = utf8Text(await archive.note());
    const text = whole.slice(0, whole.indexOf('\n\n') + 1).replace(`${world.origin}/0`, name ?? `${world.origin}/0`);
    return utf8(await signNote(text, signer));
  });

/** Puts another COSE signature beside the last kept note. */
const treeHead = (signer: Signer, change: (head: Checkpoint) => Checkpoint): Alter => {
  return async (map) => {
    const name = nameOf(map, /^logs\/0\/checkpoints\/\d+$/);
    const head = parseCheckpoint(readNote(utf8Text(required(map.get(name)))).text);
    map.set(`${name}.cose`, await signTreeHead(change(head), signer));
  };
};

/** Gives the manifest other signatures. */
const envelope = (change: (signatures: readonly EnvelopeSignature[]) => readonly EnvelopeSignature[]): Alter =>
  changed(MANIFEST, (bytes) => {
    const opened = decodeEnvelope(bytes, 'manifest');
    return encodeEnvelope({ ...opened, signatures: change(opened.signatures) });
  });

/** Takes the signatures off a version of the policy. */
function unsigned(at: number): Alter {
  return (map, { world }) => {
    const name = policyKey(required(world.policies.versions[at]).hex);
    map.set(name, encodeEnvelope({ ...decodeEnvelope(required(map.get(name)), 'policy'), signatures: [] }));
  };
}

/** Files that name other keys, of somebody without any. */
const PLANTED: readonly Attack[] = [
  {
    name: 'key-file-planted',
    keys: ['archive'],
    alter: planted('keys/root.pub', utf8(`${REAL_ROOT.verifierKey}\n`)),
    seen: 'ARCHIVE UNKNOWN_OBJECT',
  },
  {
    name: 'configuration-planted',
    keys: ['archive'],
    alter: planted('.lineproof/config.json', utf8('{"keys":[]}')),
    seen: 'ARCHIVE UNKNOWN_OBJECT',
  },
  {
    name: 'contents-name-another-root',
    keys: ['archive'],
    alter: changed(/^archive\.json$/, (bytes, { world }) => utf8(utf8Text(bytes).replace(world.root.verifierKey, REAL_ROOT.verifierKey))),
    seen: 'ARCHIVE ARCHIVE_JSON',
    failed: 'ARCHIVE',
  },
  {
    name: 'archive-by-others-under-the-same-names',
    keys: [],
    reader: () => ({ keys: [REAL_ROOT.verifierKey] }),
    seen: 'POLICY KEY_FOREIGN',
    ...NOTHING_PROVEN,
  },
  {
    name: 'archive-by-others-that-lists-the-real-root',
    keys: [],
    policy: (policy: Policy) => scenePolicy({ ...policy, roots: { keys: [...policy.roots.keys, REAL_ROOT.verifierKey], threshold: 1 } }),
    reader: () => ({ keys: [REAL_ROOT.verifierKey] }),
    seen: 'POLICY KEY_FOREIGN',
    ...NOTHING_PROVEN,
  },
  {
    name: 'archive-by-others-that-lists-the-real-log-key',
    keys: [],
    policy: (policy: Policy) => scenePolicy({ ...policy, logs: [...policy.logs, active(REAL_LOG)] }),
    reader: () => ({ keys: [REAL_LOG.verifierKey, NEXT_LOG.verifierKey] }),
    seen: 'LOG NOTE_SIGNATURE',
    failed: 'ARCHIVE LOG',
    unchecked: 'STREAMS SIGNATURES ORDER COMPLETE UNIQUE POLICY',
  },
  { name: 'no-key', keys: [], reader: () => ({ keys: [] }), seen: null, word: 'UNPROVEN', unchecked: `ARCHIVE ${ALL_ELSE}` },
  {
    name: 'log-keys-alone',
    keys: [],
    reader: ({ world }) => ({ keys: [...world.logs, NEXT_LOG].map(({ verifierKey }) => verifierKey) }),
    seen: null,
    unchecked: 'SIGNATURES POLICY',
  },
  {
    name: 'log-key-of-one-shard',
    keys: [],
    reader: ({ world }) => ({ keys: [required(world.logs[1]).verifierKey] }),
    seen: null,
    word: 'UNPROVEN',
    unchecked: `ARCHIVE ${ALL_ELSE}`,
  },
  {
    name: 'another-system-under-the-same-root',
    keys: ['root'],
    policy: (policy: Policy) => scenePolicy({ ...policy, segmentMaxAgeMs: 1 }),
    reader: () => ({ genesis: '7'.repeat(64) }),
    seen: 'POLICY GENESIS_FOREIGN',
    failed: 'POLICY',
  },
  { name: 'another-system-under-the-same-root-and-nothing-else-pinned', keys: ['root'], seen: null },
  {
    name: 'another-origin-under-the-same-root',
    keys: ['root'],
    reader: () => ({ origin: 'example.org/other' }),
    seen: 'POLICY ORIGIN_FOREIGN',
    failed: 'POLICY',
  },
];

const NOTES: readonly Attack[] = [
  { name: 'note-edited', keys: ['archive'], alter: edited((text) => text.replace(/\n(\d)/, '\n1$1')), seen: 'LOG NOTE_SIGNATURE', ...LOG },
  {
    name: 'note-without-a-signature',
    keys: ['archive'],
    alter: edited((text) => text.slice(0, text.indexOf('—'))),
    seen: 'LOG NOTE_MALFORMED',
    ...LOG,
  },
  {
    name: 'note-signed-twice-by-the-same',
    keys: ['archive'],
    alter: edited((text) => text + text.slice(text.indexOf('—'))),
    seen: 'LOG NOTE_SIGNATURE',
    ...LOG,
  },
  {
    name: 'note-with-an-empty-line-more',
    keys: ['archive'],
    alter: edited((text) => text.replace('\n\n', '\n\n\n')),
    seen: 'LOG NOTE_MALFORMED',
    ...LOG,
  },
  {
    name: 'note-with-a-line-end-of-another-system',
    keys: ['archive'],
    alter: edited((text) => text.replaceAll('\n', '\r\n')),
    seen: 'LOG NOTE_MALFORMED',
    ...LOG,
  },
  {
    name: 'note-signed-by-a-stranger-too',
    keys: ['archive'],
    alter: edited((text) => `${text}— stranger ${toBase64(new Uint8Array(68).fill(9))}\n`),
    seen: null,
  },
  {
    name: 'note-signed-by-a-stranger-with-a-byte-order-mark',
    keys: ['archive'],
    alter: edited((text) => `${text}— stran\uFEFFger ${toBase64(new Uint8Array(68).fill(9))}\n`),
    seen: null,
  },
  { name: 'note-of-a-stranger', keys: ['archive'], alter: signedBy(testSigner('stranger')), seen: 'LOG NOTE_SIGNATURE', ...LOG },
  { name: 'note-of-a-stranger-of-the-same-name', keys: ['archive'], alter: signedBy(STRANGER), seen: 'LOG NOTE_SIGNATURE', ...LOG },
  {
    name: 'note-by-the-log-key-of-the-other-shard',
    keys: ['archive', 'log'],
    alter: signedBy(testSigner('example.org/log/1', 'log')),
    seen: 'LOG NOTE_SIGNATURE',
    ...LOG,
  },
  {
    name: 'note-of-the-other-shard-by-the-right-key',
    keys: ['log'],
    alter: signedBy(NEXT_LOG, 'example.org/log/1'),
    seen: 'LOG NOTE_MALFORMED',
    ...LOG,
  },
  {
    name: 'note-by-the-retired-log-key',
    keys: ['archive', 'log'],
    alter: signedBy(testSigner('example.org/log/0', 'log')),
    seen: 'LOG KEY_RETIRED',
    ...LOG,
  },
  {
    name: 'note-of-another-history',
    keys: ['log'],
    alter: replaced(async ({ archive }) => utf8(await noteOf(NEXT_LOG, archive.size, SEVENS))),
    seen: 'LOG ROOT_WRONG',
    ...LOG,
  },
  {
    name: 'note-of-another-history-published-only',
    keys: ['log'],
    alter: async (map, { archive }) => {
      map.set('logs/0/checkpoint', utf8(await noteOf(NEXT_LOG, archive.size, SEVENS)));
    },
    seen: 'LOG ROOT_WRONG',
    ...LOG,
  },
  {
    name: 'kept-note-of-another-history',
    keys: ['log'],
    alter: changed(/^logs\/0\/checkpoints\/\d+$/, async (_, { archive }) => utf8(await noteOf(NEXT_LOG, archive.size, SEVENS))),
    seen: 'LOG ROOT_WRONG',
    ...LOG,
  },
  {
    name: 'tree-head-by-a-stranger',
    keys: ['archive'],
    alter: treeHead(STRANGER, (head) => head),
    seen: 'LOG TREE_HEAD_WRONG',
    ...LOG,
  },
  {
    name: 'tree-head-of-another-root',
    keys: ['log'],
    alter: treeHead(NEXT_LOG, (head) => ({ ...head, root: SEVENS })),
    seen: 'LOG TREE_HEAD_WRONG',
    ...LOG,
  },
  {
    name: 'tree-head-of-another-log',
    keys: ['log'],
    alter: treeHead(NEXT_LOG, (head) => ({ ...head, origin: 'example.org/log/1' })),
    seen: 'LOG TREE_HEAD_WRONG',
    ...LOG,
  },
  {
    name: 'tree-head-of-another-size',
    keys: ['log'],
    alter: treeHead(NEXT_LOG, (head) => ({ ...head, size: head.size + 1 })),
    seen: 'LOG TREE_HEAD_WRONG',
    ...LOG,
  },
  {
    name: 'note-amid-a-block',
    keys: ['log'],
    alter: replaced(async ({ archive }) => utf8(await noteOf(NEXT_LOG, archive.size - 3, rootAt(archive, archive.size - 3)))),
    seen: 'ARCHIVE CHECKPOINT_OLD',
    failed: 'ARCHIVE',
  },
  {
    name: 'note-of-the-empty-log',
    keys: ['log'],
    alter: replaced(async () => utf8(await noteOf(NEXT_LOG, 0, EMPTY_ROOT))),
    seen: 'ARCHIVE CHECKPOINT_OLD',
    failed: 'ARCHIVE',
  },
  ...[2 ** 53 - 1, 2 ** 40].map(
    (size): Attack => ({
      name: `note-of-${size}-leaves`,
      keys: ['log'],
      alter: replaced(async () => utf8(await noteOf(NEXT_LOG, size, SEVENS))),
      seen: 'LOG LEAVES_MISSING',
      failed: 'ARCHIVE LOG',
      unchecked: 'STREAMS SIGNATURES ORDER COMPLETE UNIQUE POLICY',
    }),
  ),
  ...['9007199254740992', '-1', '1e3', '007', '18 '].map(
    (size): Attack => ({
      name: `note-of-the-size-${size.trim()}`,
      keys: ['log'],
      alter: replaced(async () => utf8(await signNote(`example.org/log/0\n${size}\n${toBase64(SEVENS)}\n`, NEXT_LOG))),
      seen: 'LOG NOTE_MALFORMED',
      ...LOG,
    }),
  ),
  {
    name: 'note-with-an-extension-line',
    keys: ['log'],
    alter: replaced(async ({ archive }) => {
      const whole = utf8Text(await archive.note());
      return utf8(await signNote(`${whole.slice(0, whole.indexOf('\n\n') + 1)}extension\n`, NEXT_LOG));
    }),
    seen: 'LOG NOTE_MALFORMED',
    ...LOG,
  },
  {
    name: 'note-larger-than-a-note',
    keys: ['archive'],
    alter: changed(CHECKPOINT, (bytes) => concat(bytes, utf8(`— stranger ${toBase64(new Uint8Array(300_000))}\n`))),
    seen: 'ARCHIVE TOO_LARGE',
    failed: 'ARCHIVE',
  },
  {
    name: 'note-with-101-signatures',
    keys: ['archive'],
    alter: edited(
      (text) => text + Array.from({ length: 100 }, (_, i) => `— stranger${i} ${toBase64(new Uint8Array(68).fill(9))}\n`).join(''),
    ),
    seen: 'LOG NOTE_MALFORMED',
    ...LOG,
  },
];

const ENVELOPES: readonly Attack[] = [
  {
    name: 'manifest-without-a-signature',
    keys: ['archive'],
    alter: envelope(() => []),
    seen: 'ARCHIVE MANIFEST_SIGNATURE',
    ...NO_MANIFEST,
  },
  {
    name: 'manifest-signed-twice-by-the-same',
    keys: ['archive'],
    alter: envelope(([one]) => [required(one), required(one)]),
    seen: 'ARCHIVE MANIFEST_SIGNATURE',
    ...NO_MANIFEST,
  },
  {
    name: 'manifest-signed-by-a-stranger-too',
    keys: ['archive'],
    alter: envelope(([one]) => [required(one), { keyid: 'stranger+00000000', sig: new Uint8Array(64) }]),
    seen: null,
  },
  ...['stranger', 'stranger+0000', 'stran ger+00000000', '+00000000', 'stranger+0000000A'].map(
    (keyid, i): Attack => ({
      name: `manifest-signed-by-no-key-too-${i}`,
      keys: ['archive'],
      alter: envelope(([one]) => [required(one), { keyid, sig: new Uint8Array(64) }]),
      seen: 'ARCHIVE MANIFEST_MALFORMED',
      ...NO_MANIFEST,
    }),
  ),
  {
    name: 'first-policy-signed-by-no-key-too',
    keys: ['archive'],
    alter: (map, { world }) => {
      const name = policyKey(required(world.policies.versions[0]).hex);
      const opened = decodeEnvelope(required(map.get(name)), 'policy');
      map.set(name, encodeEnvelope({ ...opened, signatures: [...opened.signatures, { keyid: 'x', sig: new Uint8Array(64) }] }));
    },
    seen: 'POLICY POLICY_INVALID',
    ...NOTHING_PROVEN,
  },
  {
    name: 'manifest-of-a-stranger-of-the-same-name',
    keys: ['archive'],
    alter: changed(MANIFEST, (bytes) => resigned(bytes, 'manifest', [STRANGER])),
    seen: 'ARCHIVE MANIFEST_SIGNATURE',
    ...NO_MANIFEST,
  },
  {
    name: 'manifest-by-the-retired-log-key',
    keys: ['archive', 'log'],
    alter: changed(MANIFEST, (bytes, { world }) => resigned(bytes, 'manifest', [required(world.logs[0])])),
    seen: 'LOG KEY_RETIRED',
    ...LOG,
  },
  {
    name: 'manifest-by-the-chainer',
    keys: ['archive', 'chainer'],
    alter: changed(MANIFEST, (bytes, stage) => resigned(bytes, 'manifest', [stage.key('chainer')])),
    seen: 'ARCHIVE MANIFEST_SIGNATURE',
    ...NO_MANIFEST,
  },
  {
    name: 'manifest-signed-as-a-snapshot',
    keys: ['log'],
    alter: changed(MANIFEST, async (bytes) =>
      encodeEnvelope(await signEnvelope('snapshot', decodeEnvelope(bytes, 'manifest').payload, [NEXT_LOG])),
    ),
    seen: 'ARCHIVE MANIFEST_MALFORMED',
    ...NO_MANIFEST,
  },
  { name: 'first-policy-without-a-signature', keys: ['archive'], alter: unsigned(0), seen: 'POLICY POLICY_CHAIN', ...NOTHING_PROVEN },
  {
    name: 'second-policy-without-a-signature',
    keys: ['archive'],
    alter: unsigned(1),
    seen: 'POLICY POLICY_CHAIN',
    failed: 'ARCHIVE LOG POLICY',
    unchecked: 'STREAMS SIGNATURES ORDER COMPLETE UNIQUE',
  },
];

export const NOTE_ATTACKS: readonly Attack[] = [...PLANTED, ...NOTES, ...ENVELOPES];
