import { beforeAll, describe, expect, test } from '@jest/globals';
import { checkProof } from '../../../../auditor/proofs/proof-check.ts';
import type { ProofDemands, ProofVerdict } from '../../../../auditor/proofs/proof-verdict.ts';
import { utf8 } from '../../../../core/base/bytes.ts';
import { parseVerifierKey } from '../../../../core/keys/key.ts';
import type { Signer } from '../../../../core/ports/signer.ts';
import type { MadeProof } from '../../../../prover/prove.ts';
import { ForgedArchive } from '../../../support/forged-archive.ts';
import { provenEvents } from '../../../support/forged-proof.ts';
import { makeWorld, START_MICROS, testSigner, type World } from '../../../support/producer.ts';

let world: World;
let archive: ForgedArchive;
let proof: MadeProof;

const pinned = (...signers: readonly Signer[]): ProofDemands => ({ keys: signers.map(({ verifierKey }) => parseVerifierKey(verifierKey)) });
const results = ({ properties: { LOG, SIGNATURES, POLICY } }: ProofVerdict): string[] =>
  [LOG, SIGNATURES, POLICY].map(({ result }) => result);
const check = (demands: ProofDemands, text = proof.text): ProofVerdict => checkProof(utf8(text), demands);

beforeAll(async () => {
  world = await makeWorld();
  archive = new ForgedArchive(world);
  const lane = world.lane('lane');
  await archive.block({ messages: [await lane.next(world.events('a', 'one', 'two', 'three'))], acceptedAt: START_MICROS });
  await world.nextPolicy((policy) => ({ ...policy, segmentMaxAgeMs: 10_000 }));
  await archive.block({ messages: [await lane.next(world.events('a', 'four', 'five'))], acceptedAt: START_MICROS + 1_000_000 });
  await archive.close();
  proof = (await provenEvents(archive.objects, { kind: 'leaf', shard: 0, leaf: 1 }))[0] as MadeProof;
});

describe('a proof that is right', () => {
  test('is OK by the root key, in all that one event shows', () => {
    const verdict = check(pinned(world.root));
    expect([verdict.result, verdict.findings, ...results(verdict)]).toEqual(['OK', [], 'OK', 'OK', 'OK']);
    expect(verdict.subject).toMatchObject({
      log: 'example.org/log/0',
      leaf: 1,
      stream: 'a',
      streamIndex: 1,
      producer: world.producer.name,
      size: archive.size,
      policyVersion: 1,
      newestPolicyVersion: 2,
      genesis: world.policies.versions[0]?.hex,
      event: { stream: 'a', type: 'CREATE' },
    });
  });

  test('never claims what one event cannot show', () => {
    const { properties } = check(pinned(world.root));
    const others = ['ARCHIVE', 'STREAMS', 'ORDER', 'COMPLETE', 'UNIQUE', 'WITNESSES', 'TIME'] as const;
    expect(others.map((property) => properties[property].result)).toEqual(others.map(() => 'NOT CHECKED'));
  });

  test.each([
    ['a log key shows the log alone', () => [world.logs[0]], 'OK', ['OK', 'NOT CHECKED', 'NOT CHECKED']],
    [
      'the key of the producer shows who signed, not that it was logged',
      () => [world.producer],
      'UNPROVEN',
      ['NOT CHECKED', 'OK', 'NOT CHECKED'],
    ],
    ['keys of log and producer show both', () => [world.logs[0], world.producer], 'OK', ['OK', 'OK', 'NOT CHECKED']],
    ['no key shows nothing', () => [], 'UNPROVEN', ['NOT CHECKED', 'NOT CHECKED', 'NOT CHECKED']],
  ] as const)('%s', (_, keys, word, expected) => {
    const verdict = check(pinned(...(keys() as Signer[])));
    expect([verdict.result, results(verdict), verdict.findings]).toEqual([word, expected, []]);
    expect(verdict.ok).toBe(word === 'OK');
  });

  test('is FAILED where the pinned key has no part in it', () => {
    const verdict = check(pinned(testSigner('example.org/other')));
    expect([verdict.result, verdict.findings.map(({ code }) => code)]).toEqual(['FAILED', ['KEY_FOREIGN']]);
  });

  test('is FAILED where the reader demands another origin, first version or file', () => {
    const demands = pinned(world.root);
    const codes = (more: Partial<ProofDemands>): string[] => check({ ...demands, ...more }).findings.map(({ code }) => code);
    expect(codes({ origin: 'example.org/other' })).toEqual(['ORIGIN_FOREIGN']);
    expect(codes({ genesis: '0'.repeat(64) })).toEqual(['GENESIS_FOREIGN']);
    expect(codes({ data: new Map([['sha256', new Uint8Array(32)]]) })).toEqual(['FILE_FOREIGN']);
    expect(codes({ origin: world.origin, genesis: world.policies.versions[0]?.hex as string })).toEqual([]);
  });

  test('is NOT CHECKED where a demanded property is not proven', () => {
    expect(check({ ...pinned(world.logs[0] as Signer), require: ['SIGNATURES'] }).result).toBe('NOT CHECKED');
    expect(check({ ...pinned(world.root), require: ['TIME'] }).result).toBe('NOT CHECKED');
    expect(check({ ...pinned(world.root), require: ['POLICY'] }).result).toBe('OK');
  });
});

test('each of the events is proven, under the policy of its own block', async () => {
  const made = await provenEvents(archive.objects, { kind: 'stream', stream: 'a', from: 0, to: 9 });
  const verdicts = made.map(({ text }) => check(pinned(world.root), text));
  expect(verdicts.map(({ result }) => result)).toEqual(['OK', 'OK', 'OK', 'OK', 'OK']);
  expect(verdicts.map(({ subject }) => subject?.policyVersion)).toEqual([1, 1, 1, 2, 2]);
});

describe('a key that a later version calls COMPROMISED', () => {
  const compromised = async (role: 'producers' | 'chainers' | 'logs', believed: number): Promise<ProofVerdict> => {
    const own = await makeWorld();
    const forged = new ForgedArchive(own);
    await forged.block({ messages: [await own.lane('lane').next(own.events('a', 'one', 'two'))], acceptedAt: START_MICROS });
    const spare = role === 'logs' ? testSigner(`${own.origin}/0`, 'spare') : testSigner(`${own.origin}/spare`);
    await own.nextPolicy((policy) => ({
      ...policy,
      [role]: [
        ...policy[role].map((entry) => ({ ...entry, status: 'COMPROMISED', believed: [believed] })),
        { ...policy[role][0], key: spare.verifierKey },
      ],
    }));
    await forged.close();
    const [made] = await provenEvents(forged.objects, { kind: 'leaf', shard: 0, leaf: 1 });
    return check(pinned(own.root), made?.text);
  };

  test.each([
    ['producers', 1, 'SUSPECT'],
    ['chainers', 2, 'SUSPECT'],
    ['logs', 2, 'NOTE_SUSPECT'],
  ] as const)('is not believed for what it signed after that (%s)', async (role, believed, code) => {
    const verdict = await compromised(role, believed);
    expect([verdict.result, verdict.findings.map((found) => found.code)]).toEqual(['FAILED', [code]]);
  });

  test.each([
    ['producers', 2],
    ['chainers', 3],
    ['logs', 3],
  ] as const)('is believed for what it signed before (%s)', async (role, believed) => {
    expect((await compromised(role, believed)).result).toBe('OK');
  });
});
