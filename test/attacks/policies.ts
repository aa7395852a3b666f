import { policyKey } from '../../core/archive/archive-keys.ts';
import { toHex, utf8 } from '../../core/base/bytes.ts';
import { canonicalJson } from '../../core/base/jcs.ts';
import { policyDigest } from '../../core/policy/policy.ts';
import type { Policy } from '../../core/policy/policy-document.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { envelopeOf } from '../support/policies.ts';
import { testSigner } from '../support/producer.ts';
import { required } from '../support/rich-archive.ts';
import { SEVENS } from '../support/violation.ts';
import type { Alter, Attack } from './attack.ts';
import { byChainer, type ForgedStep } from './forging.ts';
import { active, NARROW, type Stage } from './stage.ts';

const STRANGER = testSigner('example.org/log/root', 'stranger');
const SECOND_ROOT = testSigner('example.org/log/root-2');
const FRESH = testSigner('example.org/log/producer', 'fresh');
const POLICY = { failed: 'POLICY' };

/** Adds a third version to the finished archive, whether it holds together or not. */
function added(change: (policy: Policy) => object, signers: (stage: Stage) => readonly Signer[]): Alter {
  return async (map, stage) => {
    const { policy, hex } = stage.world.policy;
    const next = { ...policy, version: policy.version + 1, previous: hex, ...change(policy) };
    map.set(policyKey(toHex(policyDigest(utf8(canonicalJson(next))))), await envelopeOf(next, signers(stage)));
  };
}

const byRoot = (stage: Stage): Signer[] => [stage.key('root')];

/** A version by the root's own key that breaks a rule of versions. */
function broken(name: string, change: (policy: Policy) => object, more: Partial<Attack> = POLICY): Attack {
  return { name: `policy-${name}`, keys: ['root', 'archive'], alter: added(change, byRoot), seen: 'POLICY POLICY_CHAIN', ...more };
}

const invalid = { ...POLICY, seen: 'POLICY POLICY_INVALID' };

const entries = (policy: Policy, role: 'producers' | 'chainers' | 'logs', change: object): object => ({
  [role]: policy[role].map((each, i) => (i === 0 ? { ...each, ...change } : each)),
});

