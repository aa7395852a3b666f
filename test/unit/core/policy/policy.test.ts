import { describe, expect, test } from '@jest/globals';
import { toHex, utf8 } from '../../../../core/base/bytes.ts';
import { canonicalJson } from '../../../../core/base/jcs.ts';
import { sha256 } from '../../../../core/crypto/node.ts';
import { formatVerifierKey, parseVerifierKey } from '../../../../core/keys/key.ts';
import { KEY_TYPE } from '../../../../core/keys/signature.ts';
import { newPolicy } from '../../../../core/policy/new-policy.ts';
import { encodePolicy, matchesStream, parsePolicy, policyDigest } from '../../../../core/policy/policy.ts';
import { type Policy, statusMayGo } from '../../../../core/policy/policy-document.ts';
import { type Witnessing, witnessingOf } from '../../../../core/policy/witnessing.ts';
import { SIGNERS, testPolicy, testSigner } from '../../../support/policies.ts';

const POLICY_INVALID = expect.objectContaining({ code: 'POLICY_INVALID' });
type Change = Record<string, unknown>;

/** What {@link parsePolicy} says about the test policy after a change. */
function problemsOf(change: (policy: Policy) => Change): string {
  const policy = testPolicy();
  try {
    parsePolicy(utf8(canonicalJson({ ...policy, ...change(policy) })));
    return '';
  } catch (error) {
    expect(error).toEqual(POLICY_INVALID);
    return (error as Error).message;
  }
}

function witnessKey(name: string, byte: number): string {
  return formatVerifierKey(name, KEY_TYPE.cosignature, parseVerifierKey(testSigner(name, byte).verifierKey).publicKey);
}

const WITNESS = `witness A ${witnessKey('w.example', 41)}\n`;
const manyWitnesses = (count: number): string =>
  Array.from({ length: count }, (_, i) => `witness w${i} ${witnessKey('w.example', 50 + i)}\n`).join('');
const witnessing = (witnesses = `${WITNESS}quorum A\n`): Witnessing => ({ witnesses, required: true, deadlineMs: 5_000 });

const producer = (policy: Policy, change: Change) => ({ producers: [{ ...policy.producers[0], ...change }] });

test('a policy comes back as it was, and its digest is that of the payload', () => {
  const payload = encodePolicy(testPolicy());
  expect(parsePolicy(payload)).toEqual(testPolicy());
  expect(toHex(policyDigest(payload))).toBe(toHex(sha256(payload)));
});

test('a policy that nobody would accept is not written', () => {
  expect(() => encodePolicy({ ...testPolicy(), version: 2 })).toThrow(POLICY_INVALID);
});

test('a policy names its witnesses as a tlog-policy file does', () => {
  expect(problemsOf(() => ({ witnessing: witnessing() }))).toBe('');
  expect(problemsOf(() => ({ witnessing: witnessing(`${manyWitnesses(32)}group g 17 w0 w31 w1\nquorum g\n`) }))).toContain('threshold');
  expect(problemsOf(() => ({ witnessing: witnessing(`${WITNESS.trimEnd()} https://w.example:8443/a/\nquorum A\n`) }))).toBe('');
});

test('the witnesses of a file are those of the policy, without its logs and comments', () => {
  const file = utf8(`# ours\nlog ${SIGNERS.logs[0].verifierKey}\n\n${WITNESS}group g any A\nquorum g\n`);
  const made = witnessingOf(file, { required: false, deadlineMs: 9 });
  expect(made).toEqual({ witnesses: `${WITNESS}group g 1 A\nquorum g\n`, required: false, deadlineMs: 9 });
  expect(problemsOf(() => ({ witnessing: made }))).toBe('');
  expect(() => witnessingOf(utf8(`${WITNESS.trimEnd()} file:///x\nquorum A\n`), made)).toThrow(/the address of A/);
});

test('a new policy keeps lanes much longer than it looks for duplicates', () => {
  const options = { origin: 'o', shards: 1, roots: [], producers: [], chainers: [], logs: [], schemas: [] };
  const days = 24 * 3600_000;
  expect(newPolicy(options).laneRetentionMs).toBe(7 * days);
  expect(newPolicy({ ...options, dedupWindowMs: 30 * days, clockSkewMs: days }).laneRetentionMs).toBe(93 * days);
});

