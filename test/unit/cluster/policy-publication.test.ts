import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { newProducers, nextPolicy, policyChanges, publishPolicy, readPolicyFile, signPolicy } from '../../../cluster/policy-publication.ts';
import { Sources } from '../../../core/chain/governance-source.ts';
import { PRODUCER_CAPS } from '../../../core/policy/new-policy.ts';
import type { Policy } from '../../../core/policy/policy-document.ts';
import { openPolicies } from '../../../core/policy/policy-history.ts';
import { TOPICS } from '../../../core/ports/log.ts';
import { temporaryFolder } from '../../support/command.ts';
import { MemoryLog, TestLogger, testClock } from '../../support/memory.ts';
import { memoryRegistry } from '../../support/memory-log.ts';
import { envelopeOf, SIGNERS, testPolicy, testSigner } from '../../support/policies.ts';

const folder = temporaryFolder('policy');
afterAll(() => folder.release());

const roots = SIGNERS.roots.slice(0, 2);

function fileOf(content: string): string {
  const path = join(folder.path, 'policy.json');
  writeFileSync(path, content);
  return path;
}

test('what was shown, edited and published becomes the next version', async () => {
  const history = openPolicies([await envelopeOf(testPolicy(), roots)]);
  const edited = readPolicyFile(fileOf(JSON.stringify({ ...testPolicy(), dedupWindowMs: 60_000 }, undefined, 2)));
  const policy = nextPolicy(history.latest, edited);
  expect(policy).toEqual({ ...testPolicy(), dedupWindowMs: 60_000, version: 2, previous: history.latest.hex });
  expect(policyChanges(history.latest.policy, policy)).toEqual(['dedupWindowMs: 3600000 -> 60000']);
  await expect(signPolicy(history, policy, roots)).resolves.toBeInstanceOf(Uint8Array);
});

test('a change made from an older version is refused: it would undo what came since', async () => {
  const first = openPolicies([await envelopeOf(testPolicy(), roots)]);
  const second = nextPolicy(first.latest, { ...testPolicy(), dedupWindowMs: 60_000 });
  const history = openPolicies([await envelopeOf(testPolicy(), roots), await signPolicy(first, second, roots)]);
  expect(() => nextPolicy(history.latest, testPolicy())).toThrow(/made from version 1 and the newest is 2/);
});

test('a file of another log is refused by its origin, whatever its version', async () => {
  const { latest } = openPolicies([await envelopeOf(testPolicy(), roots)]);
  for (const version of [1, 7])
    expect(() => nextPolicy(latest, { ...testPolicy(), origin: 'example.com/other', version })).toThrow(
      `it is of origin example.com/other, and this is the log ${testPolicy().origin}`,
    );
});

test('too few root keys are refused before anything is written', async () => {
  const history = openPolicies([await envelopeOf(testPolicy(), roots)]);
  const policy = nextPolicy(history.latest, { ...testPolicy(), dedupWindowMs: 60_000 });
  await expect(signPolicy(history, policy, roots.slice(1))).rejects.toThrow(/1 of 2 needed root keys signed it/);
});

test.each([
  ['half a document', '{', /policy.json: cannot read JSON: at character 2: .*policy show --json/],
  ['a name twice', '{"version":1,"version":2}', /of "version": the name occurs twice/],
  ['no object', 'null', /cannot use policy/],
  ['one field', '{"origin":"example.com/o"}', /cannot use policy/],
  ['a field of another shape', JSON.stringify({ ...testPolicy(), producers: 'all' }), /producers/],
])('a file without a policy is refused with the fault: %s', (_, content, message) => {
  expect(() => readPolicyFile(fileOf(content))).toThrow(message);
});

test('a file that is not there is named', () => {
  expect(() => readPolicyFile(join(folder.path, 'nowhere.json'))).toThrow(/nowhere.json: ENOENT/);
});

test('a producer is admitted once, and not again where its key was retired', () => {
  const policy = testPolicy();
  const other = testSigner('other', 12).verifierKey;
  const known = SIGNERS.producer.verifierKey;
  expect(newProducers(policy, [known, other], ['*'])).toEqual([
    { key: other, status: 'ACTIVE', believed: null, streams: ['*'], types: [], heartbeatMs: null, ...PRODUCER_CAPS },
  ]);
  const producers = policy.producers.map((entry) => ({ ...entry, status: 'RETIRED' as const }));
  expect(() => newProducers({ ...policy, producers }, [known], ['*'])).toThrow(/its key is RETIRED, and no status goes back/);
});

test('every change has its line', () => {
  const before = testPolicy();
  const [producer] = before.producers;
  const other = testSigner('other', 12).verifierKey;
  const after = {
    ...before,
    producers: [
      { ...producer, status: 'RETIRED', types: ['CREATE'] },
      { ...producer, key: other },
    ],
    witnessing: { witnesses: 'quorum none\n', required: false, deadlineMs: 1_000 },
    roots: { ...before.roots, threshold: 3 },
  } as Policy;
  const key = SIGNERS.producer.verifierKey;
  expect(policyChanges(before, after)).toEqual([
    expect.stringMatching(/^roots: .*"threshold":2.* -> .*"threshold":3/),
    `producers: ${key}: status: "ACTIVE" -> "RETIRED"`,
    `producers: ${key}: types: [] -> ["CREATE"]`,
    `producers: ${other} is new, {"status":"ACTIVE","believed":null,"streams":["datasets/*"],"types":[],"heartbeatMs":null,"maxStreams":100000,"maxLanes":200000}`,
    'witnessing: null -> {"witnesses":"quorum none\\n","required":false,"deadlineMs":1000}',
  ]);
  expect(policyChanges(after, { ...after, producers: [] })).toEqual([`producers: ${key} is gone`, `producers: ${other} is gone`]);
});

test('of two versions published at the same time one holds, and the other publisher is told', async () => {
  const [log, logger] = [new MemoryLog(), new TestLogger()];
  await log.append(TOPICS.control, 0, [{ key: null, value: await envelopeOf(testPolicy(), roots) }]);
  const sourcesOf = async (): Promise<Sources> => {
    const sources = new Sources({ origin: 'example.com/o', log, registry: memoryRegistry, clock: testClock(), logger });
    await sources.refreshPolicies();
    return sources;
  };
  const both = [await sourcesOf(), await sourcesOf()];
  const publish = async (sources: Sources, dedupWindowMs: number): Promise<unknown> => {
    const policy = nextPolicy(sources.policies.latest, { ...testPolicy(), dedupWindowMs });
    return publishPolicy(log, sources, await signPolicy(sources.policies, policy, roots));
  };
  await publish(both[0] as Sources, 60_000);
  await expect(publish(both[1] as Sources, 70_000)).rejects.toThrow(/somebody else published another one/);
  expect((await sourcesOf()).policies.latest.policy.dedupWindowMs).toBe(60_000);
});
