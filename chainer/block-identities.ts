import { sha256 } from '#crypto';
import type { AcceptedBlock } from '../core/acceptance/accept.ts';
import type { LogHead } from '../core/acceptance/log-state.ts';
import { toHex } from '../core/base/bytes.ts';
import type { Block } from '../core/formats/block.ts';
import type { EventHead } from '../core/formats/event-schema.ts';
import { decodeEvidence, type EvidenceInput } from '../core/formats/evidence.ts';
import { dedupKeyOfEvent, dedupKeyOfHeader } from '../core/formats/identity.ts';
import { decodeLeaf, type Link, type Seal } from '../core/formats/leaf.ts';
import type { DedupEntry, Watermark } from '../core/ports/dedup-index.ts';
import { keyText } from './order.ts';

/** Length of a slot. The same under every policy, so that a slot's number keeps its meaning when the window changes. */
const SLOT_MICROS = 60_000_000;

/** The first slot that reaches into a window which starts at `windowStart`; all lower slots have left the window. */
export function firstSlot(windowStart: number): number {
  return Math.floor(windowStart / SLOT_MICROS);
}

/** The entries that one accepted block adds to the index. */
export interface BlockIdentities {
  /** The watermark once they are written. */
  readonly watermark: Watermark;
  readonly entries: readonly DedupEntry[];
  /** The same by key, for look-ups while they are not written yet. */
  readonly hits: ReadonlyMap<string, DedupEntry>;
}

/** The identities of a block: its linked events and its ACCEPTED headers. */
export function blockIdentities(block: Block, seal: Seal, chainOffset: number, sealHash: Uint8Array): BlockIdentities {
  const links = block.links.map(decodeLeaf).filter((leaf) => leaf.kind === 'link');
  const keys = links.map(({ stream }, i) => dedupKeyOfEvent(stream, (block.events[i] as Uint8Array).subarray(0, 16)));
  return identities({ seal, links, keys, inputs: decodeEvidence(block.evidence) }, chainOffset, sealHash);
}

/** The identities of a block that was just accepted, and so is decoded. `keys`, if given, are those of its links. */
export function acceptedIdentities(
  { seal, links, heads, inputs, delta }: AcceptedBlock,
  chainOffset: number,
  keys: readonly Uint8Array[] = links.map(({ stream }, i) => dedupKeyOfEvent(stream, (heads[i] as EventHead).id)),
): BlockIdentities {
  return identities({ seal, links, keys, inputs }, chainOffset, delta.head.seal);
}

/** The same identities, with the offset of the block, once it is known. */
export function identitiesAt({ watermark, entries, hits }: BlockIdentities, chainOffset: number): BlockIdentities {
  return { watermark: watermark.kind === 'at' ? { ...watermark, chainOffset } : watermark, entries, hits };
}

interface Identified {
  readonly seal: Seal;
  readonly links: readonly Link[];
  /** Of the links. */
  readonly keys: readonly Uint8Array[];
  readonly inputs: readonly EvidenceInput[];
}

function identities({ seal, links, keys, inputs }: Identified, chainOffset: number, sealHash: Uint8Array): BlockIdentities {
  const entries: DedupEntry[] = [];
  const sealIndex = seal.firstIndex + seal.links;
  const slots = new Map<number, number>();
  let offset = seal.inputFrom;
  for (const input of inputs) {
    const slot = Math.floor(input.appendedAt / SLOT_MICROS);
    slots.set(offset, slot);
    if (input.outcome === 'ACCEPTED' && input.batch !== null) {
      const { header } = input.batch;
      entries.push({ key: dedupKeyOfHeader(header), logIndex: sealIndex, digest: sha256(header).slice(0, 16), slot });
    }
    offset += input.span;
  }
  for (const [i, { event, inputOffset }] of links.entries()) {
    const key = keys[i] as Uint8Array;
    entries.push({ key, logIndex: seal.firstIndex + i, digest: event.subarray(0, 16), slot: slots.get(inputOffset) ?? 0 });
  }
  const watermark: Watermark = { kind: 'at', size: sealIndex + 1, seal: toHex(sealHash), chainOffset };
  return { watermark, entries, hits: new Map(entries.map((entry) => [keyText(entry.key), entry])) };
}

/** The watermark of a log that ends in `head`. */
export function watermarkOf(head: LogHead, chainOffset: number): Watermark {
  return { kind: 'at', size: head.size, seal: toHex(head.seal), chainOffset };
}

/** Whether a watermark names the block that `head` ends in. */
export function isAt(watermark: Watermark, head: { readonly size: number; readonly seal: Uint8Array }): boolean {
  return watermark.kind === 'at' && watermark.size === head.size && watermark.seal === toHex(head.seal);
}

/** Time at which the last input of a block was appended; undefined if the block consumed none. */
export function lastAppendedAt(block: Block): number | undefined {
  return decodeEvidence(block.evidence).at(-1)?.appendedAt;
}
