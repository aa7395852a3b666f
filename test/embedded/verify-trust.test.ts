import { describe, expect, test } from '@jest/globals';
import type { Property } from '../../auditor/property.ts';
import type { Verdict } from '../../auditor/verdict.ts';
import { verdictText } from '../../auditor/verdict-text.ts';
import { type VerifyOptions, verifyArchive } from '../../auditor/verify.ts';
import { ARCHIVE_JSON, logKeysOf, policyKey } from '../../core/archive/archive-keys.ts';
import { toHex, utf8 } from '../../core/base/bytes.ts';
import { canonicalJson } from '../../core/base/jcs.ts';
import { EVENT_SCHEMA } from '../../core/formats/event-schema.ts';
import { decodeEnvelope, encodeEnvelope, type PayloadType, signEnvelope } from '../../core/keys/dsse.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import { newPolicy } from '../../core/policy/new-policy.ts';
import { encodePolicy, policyDigest } from '../../core/policy/policy.ts';
import type { KeyEntry, Policy } from '../../core/policy/policy-document.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { makeWorld, testSigner, World } from '../support/producer.ts';
import { narrow, required, richWorld, SECOND } from '../support/rich-archive.ts';
import { codes, makeScene, type Scene } from '../support/scene.ts';

const CHECKED = ['ARCHIVE', 'LOG', 'STREAMS', 'SIGNATURES', 'ORDER', 'COMPLETE', 'UNIQUE', 'POLICY'] as const;

function results({ properties }: Verdict): string[] {
  return [...new Set(CHECKED.map((property) => properties[property].result))];
}

async function endedScene(): Promise<Scene> {
  const scene = await makeScene();
  await scene.end();
  return scene;
}

describe('the key that is pinned', () => {
  test('the root key proves every property, and is named with each', async () => {
    const scene = await endedScene();
    const verdict = await scene.verify();
    expect([verdict.ok, results(verdict)]).toEqual([true, ['OK']]);
    for (const property of CHECKED)
      expect(verdict.properties[property].trust).toMatch(/^root key example\.org\/log\/root\+[0-9a-f]{8} \(pinned\)$/);
  });

  test('no key: nothing is claimed, the verdict is not green, and the key to pin is named', async () => {
    const { world, archive } = await endedScene();
    const verdict = await verifyArchive(archive.objects, { keys: [] });
    expect([verdict.ok, results(verdict)]).toEqual([false, ['NOT CHECKED']]);
    expect(verdictText(verdict)).toContain(world.root.verifierKey);
    expect([verdict.result, verdictText(verdict)]).toEqual(['UNPROVEN', expect.stringMatching(/VERDICT: UNPROVEN: no key pinned/)]);
  });

  test('a key that the archive does not know: FAILED', async () => {
    const scene = await endedScene();
    const verdict = await scene.verify(testSigner('example.org/log/root', 'somebody').verifierKey);
    expect([verdict.ok, codes(verdict)]).toEqual([false, ['POLICY KEY_FOREIGN']]);
  });

  test('the log key proves what it attested, and not who produced it', async () => {
    const scene = await endedScene();
    const verdict = await scene.verify(required(scene.world.logs[0]).verifierKey);
    const unproven = CHECKED.filter((property) => verdict.properties[property].result === 'NOT CHECKED');
    expect([verdict.ok, unproven]).toEqual([true, ['SIGNATURES', 'POLICY']]);
    expect(verdict.properties.LOG.trust).toMatch(/^log key example\.org\/log\/0\+[0-9a-f]{8} \(pinned\)$/);
  });

  test('a log key beside the root key takes nothing away: other log keys of the policy still count', async () => {
    const scene = await makeScene();
    const [before, after] = [required(scene.world.logs[0]), testSigner('example.org/log/0', 'after')];
    await scene.world.nextPolicy((policy) => ({
      ...policy,
      logs: [...status(policy.logs, before.verifierKey, { status: 'RETIRED' }), active(after.verifierKey)],
    }));
    scene.archive.signer = after;
    await scene.end();
    const verdict = await scene.verify(scene.world.root.verifierKey, before.verifierKey);
    expect([verdict.ok, codes(verdict), results(verdict)]).toEqual([true, [], ['OK']]);
  });

  test('the log key of one shard proves nothing of another', async () => {
    const scene = await makeScene(await richWorld(2));
    await scene.end();
    const verdict = await scene.verify(required(scene.world.logs[0]).verifierKey);
    expect([verdict.ok, verdict.properties.LOG.result]).toEqual([false, 'NOT CHECKED']);
    // It is nevertheless a key of this archive.
    expect([codes(verdict), verdict.properties.POLICY.result]).toEqual([[], 'NOT CHECKED']);
  });

  test('a root key that is in the policy and did not sign it: FAILED', async () => {
    const real = testSigner('example.org/log/root');
    const thief = testSigner('example.org/log/root', 'thief');
    const world = new World({});
    Object.assign(world, { root: thief });
    await world.addPolicy(policyOf(world, [thief, real]));
    const scene = await makeScene(world);
    await scene.end();
    expect((await scene.verify(thief.verifierKey)).ok).toBe(true);
    const verdict = await scene.verify(real.verifierKey);
    expect([verdict.ok, codes(verdict)]).toEqual([false, ['POLICY KEY_FOREIGN']]);
  });

  test('a log key in a foreign policy, beside the key of the thief: FAILED', async () => {
    const real = testSigner('example.org/log/0', 'the real one');
    const world = await makeWorld({
      policy: (policy) => ({ ...policy, segmentMaxAgeMs: 10_000, logs: [...policy.logs, active(real.verifierKey)] }),
    });
    const scene = await makeScene(world);
    await scene.end();
    const verdict = await scene.verify(real.verifierKey);
    expect(verdict.ok).toBe(false);
    expect(codes(verdict)).toEqual(expect.arrayContaining(['LOG NOTE_SIGNATURE', 'ARCHIVE MANIFEST_SIGNATURE']));
  });
});

