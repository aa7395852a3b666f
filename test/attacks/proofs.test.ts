import { beforeAll, describe, expect, test } from '@jest/globals';
import type { FindingCode } from '../../auditor/findings-table.ts';
import { checkProof } from '../../auditor/proofs/proof-check.ts';
import { proofVerdictText } from '../../auditor/proofs/proof-text.ts';
import type { ProofVerdict } from '../../auditor/proofs/proof-verdict.ts';
import { concat, toBase64, utf8 } from '../../core/base/bytes.ts';
import { LIMITS } from '../../core/base/limits.ts';
import { decodeBatchHeader, encodeBatchHeader } from '../../core/formats/batch.ts';
import { type EventProof, encodeEventProof, type SealProof } from '../../core/formats/event-proof.ts';
import { decodeLeaf, type Link } from '../../core/formats/leaf.ts';
import { formatTlogProof, parseTlogProof } from '../../core/formats/tlog-proof.ts';
import { formatCheckpoint, parseCheckpoint } from '../../core/keys/checkpoint.ts';
import { preAuthentication } from '../../core/keys/dsse.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import { formatNote, readNote, signNote } from '../../core/keys/note.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { batchRoot } from '../../core/tree/batch-tree.ts';
import { proveBatchPath } from '../../core/tree/build/batch-path.ts';
import { leafHash } from '../../core/tree/hash.ts';
import type { MadeProof } from '../../prover/prove.ts';
import { ForgedArchive } from '../support/forged-archive.ts';
import { changedProof, changeHeader, changeLink, changeSeal, flipped, type ProofDraft, provenEvents } from '../support/forged-proof.ts';
import { type NaiveProof, NaiveVerifier, testWithPython } from '../support/naive-verifier.ts';
import { makeWorld, START_MICROS, testSigner, type World } from '../support/producer.ts';

const TIMEOUT_MS = 300_000;
let world: World;
/** Proofs of the leaves 0, 1, 2, 4, 5: two blocks under two versions of the policy. */
let proofs: Map<number, MadeProof>;
/** The same log when it had the first block only. */
let earlier: MadeProof;
/** A proof that is right in a world of the attacker's own, under the same names. */
let foreign: MadeProof;

const EVIL = 'evil ';
const evil = (name: string, word = name): Signer => testSigner(name, `${EVIL}${word}`);
const textOf = (leaf: number): string => (proofs.get(leaf) as MadeProof).text;
const partsOf = (leaf: number): ProofDraft => {
  let found: ProofDraft | undefined;
  changedProof(textOf(leaf), (draft) => {
    found = { file: { ...draft.file }, proof: { ...draft.proof } };
  });
  return found as ProofDraft;
};
/** Every proof that a test checked, for the other verifier. */
const checked: { readonly bytes: Uint8Array; readonly keys: readonly string[]; readonly verdict: ProofVerdict }[] = [];
function check(bytes: Uint8Array, signers: readonly Signer[] = [world.root]): ProofVerdict {
  const keys = signers.map(({ verifierKey }) => verifierKey);
  const verdict = checkProof(bytes, { keys: keys.map(parseVerifierKey) });
  checked.push({ bytes, keys, verdict });
  return verdict;
}
const codes = ({ findings }: ProofVerdict): string[] => [...new Set(findings.map(({ code }) => code))];

