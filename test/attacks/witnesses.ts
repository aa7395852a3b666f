import { logKeysOf } from '../../core/archive/archive-keys.ts';
import { utf8, utf8Text } from '../../core/base/bytes.ts';
import { cosign } from '../../core/keys/cosignature.ts';
import { formatVerifierKey, parseVerifierKey } from '../../core/keys/key.ts';
import { formatNote, type NoteSignature, readNote, signNote } from '../../core/keys/note.ts';
import type { Policy } from '../../core/policy/policy-document.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { testSigner } from '../support/producer.ts';
import { required } from '../support/rich-archive.ts';
import { witnessKeyOf } from '../support/witnesses.ts';
import type { Alter, Attack } from './attack.ts';
import { keptNotes, namesOf } from './forging.ts';
import { NEXT_LOG, scenePolicy } from './stage.ts';

const A = testSigner('witness.example/A', 'A');
const B = testSigner('witness.example/B', 'B');
const OTHER = testSigner('witness.example/C', 'C');
const STRANGER = testSigner('witness.example/A', 'a stranger');
/** A witness's key of type ML-DSA-44. */
const LATER = parseVerifierKey(formatVerifierKey('witness.example/later', 6, new Uint8Array(1312)));
const TIME = 1_767_225_700;
const NOTES = /^logs\/[01]\/(?:checkpoint|checkpoints\/[0-9]+)$/;
const NEWEST = /^logs\/[01]\/checkpoint$/;
const SECOND = /^logs\/0\/checkpoint$/;

type Line = (text: string, map: ReadonlyMap<string, Uint8Array>) => Promise<NoteSignature>;
const by =
  (signer: Signer, time = TIME): Line =>
  (text) =>
    cosign(text, time, signer);

/** Adds these lines to each note that fits. */
function cosigned(pattern: RegExp, ...lines: readonly Line[]): Alter {
  return async (map) => {
    for (const name of namesOf(map, pattern)) {
      const { text, signatures } = readNote(utf8Text(required(map.get(name))));
      const more = await Promise.all(lines.map((line) => line(text, map)));
      map.set(name, utf8(formatNote(text, [...signatures, ...more])));
    }
  };
}

/** One change after the other. */
function each(...alters: readonly Alter[]): Alter {
  return async (map, stage) => {
    for (const alter of alters) await alter(map, stage);
  };
}

/** Adds late cosignatures of the notes at the ends of the last segments. */
function late(
  signer: Signer,
  change: (note: string, size: number) => readonly [string, number] | Promise<readonly [string, number]>,
): Alter {
  return async (map) => {
    for (const shard of [0, 1]) {
      const name = required(keptNotes(map, shard).at(-1));
      const { text, signatures } = readNote(utf8Text(required(map.get(name))));
      const [note, size] = await change(
        formatNote(text, [required(signatures[0]), await cosign(text, TIME, signer)]),
        Number(text.split('\n')[1]),
      );
      map.set(logKeysOf(shard).cosignature(size, witnessKeyOf(signer)), utf8(note));
    }
  };
}

const witness = (name: string, signer: Signer): string => `witness ${name} ${witnessKeyOf(signer)}\n`;
const BOTH = `${witness('A', A)}${witness('B', B)}group both 2 A B\nquorum both\n`;
const OWN = `${witness('C', OTHER)}quorum C\n`;
const OF_ANOTHER_LOG = `log ${testSigner('elsewhere.example/0', 'log').verifierKey}\n${BOTH}`;

const demanding =
  (witnesses: string, isRequired = false) =>
  (policy: Policy): Policy => ({ ...scenePolicy(policy), witnessing: { witnesses, required: isRequired, deadlineMs: 1000 } });

const asked = demanding(BOTH);
const DONE = { ok: 'WITNESSES' };
const WRONG = { failed: 'WITNESSES', seen: 'WITNESSES COSIGNATURE_WRONG' };
const OPEN = { open: 'WITNESSES', seen: 'WITNESSES QUORUM_OPEN' };
const brought =
  (...witnesses: readonly string[]): Required<Attack>['reader'] =>
  () => ({ witnesses });

/** The cosignature of `signer` under other bytes for its time. */
const redated: Line = async (text) => {
  const line = await cosign(text, TIME, A);
  return { ...line, signature: line.signature.map((byte, i) => (i === 7 ? byte ^ 1 : byte)) };
};
/** A cosignature that another note got. */
const copied =
  (from: RegExp): Line =>
  (_, map) =>
    cosign(readNote(utf8Text(required(map.get(required(namesOf(map, from)[0]))))).text, TIME, A);

