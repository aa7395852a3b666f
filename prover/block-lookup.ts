import type { ArchiveReader } from '../auditor/archive-reader.ts';
import type { AuditedSegment } from '../auditor/segment-audit.ts';
import { logKeysOf } from '../core/archive/archive-keys.ts';
import { LineproofError } from '../core/base/errors.ts';
import { decodeBatchHeader } from '../core/formats/batch.ts';
import { decodeEvidence, type EvidenceInput } from '../core/formats/evidence.ts';
import { decodeLeaf, type Link, type Seal } from '../core/formats/leaf.ts';
import { decodeBundle, entriesPath, TILE_WIDTH, tileWidth } from '../core/tree/tile.ts';

/** Bundles that are kept: the events of one batch lie beside each other. */
const BUNDLES_KEPT = 16;

/** A leaf as it is stored, and what it says. */
export interface StoredLeaf<L = Link | Seal> {
  readonly bytes: Uint8Array;
  readonly leaf: L;
}

/** The leaves of one shard's log, out of its bundles. Throws NOT_FOUND where a bundle is missing, FORMAT_INVALID where it is none. */
export class LeafReader {
  readonly #objects: ArchiveReader;
  readonly #shard: number;
  readonly #size: number;
  readonly #bundles = new Map<number, Promise<readonly Uint8Array[]>>();

  /** Reads leaves below `size`, the size of a published note. */
  constructor(objects: ArchiveReader, shard: number, size: number) {
    this.#objects = objects;
    this.#shard = shard;
    this.#size = size;
  }

  async leaf(index: number): Promise<StoredLeaf> {
    const n = Math.floor(index / TILE_WIDTH);
    let bundle = this.#bundles.get(n);
    if (bundle === undefined) {
      if (this.#bundles.size >= BUNDLES_KEPT) this.#bundles.clear();
      bundle = this.#read(n);
      this.#bundles.set(n, bundle);
    }
    const bytes = (await bundle)[index - n * TILE_WIDTH];
    if (bytes === undefined)
      throw new LineproofError('NOT_FOUND', `cannot read leaf ${index} of shard ${this.#shard}: its bundle is too short`);
    return { bytes, leaf: decodeLeaf(bytes) };
  }

  async link(index: number): Promise<StoredLeaf<Link>> {
    const { bytes, leaf } = await this.leaf(index);
    if (leaf.kind === 'link') return { bytes, leaf };
    throw new LineproofError('NOT_FOUND', `cannot prove leaf ${this.#shard}/${index}: it is the seal of a block, not an event`);
  }

  async #read(n: number): Promise<readonly Uint8Array[]> {
    const width = tileWidth(this.#size, 0, n);
    for (const stored of width === TILE_WIDTH ? [TILE_WIDTH] : [width, TILE_WIDTH]) {
      const object = await this.#objects.get(`${logKeysOf(this.#shard).folder}/${entriesPath(n, stored)}`);
      if (object !== undefined) return decodeBundle(object.bytes);
    }
    throw new LineproofError(
      'NOT_FOUND',
      `cannot read the leaves of shard ${this.#shard} from ${n * TILE_WIDTH} on: the bundle is missing`,
    );
  }
}

/** The block of a link. */
export interface FoundBlock {
  readonly sealIndex: number;
  readonly seal: StoredLeaf<Seal>;
  readonly keyId: Uint8Array;
  readonly signature: Uint8Array;
  readonly inputs: readonly EvidenceInput[];
  readonly links: readonly Link[];
}

/** The blocks of one segment. The last one is kept: the events of a block follow each other. */
export class BlockReader {
  /** Leaves of the log at the end of the segment. */
  readonly end: number;
  readonly #evidence: AuditedSegment['evidence'];
  readonly #leaves: LeafReader;
  #last: FoundBlock | undefined;

  constructor({ evidence }: AuditedSegment, end: number, leaves: LeafReader) {
    this.end = end;
    this.#evidence = evidence;
    this.#leaves = leaves;
  }

  /** The block of leaf `index`. Throws NOT_FOUND where the evidence lacks it. */
  async of(index: number): Promise<FoundBlock> {
    const last = this.#last;
    if (last !== undefined && last.seal.leaf.firstIndex <= index && index < last.sealIndex) return last;
    this.#last = await this.#find(index);
    return this.#last;
  }

  async #find(index: number): Promise<FoundBlock> {
    const sealIndex = [...this.#evidence.keys()].find((seal) => seal > index);
    const stored = sealIndex === undefined ? undefined : this.#evidence.get(sealIndex);
    if (sealIndex === undefined || stored === undefined)
      throw new LineproofError('NOT_FOUND', `cannot prove leaf ${index}: the archive has no evidence of its block`);
    const { bytes, leaf } = await this.#leaves.leaf(sealIndex);
    if (leaf.kind !== 'seal' || leaf.firstIndex > index)
      throw new LineproofError('NOT_FOUND', `cannot prove leaf ${index}: the evidence of its block is of other leaves`);
    const links: Link[] = [];
    for (let at = leaf.firstIndex; at < leaf.firstIndex + leaf.links; at++) links.push((await this.#leaves.link(at)).leaf);
    const { keyId, signature } = stored;
    return { sealIndex, seal: { bytes, leaf }, keyId, signature, inputs: decodeEvidence(stored.evidence), links };
  }
}

/** The batch of a link: its signed header, and the digests of all its events in their positions. */
export interface FoundBatch {
  readonly batch: NonNullable<EvidenceInput['batch']>;
  readonly digests: readonly Uint8Array[];
}

/** The batch that brought `link`, put together from the links and receipts of its block. Throws NOT_FOUND where they do not fill it. */
export function findBatch({ seal, inputs, links }: FoundBlock, { inputOffset }: Link): FoundBatch {
  const input = inputAt(inputs, seal.leaf.inputFrom, inputOffset);
  if (input?.batch === undefined || input.batch === null)
    throw new LineproofError('NOT_FOUND', `cannot prove the event at input offset ${inputOffset}: its block accepted no batch there`);
  const { count } = decodeBatchHeader(input.batch.header);
  const digests = new Array<Uint8Array | undefined>(count).fill(undefined);
  for (const { position, digest } of input.receipts) digests[position] = digest;
  for (const link of links) if (link.inputOffset === inputOffset) digests[link.position] = link.event;
  const known = digests.filter((digest) => digest !== undefined);
  if (known.length !== count || digests.length !== count)
    throw new LineproofError(
      'NOT_FOUND',
      `cannot prove the event at input offset ${inputOffset}: links and receipts do not fill its batch`,
    );
  return { batch: input.batch, digests: known };
}

function inputAt(inputs: readonly EvidenceInput[], from: number, offset: number): EvidenceInput | undefined {
  let at = from;
  for (const input of inputs) {
    if (offset < at + input.span) return offset === at ? input : undefined;
    at += input.span;
  }
  return undefined;
}