function status(entries: readonly KeyEntry[], key: string, change: Partial<KeyEntry>): KeyEntry[] {
  return entries.map((entry) => (entry.key === key ? { ...entry, ...change } : entry));
}

function active(key: string): KeyEntry {
  return { key, status: 'ACTIVE', believed: null };
}

function policyOf(world: World, roots: readonly Signer[]): Policy {
  const policy = newPolicy({
    origin: world.origin,
    shards: 1,
    roots: roots.map(({ verifierKey }) => verifierKey),
    producers: [{ key: world.producer.verifierKey, streams: ['*'] }],
    chainers: [world.chainer.verifierKey],
    logs: world.logs.map(({ verifierKey }) => verifierKey),
    schemas: [EVENT_SCHEMA.hex],
  });
  return { ...policy, segmentMaxAgeMs: 10_000 };
}

describe('what the caller demands', () => {
  test('two systems under one root key are told apart by their origin, and by the first version of their policy', async () => {
    const [mine, other] = [
      await endedScene(),
      await makeScene(await makeWorld({ policy: (policy) => ({ ...policy, segmentMaxAgeMs: 10_000 }) })),
    ];
    await other.end();
    const genesis = mine.world.policy.hex;
    expect(other.world.root.verifierKey).toBe(mine.world.root.verifierKey);
    expect((await mine.verify()).genesis).toBe(genesis);
    const { origin } = mine.world;
    expect(codes(await verifyDemanding(mine, { origin, genesis }))).toEqual([]);
    expect(codes(await verifyDemanding(other, { origin, genesis }))).toEqual(['POLICY GENESIS_FOREIGN']);
    expect(codes(await verifyDemanding(mine, { origin: `${origin}2` }))).toEqual(['POLICY ORIGIN_FOREIGN']);
  });

  test('a property that must not be NOT CHECKED', async () => {
    const scene = await endedScene();
    const log = required(scene.world.logs[0]).verifierKey;
    const word = async (require: readonly Property[], ...keys: readonly string[]): Promise<string> =>
      (await verifyDemanding(scene, { require }, ...keys)).result;
    expect(await word(['SIGNATURES'])).toBe('OK');
    expect(await word(['LOG'], log)).toBe('OK');
    expect(await word(['SIGNATURES'], log)).toBe('NOT CHECKED');
    expect(await word(['WITNESSES'])).toBe('NOT CHECKED');
    // Only what was asked for makes the verdict so.
    expect((await verifyDemanding(scene, { require: ['WITNESSES', 'LOG'] })).lacking).toEqual(['WITNESSES']);
    expect((await verifyDemanding(scene, {})).lacking).toEqual([]);
  });
});

