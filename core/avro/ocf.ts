import { sha256, sha256Stream } from '#crypto';
import { concat, equal, utf8 } from '../base/bytes.ts';
import { LineproofError } from '../base/errors.ts';
import { mustFit, mustHold } from '../base/format-checks.ts';
import { closeOutput, inputAt, openInput, openOutput, readLong, writeLong, writeSlice } from './cursor.ts';
import { type Codec, compileSchema } from './schema.ts';

/** Maximum bytes of a block before compression, except that a larger record gets a block to itself. */
export const CONTAINER_BLOCK_BYTES = 256 * 1024;
/** Bytes of the largest record, and so of the largest block, that a container may hold. */
export const CONTAINER_RECORD_BYTES = 1024 * 1024;
/** Maximum bytes of a compressed block: incompressible data grows a little. */
const COMPRESSED_BYTES = CONTAINER_RECORD_BYTES + 64 * 1024;
const SCHEMA_BYTES = 1024 * 1024;
const MAGIC = Uint8Array.of(0x4f, 0x62, 0x6a, 1);
const CODEC = utf8('deflate');

/** Raw deflate (RFC 1951) of one block. */
export type Deflate = (data: Uint8Array) => Uint8Array | Promise<Uint8Array>;
/** Undoes {@link Deflate}; throws if `data` is malformed, has bytes after its end, or decompresses to more than `maxBytes`. */
export type Inflate = (data: Uint8Array, maxBytes: number) => Uint8Array | Promise<Uint8Array>;
/** `length` bytes of a file from `at` on, fewer only at its end. */
export type ReadBytes = (at: number, length: number) => Uint8Array | Promise<Uint8Array>;

/** One block of a container: its decompressed data, and its records as views of it. */
export interface ContainerBlock {
  readonly data: Uint8Array;
  readonly records: readonly Uint8Array[];
}

/**
 * A container that takes records before its sync marker is known. It keeps compressed blocks and one block of records.
 * Compression does not hold up the caller; if it fails, {@link ContainerDraft.pieces} throws its error.
 */
export class ContainerDraft {
  readonly #deflate: Deflate;
  readonly #content = sha256Stream();
  readonly #blocks: { readonly count: number; readonly data: Promise<Uint8Array> }[] = [];
  /** The records of the block that is being filled, one after the other. */
  #block = new Uint8Array(CONTAINER_BLOCK_BYTES);
  #count = 0;
  #bytes = 0;
  #digest: Uint8Array | undefined;

  constructor(deflate: Deflate) {
    this.#deflate = deflate;
  }

