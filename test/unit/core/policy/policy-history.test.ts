import { beforeAll, describe, expect, test } from '@jest/globals';
import { toHex, utf8 } from '../../../../core/base/bytes.ts';
import { canonicalJson } from '../../../../core/base/jcs.ts';
import { LIMITS } from '../../../../core/base/limits.ts';
import { decodeEnvelope, encodeEnvelope } from '../../../../core/keys/dsse.ts';
import { parseVerifierKey } from '../../../../core/keys/key.ts';
import { PRODUCER_CAPS } from '../../../../core/policy/new-policy.ts';
import type { Policy } from '../../../../core/policy/policy-document.ts';
import { extendPolicies, openPolicies, PolicyInForce, type ProducerInForce } from '../../../../core/policy/policy-history.ts';
import type { Signer } from '../../../../core/ports/signer.ts';
import { envelopeOf, SIGNERS, testPolicy, testSigner } from '../../../support/policies.ts';

const ROOTS = SIGNERS.roots.slice(0, 2);
const NEW_ROOT = testSigner('root-4', 4);
const first = testPolicy();
const FIRST = new PolicyInForce(utf8(canonicalJson(first)));
let firstEnvelope: Uint8Array;
beforeAll(async () => {
  firstEnvelope = await envelopeOf(first, ROOTS);
});

const successor = (change: Record<string, unknown> = {}) => ({ ...first, version: 2, previous: FIRST.hex, ...change });
const open = async (policy: unknown, signers: readonly Signer[] = ROOTS) =>
  openPolicies([firstEnvelope, await envelopeOf(policy, signers)]);
const refusal = (message: string) => expect.objectContaining({ code: 'POLICY_INVALID', message: expect.stringContaining(message) });
const entry = (name: string, byte: number) => ({ key: testSigner(name, byte).verifierKey, status: 'ACTIVE', believed: null });

describe('a history', () => {
  test('holds its versions by number and by digest, and knows which descends from which', async () => {
    const history = await open(successor());
    expect(history.versions.map(({ policy }) => policy.version)).toEqual([1, 2]);
    const [one, two] = history.versions.map(({ hex }) => hex) as [string, string];
    expect(history.latest.hex).toBe(two);
    expect(history.byDigest(one)?.policy).toEqual(first);
    expect(history.byDigest('00')).toBeUndefined();
    expect(history.descends(two, one)).toBe(true);
    for (const [later, earlier] of [
      [one, two],
      [one, one],
      [two, '00'],
      ['00', one],
    ] as const)
      expect([later, earlier, history.descends(later, earlier)]).toEqual([later, earlier, false]);
  });

  test('of no versions is none', () => {
    expect(() => openPolicies([])).toThrow(refusal('there is none'));
  });

  test('is extended without a change to the one before', async () => {
    const history = openPolicies([firstEnvelope]);
    expect(extendPolicies(history, await envelopeOf(successor(), ROOTS)).versions).toHaveLength(2);
    expect(history.versions).toHaveLength(1);
  });
});

describe('version 1', () => {
  test('is signed by enough of its own roots', async () => {
    expect(openPolicies([await envelopeOf(first, [SIGNERS.roots[0], SIGNERS.roots[2]])]).latest.hex).toBe(FIRST.hex);
    const few = await envelopeOf(first, [SIGNERS.roots[0], SIGNERS.producer]);
    expect(() => openPolicies([few])).toThrow(refusal('1 of 2 needed root keys signed it'));
  });

  test('comes first', async () => {
    const second = await envelopeOf(successor(), ROOTS);
    expect(() => openPolicies([second])).toThrow(refusal('the first version must be 1'));
    expect(() => openPolicies([firstEnvelope, firstEnvelope])).toThrow(refusal('it does not follow version 1'));
  });

  test('with one root under two names is refused', async () => {
    const twins = [testSigner('root-1', 1), testSigner('root-1b', 1)];
    const policy = { ...first, roots: { keys: [...twins, SIGNERS.roots[1]].map(({ verifierKey }) => verifierKey), threshold: 2 } };
    const envelope = await envelopeOf(policy, twins);
    expect(() => openPolicies([envelope])).toThrow(refusal('this public key is among the roots already'));
  });

  test('is in an envelope that can be read, of the right type', async () => {
    expect(() => openPolicies([utf8('{}')])).toThrow(refusal('its envelope cannot be read'));
    expect(() => openPolicies([new Uint8Array(2 * LIMITS.policyBytes + 1)])).toThrow(refusal('its envelope is too large'));
    expect(() => openPolicies([new Uint8Array(2 * LIMITS.policyBytes)])).toThrow(refusal('its envelope cannot be read'));
    const other = encodeEnvelope({ ...decodeEnvelope(firstEnvelope, 'policy'), payloadType: 'manifest' });
    expect(() => openPolicies([other])).toThrow(refusal('its envelope cannot be read'));
  });

  test('with a root signature that is wrong is refused, whoever else signed', async () => {
    const { signatures, ...rest } = decodeEnvelope(await envelopeOf(first, SIGNERS.roots), 'policy');
    const spoiled = signatures.map(({ keyid, sig }, i) => ({ keyid, sig: i === 2 ? sig.toReversed() : sig }));
    expect(() => openPolicies([encodeEnvelope({ ...rest, signatures: spoiled })])).toThrow(refusal('a root signature is wrong'));
  });
});