beforeAll(async () => {
  world = await makeWorld();
  const archive = new ForgedArchive(world);
  const lane = world.lane('lane');
  await archive.block({ messages: [await lane.next(world.events('a', 'one', 'two', 'three'))], acceptedAt: START_MICROS });
  await archive.close();
  const first = archive.objects.changed(() => undefined);
  earlier = (await provenEvents(first, { kind: 'leaf', shard: 0, leaf: 1 }))[0] as MadeProof;
  await world.nextPolicy((policy) => ({ ...policy, segmentMaxAgeMs: 10_000 }));
  await archive.block({ messages: [await lane.next(world.events('a', 'four', 'five'))], acceptedAt: START_MICROS + 1_000_000 });
  await archive.close();
  const made = await provenEvents(archive.objects, { kind: 'stream', stream: 'a', from: 0, to: 9 });
  proofs = new Map(made.map((proof) => [proof.leaf, proof]));
  const twin = new ForgedArchive(await makeWorld({ seed: EVIL }));
  await twin.block({
    messages: [await twin.world.lane('lane').next(twin.world.events('a', 'one', 'two', 'three'))],
    acceptedAt: START_MICROS,
  });
  await twin.close();
  foreign = (await provenEvents(twin.objects, { kind: 'leaf', shard: 0, leaf: 1 }))[0] as MadeProof;
});

type TextAttack = readonly [name: string, change: (text: string) => string | Uint8Array];

/** Every file that is not exactly a proof. */
const MALFORMED: readonly TextAttack[] = [
  ['is empty', () => ''],
  ['is not UTF-8', (text) => concat(utf8(text), Uint8Array.of(0xff))],
  ['begins with a byte order mark', (text) => `\uFEFF${text}`],
  ['is of another version', (text) => text.replace('@v1', '@v2')],
  ['has lines that end in CR LF', (text) => text.replaceAll('\n', '\r\n')],
  ['has bytes behind the note', (text) => `${text}x`],
  ['has an empty line behind the note', (text) => `${text}\n`],
  ['has no extra line', (text) => text.replace(/extra .*\n/, '')],
  ['has two extra lines', (text) => text.replace(/extra .*\n/, (line) => line + line)],
  ['has an extra that is no EventProof', (text) => text.replace(/extra .*\n/, 'extra AAAA\n')],
  ['has an extra with a byte too many', (text) => againWith(text, (extra) => concat(extra, Uint8Array.of(0)))],
  ['has an extra that is cut', (text) => againWith(text, (extra) => extra.subarray(0, -1))],
  ['has an index with a leading zero', (text) => text.replace('index 1', 'index 01')],
  ['has a negative index', (text) => text.replace('index 1', 'index -1')],
  ['has an index beyond 2^53', (text) => text.replace('index 1', 'index 9007199254740993')],
  ['has a hash of 31 bytes', (text) => text.replace('index 1\n', `index 1\n${toBase64(new Uint8Array(31))}\n`)],
  ['has a path of 54 hashes', (text) => text.replace('index 1\n', `index 1\n${`${toBase64(new Uint8Array(32))}\n`.repeat(54)}`)],
  ['has a note without signatures', (text) => text.replace(/\n— .*\n$/, '\n')],
  ['has a note with an extension line', (text) => text.replace(/\n\n— /, '\nextension\n\n— ')],
  ['is larger than any proof', (text) => text + ' '.repeat(LIMITS.proofBytes)],
];

function againWith(text: string, change: (extra: Uint8Array) => Uint8Array): string {
  const file = parseTlogProof(text);
  return formatTlogProof({ ...file, extra: change(file.extra) });
}

test.each(MALFORMED)('a file that %s is FAILED and names no event', (_, change) => {
  const changed = change(textOf(1));
  const verdict = check(typeof changed === 'string' ? utf8(changed) : changed);
  expect([verdict.result, codes(verdict), verdict.subject]).toEqual(['FAILED', ['PROOF_MALFORMED'], null]);
});

type Attack = readonly [name: string, expected: readonly FindingCode[], change: (draft: ProofDraft) => void];

