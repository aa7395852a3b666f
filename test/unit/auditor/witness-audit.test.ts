import { expect, test } from '@jest/globals';
import type { Audit } from '../../../auditor/audit.ts';
import { Findings } from '../../../auditor/findings.ts';
import { WitnessAudit } from '../../../auditor/witness-audit.ts';
import { witnessTrust } from '../../../auditor/witness-trust.ts';
import { makeWorld, testSigner } from '../../support/producer.ts';
import { witnessingOf, witnessKeyOf } from '../../support/witnesses.ts';

test('very many kept notes without a cosignature do not end the audit', async () => {
  const key = witnessKeyOf(testSigner('witness.example', 'witness'));
  const witnessing = witnessingOf([{ name: 'w', key, url: 'http://witness.example' }], 1, { required: false, deadlineMs: 1_000 });
  const { policies } = await makeWorld({ policy: (policy) => ({ ...policy, witnessing }) });
  const findings = new Findings();
  // What judges cosignatures reads no more than this of an audit.
  const read: Pick<Audit, 'findings' | 'governance' | 'origin' | 'shard' | 'witnesses'> = {
    findings,
    governance: { history: policies, logKeys: () => [] } as unknown as Audit['governance'],
    origin: 'log.example',
    shard: 0,
    witnesses: witnessTrust(policies, true, []),
  };
  const audit = new WitnessAudit(read as Audit);
  for (let size = 1; size <= 300_000; size++) {
    audit.read(`checkpoints/${size}`, size, { text: '', signatures: [] });
    audit.prove(`checkpoints/${size}`, policies.latest);
  }
  expect(audit.finish(300_000, 300_000).isDemanded).toBe(true);
  expect(findings.list.map(({ code }) => code)).toEqual(['QUORUM_OPEN']);
});
