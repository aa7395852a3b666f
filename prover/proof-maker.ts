import { utf8 } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { LIMITS } from '../core/base/limits.ts';
import { decodeBatchHeader } from '../core/formats/batch.ts';
import { encodeEventProof } from '../core/formats/event-proof.ts';
import type { Link } from '../core/formats/leaf.ts';
import { formatTlogProof } from '../core/formats/tlog-proof.ts';
import type { PolicyInForce } from '../core/policy/policy-history.ts';
import { proveBatchPath } from '../core/tree/build/batch-path.ts';
import { proveInclusion, type ReadHash } from '../core/tree/build/proof.ts';
import { type FoundBlock, findBatch, type StoredLeaf } from './block-lookup.ts';

/** What all proofs over one note share. */
export interface NotedTree {
  readonly note: string;
  /** Leaves that the note covers. */
  readonly size: number;
  readonly readHash: ReadHash;
  /** Envelopes of the policy's versions from 1 on. */
  readonly policies: readonly Uint8Array[];
  /** The newest of them. */
  readonly policy: PolicyInForce;
}

/** An event that is to be proven, with the block that links it. */
export interface LinkedEvent {
  readonly index: number;
  readonly link: StoredLeaf<Link>;
  readonly block: FoundBlock;
  readonly event: Uint8Array;
  /** Canonical text of the event's schema. */
  readonly schema: string;
}

/** The `.tlog-proof` file of an event. Throws NOT_FOUND, a format's error or LIMIT_EXCEEDED where the parts do not give it. */
export async function makeProof(tree: NotedTree, { index, link, block, event, schema }: LinkedEvent): Promise<string> {
  const { size, readHash, policies, note } = tree;
  const { batch, digests } = findBatch(block, link.leaf);
  const extra = encodeEventProof({
    leaf: link.bytes,
    schema,
    event,
    ...batch,
    path: proveBatchPath(digests, link.leaf.position),
    producerKey: producerKeyOf(tree.policy, batch),
    seal: {
      index: block.sealIndex,
      leaf: block.seal.bytes,
      path: await proveInclusion(size, block.sealIndex, readHash),
      keyId: block.keyId,
      signature: block.signature,
    },
    policies,
  });
  const text = formatTlogProof({ extra, index, path: await proveInclusion(size, index, readHash), checkpoint: note });
  if (utf8(text).length > LIMITS.proofBytes)
    throw new LineproofError(
      'LIMIT_EXCEEDED',
      `cannot prove leaf ${index}: with all versions of the policy, the file would have more than ${LIMITS.proofBytes} bytes`,
    );
  return text;
}

function producerKeyOf(policy: PolicyInForce, { header, keyId }: { readonly header: Uint8Array; readonly keyId: Uint8Array }): string {
  const { producer } = decodeBatchHeader(header);
  const found = policy.producer(producer, keyId);
  if (found === undefined)
    throw new LineproofError('NOT_FOUND', `cannot prove an event: the policy lists no key of ${producer} that signed it`);
  return found.verifier.text;
}