function verifyDemanding({ world, archive }: Scene, demands: Partial<VerifyOptions>, ...keys: readonly string[]): Promise<Verdict> {
  const pinned = (keys.length > 0 ? keys : [world.root.verifierKey]).map(parseVerifierKey);
  return verifyArchive(archive.objects, { keys: pinned, ...demands });
}

describe('policies', () => {
  /** Adds a version to the finished archive. */
  async function addVersion({ world, archive }: Scene, change: (policy: Policy) => Policy, signers: readonly Signer[]): Promise<string> {
    const { policy, hex } = world.policy;
    const next = change({ ...policy, version: policy.version + 1, previous: hex });
    const payload = encodePolicy(next);
    const key = policyKey(toHex(policyDigest(payload)));
    archive.objects.map.set(key, encodeEnvelope(await signEnvelope('policy', payload, signers)));
    const { origin, shards, roots, logs } = next;
    archive.objects.map.set(ARCHIVE_JSON, utf8(canonicalJson({ origin, shards, roots: roots.keys, logs: logs.map((entry) => entry.key) })));
    return key;
  }

  test('either root key of a rotation, pinned, proves the archive', async () => {
    const scene = await endedScene();
    const later = testSigner('example.org/log/root', 'later');
    const rotate = (policy: Policy): Policy => ({ ...policy, roots: { keys: [later.verifierKey], threshold: 1 } });
    await addVersion(scene, rotate, [scene.world.root, later]);
    expect([(await scene.verify()).ok, (await scene.verify(later.verifierKey)).ok]).toEqual([true, true]);
  });

  test('a version that the root key did not sign: FAILED, and named', async () => {
    const scene = await endedScene();
    const key = await addVersion(scene, (policy) => policy, [testSigner('thief')]);
    const verdict = await scene.verify();
    expect([verdict.ok, codes(verdict)]).toEqual([false, expect.arrayContaining(['POLICY POLICY_CHAIN'])]);
    expect(verdict.findings.find(({ code }) => code === 'POLICY_CHAIN')?.place.object).toBe(key);
  });

  test('the only version is missing, or cannot be read: FAILED, and named, though nothing else can be judged', async () => {
    const scene = await endedScene();
    const key = policyKey(scene.world.policy.hex);
    const named = (verdict: Verdict): unknown[] => [verdict.ok, codes(verdict), verdict.findings.map(({ place }) => place.object)];
    scene.archive.objects.map.set(key, new Uint8Array(3));
    expect(named(await scene.verify())).toEqual([false, ['POLICY POLICY_INVALID'], [key]]);
    scene.archive.objects.map.delete(key);
    expect(named(await scene.verify())).toEqual([false, ['POLICY MISSING'], [key]]);
  });

  test('a version under a name that is not its digest: FAILED, and named', async () => {
    const scene = await endedScene();
    const key = policyKey('7'.repeat(64));
    scene.archive.objects.map.set(key, required(scene.archive.objects.map.get(policyKey(scene.world.policy.hex))));
    const verdict = await scene.verify();
    expect([verdict.ok, codes(verdict), verdict.findings[0]?.place.object]).toEqual([false, ['POLICY POLICY_INVALID'], key]);
    expect(verdict.findings[0]?.message).toBe('the policy cannot be used: its digest is not its name');
  });

  test('a version that is missing between others: FAILED, and named', async () => {
    const scene = await makeScene();
    await scene.world.nextPolicy();
    const missing = scene.world.policy.hex;
    await scene.world.nextPolicy();
    await scene.end();
    scene.archive.objects.map.delete(policyKey(missing));
    const finding = (await scene.verify()).findings.find(({ code }) => code === 'MISSING');
    expect([finding?.property, finding?.place.object]).toEqual(['POLICY', policyKey(missing)]);
  });
});

