import { policyKey } from '../core/archive/archive-keys.ts';
import { equal, toHex } from '../core/base/bytes.ts';
import type { Seal } from '../core/formats/leaf.ts';
import { FORMAT_LEVEL } from '../core/policy/format-level.ts';
import type { PolicyInForce } from '../core/policy/policy-history.ts';
import type { Audit } from './audit.ts';
import type { AuditedBlock } from './audited-block.ts';
import type { ReplayedHead } from './replayed-log.ts';
import type { Place } from './verdict.ts';

/** Checks a seal against the state before its block. `policy` is the one that it names; undefined where the archive does not hold it. */
export function checkSeal(audit: Audit, block: AuditedBlock, head: ReplayedHead, policy: PolicyInForce | undefined): void {
  const place = { shard: audit.shard, leaf: block.sealLeaf };
  checkPlace(audit, block, head, place);
  checkInputStart(audit, block.seal, head, { policy, place });
  checkPolicy(audit, block.seal, head, { policy, place });
}

function checkPlace({ origin, shard, findings }: Audit, block: AuditedBlock, head: ReplayedHead, place: Place): void {
  const { seal, links, rootBefore } = block;
  if (seal.origin !== `${origin}/${shard}`) findings.add('SEAL_ORIGIN', `the seal belongs to the log ${seal.origin}`, place);
  if (seal.firstIndex !== head.nextIndex || seal.links !== links.length) {
    const stated = `${seal.links} links from leaf ${seal.firstIndex}`;
    findings.add('SEAL_INDEX', `the seal covers ${stated}; the log has ${links.length} from leaf ${head.nextIndex}`, place);
  }
  if (!equal(seal.previous, head.seal)) findings.add('SEAL_PREVIOUS', 'the seal does not name the seal before it', place);
  if (!equal(seal.root, rootBefore)) findings.add('SEAL_ROOT', 'the seal states another root than the leaves before it give', place);
  if (head.final) findings.add('AFTER_FINAL', 'the block follows the final block', place);
}

/** The inputs of a seal's check, and the seal's place. */
interface SealPlace {
  readonly policy: PolicyInForce | undefined;
  readonly place: Place;
}

function checkInputStart({ shard, findings }: Audit, seal: Seal, head: ReplayedHead, { policy, place }: SealPlace): void {
  if (seal.inputGeneration === head.inputGeneration) {
    if (seal.inputFrom === head.inputTo) return;
    const message = `the block begins at input offset ${seal.inputFrom}; the block before it ended at ${head.inputTo}`;
    findings.add('INPUT_HOLE', message, place);
    return;
  }
  const named = policy?.policy.inputGeneration;
  const isNamed = named?.generation === seal.inputGeneration && named.firstOffsets[shard] === seal.inputFrom;
  if (!isNamed || seal.inputGeneration < head.inputGeneration)
    findings.add('INPUT_GENERATION', 'the block goes on in another generation of the input than its policy names', place);
}

function checkPolicy({ governance, findings }: Audit, seal: Seal, head: ReplayedHead, { policy, place }: SealPlace): void {
  const hex = toHex(seal.policy);
  if (policy === undefined) {
    findings.add('POLICY_MISSING', 'the seal names a policy that the archive does not hold', { ...place, object: policyKey(hex) });
    return;
  }
  if (head.policy !== null && head.policy !== hex && !governance.history.descends(hex, head.policy))
    findings.add('POLICY_BACK', 'the seal names an earlier policy than the seal before it', place);
  if (seal.acceptedAt < head.acceptedAt && head.policy === hex)
    findings.add('ACCEPTED_BACK', 'the block was accepted before the block that it follows', place);
  if (policy.policy.formatLevel > FORMAT_LEVEL) findings.add('FORMAT_LEVEL', 'the policy demands a later version of this program', place);
}