/** Each changes the proof of leaf 1, written again exactly as a prover writes it. */
const PARTS: readonly Attack[] = [
  ['the leaf is a seal', ['PROOF_MALFORMED'], ({ proof }) => Object.assign(proof, { leaf: (proof.seal as SealProof).leaf })],
  ['the seal is a link', ['PROOF_MALFORMED'], ({ proof }) => Object.assign(proof, { seal: { ...proof.seal, leaf: proof.leaf } })],
  [
    'the event has a byte too many',
    ['PROOF_MALFORMED'],
    ({ proof }) => Object.assign(proof, { event: concat(proof.event, Uint8Array.of(0)) }),
  ],
  [
    'the schema is spelled with a space',
    ['PROOF_MALFORMED'],
    ({ proof }) => Object.assign(proof, { schema: proof.schema.replace(',"', ', "') }),
  ],
  ['the key of the producer is no key', ['PROOF_MALFORMED'], ({ proof }) => Object.assign(proof, { producerKey: 'key' })],
  ['the event is another one of the stream', ['EVENT_DIGEST'], ({ proof }) => Object.assign(proof, { event: partsOf(0).proof.event })],
  [
    'the link names another event',
    ['BATCH_ROOT', 'EVENT_DIGEST', 'PROOF_PATH'],
    (draft) => changeLink(draft, { event: new Uint8Array(32) }),
  ],
  ['the link has another position in its stream', ['PROOF_PATH'], (draft) => changeLink(draft, { index: 7 })],
  ['the link has another stream', ['EVENT_STREAM', 'PROOF_PATH'], (draft) => changeLink(draft, { stream: 'b' })],
  ['the link names another event before it', ['PROOF_PATH'], (draft) => changeLink(draft, { previous: new Uint8Array(32) })],
  ['the link has another time', ['PROOF_CONTRADICTS', 'PROOF_PATH'], (draft) => changeLink(draft, { acceptedAt: START_MICROS + 1 })],
  ['the link has another place in its batch', ['BATCH_ROOT', 'PROOF_PATH'], (draft) => changeLink(draft, { position: 2 })],
  [
    'the link has a place beyond its batch',
    ['BATCH_ROOT', 'PROOF_CONTRADICTS', 'PROOF_PATH'],
    (draft) => changeLink(draft, { position: 3 }),
  ],
  ['the link names another input offset', ['PROOF_CONTRADICTS', 'PROOF_PATH'], (draft) => changeLink(draft, { inputOffset: 9 })],
  [
    'the link names another schema',
    ['EVENT_DIGEST', 'PROOF_CONTRADICTS', 'PROOF_PATH'],
    (draft) => changeLink(draft, { schema: new Uint8Array(32) }),
  ],
  ['another leaf is claimed', ['PROOF_PATH'], ({ file }) => Object.assign(file, { index: 2 })],
  ['a leaf beyond the note is claimed', ['PROOF_CONTRADICTS', 'PROOF_PATH'], ({ file }) => Object.assign(file, { index: 99 })],
  [
    'the first hash of the path is changed',
    ['PROOF_PATH'],
    ({ file }) => Object.assign(file, { path: file.path.with(0, flipped(file.path[0] as Uint8Array)) }),
  ],
  [
    'the last hash of the path is changed',
    ['PROOF_PATH'],
    ({ file }) => Object.assign(file, { path: [...file.path.slice(0, -1), flipped(file.path.at(-1) as Uint8Array)] }),
  ],
  ['the path lacks a hash', ['PROOF_PATH'], ({ file }) => Object.assign(file, { path: file.path.slice(1) })],
  ['the path has a hash too many', ['PROOF_PATH'], ({ file }) => Object.assign(file, { path: [...file.path, new Uint8Array(32)] })],
  ['the path is of another leaf', ['PROOF_PATH'], ({ file }) => Object.assign(file, { path: partsOf(4).file.path })],
  [
    'the path in the batch is changed',
    ['BATCH_ROOT'],
    ({ proof }) => Object.assign(proof, { path: proof.path.map((hash) => flipped(hash)) }),
  ],
  ['the path in the batch lacks a hash', ['BATCH_ROOT'], ({ proof }) => Object.assign(proof, { path: proof.path.slice(1) })],
  [
    'the path in the batch has a hash too many',
    ['BATCH_ROOT'],
    ({ proof }) => Object.assign(proof, { path: [...proof.path, new Uint8Array(32)] }),
  ],
  [
    'the signature of the producer is changed',
    ['BATCH_UNACCEPTABLE'],
    ({ proof }) => Object.assign(proof, { signature: flipped(proof.signature) }),
  ],
  [
    'the signature of the producer is missing',
    ['BATCH_UNACCEPTABLE'],
    ({ proof }) => Object.assign(proof, { signature: new Uint8Array(0) }),
  ],
  [
    'the batch is another one of the lane',
    ['BATCH_ROOT'],
    ({ proof }) => Object.assign(proof, pick(partsOf(4).proof, 'header', 'signature')),
  ],
  ['the batch states another root', ['BATCH_ROOT', 'BATCH_UNACCEPTABLE'], (draft) => changeHeader(draft, { root: new Uint8Array(32) })],
  ['the batch states another time', ['BATCH_UNACCEPTABLE'], (draft) => changeHeader(draft, { createdAt: START_MICROS - 1 })],
  ['the batch is for another shard', ['BATCH_UNACCEPTABLE', 'PROOF_CONTRADICTS'], (draft) => changeHeader(draft, { shard: 1 })],
  [
    'the batch is for another origin',
    ['BATCH_UNACCEPTABLE', 'PROOF_CONTRADICTS'],
    (draft) => changeHeader(draft, { origin: 'example.org/other' }),
  ],
  [
    'the batch is of another producer',
    ['BATCH_UNACCEPTABLE', 'PROOF_CONTRADICTS'],
    (draft) => changeHeader(draft, { producer: 'example.org/other' }),
  ],
  [
    'the producer has another key',
    ['BATCH_UNACCEPTABLE', 'PROOF_CONTRADICTS'],
    ({ proof }) => Object.assign(proof, { producerKey: evil(world.producer.name).verifierKey }),
  ],
  [
    'the key id is another one',
    ['BATCH_UNACCEPTABLE', 'PROOF_CONTRADICTS'],
    ({ proof }) => Object.assign(proof, { keyId: flipped(proof.keyId) }),
  ],
  ['the seal is of another block', ['PROOF_CONTRADICTS'], ({ proof }) => Object.assign(proof, { seal: partsOf(4).proof.seal })],
  ['the seal names another policy', ['POLICY_MISSING', 'PROOF_PATH'], (draft) => changeSeal(draft, { policy: new Uint8Array(32) })],
  ['the seal names a later policy', ['PROOF_PATH', 'SEAL_SIGNATURE'], (draft) => changeSeal(draft, { policy: world.policy.digest })],
  [
    'the seal is of another log',
    ['PROOF_CONTRADICTS', 'PROOF_PATH', 'SEAL_SIGNATURE'],
    (draft) => changeSeal(draft, { origin: 'example.org/log/1' }),
  ],
  ['the seal names another chainer', ['CHAINER_UNKNOWN', 'PROOF_PATH'], (draft) => changeSeal(draft, { chainer: 'example.org/other' })],
  ['the seal claims another leaf', ['PROOF_CONTRADICTS', 'PROOF_PATH'], (draft) => changeSeal(draft, {}, { index: 4 })],
  [
    'the path of the seal is changed',
    ['PROOF_PATH'],
    (draft) => changeSeal(draft, {}, { path: (draft.proof.seal as SealProof).path.map((hash) => flipped(hash)) }),
  ],
  [
    'the signature of the chainer is changed',
    ['SEAL_SIGNATURE'],
    (draft) => changeSeal(draft, {}, { signature: flipped((draft.proof.seal as SealProof).signature) }),
  ],
  ['the key id of the chainer is another one', ['CHAINER_UNKNOWN'], (draft) => changeSeal(draft, {}, { keyId: new Uint8Array(4) })],
  [
    'the policies begin with version 2',
    ['KEY_FOREIGN', 'POLICY_CHAIN'],
    ({ proof }) => Object.assign(proof, { policies: proof.policies.slice(1) }),
  ],
  [
    'the policies are in another order',
    ['KEY_FOREIGN', 'POLICY_CHAIN'],
    ({ proof }) => Object.assign(proof, { policies: proof.policies.toReversed() }),
  ],
  ['a version is there twice', ['POLICY_CHAIN'], ({ proof }) => Object.assign(proof, { policies: [proof.policies[0], ...proof.policies] })],
  ['a policy is no envelope', ['POLICY_CHAIN'], ({ proof }) => Object.assign(proof, { policies: [...proof.policies, utf8('{}')] })],
  [
    'the note is of an earlier size',
    ['PROOF_CONTRADICTS', 'PROOF_PATH'],
    ({ file }) => Object.assign(file, { checkpoint: parseTlogProof(earlier.text).checkpoint, index: 4 }),
  ],
  [
    'the signature of the note is changed',
    ['NOTE_SIGNATURE'],
    ({ file }) => Object.assign(file, { checkpoint: resigned(file.checkpoint, (signature) => flipped(signature, -1)) }),
  ],
  [
    'the note is signed twice by one key',
    ['NOTE_SIGNATURE'],
    ({ file }) => Object.assign(file, { checkpoint: file.checkpoint + file.checkpoint.split('\n\n')[1] }),
  ],
  [
    'the note states another root',
    ['NOTE_SIGNATURE', 'PROOF_PATH'],
    ({ file }) => Object.assign(file, { checkpoint: restated(file.checkpoint, { root: new Uint8Array(32) }) }),
  ],
  [
    'the note states another size',
    ['NOTE_SIGNATURE'],
    ({ file }) => Object.assign(file, { checkpoint: restated(file.checkpoint, { size: 8 }) }),
  ],
  [
    'the note is of another shard',
    ['KEY_FOREIGN', 'POLICY_CHAIN', 'PROOF_CONTRADICTS'],
    ({ file }) => Object.assign(file, { checkpoint: restated(file.checkpoint, { origin: 'example.org/log/1' }) }),
  ],
];