describe('keys that are retired or stolen', () => {
  test('a retired producer, chainer and log key are not tampering', async () => {
    const scene = await makeScene();
    const { world, archive } = scene;
    const [chainer, log] = [testSigner('example.org/log/chainer', 'new'), testSigner('example.org/log/0', 'new log')];
    await world.nextPolicy((policy) => ({
      ...policy,
      producers: policy.producers.map((entry) => (entry.key === narrow().verifierKey ? { ...entry, status: 'RETIRED' } : entry)),
      chainers: [...status(policy.chainers, world.chainer.verifierKey, { status: 'RETIRED' }), active(chainer.verifierKey)],
      logs: [...status(policy.logs, required(world.logs[0]).verifierKey, { status: 'RETIRED' }), active(log.verifierKey)],
    }));
    archive.signer = log;
    const verdict = await scene.end({}, { signer: chainer });
    expect([verdict.ok, codes(verdict)]).toEqual([true, []]);
  });

  test('a log key that signs leaves after it was retired: FAILED, unless an active one signed them too', async () => {
    const scene = await makeScene();
    const { world, archive } = scene;
    const [before, after] = [required(world.logs[0]), testSigner('example.org/log/0', 'after')];
    await world.nextPolicy((policy) => ({
      ...policy,
      logs: [...status(policy.logs, before.verifierKey, { status: 'RETIRED' }), active(after.verifierKey)],
    }));
    const verdict = await scene.end({ snapshot: true });
    expect([verdict.ok, codes(verdict)]).toEqual([false, ['ARCHIVE SNAPSHOT_WRONG', 'LOG KEY_RETIRED']]);
    const told = verdict.findings.filter(({ code }) => code === 'KEY_RETIRED').map(({ place }) => place.leaf);
    // What the key signed while it was ACTIVE stands.
    expect(new Set(told)).toEqual(new Set([archive.size]));
    // The pinned log key is the reader's own choice: no policy is proven that calls it retired.
    expect(codes(await scene.verify(before.verifierKey))).toEqual([]);
  });

  test('a chainer key that seals after it was retired: FAILED', async () => {
    const scene = await makeScene();
    const { world } = scene;
    const chainer = testSigner('example.org/log/chainer', 'new');
    await world.nextPolicy((policy) => ({
      ...policy,
      chainers: [...status(policy.chainers, world.chainer.verifierKey, { status: 'RETIRED' }), active(chainer.verifierKey)],
    }));
    await scene.block([await scene.say('x')], (forgery) => (forgery.signer = world.chainer), { signer: chainer });
    expect(codes(await scene.end({}, { signer: chainer }))).toEqual(['SIGNATURES CHAINER_NOT_ACTIVE']);
  });

  type Role = 'producers' | 'chainers' | 'logs';
  const compromise = async (role: Role, believed: (scene: Scene) => number): Promise<{ verdict: Verdict; scene: Scene }> => {
    const scene = await makeScene();
    const { world, archive } = scene;
    const signer = { producers: world.producer, chainers: world.chainer, logs: required(world.logs[0]) }[role];
    const fresh = testSigner(signer.name, 'fresh');
    const size = believed(scene);
    await world.nextPolicy((policy) => {
      const stolen = { status: 'COMPROMISED' as const, believed: [size] };
      const first = required((policy[role] as readonly KeyEntry[])[0]);
      return { ...policy, [role]: [...status(policy[role], signer.verifierKey, stolen), { ...first, key: fresh.verifierKey }] };
    });
    if (role === 'logs') archive.signer = fresh;
    const lane = world.lane('after', role === 'producers' ? fresh : world.producer);
    const chained = role === 'chainers' ? { signer: fresh } : {};
    await scene.block([await lane.next(world.events('a', 'after'))], undefined, chained);
    scene.time += 20 * SECOND;
    await scene.block([], undefined, chained);
    await archive.close();
    return { verdict: await scene.verify(), scene };
  };

  test.each(['producers', 'chainers', 'logs'] as const)(
    '%s: a stolen key is believed up to the size that its policy names',
    async (role) => {
      const { verdict } = await compromise(role, ({ archive }) => archive.size);
      expect(codes(verdict)).toEqual([]);
    },
  );

  test.each([
    ['producers', 3, ['SIGNATURES SUSPECT']],
    ['chainers', 1, ['SIGNATURES SUSPECT']],
    ['logs', 1, ['ARCHIVE MANIFEST_SUSPECT', 'LOG NOTE_SUSPECT']],
  ] as const)('%s: a signature by a stolen key, %d leaves after that size, is SUSPECT', async (role, after, expected) => {
    const { verdict } = await compromise(role, ({ archive }) => archive.size - after);
    expect([verdict.ok, codes(verdict)]).toEqual([false, expected]);
  });
});