/** What the witnesses of the policy can be made to seem. */
const BY_POLICY: readonly Attack[] = [
  { name: 'witnesses-of-the-policy-cosign', keys: ['archive'], policy: asked, alter: cosigned(NOTES, by(A), by(B)), ...DONE, seen: null },
  { name: 'no-witness-cosigns', keys: ['archive'], policy: asked, ...OPEN },
  { name: 'one-of-two-witnesses-cosigns', keys: ['archive'], policy: asked, alter: cosigned(NOTES, by(A)), ...OPEN },
  {
    name: 'published-without-a-required-quorum',
    keys: ['archive'],
    policy: demanding(BOTH, true),
    alter: cosigned(NOTES, by(A)),
    failed: 'WITNESSES',
    seen: 'WITNESSES QUORUM_MISSING',
  },
  {
    name: 'newest-cosignatures-stripped',
    keys: ['archive'],
    policy: asked,
    alter: cosigned(/^logs\/.\/checkpoints\/[0-9]$/, by(A), by(B)),
    ...OPEN,
  },
  {
    name: 'one-witness-under-two-names',
    keys: ['archive'],
    policy: asked,
    alter: cosigned(NOTES, by(A), by(testSigner(B.name, 'A'))),
    ...OPEN,
  },
  { name: 'one-witness-cosigns-twice', keys: ['archive'], policy: asked, alter: cosigned(NOTES, by(A), by(A, TIME + 1), by(B)), ...WRONG },
  { name: 'stranger-under-the-name-of-a-witness', keys: ['archive'], policy: asked, alter: cosigned(NOTES, by(STRANGER), by(B)), ...OPEN },
  {
    name: 'stranger-under-the-key-id-of-a-witness',
    keys: ['archive'],
    policy: asked,
    alter: cosigned(NOTES, async (text) => ({ ...(await cosign(text, TIME, STRANGER)), id: parseVerifierKey(witnessKeyOf(A)).id }), by(B)),
    ...WRONG,
  },
  { name: 'cosignature-redated', keys: ['archive'], policy: asked, alter: cosigned(NOTES, redated, by(B)), ...WRONG },
  { name: 'cosignature-without-a-time', keys: ['archive'], policy: asked, alter: cosigned(NOTES, by(A, 0), by(B)), ...WRONG },
  {
    name: 'cosignature-of-an-older-note',
    keys: ['archive'],
    policy: asked,
    alter: cosigned(SECOND, copied(/^logs\/0\/checkpoints\/\d+$/), by(B)),
    ...WRONG,
  },
  {
    name: 'cosignature-of-another-shard',
    keys: ['archive'],
    policy: asked,
    alter: cosigned(SECOND, copied(/^logs\/1\/checkpoint$/), by(B)),
    ...WRONG,
  },
  {
    name: 'plain-signature-in-the-place-of-a-cosignature',
    keys: ['archive'],
    policy: asked,
    alter: cosigned(
      NOTES,
      async (text) => ({ name: A.name, id: parseVerifierKey(witnessKeyOf(A)).id, signature: await A.sign(utf8(text)) }),
      by(B),
    ),
    ...WRONG,
  },
  {
    name: 'wrong-cosignature-on-an-old-note-only',
    keys: ['archive'],
    policy: asked,
    alter: each(cosigned(/^logs\/0\/checkpoints\/[0-9]+$/, redated), cosigned(NEWEST, by(A), by(B))),
    ...WRONG,
  },
  {
    name: 'late-cosignatures-beside-the-notes',
    keys: ['archive'],
    policy: asked,
    alter: each(
      late(A, (...note) => note),
      late(B, (...note) => note),
    ),
    ...DONE,
    seen: null,
  },
  {
    name: 'late-cosignature-under-another-size',
    keys: ['archive'],
    policy: asked,
    alter: each(
      cosigned(NOTES, by(A), by(B)),
      late(A, (note, size) => [note, size - 1]),
    ),
    failed: 'ARCHIVE',
    ...DONE,
    seen: 'ARCHIVE CHECKPOINT_PLACE',
  },
  {
    name: 'late-cosignature-without-the-log',
    keys: ['archive'],
    policy: asked,
    alter: each(
      cosigned(NOTES, by(A), by(B)),
      late(A, async (note, size) => [await signNote(readNote(note).text, testSigner('example.org/log/0', 'stranger')), size]),
    ),
    failed: 'LOG',
    ...DONE,
    seen: 'LOG NOTE_SIGNATURE',
  },
  {
    name: 'history-that-only-dishonest-witnesses-saw',
    keys: ['archive', 'log'],
    policy: asked,
    alter: each(
      async (map) => {
        const { text } = readNote(utf8Text(required(map.get('logs/0/checkpoint'))));
        const fork = text.replace(/\n[^\n]+\n$/, `\n${'A'.repeat(43)}=\n`);
        const note = utf8(await signNote(fork, NEXT_LOG));
        map.set('logs/0/checkpoint', note).set('logs/0/signed', note);
      },
      cosigned(NEWEST, by(A), by(B)),
    ),
    failed: 'LOG',
    open: 'WITNESSES',
    seen: 'LOG ROOT_WRONG',
  },
  {
    name: 'root-names-witnesses-of-its-own',
    keys: ['root', 'archive'],
    policy: demanding(OWN),
    alter: cosigned(NOTES, by(OTHER)),
    ...DONE,
    seen: null,
  },
  { name: 'policy-that-wants-no-witness', keys: ['root'], policy: demanding('quorum none\n'), seen: null },
  {
    name: 'witnesses-that-only-pinned-log-keys-know',
    keys: ['archive'],
    policy: asked,
    alter: cosigned(NOTES, by(A), by(B)),
    reader: ({ world }) => ({ keys: [required(world.logs[0]), NEXT_LOG, required(world.logs[1])].map(({ verifierKey }) => verifierKey) }),
    unchecked: 'SIGNATURES POLICY WITNESSES',
    seen: null,
  },
];

