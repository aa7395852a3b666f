import { promisify } from 'node:util';
import { deflateRaw, inflateRawSync } from 'node:zlib';
import { sha256 } from '#crypto';
import type { AcceptedBlock } from '../core/acceptance/accept.ts';
import { segmentSyncMarker } from '../core/acceptance/segment-rule.ts';
import { logKeysOf } from '../core/archive/archive-keys.ts';
import type { Manifest, ManifestObject } from '../core/archive/manifest.ts';
import { ContainerDraft, contentDigest, readContainer } from '../core/avro/ocf.ts';
import { SCHEMA_TEXTS } from '../core/avro/schema-texts.ts';
import { concat, equal, toHex } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { archivedEventSchema, encodeArchivedEvent } from '../core/formats/archived-event.ts';
import { encodeBlockEvidence } from '../core/formats/block-evidence.ts';
import { encodeBlockRefused } from '../core/formats/block-refused.ts';
import type { EventSchema } from '../core/formats/event-schema.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import { SegmentCounts } from './segment-counts.ts';

const deflateAsync = promisify(deflateRaw);
/** Level 1 takes half the time of level 6 and compresses events as well. It runs in the threads of zlib while the next block is checked. */
const LEVEL = { level: 1 };
const deflate = (data: Uint8Array): Promise<Uint8Array> => deflateAsync(data, LEVEL);
const inflate = (data: Uint8Array, maxOutputLength: number): Uint8Array => inflateRawSync(data, { maxOutputLength });

/** The segment that is being filled. Keeps its files, compressed so far, and no blocks. */
export class SegmentWriter {
  readonly #origin: string;
  readonly #shard: number;
  /** One events file for each schema, by hex digest. */
  readonly #events = new Map<string, ContainerDraft>();
  #latest: { readonly schema: Uint8Array; readonly file: ContainerDraft } | undefined;
  readonly #evidence = new ContainerDraft(deflate);
  /** Undefined while nothing was refused: such a segment has no file for it. */
  #refused: ContainerDraft | undefined;
  readonly #counts = new SegmentCounts();
  readonly #first: number;
  /** Index after its last leaf. */
  #end: number;

  constructor(origin: string, shard: number, first: number) {
    this.#origin = origin;
    this.#shard = shard;
    this.#first = first;
    this.#end = first;
  }

  add(accepted: AcceptedBlock): void {
    const { seal, block } = accepted;
    for (const i of accepted.links.keys()) this.#addEvent(accepted, i);
    const { keyId, signature, evidence, refused } = block;
    const sealIndex = seal.firstIndex + seal.links;
    this.#evidence.add(encodeBlockEvidence({ sealIndex, keyId, signature, evidence }));
    if (refused.length > 0) {
      this.#refused ??= new ContainerDraft(deflate);
      this.#refused.add(encodeBlockRefused({ sealIndex, events: refused }));
    }
    this.#counts.add(accepted);
    this.#end += accepted.leafHashes.length;
  }

  #addEvent(accepted: AcceptedBlock, i: number): void {
    const link = accepted.links[i] as AcceptedBlock['links'][number];
    const header = accepted.headers.get(link.inputOffset);
    if (header === undefined)
      throw new LineproofError('INTERNAL', `cannot archive leaf ${accepted.seal.firstIndex + i}: its batch is not in the block`);
    const { index, acceptedAt, inputOffset, position, marks } = link;
    const columns = {
      logIndex: accepted.seal.firstIndex + i,
      streamIndex: index,
      acceptedAt,
      producer: header.producer,
      epoch: header.epoch,
      seq: header.firstSeq + position,
      inputOffset,
      position,
      marks,
      leafHash: accepted.leafHashes[i] as Uint8Array,
    };
    this.#fileOf(link.schema).add(encodeArchivedEvent(columns, accepted.block.events[i] as Uint8Array));
  }

  /** The events file of a schema; that of the event before, most of the time. */
  #fileOf(schema: Uint8Array): ContainerDraft {
    if (this.#latest !== undefined && equal(this.#latest.schema, schema)) return this.#latest.file;
    const hex = toHex(schema);
    const file = this.#events.get(hex) ?? new ContainerDraft(deflate);
    this.#events.set(hex, file);
    this.#latest = { schema: schema.slice(), file };
    return file;
  }

  /** Writes the segment's files that are not stored yet, reads them back, and returns the manifest that describes the stored files. Can be called again. */
  async close(objects: ObjectStore, root: Uint8Array, schemas: (hex: string) => EventSchema, previous: string | null): Promise<Manifest> {
    const [first, end] = [this.#first, this.#end];
    const keys = logKeysOf(this.#shard);
    const sync = segmentSyncMarker(this.#origin, first, end, root);
    const digests = [...this.#events.keys()].toSorted();
    const stored: ManifestObject[] = [];
    for (const hex of digests) {
      const draft = this.#events.get(hex) as ContainerDraft;
      stored.push(await putContainer(objects, keys.events(first, end, hex), archivedEventSchema(schemas(hex).text), sync, draft));
    }
    stored.push(await putContainer(objects, keys.evidence(first, end), SCHEMA_TEXTS.BlockEvidence, sync, this.#evidence));
    if (this.#refused !== undefined)
      stored.push(await putContainer(objects, keys.refused(first, end), SCHEMA_TEXTS.BlockRefused, sync, this.#refused));
    return {
      origin: this.#origin,
      first,
      end,
      root: toHex(root),
      objects: stored,
      ...this.#counts.summary(),
      schemas: digests,
      previous,
    };
  }
}

/**
 * Stores a container file, or keeps the stored one if it holds the same records: compressed bytes differ between zlib builds.
 * The manifest describes the bytes that were read back. Throws ARCHIVE_DIVERGED if the stored file has other content.
 */
async function putContainer(
  objects: ObjectStore,
  key: string,
  schema: string,
  sync: Uint8Array,
  draft: ContainerDraft,
): Promise<ManifestObject> {
  const digest = draft.content();
  const pieces: Uint8Array[] = [];
  for await (const piece of draft.pieces(schema, sync)) pieces.push(piece);
  const bytes = concat(...pieces);
  await objects.create(key, bytes);
  const stored = (await objects.get(key))?.bytes;
  if (stored === undefined) throw new LineproofError('UNAVAILABLE', `cannot read ${key} back after it was written`);
  if (!equal(stored, bytes) && !equal(await contentOf(stored, schema, sync, key), digest))
    throw new LineproofError('ARCHIVE_DIVERGED', `cannot archive ${key}: other content is there already`, { key });
  return { name: key.slice(key.lastIndexOf('/') + 1), size: stored.length, sha256: toHex(sha256(stored)), content: toHex(digest) };
}

async function contentOf(stored: Uint8Array, schema: string, sync: Uint8Array, key: string): Promise<Uint8Array> {
  const blocks = [];
  try {
    for await (const block of readContainer(schema, sync, (at, length) => stored.subarray(at, at + length), inflate)) blocks.push(block);
  } catch (cause) {
    throw new LineproofError('ARCHIVE_DIVERGED', `cannot archive ${key}: the stored object cannot be read`, { key }, cause);
  }
  return contentDigest(blocks);
}
