import { beforeAll, describe, expect, test } from '@jest/globals';
import { checkProof } from '../../auditor/proofs/proof-check.ts';
import { proofVerdictText } from '../../auditor/proofs/proof-text.ts';
import type { ProofVerdict } from '../../auditor/proofs/proof-verdict.ts';
import type { Result } from '../../auditor/verdict.ts';
import type { VerdictWord } from '../../auditor/verdict-words.ts';
import { utf8 } from '../../core/base/bytes.ts';
import { formatTlogProof, parseTlogProof } from '../../core/formats/tlog-proof.ts';
import { cosign } from '../../core/keys/cosignature.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import { formatNote, type NoteSignature, readNote } from '../../core/keys/note.ts';
import { parseWitnessPolicy } from '../../core/keys/witness-policy.ts';
import { ForgedArchive } from '../support/forged-archive.ts';
import { provenEvents } from '../support/forged-proof.ts';
import { type NaiveProof, NaiveVerifier, testWithPython } from '../support/naive-verifier.ts';
import { makeWorld, START_MICROS, testSigner, type World } from '../support/producer.ts';
import { witnessKeyOf } from '../support/witnesses.ts';

const TIMEOUT_MS = 300_000;
const [A, B, C] = [testSigner('w.example/A', 'A'), testSigner('w.example/B', 'B'), testSigner('w.example/C', 'C')];
const TIME = 1_767_225_700;
const line = (name: string, signer: typeof A): string => `witness ${name} ${witnessKeyOf(signer)}\n`;
const BOTH = `${line('A', A)}${line('B', B)}group both 2 A B\nquorum both\n`;
const OWN = `${line('C', C)}quorum C\n`;
const ELSEWHERE = `log ${testSigner('elsewhere/0', 'x').verifierKey}\n${BOTH}`;

type Make = (text: string) => Promise<NoteSignature>;
const by =
  (signer: typeof A, time = TIME): Make =>
  (text) =>
    cosign(text, time, signer);

let world: World;
let proof: string;
const checked: {
  readonly bytes: Uint8Array;
  readonly keys: readonly string[];
  readonly witnesses: readonly string[];
  readonly verdict: ProofVerdict;
}[] = [];

beforeAll(async () => {
  world = await makeWorld({ policy: (policy) => ({ ...policy, witnessing: { witnesses: BOTH, required: false, deadlineMs: 1 } }) });
  const archive = new ForgedArchive(world);
  const lane = world.lane('lane');
  await archive.block({ messages: [await lane.next(world.events('a', 'one', 'two'))], acceptedAt: START_MICROS });
  await archive.close();
  proof = (await provenEvents(archive.objects, { kind: 'leaf', shard: 0, leaf: 0 }))[0]?.text ?? '';
});

/** The proof with more lines under its note, judged by both a root key and these witness policies. */
async function judged(lines: readonly Make[], witnesses: readonly string[], keys = [world.root.verifierKey]): Promise<ProofVerdict> {
  const file = parseTlogProof(proof);
  const { text, signatures } = readNote(file.checkpoint);
  const checkpoint = formatNote(text, [...signatures, ...(await Promise.all(lines.map((make) => make(text))))]);
  const bytes = utf8(formatTlogProof({ ...file, checkpoint }));
  const readers = witnesses.map((each, i) => ({ name: `policy ${i}`, policy: parseWitnessPolicy(utf8(each)) }));
  const verdict = checkProof(bytes, { keys: keys.map(parseVerifierKey), witnesses: readers });
  checked.push({ bytes, keys, witnesses, verdict });
  return verdict;
}

const spoiled: Make = async (text) => {
  const made = await cosign(text, TIME, A);
  return { ...made, signature: made.signature.map((byte, i) => (i === 40 ? byte ^ 1 : byte)) };
};

describe('the witnesses of a proof', () => {
  test.each<[string, readonly Make[], readonly string[], VerdictWord, Result]>([
    ['of the policy cosigned', [by(A), by(B)], [], 'OK', 'OK'],
    ['of the policy are not a quorum', [by(A)], [], 'OK', 'NOT CHECKED'],
    ['of the policy saw nothing', [], [], 'OK', 'NOT CHECKED'],
    ['are one under two names', [by(A), by(testSigner(B.name, 'A'))], [], 'OK', 'NOT CHECKED'],
    ['are one that cosigns twice', [by(A), by(A, TIME + 1), by(B)], [], 'FAILED', 'FAILED'],
    ['cosign wrongly', [spoiled, by(B)], [], 'FAILED', 'FAILED'],
    ['cosign without a time', [by(A, 0), by(B)], [], 'FAILED', 'FAILED'],
    ['cosign another note', [(text) => cosign(text.replace(/\n\d+\n/, '\n1\n'), TIME, A), by(B)], [], 'FAILED', 'FAILED'],
    ['of the reader cosigned', [by(C)], [OWN], 'OK', 'OK'],
    ['of the reader saw nothing', [by(A), by(B)], [OWN], 'FAILED', 'FAILED'],
    ['of one of two policies of the reader saw nothing', [by(A), by(B)], [BOTH, OWN], 'FAILED', 'FAILED'],
    ['of the reader are of another log', [by(A), by(B)], [ELSEWHERE], 'OK', 'NOT CHECKED'],
    ['are none that the reader wants', [by(A), by(B)], ['quorum none\n'], 'OK', 'NOT CHECKED'],
    ['of the reader cosign wrongly', [spoiled, by(C)], [`${line('A', A)}${line('C', C)}quorum C\n`], 'FAILED', 'FAILED'],
  ])('%s', async (_, lines, readers, word, result) => {
    const verdict = await judged(lines, readers);
    expect([verdict.result, verdict.properties.WITNESSES.result]).toEqual([word, result]);
    expect(verdict.witnessed === null).toBe(result !== 'OK');
  });

  test('that only the file names prove nothing without the root key', async () => {
    const { properties, witnessed } = await judged(
      [by(A), by(B)],
      [],
      world.logs.map(({ verifierKey }) => verifierKey),
    );
    expect([properties.WITNESSES.result, witnessed]).toEqual(['NOT CHECKED', null]);
    expect(properties.WITNESSES.trust).toContain('no pinned root key proves it');
  });

  test('are named with their times', async () => {
    const text = proofVerdictText('x', await judged([by(A), by(B, TIME + 60)], []));
    expect(text).toMatch(/WITNESSES {3}OK {10}proven by the root key/);
    expect(text.replaceAll(/\s+/g, ' ')).toContain('seen between 2026-01-01T00:01:40.000Z and 2026-01-01T00:02:40.000Z, say the witnesses');
  });
});

describe('the other verifier', () => {
  const verifier = new NaiveVerifier();
  beforeAll(() => verifier.install(), TIMEOUT_MS);

  testWithPython(
    'agrees on each of these proofs',
    async () => {
      const others = await verifier.checkProofs(checked.map(({ bytes, keys, witnesses }) => ({ bytes, keys, witnesses })));
      const differences = checked.flatMap(({ verdict }, i) => {
        const { word, WITNESSES, why } = others[i] as NaiveProof;
        const same = word === verdict.result && (word === 'FAILED' || WITNESSES === verdict.properties.WITNESSES.result);
        return same ? [] : [{ i, word, WITNESSES, why, product: verdict.result }];
      });
      expect([checked.length > 14, differences]).toEqual([true, []]);
    },
    TIMEOUT_MS,
  );
});
