import { beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseArchiveKey } from '../../core/archive/archive-keys.ts';
import { encodeManifest, parseManifest } from '../../core/archive/manifest.ts';
import { encodeRetired, parseRetired } from '../../core/archive/retired.ts';
import { concat, toHex, utf8, utf8Text } from '../../core/base/bytes.ts';
import { canonicalJson, parseCanonicalJson } from '../../core/base/jcs.ts';
import { formatCheckpoint, parseCheckpoint } from '../../core/keys/checkpoint.ts';
import { cosignatureTime } from '../../core/keys/cosignature.ts';
import { decodeEnvelope, encodeEnvelope } from '../../core/keys/dsse.ts';
import { formatPrivateKey, formatVerifierKey, parsePrivateKey, parseVerifierKey } from '../../core/keys/key.ts';
import { formatNote, openNote, readNote, signNote } from '../../core/keys/note.ts';
import { KEY_TYPE } from '../../core/keys/signature.ts';
import { formatWitnessPolicy, parseWitnessPolicy } from '../../core/keys/witness-policy.ts';
import { encodePolicy, parsePolicy } from '../../core/policy/policy.ts';
import { openPolicies } from '../../core/policy/policy-history.ts';
import { envelopeOf, SIGNERS, testPolicy } from '../support/policies.ts';
import { signerOf, verifierOf } from '../unit/core/keys/support.ts';
import { mutate, seeded } from './mutate.ts';

const ROUNDS = 10_000;
const hex = '5c'.repeat(32);
const root = new Uint8Array(32).fill(7);
const checkpoint = formatCheckpoint({ origin: 'origin.example/0', size: 1_234_567, root });
const object = { name: 'a', size: 1, sha256: hex, content: hex };
const manifest = encodeManifest({
  origin: 'origin.example/0',
  first: 0,
  end: 2,
  root: hex,
  objects: [object],
  counts: { links: 1, seals: 1, duplicates: 0, conflicts: 0, repeated: 0, rejected: 0, empty: 0, sampledOut: 0, perProducer: [] },
  occurred: null,
  accepted: { from: 1, to: 1 },
  schemas: [hex],
  policies: [hex],
  offsets: [{ generation: 0, from: 0, to: 1 }],
  previous: null,
});
const witness = formatVerifierKey('w', KEY_TYPE.cosignature, verifierOf('w').publicKey);
const seed = new Uint8Array(32).fill(5);
let note = '';
let envelope = new Uint8Array(0);

beforeAll(async () => {
  note = await signNote(checkpoint, signerOf('log', 'origin.example/0'));
  envelope = (await envelopeOf(testPolicy(), SIGNERS.roots)) as Uint8Array<ArrayBuffer>;
});

/** Reads bytes and writes what it read; the codes are all that it may throw. */
type Format = readonly [name: string, sample: () => Uint8Array, again: (bytes: Uint8Array) => Uint8Array, codes: readonly string[]];

/** For what has no writer: reads, and gives the bytes back. */
function keeping(read: (bytes: Uint8Array) => unknown): (bytes: Uint8Array) => Uint8Array {
  return (bytes) => {
    read(bytes);
    return bytes;
  };
}

