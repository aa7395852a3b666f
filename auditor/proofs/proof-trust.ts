import { equal } from '../../core/base/bytes.ts';
import type { VerifierKey } from '../../core/keys/key.ts';
import { importKey } from '../../core/keys/signature.ts';
import { extendPolicies, type KeyInForce, type PolicyHistory, type PolicyInForce } from '../../core/policy/policy-history.ts';
import type { Findings } from '../findings.ts';
import { errorText, pinnedRoot } from '../governance.ts';
import type { ProofParts } from './proof-parts.ts';

/** What the reader's own keys prove of a proof. Keys that came with the file are claims, whatever they say of each other. */
export interface ProofTrust {
  /** The versions of the policy in the file, as far as they follow from each other; undefined where it holds none. */
  readonly history: PolicyHistory | undefined;
  /** The pinned root key that signed one of these versions, and so proves all of them. */
  readonly root: VerifierKey | undefined;
  /** Pinned keys that are log keys of the proof's log. */
  readonly logs: readonly VerifierKey[];
  /** The pinned key that is the producer's. */
  readonly producer: VerifierKey | undefined;
  /** The version that the seal names; undefined without a seal, or where the file does not hold it. */
  readonly policy: PolicyInForce | undefined;
}

/** Opens the policies of a proof, and finds what the pinned keys prove. */
export function trustOf(parts: ProofParts, pinned: readonly VerifierKey[], findings: Findings): ProofTrust {
  const { proof, seal, checkpoint, producerKey } = parts;
  const history = openHistory(parts, findings);
  const stored = (history?.versions ?? []).map(({ policy }, i) => ({ policy, bytes: proof.policies[i] as Uint8Array }));
  return {
    history,
    root: pinnedRoot(stored, pinned),
    logs: pinned.filter(({ name }) => name === checkpoint.origin),
    producer: pinned.find(({ text }) => text === producerKey.text),
    policy: seal === null ? undefined : history?.versions.find(({ digest }) => equal(digest, seal.policy)),
  };
}

/** The versions that follow from each other, from 1 on. The first that does not is a finding, and later ones are not used. */
function openHistory({ proof, origin, shard }: ProofParts, findings: Findings): PolicyHistory | undefined {
  let history: PolicyHistory | undefined;
  for (const bytes of proof.policies) {
    try {
      const next = extendPolicies(history, bytes);
      const { origin: own, shards } = next.latest.policy;
      if (own !== origin || shard >= shards) throw new Error(`it is of ${own}, whose shards are 0 to ${shards - 1}`);
      history = next;
    } catch (error) {
      findings.add('POLICY_CHAIN', `version ${(history?.versions.length ?? 0) + 1} of the policy cannot be used: ${errorText(error)}`, {});
      break;
    }
  }
  return history;
}

/** The keys whose signature of the note counts: all of the proven policy's; else the pinned ones; else the file's own, which prove nothing. */
export function noteKeys({ history, root, logs }: ProofTrust, shard: number): readonly KeyInForce[] {
  const listed = history?.latest.logs(shard) ?? [];
  if (root !== undefined || logs.length === 0) return listed;
  return logs.map((key) => listed.find(({ verifier }) => verifier.text === key.text) ?? unlisted(key));
}

/** A pinned log key that no policy lists: nothing is known against it. */
function unlisted(verifier: VerifierKey): KeyInForce {
  const entry = { key: verifier.text, status: 'ACTIVE', believed: null } as const;
  return { entry, verifier, id: verifier.id, key: importKey(verifier), active: true };
}

/** Whether any pinned key has a part in the proof. */
export function isForeign({ root, logs, producer }: ProofTrust, pinned: readonly VerifierKey[]): boolean {
  return pinned.length > 0 && root === undefined && logs.length === 0 && producer === undefined;
}