function pick<K extends keyof EventProof>(proof: EventProof, ...names: readonly K[]): Pick<EventProof, K> {
  return Object.fromEntries(names.map((name) => [name, proof[name]])) as unknown as Pick<EventProof, K>;
}

function resigned(note: string, change: (signature: Uint8Array) => Uint8Array): string {
  const { text, signatures } = readNote(note);
  return formatNote(
    text,
    signatures.map((line) => ({ ...line, signature: change(line.signature) })),
  );
}

function restated(note: string, change: Partial<ReturnType<typeof parseCheckpoint>>): string {
  const { text, signatures } = readNote(note);
  return formatNote(formatCheckpoint({ ...parseCheckpoint(text), ...change }), signatures);
}

test.each(PARTS)('a proof in which %s is FAILED', (_, expected, change) => {
  const verdict = check(changedProof(textOf(1), change));
  expect([verdict.result, codes(verdict).toSorted()]).toEqual(['FAILED', expected]);
});

describe('an attacker who signs with keys of his own', () => {
  test('cannot pass them for the keys of the log, whatever names they have', () => {
    expect(check(utf8(foreign.text), [evil(world.root.name)]).result).toBe('OK');
    const verdict = check(utf8(foreign.text));
    expect([verdict.result, codes(verdict)]).toEqual(['FAILED', ['KEY_FOREIGN']]);
    expect(check(utf8(foreign.text), []).result).toBe('UNPROVEN');
  });

  test.each([['log'], ['producer']] as const)('cannot pass his %s key for the pinned one', (role) => {
    const key = role === 'log' ? (world.logs[0] as Signer) : world.producer;
    const verdict = check(utf8(foreign.text), [key]);
    expect([verdict.result, verdict.ok]).toEqual(['FAILED', false]);
  });

  test('cannot put true policies beside his log', () => {
    const verdict = check(changedProof(foreign.text, ({ proof }) => Object.assign(proof, { policies: partsOf(1).proof.policies })));
    expect(verdict.result).toBe('FAILED');
    expect(codes(verdict)).toEqual(expect.arrayContaining(['NOTE_SIGNATURE', 'POLICY_MISSING']));
  });

  test('cannot put his batch into a true log', async () => {
    const signer = evil(world.producer.name);
    const { header } = partsOf(1).proof;
    const signature = await signer.sign(preAuthentication('batch', header));
    const verdict = check(
      changedProof(textOf(1), ({ proof }) => Object.assign(proof, { signature, keyId: signer.keyId, producerKey: signer.verifierKey })),
    );
    expect([verdict.result, codes(verdict)]).toEqual(['FAILED', ['BATCH_UNACCEPTABLE']]);
    // A pinned log key proves the log alone: who signed stays NOT CHECKED.
    const byLog = check(
      changedProof(textOf(1), ({ proof }) =>
        Object.assign(proof, { signature, keyId: signer.keyId, producerKey: signer.verifierKey, policies: [], seal: null }),
      ),
      [world.logs[0] as Signer],
    );
    expect([byLog.result, byLog.properties.SIGNATURES.result]).toEqual(['OK', 'NOT CHECKED']);
  });

  test('cannot sign a note of his own tree', async () => {
    const leaf = parseTlogProof(textOf(1));
    const { proof } = partsOf(1);
    const note = await signNote(
      formatCheckpoint({ origin: 'example.org/log/0', size: 1, root: leafHash(proof.leaf) }),
      evil('example.org/log/0', 'log'),
    );
    const bytes = utf8(
      formatTlogProof({ ...leaf, index: 0, path: [], checkpoint: note, extra: encodeEventProof({ ...proof, seal: null }) }),
    );
    expect(codes(check(bytes))).toEqual(['NOTE_SIGNATURE']);
    expect(codes(check(bytes, [world.logs[0] as Signer]))).toEqual(['NOTE_SIGNATURE']);
  });
});

