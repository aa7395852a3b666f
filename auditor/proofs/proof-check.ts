import { type BatchRules, checkHeader, judgeEvent, type ProvenHeader } from '../../core/acceptance/batch-check.ts';
import { utf8 } from '../../core/base/bytes.ts';
import { REASON_TRAITS, REASONS, type Reason, type ReasonName, reasonName } from '../../core/base/reasons.ts';
import { dataOf } from '../../core/formats/data-digests.ts';
import { preAuthentication } from '../../core/keys/dsse.ts';
import { importKey, verifySignature } from '../../core/keys/signature.ts';
import { believedUntil } from '../../core/policy/policy-document.ts';
import type { PolicyInForce } from '../../core/policy/policy-history.ts';
import { checkBatchPath } from '../../core/tree/batch-tree.ts';
import { leafHash } from '../../core/tree/hash.ts';
import { checkInclusion } from '../../core/tree/proof.ts';
import { attestedNote, isOutOfUse, NOTE_FINDINGS } from '../attestation.ts';
import { Findings } from '../findings.ts';
import { errorText } from '../governance.ts';
import { proveSeal } from '../seal-proof.ts';
import { contradictions, isEventOfLink, type ProofParts, readProof } from './proof-parts.ts';
import { isForeign, noteKeys, type ProofTrust, trustOf } from './proof-trust.ts';
import { judgeProof, type ProofDemands, type ProofVerdict } from './proof-verdict.ts';
import { checkWitnesses } from './proof-witnesses.ts';

/** A proof while it is checked. */
interface Checking {
  readonly parts: ProofParts;
  readonly trust: ProofTrust;
  readonly findings: Findings;
}

/**
 * Checks one `.tlog-proof` file (docs/formats.md §4) by the pinned keys alone: keys that the file brings never make a property OK.
 * Every byte of it may be hostile: what is wrong is a finding, never an exception.
 */
export function checkProof(bytes: Uint8Array, demands: ProofDemands): ProofVerdict {
  const findings = new Findings();
  let parts: ProofParts;
  try {
    parts = readProof(bytes);
  } catch (error) {
    findings.add('PROOF_MALFORMED', errorText(error), {});
    return judgeProof({ parts: undefined, trust: undefined, witnesses: undefined, findings }, demands);
  }
  for (const sentence of contradictions(parts)) findings.add('PROOF_CONTRADICTS', sentence, placeOf(parts));
  const trust = trustOf(parts, demands.keys, findings);
  const checking: Checking = { parts, trust, findings };
  checkDemands(checking, demands);
  checkEvent(checking);
  checkNote(checking);
  checkTree(checking);
  checkSigned(checking);
  checkPolicy(checking);
  const witnesses = checkWitnesses(parts, trust, demands.witnesses ?? [], findings);
  return judgeProof({ ...checking, witnesses }, demands);
}

function placeOf({ shard, index, link }: ProofParts): { readonly shard: number; readonly leaf: number; readonly stream: string } {
  return { shard, leaf: index, stream: link.stream };
}

function checkDemands({ parts, trust, findings }: Checking, { keys, origin, genesis, data }: ProofDemands): void {
  if (isForeign(trust, keys)) findings.add('KEY_FOREIGN', 'none of the pinned keys has a part in this proof', {});
  if (origin !== undefined && origin !== parts.origin)
    findings.add('ORIGIN_FOREIGN', `the proof is of ${parts.origin}, not of ${origin}`, {});
  if (data !== undefined && dataOf(parts.event, data).length === 0)
    findings.add('FILE_FOREIGN', 'no input or output of the event has the digest of the file in hand', placeOf(parts));
  const first = trust.history?.versions[0]?.hex;
  if (genesis === undefined || genesis === first) return;
  const own = first === undefined ? 'the proof holds no policy' : `the first version of the policy has the digest ${first}`;
  findings.add('GENESIS_FOREIGN', `${own}, and ${genesis} is demanded`, {});
}

/** The event is the one that the link names, under the link's stream. */
function checkEvent({ parts, findings }: Checking): void {
  if (!isEventOfLink(parts)) findings.add('EVENT_DIGEST', 'the event in the proof is not the event that was linked', placeOf(parts));
  if (parts.event.stream !== parts.link.stream)
    findings.add('EVENT_STREAM', `the event belongs to the stream ${JSON.stringify(parts.event.stream)}`, placeOf(parts));
}

