import { type BatchRules, judgeEvent } from '../core/acceptance/batch-check.ts';
import { equal, toHex } from '../core/base/bytes.ts';
import { REASON_TRAITS, REASONS, reasonName } from '../core/base/reasons.ts';
import { isEventDigest } from '../core/formats/event.ts';
import type { EventHead } from '../core/formats/event-schema.ts';
import type { Link } from '../core/formats/leaf.ts';
import type { AuditedLink, AuditedRow } from './audited-block.ts';
import { finding } from './findings.ts';
import { type BlockInProof, type ProvenBatch, placeDigest } from './proven-batch.ts';
import type { Place } from './verdict.ts';

/** The facts that the links of a block prove. */
export interface ProvenLinks {
  /** Leading fields of each link's event; undefined where the event is missing or wrong. */
  readonly heads: readonly (EventHead | undefined)[];
  /** Links whose event is not in the archive. */
  readonly unknown: readonly AuditedLink[];
  /** Number of links whose event retention removed. */
  readonly retired: number;
}

/** Checks each link against its batch and its archived event, and puts its digest into its position in the batch. */
export function proveLinks(proof: BlockInProof, batches: ReadonlyMap<number, ProvenBatch>, rules: BatchRules): ProvenLinks {
  const links = new LinkProof(proof, rules);
  links.run(batches);
  return links;
}

/** The links of one block while they are proven. */
class LinkProof implements ProvenLinks {
  readonly #proof: BlockInProof;
  readonly #rules: BatchRules;
  readonly heads: (EventHead | undefined)[] = [];
  readonly unknown: AuditedLink[] = [];
  retired = 0;
  /** The schema of the link before: most links of a block have the same. */
  #latestSchema: { readonly digest: Uint8Array; readonly hex: string } | undefined;

  constructor(proof: BlockInProof, rules: BatchRules) {
    this.#proof = proof;
    this.#rules = rules;
  }

  run(batches: ReadonlyMap<number, ProvenBatch>): void {
    let before: Link | undefined;
    for (const audited of this.#proof.block.links) {
      const { link } = audited;
      const batch = batches.get(link.inputOffset);
      if (batch === undefined) {
        const message = `the link names input offset ${link.inputOffset}, where no batch was accepted`;
        this.#proof.findings.push(finding('LINK_WITHOUT_BATCH', message, this.#placeOf(audited)));
        this.heads.push(undefined);
        continue;
      }
      this.#checkLink(audited, batch, before);
      // One head was pushed for each link before.
      if (batch.firstLink < 0) batch.firstLink = this.heads.length;
      before = link;
      placeDigest(this.#proof, batch, link.position, link.event);
      this.heads.push(this.#headOf(audited, batch));
    }
  }

  #placeOf({ link, leaf }: AuditedLink): Place {
    return { shard: this.#proof.context.shard, leaf, stream: link.stream };
  }

  #checkLink(audited: AuditedLink, batch: ProvenBatch, before: Link | undefined): void {
    const { findings } = this.#proof;
    const { link } = audited;
    if (before !== undefined && !follows(link, before))
      findings.push(finding('LINK_ORDER', 'the link is not in the order of the input', this.#placeOf(audited)));
    // The marks of a batch's first link depend on its lane: the link audit checks them.
    if (link.marks !== 0 && batch.firstLink >= 0)
      findings.push(finding('MARKS_WRONG', `the link is marked ${link.marks}`, this.#placeOf(audited)));
    if (!equal(link.schema, batch.header.schema))
      findings.push(finding('LINK_SCHEMA', 'the link names another schema than its batch', this.#placeOf(audited)));
  }

  /** The leading fields of the link's event, where the archive has the event and the schema of the batch is known. */
  #headOf(audited: AuditedLink, batch: ProvenBatch): EventHead | undefined {
    const { block } = this.#proof;
    const row = block.rows.get(audited.leaf);
    if (row === undefined) {
      this.unknown.push(audited);
      const schema = this.#schemaHex(audited.link.schema);
      if (block.retired.has(schema)) this.retired += 1;
      else if (block.whole) this.#report('EVENT_MISSING', 'the events file has no record of this leaf', audited);
      return undefined;
    }
    if (row.schema !== this.#schemaHex(audited.link.schema) || !isRowOf(audited, row, batch))
      this.#report('COLUMN_WRONG', 'a column of the archived event is not what the log gives', audited);
    if (row.event === null) {
      this.unknown.push(audited);
      this.#report('EVENT_REMOVED', 'the content was removed, and no record in the archive allows that', audited);
      return undefined;
    }
    return this.#judge(row.event, audited, batch);
  }

  #judge(event: Uint8Array, audited: AuditedLink, { proven }: ProvenBatch): EventHead | undefined {
    const { link } = audited;
    if (!isEventDigest(link.event, link.schema, event)) {
      this.#report('EVENT_DIGEST', 'the archived event is not the event that was linked', audited);
      return undefined;
    }
    if (proven === undefined) return undefined;
    const { head, reason } = judgeEvent(event, link.event, proven, this.#rules);
    const name = reason === REASONS.NONE ? undefined : reasonName(reason);
    if (name !== undefined) {
      const property = REASON_TRAITS[name].breaks;
      const message = `the event had to be rejected: ${name}`;
      this.#proof.findings.push(finding('EVENT_UNACCEPTABLE', message, this.#rowPlace(audited), { property }));
    }
    if (head !== undefined && head.stream !== link.stream)
      this.#report('EVENT_STREAM', `the event belongs to the stream ${JSON.stringify(head.stream)}`, audited);
    return head;
  }

  #report(
    code: 'EVENT_MISSING' | 'COLUMN_WRONG' | 'EVENT_REMOVED' | 'EVENT_DIGEST' | 'EVENT_STREAM',
    message: string,
    audited: AuditedLink,
  ): void {
    this.#proof.findings.push(finding(code, message, this.#rowPlace(audited)));
  }

  #rowPlace(audited: AuditedLink): Place {
    return { ...this.#placeOf(audited), object: this.#proof.block.objects.events(this.#schemaHex(audited.link.schema)) };
  }

  #schemaHex(schema: Uint8Array): string {
    if (this.#latestSchema === undefined || !equal(this.#latestSchema.digest, schema))
      this.#latestSchema = { digest: schema, hex: toHex(schema) };
    return this.#latestSchema.hex;
  }
}

function follows(link: Link, before: Link): boolean {
  return before.inputOffset < link.inputOffset || (before.inputOffset === link.inputOffset && before.position < link.position);
}

/** Whether the columns of a row agree with the link and its batch. */
function isRowOf({ link, hash }: AuditedLink, { columns }: AuditedRow, { header }: ProvenBatch): boolean {
  return (
    columns.streamIndex === link.index &&
    columns.acceptedAt === link.acceptedAt &&
    columns.producer === header.producer &&
    equal(columns.epoch, header.epoch) &&
    columns.seq === header.firstSeq + link.position &&
    columns.inputOffset === link.inputOffset &&
    columns.position === link.position &&
    columns.marks === link.marks &&
    equal(columns.leafHash, hash)
  );
}