describe('the bytes of a policy', () => {
  test.each([
    ['not canonical', utf8(JSON.stringify(testPolicy()))],
    ['no JSON', utf8('{')],
    ['not UTF-8', Uint8Array.of(0x22, 0xff, 0x22)],
    ['larger than 1 MiB', utf8(canonicalJson('x'.repeat(1024 * 1024)))],
  ])('are refused where they are %s', (_, payload) => {
    expect(() => parsePolicy(payload)).toThrow(POLICY_INVALID);
  });

  test.each(['null', '[]', '7', '"x"'])('are refused where they are %s', (json) => {
    expect(() => parsePolicy(utf8(json))).toThrow(/policy must be an object/);
  });
});

describe('each field', () => {
  test.each(Object.keys(testPolicy()))('%s must be there, and of its form', (field) => {
    const { [field]: _, ...rest } = testPolicy() as unknown as Change;
    expect(() => parsePolicy(utf8(canonicalJson(rest)))).toThrow(`policy.${field} is missing`);
    expect(problemsOf(() => ({ [field]: true }))).toContain(`policy.${field} must be`);
  });

  test('that is not known is a problem', () => {
    expect(problemsOf(() => ({ extra: 1 }))).toContain('policy.extra is not a known field');
  });

  test.each<[string, (policy: Policy) => Change]>([
    ['policy.origin must be a name', () => ({ origin: 'a b' })],
    ['policy.shards must be a whole number from 1 to 4096', () => ({ shards: 0 })],
    ['policy.shards must be a whole number from 1 to 4096', () => ({ shards: 65_537 })],
    ['policy.shards must be a whole number', () => ({ shards: 1.5 })],
    ['policy.version must be a whole number from 1', () => ({ version: 0 })],
    ['policy.previous must be 64 lower-case hexadecimal digits', () => ({ previous: 'AB'.repeat(32) })],
    ['policy.roots.keys must be a list of 1 to 4096 items', () => ({ roots: { keys: [], threshold: 1 } })],
    ['policy.roots.threshold must be a whole number from 1', ({ roots }) => ({ roots: { ...roots, threshold: 0 } })],
    ['policy.roots.keys[0] must be an Ed25519 verifier key', () => ({ roots: { keys: ['x'], threshold: 1 } })],
    [
      'policy.roots.keys[0] must be an Ed25519 verifier key',
      () => ({ roots: { keys: [formatVerifierKey('ml', 6, new Uint8Array(1312))], threshold: 1 } }),
    ],
    ['policy.chainers must be a list of 1 to 4096 items', () => ({ chainers: [] })],
    ['policy.logs must be a list of 1 to 4096 items', () => ({ logs: [] })],
    ['policy.schemas must be a list of 1 to 4096 items', () => ({ schemas: [] })],
    ['policy.schemas must be a list of 1 to 4096 items', () => ({ schemas: Array(4097).fill('ab'.repeat(32)) })],
    ['policy.producers[0].status must be ACTIVE, RETIRED or COMPROMISED', (policy) => producer(policy, { status: 'GONE' })],
    ['policy.producers[0].streams[0] must be a stream name', (policy) => producer(policy, { streams: ['a*b'] })],
    ['policy.producers[0].streams[0] must be a stream name', (policy) => producer(policy, { streams: [''] })],
    ['policy.producers[0].streams[0] must be a stream name', (policy) => producer(policy, { streams: ['a**'] })],
    ['policy.producers[0].streams[0] must be a stream name', (policy) => producer(policy, { streams: ['ü'.repeat(129)] })],
    ['policy.producers[0].types[0] must be an event type', (policy) => producer(policy, { types: ['MAKE'] })],
    ['policy.producers[0].heartbeatMs must be a whole number from 1', (policy) => producer(policy, { heartbeatMs: 0 })],
    ['policy.producers[0].maxStreams must be a whole number from 0', (policy) => producer(policy, { maxStreams: -1 })],
    ['policy.producers[0].maxStreams must be a whole number from 0', (policy) => producer(policy, { maxStreams: 4_000_001 })],
    ['policy.producers[0].maxLanes must be a whole number from 0', (policy) => producer(policy, { maxLanes: 4_000_001 })],
    ['policy.producers[0].believed must be a list of 1', (policy) => producer(policy, { believed: [] })],
    ['policy.producers[0].owner is not a known field', (policy) => producer(policy, { owner: 'x' })],
    [
      'policy.requiredFields[0].fields[0] must be one of actor.onBehalfOf',
      () => ({ requiredFields: [{ streams: ['*'], fields: ['id'] }] }),
    ],
    ['policy.requiredFields[0].streams must be a list of 1', () => ({ requiredFields: [{ streams: [], fields: ['trace'] }] })],
    ['policy.sampling[0].keepOneIn must be a whole number from 1', () => ({ sampling: [{ streams: ['*'], types: [], keepOneIn: 0 }] })],
    ['policy.objectLock.mode must be GOVERNANCE or COMPLIANCE', () => ({ objectLock: { mode: 'NONE', days: 1 } })],
    ['policy.witnessing.required must be true or false', () => ({ witnessing: { ...witnessing(), required: 1 } })],
    ['policy.witnessing.deadlineMs must be a whole number from 1 to 300000', () => ({ witnessing: { ...witnessing(), deadlineMs: 0 } })],
    [
      'policy.witnessing.deadlineMs must be a whole number from 1 to 300000',
      () => ({ witnessing: { ...witnessing(), deadlineMs: 300_001 } }),
    ],
    ['policy.witnessing.witnesses must be the text', () => ({ witnessing: { ...witnessing(), witnesses: [] } })],
    ['policy.witnessing.url is not a known field', () => ({ witnessing: { ...witnessing(), url: '' } })],
    ['policy.witnessing.witnesses: cannot read witness policy: there is no quorum', () => ({ witnessing: witnessing(WITNESS) })],
    ['a witness cannot have a key of type 1', () => ({ witnessing: witnessing(`witness A ${SIGNERS.producer.verifierKey}\nquorum A\n`) })],
    [
      'cosignatures this version cannot verify',
      () => ({ witnessing: witnessing(`witness A ${formatVerifierKey('pq', 6, new Uint8Array(1312).fill(3))}\nquorum A\n`) }),
    ],
    ['they are not spelled in the one way', () => ({ witnessing: witnessing(`# ours\n${WITNESS}quorum A\n`) })],
    ['they are not spelled in the one way', () => ({ witnessing: witnessing(`${WITNESS}group g any A\nquorum g\n`) })],
    ['they hold log lines', ({ logs }) => ({ witnessing: witnessing(`log ${logs[0]?.key}\n${WITNESS}quorum A\n`) })],
    ...['ftp://w', 'https://', 'https://u@w', 'https://w?q', 'https://w#f', 'https://w/ü', 'https://w:123456'].map(
      (url): [string, () => Change] => [
        'the address of A is not http',
        () => ({ witnessing: witnessing(`${WITNESS.trimEnd()} ${url}\nquorum A\n`) }),
      ],
    ),
    ['there are more than 32 witnesses', () => ({ witnessing: witnessing(`${manyWitnesses(33)}quorum w0\n`) })],
    [
      'policy.inputGeneration.firstOffsets[1] must be a whole number',
      () => ({ inputGeneration: { generation: 0, firstOffsets: [0, -1] } }),
    ],
    ['policy.predecessor.checkpoints must be a list of 1', () => ({ predecessor: { origin: 'o', checkpoints: [] } })],
    ['policy.retention.eventsKeepMs must be a whole number from 1', () => ({ retention: { eventsKeepMs: 0 } })],
  ])('%s', (problem, change) => {
    expect(problemsOf(change)).toContain(problem);
  });

  test('all problems are named at once', () => {
    expect(problemsOf(() => ({ shards: 0, version: 0, chainers: [] })).match(/\n {2}- /g)).toHaveLength(3);
  });
});