/** The note is signed by a log key that was in use; with no such key known, its signature cannot be checked. */
function checkNote({ parts, trust, findings }: Checking): void {
  const keys = noteKeys(trust, parts.shard);
  if (keys.length === 0) return;
  const { faults, signers } = attestedNote(utf8(parts.note), parts.checkpoint.origin, parts.shard, keys);
  for (const { code, message } of faults) findings.add(NOTE_FINDINGS[code], `the note cannot be used: ${message}`, placeOf(parts));
  if (isOutOfUse(signers, trust.policy)) {
    const message = 'the only log key that signed the note was RETIRED already in the policy of the event';
    findings.add('KEY_RETIRED', message, placeOf(parts));
  }
}

/** Link and seal are leaves of the tree that the note states. */
function checkTree({ parts, findings }: Checking): void {
  const { proof, index, path, checkpoint } = parts;
  const { size, root } = checkpoint;
  if (!checkInclusion(path, size, index, leafHash(proof.leaf), root))
    findings.add('PROOF_PATH', `leaf ${index} of the tree of ${size} leaves is not this link`, placeOf(parts));
  const { seal } = proof;
  if (seal !== null && !checkInclusion(seal.path, size, seal.index, leafHash(seal.leaf), root))
    findings.add('PROOF_PATH', `leaf ${seal.index} of the tree of ${size} leaves is not this seal`, {
      shard: parts.shard,
      leaf: seal.index,
    });
}

/** The event is in the batch whose header the producer's key signed, and the chainer's key signed the seal. */
function checkSigned({ parts, trust, findings }: Checking): void {
  const { proof, header, link, producerKey } = parts;
  if (!checkBatchPath(proof.path, header.count, link.position, link.event, header.root))
    findings.add('BATCH_ROOT', 'the path does not lead from the event to the root that the producer signed', placeOf(parts));
  if (!verifySignature(importKey(producerKey), preAuthentication('batch', proof.header), proof.signature))
    findings.add('BATCH_UNACCEPTABLE', 'the signature over the batch is wrong', placeOf(parts), { property: 'SIGNATURES' });
  checkChainer(parts, trust, findings);
  const now = trust.history?.latest.producer(header.producer, proof.keyId)?.entry;
  if (now !== undefined && parts.index >= believedUntil(now, parts.shard))
    findings.add('SUSPECT', `the batch is signed by ${header.producer} after the size up to which its key is believed`, placeOf(parts));
}

function checkChainer({ seal, proof, shard }: ProofParts, { policy, history }: ProofTrust, findings: Findings): void {
  if (seal === null || proof.seal === null || policy === undefined || history === undefined) return;
  for (const found of proveSeal({ ...proof.seal, shard, seal, bytes: proof.seal.leaf }, policy, history.latest)) findings.take(found);
}

/** The version that the seal names allowed the batch and the event. */
function checkPolicy({ parts, trust, findings }: Checking): void {
  const { seal, proof } = parts;
  if (seal === null || trust.history === undefined) return;
  const { policy } = trust;
  if (policy === undefined) {
    findings.add('POLICY_MISSING', 'the seal names a policy that the proof does not hold', placeOf(parts));
    return;
  }
  const rules = rulesOf(parts, policy);
  const checked = checkHeader(proof, rules);
  if (checked.kind === 'rejected') refuse(parts, checked.reason, 'the batch', findings);
  if (checked.kind === 'proven') checkPermission(parts, checked.proven, rules, findings);
}

function rulesOf({ origin, shard, schema }: ProofParts, policy: PolicyInForce): BatchRules {
  return { origin, shard, shards: policy.policy.shards, policy, eventSchema: (hex) => (hex === schema.hex ? schema : undefined) };
}

function checkPermission(parts: ProofParts, proven: ProvenHeader, rules: BatchRules, findings: Findings): void {
  const { reason } = judgeEvent(parts.proof.event, parts.link.event, proven, rules);
  if (reason !== REASONS.NONE) refuse(parts, reason, 'the event', findings);
}

function refuse(parts: ProofParts, reason: Reason, what: string, findings: Findings): void {
  const name = reasonName(reason) as ReasonName;
  const property = REASON_TRAITS[name].breaks === 'POLICY' ? 'POLICY' : 'SIGNATURES';
  findings.add('BATCH_UNACCEPTABLE', `${what} had to be rejected: ${name}`, placeOf(parts), { property });
}