const VERSIONS: readonly Attack[] = [
  {
    name: 'policy-of-a-stranger',
    keys: ['archive'],
    alter: added(
      () => ({}),
      () => [STRANGER],
    ),
    seen: 'POLICY POLICY_CHAIN',
    ...POLICY,
  },
  {
    name: 'policy-signed-by-nobody',
    keys: ['archive'],
    alter: added(
      () => ({}),
      () => [],
    ),
    seen: 'POLICY POLICY_CHAIN',
    ...POLICY,
  },
  {
    name: 'policy-that-names-its-own-roots',
    keys: ['archive'],
    alter: added(
      () => ({ roots: { keys: [STRANGER.verifierKey], threshold: 1 } }),
      () => [STRANGER],
    ),
    seen: 'POLICY POLICY_CHAIN',
    ...POLICY,
  },
  broken('below-its-own-threshold', ({ roots }) => ({ roots: { keys: [...roots.keys, SECOND_ROOT.verifierKey], threshold: 2 } })),
  broken('that-skips-a-version', ({ version }) => ({ version: version + 2 })),
  broken('after-another-version', () => ({ previous: '7'.repeat(64) })),
  broken('of-another-origin', () => ({ origin: 'example.org/other', logs: [] }), invalid),
  broken(
    'of-more-shards',
    ({ inputGeneration }) => ({ shards: 3, inputGeneration: { ...inputGeneration, firstOffsets: [0, 0, 0] } }),
    invalid,
  ),
  broken('without-a-producer', ({ producers }) => ({ producers: producers.slice(1) })),
  broken('without-a-log-key', ({ logs }) => ({ logs: logs.slice(1) })),
  broken('that-revives-a-key', (policy) => entries(policy, 'chainers', { status: 'ACTIVE' })),
  broken('that-skips-a-generation', () => ({ inputGeneration: { generation: 2, firstOffsets: [0, 0] } })),
  broken('that-moves-the-first-offsets', () => ({ inputGeneration: { generation: 0, firstOffsets: [5, 5] } })),
  broken('with-a-key-in-two-roles', (policy) => ({ chainers: [...policy.chainers, active(NARROW)] }), invalid),
  broken('with-the-root-as-a-producer', (policy) => entries(policy, 'producers', { key: policy.roots.keys[0] }), invalid),
  broken('with-an-unknown-field', () => ({ extra: 1 }), invalid),
  broken('with-a-null-in-the-place-of-a-list', () => ({ readers: null }), invalid),
  broken('with-a-number-near-2-53', () => ({ dedupWindowMs: 2 ** 53 - 1 }), invalid),
  broken('with-a-fraction', () => ({ segmentMaxAgeMs: 1.5 }), invalid),
  broken('with-a-long-list', () => ({ schemas: Array.from({ length: 4097 }, (_, i) => String(i).padStart(64, '0')) }), invalid),
  broken('believed-without-a-theft', (policy) => entries(policy, 'producers', { believed: [0, 0] }), invalid),
  {
    name: 'policy-that-changes-nothing',
    keys: ['root', 'archive'],
    alter: added(() => ({}), byRoot),
    seen: null,
  },
  {
    name: 'policy-that-calls-a-producer-stolen',
    keys: ['root', 'archive'],
    alter: added((policy) => entries(policy, 'producers', { status: 'COMPROMISED', believed: [0, 0] }), byRoot),
    seen: 'SIGNATURES SUSPECT',
    failed: 'SIGNATURES',
  },
  {
    name: 'policy-that-calls-a-chainer-stolen',
    keys: ['root', 'archive'],
    alter: added((policy) => entries(policy, 'chainers', { status: 'COMPROMISED', believed: [0, 0] }), byRoot),
    seen: 'SIGNATURES SUSPECT',
    failed: 'SIGNATURES',
  },
  {
    name: 'policy-that-calls-a-log-key-stolen',
    keys: ['root', 'archive'],
    alter: added((policy) => entries(policy, 'logs', { status: 'COMPROMISED', believed: [0, 0] }), byRoot),
    seen: 'LOG NOTE_SUSPECT',
    failed: 'ARCHIVE LOG',
  },
  {
    name: 'policy-that-calls-keys-stolen-after-all-that-they-signed',
    keys: ['root', 'archive'],
    alter: added(
      (policy) => ({
        ...entries(policy, 'chainers', { status: 'COMPROMISED', believed: [999, 999] }),
        ...entries(policy, 'logs', { status: 'COMPROMISED', believed: [999, 999] }),
      }),
      byRoot,
    ),
    seen: null,
  },
];

/** Blocks under policies that do not fit. */
const SEALED: readonly ForgedStep[] = [
  {
    name: 'block-under-an-earlier-policy',
    options: ({ world }) => ({ policy: required(world.policies.versions[0]) }),
    spoil: (forgery, { world }) => (forgery.signer = world.chainer),
    stopped: 'POLICY',
    seen: 'POLICY POLICY_BACK',
    ...POLICY,
  },
  {
    name: 'block-under-an-invented-policy',
    spoil: ({ seal }) => (seal.policy = SEVENS),
    stopped: 'WAIT policy',
    seen: 'POLICY POLICY_MISSING',
    failed: 'POLICY',
    unchecked: 'LOG STREAMS SIGNATURES ORDER COMPLETE UNIQUE',
  },
];

/** A root that admits others from then on: what it allows is allowed. */
function admits(
  name: string,
  change: (policy: Policy) => Policy,
  play: (stage: Stage) => Promise<void>,
  more: Partial<Attack> = {},
): Attack {
  return {
    name,
    keys: ['root'],
    play: async (stage) => {
      await stage.world.nextPolicy(change);
      await play(stage);
    },
    seen: null,
    ...more,
  };
}

