import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { tlogPolicyOf } from '../../../cli/witnessing-options.ts';
import { utf8 } from '../../../core/base/bytes.ts';
import { parseWitnessPolicy } from '../../../core/keys/witness-policy.ts';
import type { Policy } from '../../../core/policy/policy-document.ts';
import { makeEmbeddedKeys, readEmbeddedKeys } from '../../../embedded/keys.ts';
import { temporaryFolder } from '../../support/command.ts';
import { testSigner } from '../../support/producer.ts';

const folder = temporaryFolder('tlog-policy');
afterAll(() => folder.release());

const policyOf = (...keys: readonly string[]): Policy =>
  ({ logs: keys.map((key) => ({ key, status: 'ACTIVE' })), witnessing: null }) as unknown as Policy;

test('the log keys that are made for several shards are a tlog-policy file that a witness reads', async () => {
  const keys = join(folder.path, 'keys');
  await makeEmbeddedKeys(keys, 'shop.example', 3);
  const made = (await readEmbeddedKeys(keys, 3)).logs.map(({ verifierKey }) => verifierKey);
  const read = parseWitnessPolicy(utf8(tlogPolicyOf(policyOf(...made))));
  expect(read.logs.map(({ key }) => key.text)).toEqual(made);
});

test('logs that share a key are refused, with the options that name them to a witness', () => {
  const [one, two] = [testSigner('shop.example/0', 'log').verifierKey, testSigner('shop.example/1', 'log').verifierKey];
  expect(() => tlogPolicyOf(policyOf(one, two))).toThrow(`--log ${one} --log ${two}`);
});
