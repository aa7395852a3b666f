import type { HeaderCheck, ProvenHeader } from '../core/acceptance/batch-check.ts';
import { equal } from '../core/base/bytes.ts';
import { type BatchHeader, decodeBatchHeader } from '../core/formats/batch.ts';
import type { EvidenceInput, Receipt } from '../core/formats/evidence.ts';
import type { PolicyInForce } from '../core/policy/policy-history.ts';
import { batchRoot } from '../core/tree/batch-tree.ts';
import type { Audit } from './audit.ts';
import type { AuditedBlock } from './audited-block.ts';
import { finding } from './findings.ts';
import type { Finding } from './verdict.ts';

/** The inputs that judge a block: the audit without the place where it reports. */
export type ProofContext = Pick<Audit, 'origin' | 'shard' | 'shards' | 'governance'>;

/** A block while it is proven. */
export interface BlockInProof {
  readonly block: AuditedBlock;
  readonly context: ProofContext;
  readonly policy: PolicyInForce;
  readonly findings: Finding[];
}

/** An ACCEPTED batch, with the digests of its links and receipts put back into their positions. */
export interface ProvenBatch {
  readonly header: BatchHeader;
  /** Input offset. */
  readonly offset: number;
  /** Undefined where the header had to be rejected, or its schema is missing. */
  readonly proven: ProvenHeader | undefined;
  readonly receipts: readonly Receipt[];
  readonly digests: (Uint8Array | undefined)[];
  /** Microseconds. */
  readonly appendedAt: number;
  /** Position in the block of the batch's first link; -1 where it has none. */
  firstLink: number;
}

/** The batch of an ACCEPTED input, with its receipts in their positions; undefined where its header cannot be read. */
export function openBatch(proof: BlockInProof, input: EvidenceInput, check: HeaderCheck, offset: number): ProvenBatch | undefined {
  const proven = check.kind === 'proven' ? check.proven : undefined;
  const header = proven?.header ?? headerOf(input);
  if (header === undefined) return undefined;
  const digests = new Array<Uint8Array | undefined>(header.count).fill(undefined);
  const batch: ProvenBatch = { header, offset, proven, receipts: input.receipts, digests, appendedAt: input.appendedAt, firstLink: -1 };
  for (const receipt of input.receipts) placeDigest(proof, batch, receipt.position, receipt.digest);
  return batch;
}

/** The header of an input's batch; undefined where there is none, or it cannot be read. */
export function headerOf({ batch }: EvidenceInput): BatchHeader | undefined {
  try {
    return batch === null ? undefined : decodeBatchHeader(batch.header);
  } catch {
    return undefined;
  }
}

/** Puts the digest of a link or receipt into its position in the batch. */
export function placeDigest(
  { context, findings }: BlockInProof,
  { digests, offset }: ProvenBatch,
  position: number,
  digest: Uint8Array,
): void {
  if (position < digests.length && digests[position] === undefined) digests[position] = digest;
  else {
    const message = `position ${position} of the batch is taken twice or does not exist`;
    findings.push(finding('POSITION', message, { shard: context.shard, offset }));
  }
}

/** Checks that every position of the batch is taken, and that the digests give the root that its producer signed. */
export function proveRoot({ context, findings }: BlockInProof, { header, offset, digests }: ProvenBatch): void {
  const place = { shard: context.shard, offset };
  const known = digests.filter((digest) => digest !== undefined);
  if (known.length !== header.count) {
    const message = `${header.count - known.length} events of the batch have neither a link nor a receipt`;
    findings.push(finding('EVENTS_MISSING', message, place));
  } else if (!equal(batchRoot(known), header.root))
    findings.push(finding('BATCH_ROOT', 'the links and receipts do not give the root that the producer signed', place));
}