describe('what fields say together', () => {
  test.each<[string, (policy: Policy) => Change]>([
    ['policy.previous must be null in version 1, and only there', () => ({ previous: '0'.repeat(64) })],
    ['policy.previous must be null in version 1, and only there', () => ({ version: 2 })],
    [
      'policy.roots.threshold must not exceed the number of public keys of the roots',
      ({ roots }) => ({ roots: { ...roots, threshold: 4 } }),
    ],
    [
      'policy.inputGeneration.firstOffsets must have one offset per shard',
      () => ({ inputGeneration: { generation: 0, firstOffsets: [0] } }),
    ],
    [
      'policy.laneRetentionMs must be at least twice dedupWindowMs + clockSkewMs',
      ({ dedupWindowMs, clockSkewMs }) => ({ laneRetentionMs: 2 * (dedupWindowMs + clockSkewMs) - 1 }),
    ],
    ['believed must be given for COMPROMISED keys, and only for them', (policy) => producer(policy, { status: 'COMPROMISED' })],
    ['believed must be given for COMPROMISED keys, and only for them', (policy) => producer(policy, { believed: [0, 0] })],
    ['believed must have one size per shard', (policy) => producer(policy, { status: 'COMPROMISED', believed: [0] })],
    [
      'a log key is named <origin>/<shard>',
      ({ logs }) => ({ logs: [...logs, { key: testSigner('example.com/o/2', 33).verifierKey, status: 'ACTIVE', believed: null }] }),
    ],
    ['policy.logs must have a key for every shard', ({ logs }) => ({ logs: logs.slice(0, 1) })],
    [
      'one public key has two roles, producers and chainers',
      () => ({ chainers: [{ key: testSigner('chainer', 11).verifierKey, status: 'ACTIVE', believed: null }] }),
    ],
    [
      'one public key has two roles, roots and logs',
      ({ logs }) => ({ logs: [{ ...logs[0], key: testSigner('example.com/o/0', 1).verifierKey }, logs[1]] }),
    ],
    [
      'one public key has two roles, logs and witnesses',
      () => ({ witnessing: witnessing(`witness A ${witnessKey('witness', 31)}\nquorum A\n`) }),
    ],
    ['two keys have this name and id', ({ producers }) => ({ producers: [producers[0], producers[0]] })],
    ['two keys have this name and id', ({ roots }) => ({ roots: { keys: [roots.keys[0], roots.keys[0]], threshold: 2 } })],
  ])('%s', (problem, change) => {
    expect(problemsOf(change)).toContain(problem);
  });

  test('one public key may serve all shards of an origin, and have two names in one role', () => {
    expect(problemsOf(({ logs }) => ({ logs: [logs[0], { ...logs[1], key: testSigner('example.com/o/1', 31).verifierKey }] }))).toBe('');
  });

  test('a threshold counts public keys: one key under two names is not two roots', () => {
    const keys = [testSigner('root-1', 1), testSigner('root-1b', 1)].map(({ verifierKey }) => verifierKey);
    expect(problemsOf(() => ({ roots: { keys, threshold: 2 } }))).toContain('policy.roots.threshold must not exceed');
  });

  test.each<(policy: Policy) => Change>([
    ({ dedupWindowMs, clockSkewMs }) => ({ laneRetentionMs: 2 * (dedupWindowMs + clockSkewMs) }),
    (policy) => producer(policy, { status: 'COMPROMISED', believed: [0, 7] }),
    ({ roots }) => ({ roots: { ...roots, threshold: 3 } }),
    (policy) => producer(policy, { streams: ['*', 'lineproof/*', 'a'] }),
    () => ({ version: 2, previous: '0'.repeat(64) }),
  ])('and nothing is wrong with what is just within', (change) => {
    expect(problemsOf(change)).toBe('');
  });
});