describe('a later version', () => {
  const compromised = (believed: readonly number[]) => ({
    producers: [{ ...first.producers[0], status: 'COMPROMISED', believed }],
  });

  test.each<[string, Record<string, unknown>]>([
    ['it does not follow version 1', { version: 3 }],
    ['it names another version as the one before', { previous: '0'.repeat(64) }],
    ['origin and shards never change', { origin: 'example.com/p', logs: [entry('example.com/p/0', 31), entry('example.com/p/1', 32)] }],
    [
      'origin and shards never change',
      { shards: 3, logs: [...first.logs, entry('example.com/o/2', 33)], inputGeneration: { generation: 0, firstOffsets: [0, 0, 0] } },
    ],
    ['it rises by one or stays', { inputGeneration: { generation: 2, firstOffsets: [0, 0] } }],
    ['first offsets change only with the input generation', { inputGeneration: { generation: 0, firstOffsets: [0, 1] } }],
    [`${SIGNERS.producer.verifierKey} was removed or changed its role`, { producers: [] }],
    [`${SIGNERS.chainer.verifierKey} was removed or changed its role`, { chainers: [entry('chainer-2', 22)] }],
    [`${SIGNERS.logs[0].verifierKey} was removed or changed its role`, { logs: [entry('example.com/o/0', 34), first.logs[1]] }],
    [
      `${SIGNERS.producer.verifierKey} was removed or changed its role`,
      { producers: [], chainers: [...first.chainers, { key: SIGNERS.producer.verifierKey, status: 'ACTIVE', believed: null }] },
    ],
  ])('is refused where %s', async (message, change) => {
    await expect(open(successor(change))).rejects.toEqual(refusal(message));
  });

  test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['cannot go from COMPROMISED to RETIRED', compromised([5, 6]), { producers: [{ ...first.producers[0], status: 'RETIRED' }] }],
    ['cannot go from COMPROMISED to ACTIVE', compromised([5, 6]), {}],
    ['cannot go from RETIRED to ACTIVE', { chainers: [{ ...first.chainers[0], status: 'RETIRED' }] }, {}],
    ['is believed were changed', compromised([5, 6]), compromised([5, 7])],
    ['the format level never falls', { formatLevel: 2 }, {}],
    ['it rises by one or stays', { inputGeneration: { generation: 1, firstOffsets: [4, 4] } }, {}],
  ])('is refused where a status, a size or a level goes back: %s', async (message, second, third) => {
    const two = successor(second);
    const history = await open(two);
    const three = await envelopeOf({ ...two, ...first, ...third, version: 3, previous: history.latest.hex }, ROOTS);
    expect(() => extendPolicies(history, three)).toThrow(refusal(message));
  });

  test.each<[string, Record<string, unknown>]>([
    ['a key is retired', { chainers: [{ ...first.chainers[0], status: 'RETIRED' }, entry('chainer-2', 22)] }],
    ['a key is found to be stolen', compromised([0, 9])],
    ['keys and schemas are added', { logs: [...first.logs, entry('example.com/o/0', 35)], schemas: ['0'.repeat(64)] }],
    ['the input topic was recreated', { inputGeneration: { generation: 1, firstOffsets: [7, 0] } }],
  ])('is accepted when %s', async (_, change) => {
    expect((await open(successor(change))).latest.policy.version).toBe(2);
  });

  test('needs enough of the roots before it', async () => {
    await expect(open(successor(), [SIGNERS.roots[0]])).rejects.toEqual(refusal('1 of 2 needed root keys signed it'));
    await expect(open(successor(), [])).rejects.toEqual(refusal('0 of 2 needed root keys signed it'));
    await expect(open(successor(), [SIGNERS.roots[0], SIGNERS.producer])).rejects.toEqual(refusal('1 of 2'));
  });

  test('that changes the roots needs the new ones too', async () => {
    const roots = { keys: [SIGNERS.roots[0].verifierKey, NEW_ROOT.verifierKey], threshold: 2 };
    await expect(open(successor({ roots }), ROOTS)).rejects.toEqual(refusal('1 of 2 needed root keys signed it'));
    await expect(open(successor({ roots }), [SIGNERS.roots[0], NEW_ROOT])).rejects.toEqual(refusal('1 of 2'));
    expect((await open(successor({ roots }), [...ROOTS, NEW_ROOT])).latest.policy.version).toBe(2);
  });

  test('that raises the threshold alone needs that many', async () => {
    const roots = { ...first.roots, threshold: 3 };
    await expect(open(successor({ roots }), ROOTS)).rejects.toEqual(refusal('2 of 3'));
    expect((await open(successor({ roots }), SIGNERS.roots)).latest.policy.version).toBe(2);
  });
});

