import { expect, test } from '@jest/globals';
import { Findings } from '../../../auditor/findings.ts';
import { SilenceAudit } from '../../../auditor/silence-audit.ts';
import { makeWorld, START_MICROS } from '../../support/producer.ts';
import { required } from '../../support/rich-archive.ts';

test('a chainer that changes the policy with each of very many blocks does not end the audit', async () => {
  const world = await makeWorld({
    policy: (policy) => ({ ...policy, producers: policy.producers.map((each) => ({ ...each, heartbeatMs: 60_000 })) }),
  });
  await world.nextPolicy((policy) => ({ ...policy, segmentMaxAgeMs: 10_000 }));
  const findings = new Findings();
  const silence = new SilenceAudit(findings);
  for (let i = 0; i < 200_000; i++) silence.block(0, START_MICROS + i * 100_000, required(world.policies.versions[i % 2]));
  silence.finish(1);
  expect(findings.list.map(({ code }) => code)).toEqual(['SILENCE']);
});