describe('objects that the log key must have signed', () => {
  const stranger = testSigner('example.org/log/0', 'stranger');
  const keys = logKeysOf(0);

  async function resigned(kind: PayloadType, key: (scene: Scene) => string, signers: readonly Signer[]): Promise<Verdict> {
    const scene = await makeScene();
    await scene.archive.snapshot();
    await scene.end({ snapshot: true });
    const name = key(scene);
    const { payload } = decodeEnvelope(required(scene.archive.objects.map.get(name)), kind);
    scene.archive.objects.map.set(name, encodeEnvelope(await signEnvelope(kind, payload, signers)));
    return scene.verify();
  }

  test.each([
    ['by a stranger', [stranger]],
    ['by nobody', []],
  ])('a manifest and a snapshot signed %s: ARCHIVE', async (_, signers) => {
    const manifest = await resigned('manifest', ({ archive }) => keys.manifest(18, archive.size), signers);
    expect(codes(manifest)).toEqual(['ARCHIVE MANIFEST_SIGNATURE']);
    const snapshot = await resigned('snapshot', ({ archive }) => keys.snapshot(archive.size), signers);
    expect(codes(snapshot)).toEqual(['ARCHIVE SNAPSHOT_WRONG']);
  });

  test.each(['signed', 'checkpoint', 'checkpointAt'] as const)('%s signed by a stranger: LOG', async (which) => {
    const scene = await endedScene();
    const { archive } = scene;
    archive.signer = stranger;
    const key = which === 'checkpointAt' ? keys.checkpointAt(archive.size) : keys[which];
    archive.objects.map.set(key, await archive.note());
    expect(codes(await scene.verify())).toEqual(['LOG NOTE_SIGNATURE']);
  });

  test('a note of another log: LOG', async () => {
    const [scene, other] = [await endedScene(), await makeScene(await richWorld(2))];
    const foreign = required(other.archive.objects.map.get(keys.checkpoint));
    scene.archive.objects.map.set(keys.checkpoint, utf8(new TextDecoder().decode(foreign).replace('log/0', 'log/1')));
    const failed = (await scene.verify()).findings.filter(({ severity }) => severity === 'FAILED');
    expect(failed.map(({ place }) => place.object)).toContain(keys.checkpoint);
  });
});

test('properties that need more than an archive say so', async () => {
  const { properties } = await (await endedScene()).verify();
  for (const property of ['WITNESSES', 'TIME'] satisfies Property[]) expect(properties[property].result).toBe('NOT CHECKED');
});
