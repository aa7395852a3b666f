import { boundedSum, type Manifest, type ManifestCounts, perProducerOf, type TimeRange } from '../core/archive/manifest.ts';
import { equal, toHex } from '../core/base/bytes.ts';
import { canonicalJson } from '../core/base/jcs.ts';
import type { EvidenceInput } from '../core/formats/evidence.ts';
import type { Seal } from '../core/formats/leaf.ts';
import type { AuditedBlock } from './audited-block.ts';
import type { ProvenEvidence } from './block-proof.ts';
import type { Governance } from './governance.ts';

/** Derives a manifest from leaves and evidence, to be compared with the signed one. */
export class ManifestDraft {
  readonly #seals: Seal[] = [];
  readonly #counts = { links: 0, seals: 0, duplicates: 0, conflicts: 0, repeated: 0, rejected: 0, empty: 0 };
  readonly #perProducer = new Map<string, number>();
  readonly #sampled = new Map<string, number>();
  readonly #schemas = new Set<string>();
  #latestSchema: { readonly digest: Uint8Array; readonly hex: string } | undefined;
  #from = Number.MAX_SAFE_INTEGER;
  #to = Number.MIN_SAFE_INTEGER;

  add(block: AuditedBlock, { inputs, batches, heads }: ProvenEvidence, governance: Governance): void {
    this.#seals.push(block.seal);
    this.#counts.seals += 1;
    this.#counts.links += block.links.length;
    let at = 0;
    for (const { link, leaf } of block.links) {
      const producer = batches.get(link.inputOffset)?.header.producer;
      if (producer !== undefined) this.#perProducer.set(producer, (this.#perProducer.get(producer) ?? 0) + 1);
      const schema = this.#schemaHex(link.schema);
      const head = heads[at++];
      if (head !== undefined) this.#occurredAt(head.occurredAt);
      else this.#occurred(block.rows.get(leaf)?.event ?? null, schema, governance);
    }
    for (const { header } of batches.values()) {
      const { producer, epoch, sampledOut } = header;
      const lane = `${toHex(epoch)} ${producer}`;
      this.#sampled.set(lane, Math.max(this.#sampled.get(lane) ?? 0, sampledOut));
    }
    for (const input of inputs) this.#input(input);
  }

  #input(input: EvidenceInput): void {
    if (input.outcome === 'REPEATED') this.#counts.repeated += 1;
    else if (input.outcome === 'REJECTED') this.#counts.rejected += input.span;
    else if (input.outcome === 'EMPTY') this.#counts.empty += input.span;
    for (const { outcome } of input.receipts) {
      if (outcome === 'DUPLICATE') this.#counts.duplicates += 1;
      else if (outcome === 'CONFLICT') this.#counts.conflicts += 1;
      else this.#counts.rejected += 1;
    }
  }

  #occurred(event: Uint8Array | null, schemaHex: string, governance: Governance): void {
    const schema = governance.schemas.get(schemaHex);
    if (event === null || schema === undefined) return;
    try {
      this.#occurredAt(schema.readHead(event).occurredAt);
    } catch {
      // An event that cannot be read is a finding of its batch.
    }
  }

  #occurredAt(time: number): void {
    this.#from = Math.min(this.#from, time);
    this.#to = Math.max(this.#to, time);
  }

  /** Remembers a link's schema, and gives its hex digest. */
  #schemaHex(schema: Uint8Array): string {
    if (this.#latestSchema !== undefined && equal(this.#latestSchema.digest, schema)) return this.#latestSchema.hex;
    const hex = toHex(schema);
    this.#latestSchema = { digest: schema.slice(), hex };
    this.#schemas.add(hex);
    return hex;
  }

  /** A newer policy may have set the time back, so the last seal is not always the latest. */
  #acceptedRange(): TimeRange {
    let { acceptedAt: from, acceptedAt: to } = this.#seals[0] ?? { acceptedAt: 0 };
    for (const { acceptedAt } of this.#seals) {
      from = Math.min(from, acceptedAt);
      to = Math.max(to, acceptedAt);
    }
    return { from, to };
  }

  /** The fields in which the signed manifest differs from the log. */
  differences(signed: Manifest, root: Uint8Array, end: number): string[] {
    const derived: Partial<Manifest> = {
      end,
      root: toHex(root),
      counts: this.#allCounts(),
      occurred: this.#from <= this.#to ? { from: this.#from, to: this.#to } : null,
      accepted: this.#acceptedRange(),
      schemas: [...this.#schemas].toSorted(),
      policies: [...new Set(this.#seals.map(({ policy }) => toHex(policy)))].toSorted(),
      offsets: this.#offsets(),
    };
    return Object.entries(derived)
      .filter(([field, value]) => canonicalJson(value) !== canonicalJson(signed[field as keyof Manifest]))
      .map(([field]) => field);
  }

  #allCounts(): ManifestCounts {
    return {
      ...this.#counts,
      sampledOut: boundedSum(this.#sampled.values()),
      perProducer: perProducerOf(this.#perProducer),
    };
  }

  #offsets(): { generation: number; from: number; to: number }[] {
    const ranges: { generation: number; from: number; to: number }[] = [];
    for (const { inputGeneration, inputFrom, inputTo } of this.#seals) {
      const last = ranges.at(-1);
      if (last?.generation === inputGeneration) last.to = inputTo;
      else ranges.push({ generation: inputGeneration, from: inputFrom, to: inputTo });
    }
    return ranges;
  }
}