/** The root names witnesses, and the chainer of shard 1 seals under the version before that for ever. */
const POSTPONED: Attack = {
  name: 'chainer-stays-under-the-policy-without-witnesses',
  keys: ['chainer', 'log', 'archive'],
  play: async ({ world, archives: [, there] }) => {
    const { policy } = world;
    await world.nextPolicy((before) => ({ ...before, witnessing: { witnesses: BOTH, required: true, deadlineMs: 1000 } }));
    const seal = there.block.bind(there);
    there.block = (options, spoil) => seal({ ...options, policy }, spoil);
  },
  alter: cosigned(/^logs\/0\/(?:checkpoint|checkpoints\/[0-9]+)$/, by(A), by(B)),
  ...OPEN,
};

/** What a reader with a witness policy of their own sees. */
const BY_READER: readonly Attack[] = [
  {
    name: 'witnesses-of-the-reader-cosign',
    keys: ['archive'],
    alter: cosigned(NOTES, by(A), by(B)),
    reader: brought(BOTH),
    ...DONE,
    seen: null,
  },
  { name: 'witnesses-of-the-reader-saw-nothing', keys: [], reader: brought(BOTH), failed: 'WITNESSES', seen: 'WITNESSES QUORUM_MISSING' },
  {
    name: 'one-of-the-readers-witnesses-and-a-stranger',
    keys: ['archive'],
    alter: cosigned(NOTES, by(A), by(OTHER)),
    reader: brought(BOTH),
    failed: 'WITNESSES',
    seen: 'WITNESSES COSIGNATURE_UNKNOWN',
  },
  {
    name: 'witnesses-of-the-reader-saw-the-beginning',
    keys: ['archive'],
    alter: each(cosigned(/^logs\/0\/checkpoints\/[0-9]+$/, by(A), by(B)), cosigned(/^logs\/1\/checkpoint$/, by(A), by(B)), async (map) => {
      const last = required(keptNotes(map, 0).at(-1));
      const { text, signatures } = readNote(utf8Text(required(map.get(last))));
      map.set(last, utf8(formatNote(text, signatures.slice(0, 1))));
    }),
    reader: brought(BOTH),
    ...OPEN,
  },
  {
    name: 'witnesses-of-the-policy-are-not-the-readers',
    keys: ['root', 'archive'],
    policy: demanding(OWN),
    alter: cosigned(NOTES, by(OTHER)),
    reader: brought(BOTH),
    failed: 'WITNESSES',
    seen: 'WITNESSES QUORUM_MISSING',
  },
  {
    name: 'witness-policy-of-another-log',
    keys: ['archive'],
    alter: cosigned(NOTES, by(A), by(B)),
    reader: brought(OF_ANOTHER_LOG),
    unchecked: 'WITNESSES',
    word: 'NOT CHECKED',
    seen: 'WITNESSES WITNESS_POLICY_FOREIGN',
  },
  { name: 'reader-who-wants-no-witness', keys: [], reader: brought('quorum none\n'), seen: null },
  {
    name: 'wrong-cosignature-by-a-witness-of-the-reader',
    keys: ['archive'],
    alter: cosigned(NOTES, redated, by(B)),
    reader: brought(`${witness('A', A)}${witness('B', B)}group any any A B\nquorum any\n`),
    ...WRONG,
  },
  {
    name: 'cosignature-of-a-type-that-nobody-here-can-verify',
    keys: ['archive'],
    alter: cosigned(NOTES, by(A), async () => ({ name: LATER.name, id: LATER.id, signature: new Uint8Array(8 + 2420) })),
    reader: brought(`${witness('A', A)}witness later ${LATER.text}\ngroup any any A later\nquorum any\n`),
    ...DONE,
    seen: 'WITNESSES COSIGNATURE_UNKNOWN',
  },
  {
    name: 'one-of-two-policies-of-the-reader-is-not-met',
    keys: ['archive'],
    alter: cosigned(NOTES, by(A), by(B)),
    reader: brought(BOTH, OWN),
    failed: 'WITNESSES',
    seen: 'WITNESSES QUORUM_MISSING',
  },
];

export const WITNESS_ATTACKS: readonly Attack[] = [...BY_POLICY, POSTPONED, ...BY_READER];
