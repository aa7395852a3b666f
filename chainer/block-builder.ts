import { sha256 } from '#crypto';
import { type AcceptContext, type AcceptedBlock, accept } from '../core/acceptance/accept.ts';
import type { LogView } from '../core/acceptance/log-state.ts';
import { frame } from '../core/avro/framing.ts';
import { LineproofError } from '../core/base/errors.ts';
import { encodeBlock } from '../core/formats/block.ts';
import { encodeEvidence } from '../core/formats/evidence.ts';
import { encodeSeal } from '../core/formats/leaf.ts';
import { preAuthentication } from '../core/keys/dsse.ts';
import type { PolicyInForce } from '../core/policy/policy-history.ts';
import type { Signer } from '../core/ports/signer.ts';
import { extendFrontier, frontierRoot } from '../core/tree/frontier.ts';
import type { Ordered } from './order.ts';

export interface SealRules {
  readonly policy: PolicyInForce;
  readonly inputGeneration: number;
  readonly inputFrom: number;
  readonly acceptedAt: number;
  readonly final: boolean;
}

/** The inputs that all blocks of a shard share. */
export interface BuildContext {
  /** The chainer's key. */
  readonly signer: Signer;
  /** Registry id of the Block schema. */
  readonly schemaId: number;
  /** The policies and schemas that the acceptance function may use. */
  readonly context: AcceptContext;
}

export interface BuiltBlock {
  /** The framed Kafka value. */
  readonly value: Uint8Array;
  readonly accepted: AcceptedBlock;
}

/**
 * Seals and signs ordered content as the block that follows `view`, and checks it by the acceptance function before anybody else sees it.
 * Throws BLOCK_REFUSED if that function refuses it. This is a bug, on which the chainer stops.
 */
export async function buildBlock(
  view: LogView,
  ordered: Ordered,
  rules: SealRules,
  { signer, schemaId, context }: BuildContext,
): Promise<BuiltBlock> {
  const { head } = view;
  const evidence = encodeEvidence(ordered.inputs);
  const seal = encodeSeal({
    kind: 'seal',
    origin: `${head.origin}/${head.shard}`,
    firstIndex: head.size,
    links: ordered.links.length,
    root: frontierRoot(extendFrontier(head.frontier, ordered.hashes)),
    previous: head.seal,
    inputGeneration: rules.inputGeneration,
    inputFrom: rules.inputFrom,
    inputTo: ordered.inputs.reduce((offset, { span }) => offset + span, rules.inputFrom),
    evidence: sha256(evidence),
    policy: rules.policy.digest,
    acceptedAt: rules.acceptedAt,
    chainer: signer.name,
    final: rules.final,
  });
  const signature = await signer.sign(preAuthentication('block', seal));
  const block = encodeBlock({
    seal,
    keyId: signer.keyId,
    signature,
    links: ordered.links,
    events: ordered.events,
    refused: ordered.refused,
    evidence,
  });
  const value = frame(schemaId, block);
  const verdict = accept(view, value, context);
  if (verdict.kind === 'accepted') return { value, accepted: verdict };
  const rule = verdict.kind === 'wait' ? verdict.missing : verdict.rule;
  throw new LineproofError(
    'BLOCK_REFUSED',
    `cannot append the block at index ${head.size} of shard ${head.shard}: the acceptance function refuses it (${rule})`,
    { shard: head.shard, size: head.size, rule },
  );
}