  /** Throws LIMIT_EXCEEDED for a record that no block may hold. Its bytes are copied. */
  add(record: Uint8Array): void {
    mustFit(record.length, CONTAINER_RECORD_BYTES, 'record');
    if (this.#count > 0 && this.#bytes + record.length > CONTAINER_BLOCK_BYTES) this.#cut();
    if (record.length > this.#block.length) this.#block = new Uint8Array(record.length);
    this.#block.set(record, this.#bytes);
    this.#count += 1;
    this.#bytes += record.length;
  }

  #cut(): void {
    const block = this.#block.subarray(0, this.#bytes);
    this.#content.update(block);
    const data = Promise.resolve(this.#deflate(block));
    data.catch(() => undefined);
    this.#blocks.push({ count: this.#count, data });
    // Compression still reads the old array.
    this.#block = new Uint8Array(CONTAINER_BLOCK_BYTES);
    this.#count = 0;
    this.#bytes = 0;
  }

  /** `H` over the uncompressed block data. Ends the draft: no record may be added afterwards. */
  content(): Uint8Array {
    if (this.#count > 0) this.#cut();
    this.#digest ??= this.#content.digest();
    return this.#digest;
  }

  /** The file's bytes, piece by piece. */
  async *pieces(schemaText: string, sync: Uint8Array): AsyncGenerator<Uint8Array> {
    if (this.#count > 0) this.#cut();
    yield containerHeader(schemaText, sync);
    for (const { count, data } of this.#blocks) yield containerBlock(count, await data, sync);
  }
}

/** An Avro object container file of encoded `records`, piece by piece; the same input gives the same bytes with the same `deflate`. */
export async function* writeContainer(
  schemaText: string,
  sync: Uint8Array,
  records: Iterable<Uint8Array>,
  deflate: Deflate,
): AsyncGenerator<Uint8Array> {
  const draft = new ContainerDraft(deflate);
  for (const record of records) draft.add(record);
  yield* draft.pieces(schemaText, sync);
}

/** `H` over a container's decompressed block data: the same for every compressor (docs/formats.md §5). */
export function contentDigest(blocks: readonly ContainerBlock[]): Uint8Array {
  return sha256(concat(...blocks.map(({ data }) => data)));
}

/**
 * Reads a container that {@link writeContainer} wrote, block by block; `schemaText` is the schema that it must have.
 * Throws AVRO_INVALID or FORMAT_INVALID for anything else, LIMIT_EXCEEDED for sizes.
 */
export async function* readContainer(
  schemaText: string,
  sync: Uint8Array,
  read: ReadBytes,
  inflate: Inflate,
): AsyncGenerator<ContainerBlock> {
  const codec = compileSchema<unknown>(JSON.parse(schemaText));
  const header = containerHeader(schemaText, sync);
  mustHold(equal(await read(0, header.length), header), 'cannot read container: its header is not the expected one');
  for (let at = header.length; ; ) {
    const head = await read(at, 16);
    if (head.length === 0) return;
    const { count, size, bytes } = blockHead(head);
    const body = await read(at + bytes, size + 16);
    mustHold(
      body.length === size + 16 && equal(body.subarray(size), sync),
      'cannot read container: a block does not end in the sync marker',
    );
    yield containerRecords(codec, count, await inflated(body.subarray(0, size), inflate));
    at += bytes + size + 16;
  }
}

function containerHeader(schemaText: string, sync: Uint8Array): Uint8Array {
  mustHold(sync.length === 16, 'cannot write container: its sync marker is not 16 bytes');
  const schema = utf8(schemaText);
  mustFit(schema.length, SCHEMA_BYTES, 'schema');
  openOutput();
  writeSlice(MAGIC);
  writeLong(2);
  for (const part of [utf8('avro.codec'), CODEC, utf8('avro.schema'), schema]) {
    writeLong(part.length);
    writeSlice(part);
  }
  writeLong(0);
  writeSlice(sync);
  return closeOutput();
}

function containerBlock(count: number, data: Uint8Array, sync: Uint8Array): Uint8Array {
  openOutput();
  writeLong(count);
  writeLong(data.length);
  writeSlice(data);
  writeSlice(sync);
  return closeOutput();
}

function blockHead(head: Uint8Array): { readonly count: number; readonly size: number; readonly bytes: number } {
  openInput(head);
  const count = readLong();
  const size = readLong();
  mustHold(count > 0 && size > 0, 'cannot read container: a block is empty');
  mustFit(size, COMPRESSED_BYTES, 'compressed block');
  return { count, size, bytes: inputAt() };
}

async function inflated(data: Uint8Array, inflate: Inflate): Promise<Uint8Array> {
  try {
    return await inflate(data, CONTAINER_RECORD_BYTES);
  } catch (cause) {
    throw new LineproofError('FORMAT_INVALID', 'cannot read container: a block does not decompress within its limit', {}, cause);
  }
}

function containerRecords(codec: Codec<unknown>, count: number, data: Uint8Array): ContainerBlock {
  mustHold(count <= data.length, 'cannot read container: a block has an impossible count');
  const records: Uint8Array[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    const end = codec.walk(data, at);
    records.push(data.subarray(at, end));
    at = end;
  }
  mustHold(at === data.length, 'cannot read container: bytes follow the records of a block');
  return { data, records };
}
