import type { AcceptedBlock } from '../core/acceptance/accept.ts';
import { laneKey } from '../core/acceptance/log-state.ts';
import { boundedSum, type Manifest, perProducerOf, type TimeRange } from '../core/archive/manifest.ts';
import { toHex } from '../core/base/bytes.ts';
import type { EvidenceInput } from '../core/formats/evidence.ts';

/** The counts of a manifest about a segment's leaves and evidence, gathered block by block. */
export class SegmentCounts {
  readonly #counts = { links: 0, seals: 0, duplicates: 0, conflicts: 0, repeated: 0, rejected: 0, empty: 0 };
  readonly #perProducer = new Map<string, number>();
  /** The highest `sampledOut` in an ACCEPTED header of each lane. */
  readonly #sampledOut = new Map<string, number>();
  readonly #policies = new Set<string>();
  readonly #offsets: { generation: number; from: number; to: number }[] = [];
  #occurred: TimeRange | null = null;
  #accepted: TimeRange | null = null;

  add({ seal, links, heads, headers, inputs }: AcceptedBlock): void {
    this.#counts.seals += 1;
    this.#counts.links += links.length;
    this.#policies.add(toHex(seal.policy));
    this.#accepted = wider(this.#accepted, seal.acceptedAt);
    for (const { occurredAt } of heads) this.#occurred = wider(this.#occurred, occurredAt);
    for (const { inputOffset } of links) {
      const producer = headers.get(inputOffset)?.producer ?? '';
      this.#perProducer.set(producer, (this.#perProducer.get(producer) ?? 0) + 1);
    }
    for (const { producer, epoch, sampledOut } of headers.values()) {
      const lane = laneKey(producer, epoch);
      this.#sampledOut.set(lane, Math.max(this.#sampledOut.get(lane) ?? 0, sampledOut));
    }
    for (const input of inputs) this.#addInput(input);
    this.#addOffsets(seal.inputGeneration, seal.inputFrom, seal.inputTo);
  }

  #addInput({ outcome, span, receipts }: EvidenceInput): void {
    if (outcome === 'REPEATED') this.#counts.repeated += 1;
    if (outcome === 'REJECTED') this.#counts.rejected += span;
    if (outcome === 'EMPTY') this.#counts.empty += span;
    for (const receipt of receipts) {
      if (receipt.outcome === 'DUPLICATE') this.#counts.duplicates += 1;
      else if (receipt.outcome === 'CONFLICT') this.#counts.conflicts += 1;
      else this.#counts.rejected += 1;
    }
  }

  #addOffsets(generation: number, from: number, to: number): void {
    const last = this.#offsets.at(-1);
    if (last?.generation === generation) last.to = to;
    else this.#offsets.push({ generation, from, to });
  }

  summary(): Pick<Manifest, 'counts' | 'occurred' | 'accepted' | 'policies' | 'offsets'> {
    const sampledOut = boundedSum(this.#sampledOut.values());
    return {
      counts: { ...this.#counts, sampledOut, perProducer: perProducerOf(this.#perProducer) },
      occurred: this.#occurred,
      accepted: this.#accepted ?? { from: 0, to: 0 },
      policies: [...this.#policies].toSorted(),
      offsets: this.#offsets,
    };
  }
}

function wider(range: TimeRange | null, time: number): TimeRange {
  return range === null ? { from: time, to: time } : { from: Math.min(range.from, time), to: Math.max(range.to, time) };
}