describe('a policy in force', () => {
  const policy: Policy = {
    ...first,
    producers: [
      { ...first.producers[0], types: ['CREATE'] } as Policy['producers'][number],
      {
        ...(entry('producer-2', 12) as Policy['producers'][number]),
        status: 'RETIRED',
        streams: ['*'],
        types: [],
        heartbeatMs: null,
        ...PRODUCER_CAPS,
      },
    ],
  };
  const inForce = new PolicyInForce(utf8(canonicalJson(policy)));
  const producer = (signer: Signer) => inForce.producer(signer.name, signer.keyId);

  test('finds producers and chainers by name and id, whatever their status', () => {
    expect(producer(SIGNERS.producer)).toMatchObject({ active: true, entry: policy.producers[0] });
    expect(producer(testSigner('producer-2', 12))).toMatchObject({ active: false });
    expect(inForce.producer('producer', new Uint8Array(4))).toBeUndefined();
    expect(inForce.producer(SIGNERS.chainer.name, SIGNERS.chainer.keyId)).toBeUndefined();
    expect(inForce.chainer(SIGNERS.chainer.name, SIGNERS.chainer.keyId)?.verifier.publicKey).toEqual(
      parseVerifierKey(SIGNERS.chainer.verifierKey).publicKey,
    );
    expect(inForce.chainers()).toHaveLength(1);
  });

  test('gives each shard its log keys', () => {
    expect([0, 1, 2].map((shard) => inForce.logKeys(shard).map(({ text }) => text))).toEqual([
      [SIGNERS.logs[0].verifierKey],
      [SIGNERS.logs[1].verifierKey],
      [],
    ]);
  });

  test('permits what its patterns and types say, again and again', () => {
    const [one, two] = [producer(SIGNERS.producer), producer(testSigner('producer-2', 12))] as [ProducerInForce, ProducerInForce];
    for (let i = 0; i < 2; i++) {
      expect(inForce.permits(one, 'datasets/a', 'CREATE')).toBe('ok');
      expect(inForce.permits(one, 'datasets/a', 'DELETE')).toBe('type');
      expect(inForce.permits(one, 'other', 'CREATE')).toBe('stream');
      expect(inForce.permits(two, 'other', 'DELETE')).toBe('ok');
      expect(inForce.permits(two, 'lineproof/time/0', 'ATTEST')).toBe('stream');
    }
  });

  test('knows the schemas in force and its own digest', () => {
    expect([inForce.schemaInForce(policy.schemas[0] as string), inForce.schemaInForce('0'.repeat(64))]).toEqual([true, false]);
    expect(toHex(inForce.digest)).toBe(inForce.hex);
  });
});