describe('a proof that leaves something out', () => {
  test('without the seal, nothing shows under which policy the event was accepted, and the root key does not prove the proof', () => {
    const verdict = check(changedProof(textOf(1), ({ proof }) => Object.assign(proof, { seal: null })));
    const { LOG, SIGNATURES, POLICY } = verdict.properties;
    expect([LOG.result, SIGNATURES.result, POLICY.result]).toEqual(['OK', 'NOT CHECKED', 'NOT CHECKED']);
    expect([verdict.result, verdict.ok, verdict.subject?.policyVersion]).toEqual(['NOT CHECKED', false, null]);
  });

  test('without the seal, a true event in the batch of another signer is not OK by the root key', async () => {
    const stranger = evil('example.org/stranger');
    const { header, leaf } = partsOf(1).proof;
    const { event, position } = decodeLeaf(leaf) as Link;
    const digests = [0, 1].map((at) => (at === position ? event : new Uint8Array(32)));
    const own = encodeBatchHeader({ ...decodeBatchHeader(header), producer: stranger.name, count: 2, root: batchRoot(digests) });
    const signature = await stranger.sign(preAuthentication('batch', own));
    const forged = changedProof(textOf(1), ({ proof }) =>
      Object.assign(proof, {
        header: own,
        signature,
        keyId: stranger.keyId,
        producerKey: stranger.verifierKey,
        path: proveBatchPath(digests, position),
        seal: null,
      }),
    );
    const verdict = check(forged);
    expect([verdict.subject?.producer, verdict.findings]).toEqual([stranger.name, []]);
    expect([verdict.result, verdict.ok]).toEqual(['NOT CHECKED', false]);
    // A log key proves no signer: the text says that the name is the file's word.
    const byLog = check(forged, [world.logs[0] as Signer]);
    expect(byLog.result).toBe('OK');
    expect(proofVerdictText('f', byLog)).toContain('  producer example.org/stranger, says the file\n');
    expect(proofVerdictText('f', check(utf8(textOf(1))))).toContain(`  producer ${world.producer.name}\n`);
  });

  test('without policies, the root key proves nothing', () => {
    const verdict = check(changedProof(textOf(1), ({ proof }) => Object.assign(proof, { policies: [] })));
    expect([verdict.result, codes(verdict)]).toEqual(['FAILED', ['KEY_FOREIGN']]);
    expect(verdict.properties.POLICY.trust).toBe('no pinned key proves it: the file holds no policy that can be used');
  });

  test('without the later version, the proof is OK and says which version is the newest that it knows', () => {
    const verdict = check(changedProof(textOf(1), ({ proof }) => Object.assign(proof, { policies: proof.policies.slice(0, 1) })));
    expect([verdict.result, verdict.subject?.newestPolicyVersion]).toEqual(['OK', 1]);
  });

  test('without the version of its own block, the proof is FAILED', () => {
    const verdict = check(changedProof(textOf(4), ({ proof }) => Object.assign(proof, { policies: proof.policies.slice(0, 1) })));
    expect([verdict.result, codes(verdict)]).toEqual(['FAILED', ['POLICY_MISSING']]);
  });
});

