import type { ArchivedColumns } from '../core/formats/archived-event.ts';
import type { BlockEvidence } from '../core/formats/block-evidence.ts';
import type { Link, Seal } from '../core/formats/leaf.ts';

/** A link with its leaf hash and tree index. */
export interface AuditedLink {
  readonly link: Link;
  readonly hash: Uint8Array;
  readonly leaf: number;
}

/** The archived row of a link; `event` is null where the content was removed. */
export interface AuditedRow {
  /** Hex digest of the schema of the row's file. */
  readonly schema: string;
  readonly columns: ArchivedColumns;
  readonly event: Uint8Array | null;
}

/** One block, put together from leaves, evidence and events. Evidence and rows are missing where no segment holds them yet. */
export interface AuditedBlock {
  readonly links: readonly AuditedLink[];
  readonly seal: Seal;
  readonly sealBytes: Uint8Array;
  readonly sealHash: Uint8Array;
  readonly sealLeaf: number;
  /** Root of the leaves before the seal, as the auditor computed it. */
  readonly rootBefore: Uint8Array;
  readonly evidence: BlockEvidence | undefined;
  readonly rows: ReadonlyMap<number, AuditedRow>;
  /** Events of the block's REJECTED and CONFLICT receipts; undefined where retention removed them or their file cannot be read. */
  readonly refused: readonly Uint8Array[] | undefined;
  /** False where missing evidence and rows were reported already. */
  readonly whole: boolean;
  /** Hex digests of the schemas whose events retention removed. */
  readonly retired: ReadonlySet<string>;
  /** Keys of the evidence object, of the refused events, and of the events object by schema, for findings. */
  readonly objects: { readonly evidence: string; readonly refused: string; events(schemaHex: string): string };
}