const FORMATS: readonly Format[] = [
  [
    'note',
    () => utf8(note),
    (bytes) => ((read) => utf8(formatNote(read.text, read.signatures)))(readNote(utf8Text(bytes))),
    ['FORMAT_INVALID', 'LIMIT_EXCEEDED'],
  ],
  [
    'note with a known key',
    () => utf8(note),
    // With one key, the order of the lines is known again where all are by others.
    (bytes) =>
      ((open) => (open.unknown.length > 0 ? bytes : utf8(formatNote(open.text, open.verified))))(
        openNote(utf8Text(bytes), [verifierOf('log', 'origin.example/0')]),
      ),
    ['FORMAT_INVALID', 'LIMIT_EXCEEDED', 'SIGNATURE_INVALID'],
  ],
  ['checkpoint', () => utf8(checkpoint), (bytes) => utf8(formatCheckpoint(parseCheckpoint(utf8Text(bytes)))), ['FORMAT_INVALID']],
  [
    'verifier key',
    () => utf8(verifierOf('log', 'origin.example/0').text),
    (bytes) => ((key) => utf8(formatVerifierKey(key.name, key.type, key.publicKey)))(parseVerifierKey(utf8Text(bytes))),
    ['KEY_INVALID', 'FORMAT_INVALID'],
  ],
  [
    'private key',
    () => utf8(formatPrivateKey('origin.example/0', seed)),
    (bytes) => ((key) => utf8(formatPrivateKey(key.name, key.seed)))(parsePrivateKey(utf8Text(bytes))),
    ['KEY_INVALID', 'FORMAT_INVALID'],
  ],
  ['DSSE envelope', () => envelope, (bytes) => encodeEnvelope(decodeEnvelope(bytes, 'policy')), ['FORMAT_INVALID', 'LIMIT_EXCEEDED']],
  ['policy', () => encodePolicy(testPolicy()), (bytes) => encodePolicy(parsePolicy(bytes)), ['POLICY_INVALID']],
  ['signed policy', () => envelope, keeping((bytes) => openPolicies([bytes])), ['POLICY_INVALID']],
  ['manifest', () => manifest, (bytes) => encodeManifest(parseManifest(bytes)), ['FORMAT_INVALID']],
  [
    'retired.json',
    () => encodeRetired({ origin: 'origin.example/0', first: 0, end: 2, manifest: hex, policy: hex, objects: [object] }),
    (bytes) => encodeRetired(parseRetired(bytes)),
    ['FORMAT_INVALID'],
  ],
  [
    'witness policy',
    () => utf8(`log ${SIGNERS.chainer.verifierKey}\nwitness W ${witness} https://w\ngroup g 1 W\nquorum g\n`),
    (bytes) => {
      const policy = parseWitnessPolicy(bytes);
      expect(parseWitnessPolicy(utf8(formatWitnessPolicy(policy)))).toEqual(policy);
      return bytes;
    },
    ['FORMAT_INVALID', 'LIMIT_EXCEEDED'],
  ],
  [
    'place in the archive',
    () => utf8(`logs/3/segments/${'0'.repeat(20)}-${'0'.repeat(19)}9.manifest.json`),
    keeping((bytes) => parseArchiveKey(utf8Text(bytes))),
    ['FORMAT_INVALID'],
  ],
];

test.each(FORMATS)('a mutated %s gives a value that is written back as it is, or a coded error', (_, sample, again, codes) => {
  const random = seeded(4);
  const bytes = sample();
  expect(toHex(again(bytes))).toBe(toHex(bytes));
  let refused = 0;
  for (let i = 0; i < ROUNDS; i++) {
    const mutated = mutate(bytes, random);
    let written: Uint8Array;
    try {
      written = again(mutated);
    } catch (error) {
      if (!codes.includes((error as { code: string }).code)) throw error;
      refused++;
      continue;
    }
    if (toHex(written) !== toHex(mutated)) expect(toHex(written)).toBe(toHex(mutated));
  }
  expect(refused).toBeGreaterThan(ROUNDS / 10);
});

test('a mutated cosignature has a time or none', () => {
  const random = seeded(5);
  const sample = concat(Uint8Array.of(0, 0, 0, 0, 0x64, 0x18, 0x50, 0xcb), new Uint8Array(64));
  for (let i = 0; i < ROUNDS; i++) {
    const time = cosignatureTime(mutate(sample, random));
    expect(time === undefined || (Number.isSafeInteger(time) && time >= 0)).toBe(true);
  }
});

/** Places of `value` at any depth, as paths. */
function pathsOf(value: unknown): string[][] {
  if (typeof value !== 'object' || value === null) return [[]];
  return [[], ...Object.entries(value).flatMap(([name, inner]) => pathsOf(inner).map((path) => [name, ...path]))];
}

test.each([
  ['policy', encodePolicy(testPolicy()), (bytes: Uint8Array) => encodePolicy(parsePolicy(bytes)), 'POLICY_INVALID'],
  ['manifest', manifest, (bytes: Uint8Array) => encodeManifest(parseManifest(bytes)), 'FORMAT_INVALID'],
] as const)('a %s with any JSON in any place is read as it is, or refused', (_, sample, again, code) => {
  const value = parseCanonicalJson(sample);
  const scalars = fc.constantFrom<unknown>(
    null,
    true,
    0,
    -1,
    1,
    1.5,
    2 ** 53,
    '',
    'a',
    '*',
    hex,
    [],
    {},
    [0],
    [hex],
    SIGNERS.chainer.verifierKey,
  );
  fc.assert(
    fc.property(fc.constantFrom(...pathsOf(value)), fc.oneof(scalars, fc.jsonValue({ maxDepth: 2 })), (path, other) => {
      const changed = structuredClone({ value });
      let at = changed as Record<string, unknown>;
      for (const [i, step] of ['value', ...path].entries()) {
        if (i === path.length) at[step] = other;
        else at = at[step] as Record<string, unknown>;
      }
      let bytes: Uint8Array;
      try {
        bytes = utf8(canonicalJson(changed.value));
      } catch {
        return;
      }
      try {
        expect(again(bytes)).toEqual(bytes);
      } catch (error) {
        expect((error as { code: string }).code).toBe(code);
      }
    }),
    { numRuns: 3000, seed: 6 },
  );
});