test('a batch and an event that the policy of their block does not allow are FAILED', async () => {
  const own = await makeWorld();
  const forged = new ForgedArchive(own);
  await forged.block({ messages: [await own.lane('lane').next(own.events('a', 'one'))], acceptedAt: START_MICROS });
  await forged.close();
  const [made] = await provenEvents(forged.objects, { kind: 'leaf', shard: 0, leaf: 0 });
  const narrow = await makeWorld({
    policy: (policy) => ({ ...policy, producers: policy.producers.map((each) => ({ ...each, streams: ['b'] })) }),
  });
  // The root key signs another first version: the seal names the digest of the true one.
  const verdict = checkProof(
    changedProof((made as MadeProof).text, (draft) => {
      Object.assign(draft.proof, { policies: narrow.envelopes });
      changeSeal(draft, { policy: narrow.policy.digest });
    }),
    { keys: [parseVerifierKey(own.root.verifierKey)] },
  );
  expect(codes(verdict)).toEqual(expect.arrayContaining(['PROOF_PATH', 'SEAL_SIGNATURE', 'BATCH_UNACCEPTABLE']));
  expect(verdict.findings.find(({ code }) => code === 'BATCH_UNACCEPTABLE')?.message).toContain('STREAM_NOT_PERMITTED');
});