const narrowAnywhere = (policy: Policy): Policy => ({
  ...policy,
  producers: policy.producers.map((each) => (each.key === NARROW.verifierKey ? { ...each, streams: ['*'], types: [] } : each)),
});

const ROOTS: readonly Attack[] = [
  admits('root-widens-streams', narrowAnywhere, async (stage) =>
    stage.block([await stage.narrow.lanes[0].next(stage.world.events('a', 'x'))]),
  ),
  {
    name: 'streams-widened-too-late',
    keys: ['producer', 'chainer', 'log'],
    play: async (stage) => {
      const message = await stage.narrow.lanes[0].next(stage.world.events('a', 'x'));
      const before = stage.world.policy;
      await stage.world.nextPolicy(narrowAnywhere);
      await stage.block([message], ({ seal }) => (seal.policy = before.digest));
    },
    seen: 'SIGNATURES EVENT_UNACCEPTABLE',
    failed: 'SIGNATURES',
  },
  admits(
    'root-admits-a-producer',
    (policy) => ({ ...policy, producers: [...policy.producers, { ...required(policy.producers[0]), key: FRESH.verifierKey }] }),
    async (stage) => {
      const lane = stage.world.lane('fresh', FRESH, 1);
      await stage.block([await lane.next(stage.world.events('d', 'x'))], undefined, { shard: 1 });
      const lanes = [{ epoch: lane.epoch, shard: 1, number: 2, seq: 1, final: true }];
      await stage.block([await lane.next([], { lanes })], undefined, { shard: 1 });
    },
  ),
  admits(
    'producer-retired',
    (policy) => ({
      ...policy,
      producers: policy.producers.map((each) => (each.key === NARROW.verifierKey ? { ...each, status: 'RETIRED' } : each)),
    }),
    async () => undefined,
    { seen: 'COMPLETE LANE_OPEN', open: 'COMPLETE' },
  ),
  admits(
    'later-format-level',
    (policy) => ({ ...policy, formatLevel: 2 }),
    async (stage) => stage.block([await stage.wide.say(0, 'x')]),
    { seen: 'POLICY FORMAT_LEVEL', failed: 'POLICY' },
  ),
  admits(
    'input-begun-again',
    (policy) => ({ ...policy, inputGeneration: { generation: 1, firstOffsets: [0, 0] } }),
    async (stage) => {
      await stage.block([await stage.wide.say(0, 'x')], undefined, { inputGeneration: 1, inputFrom: 0 });
      await stage.block([await stage.wide.say(1, 'x')], undefined, { inputGeneration: 1, inputFrom: 0, shard: 1 });
    },
  ),
  {
    name: 'input-begun-again-elsewhere',
    keys: ['root', 'chainer', 'log'],
    play: async (stage) => {
      await stage.world.nextPolicy((policy) => ({ ...policy, inputGeneration: { generation: 1, firstOffsets: [0, 0] } }));
      await stage.block([await stage.wide.say(0, 'x')], () => undefined, { inputGeneration: 1, inputFrom: 5 });
    },
    seen: 'COMPLETE INPUT_GENERATION',
    failed: 'COMPLETE',
  },
  {
    name: 'first-policy-below-its-threshold',
    keys: ['root', 'archive'],
    alter: async (map, { world }) => {
      const [first] = world.policies.versions;
      const { policy, hex } = required(first);
      map.delete(policyKey(hex));
      const changed = { ...policy, roots: { keys: [...policy.roots.keys, SECOND_ROOT.verifierKey], threshold: 2 } };
      map.set(policyKey(toHex(policyDigest(utf8(canonicalJson(changed))))), await envelopeOf(changed, [world.root]));
    },
    seen: 'POLICY POLICY_CHAIN',
    failed: 'POLICY',
    unchecked: `ARCHIVE LOG STREAMS SIGNATURES ORDER COMPLETE UNIQUE`,
  },
];

export const POLICY_ATTACKS: readonly Attack[] = [...VERSIONS, ...SEALED.flatMap(byChainer), ...ROOTS];