test('a status goes forward only', () => {
  const all = ['ACTIVE', 'RETIRED', 'COMPROMISED'] as const;
  expect(all.map((from) => all.map((to) => statusMayGo(from, to)))).toEqual([
    [true, true, true],
    [false, true, true],
    [false, false, true],
  ]);
});

describe('stream patterns', () => {
  test.each<[readonly string[], string, boolean]>([
    [['a'], 'a', true],
    [['a'], 'ab', false],
    [['a*'], 'ab', true],
    [['a*'], 'a', true],
    [['a*'], 'b', false],
    [['x', 'a/*'], 'a/b', true],
    [['*'], 'anything', true],
    [[], 'a', false],
    [['*'], 'lineproof/time/0', false],
    [['line*'], 'lineproof/time/0', false],
    [['lineproof*'], 'lineproof/time/0', false],
    [['lineproof/*'], 'lineproof/time/0', true],
    [['lineproof/time/0'], 'lineproof/time/0', true],
    [['lineproof/time/0'], 'lineproof/time/1', false],
    [['*', 'lineproof/time/*'], 'lineproof/delete/0', false],
    [['*'], 'lineproof', true],
    [['*'], 'lineproofs/x', true],
  ])('%j and %s: %p', (patterns, stream, matches) => {
    expect(matchesStream(patterns, stream)).toBe(matches);
  });
});