test('no bit of a proof can be turned without the verdict showing it', () => {
  const text = utf8(textOf(1));
  const wrong: number[] = [];
  for (let at = 0; at < text.length; at += 61) {
    const verdict = check(flipped(text, at));
    if (verdict.ok && verdict.findings.length === 0) wrong.push(at);
  }
  expect(wrong).toEqual([]);
});

describe('the other verifier', () => {
  const verifier = new NaiveVerifier();
  beforeAll(() => verifier.install(), TIMEOUT_MS);

  testWithPython(
    'agrees on each of these proofs',
    async () => {
      const others = await verifier.checkProofs(checked);
      const differences = checked.flatMap(({ verdict }, i) => {
        const { word, why, ...results } = others[i] as NaiveProof;
        const own = {
          LOG: verdict.properties.LOG.result,
          SIGNATURES: verdict.properties.SIGNATURES.result,
          POLICY: verdict.properties.POLICY.result,
          WITNESSES: verdict.properties.WITNESSES.result,
        };
        const same = word === verdict.result && (word === 'FAILED' || JSON.stringify(results) === JSON.stringify(own));
        return same ? [] : [{ i, word, why, results, own, product: verdict.result, findings: codes(verdict) }];
      });
      expect([checked.length > 150, differences]).toEqual([true, []]);
    },
    TIMEOUT_MS,
  );
});
