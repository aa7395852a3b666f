import { sha256 } from '#crypto';
import { type BatchRules, checkHeader, type HeaderCheck } from '../core/acceptance/batch-check.ts';
import { equal } from '../core/base/bytes.ts';
import type { EventHead } from '../core/formats/event-schema.ts';
import { decodeEvidence, type EvidenceInput } from '../core/formats/evidence.ts';
import type { PolicyInForce } from '../core/policy/policy-history.ts';
import type { AuditedBlock, AuditedLink } from './audited-block.ts';
import { finding } from './findings.ts';
import { proveLinks } from './link-proof.ts';
import { type BlockInProof, openBatch, type ProofContext, type ProvenBatch, proveRoot } from './proven-batch.ts';
import { proveRefused, type RefusedStreams } from './refused-proof.ts';
import { proveSeal } from './seal-proof.ts';
import type { Finding } from './verdict.ts';

/** The facts that the block's evidence proves by itself. */
export interface ProvenEvidence {
  readonly inputs: readonly EvidenceInput[];
  /** The check of each input's header; undefined where an input has none. */
  readonly checks: readonly (HeaderCheck | undefined)[];
  /** ACCEPTED batches whose header can be read, by input offset. */
  readonly batches: ReadonlyMap<number, ProvenBatch>;
  /** Leading fields of each link's event; undefined where the event is missing or wrong. */
  readonly heads: readonly (EventHead | undefined)[];
  /** Links whose event is not in the archive. */
  readonly unknown: readonly AuditedLink[];
  /** Links whose event retention removed. */
  readonly retired: number;
  readonly refusedStreams: RefusedStreams;
}

/** The facts that a block proves without the blocks before it. */
export interface BlockProof {
  readonly findings: readonly Finding[];
  /** Undefined where the evidence is missing or cannot be read. */
  readonly evidence: ProvenEvidence | undefined;
}

/**
 * Checks of a block all that needs no other block: signatures, digests and roots, which take most of an audit's time. A pure function of its arguments,
 * so that blocks can be proven in any order and on other threads. `policy` is the one that its seal names.
 */
export function proveBlock(block: AuditedBlock, context: ProofContext, policy: PolicyInForce): BlockProof {
  const findings = chainerFindings(block, context, policy);
  const inputs = readInputs(block, context, findings);
  return { findings, evidence: inputs === undefined ? undefined : proveEvidence({ block, context, policy, findings }, inputs) };
}

function chainerFindings({ evidence, seal, sealBytes, sealLeaf }: AuditedBlock, context: ProofContext, policy: PolicyInForce): Finding[] {
  if (evidence === undefined) return [];
  const { shard, governance } = context;
  return proveSeal({ ...evidence, shard, index: sealLeaf, seal, bytes: sealBytes }, policy, governance.history.latest);
}

/** The inputs of the block's evidence; undefined if it is missing, is not the evidence that the seal names, or cannot be read. */
function readInputs(
  { evidence, seal, sealLeaf, objects }: AuditedBlock,
  { shard }: ProofContext,
  findings: Finding[],
): readonly EvidenceInput[] | undefined {
  if (evidence === undefined) return undefined;
  const place = { shard, leaf: sealLeaf, object: objects.evidence };
  if (!equal(sha256(evidence.evidence), seal.evidence)) {
    findings.push(finding('EVIDENCE_DIGEST', 'the evidence does not have the digest that the seal states', place));
    return undefined;
  }
  try {
    return decodeEvidence(evidence.evidence);
  } catch {
    findings.push(finding('EVIDENCE_FORMAT', 'the evidence cannot be read', place));
    return undefined;
  }
}

function proveEvidence(proof: BlockInProof, inputs: readonly EvidenceInput[]): ProvenEvidence {
  const { block, context, policy } = proof;
  const { origin, shard, shards, governance } = context;
  const rules: BatchRules = { origin, shard, shards, policy, eventSchema: (hex) => governance.schemas.get(hex) };
  const batches = new Map<number, ProvenBatch>();
  const checks: (HeaderCheck | undefined)[] = [];
  let offset = block.seal.inputFrom;
  for (const input of inputs) {
    const check = input.batch === null ? undefined : checkHeader(input.batch, rules);
    checks.push(check);
    const batch = input.outcome === 'ACCEPTED' && check !== undefined ? openBatch(proof, input, check, offset) : undefined;
    if (batch !== undefined) batches.set(offset, batch);
    offset += input.span;
  }
  const links = proveLinks(proof, batches, rules);
  const refusedStreams = proveRefused(proof, batches, rules);
  for (const batch of batches.values()) proveRoot(proof, batch);
  return { inputs, checks, batches, refusedStreams, ...links };
}
