import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { toHex } from '../core/base/bytes.ts';
import { syncFolder } from '../platform/durable-file.ts';
import type { Segment } from './spool.ts';
import { type Chunk, sealChunk } from './spool-chunk.ts';
import { MAGIC_BYTES, RECORD_HEADER_BYTES, sealRecord } from './spool-record.ts';

const MAX_SEGMENT_BYTES = 16 * 1024 * 1024;
const MIN_SEGMENT_BYTES = 64 * 1024;
/** Only whole segments are given back, so a spool has room for this many. */
const SEGMENTS_OF_A_SPOOL = 8;

/** Where the segments of this start go. */
export interface SpoolWriterOptions {
  readonly folder: string;
  /** The epoch that starts, 16 bytes. */
  readonly epoch: Uint8Array;
  /** Payload of the state record that opens every segment. */
  state(): Uint8Array;
  readonly stateKind: number;
  /** Size at which the spool counts as full; segments are small against it. */
  readonly maxBytes: number;
  /** Called with each new segment once it is durable. */
  started(segment: Segment): void;
}

/** Writes chunks to the files of this start, one at a time. It never writes to a file of an earlier start. */
export class SpoolWriter {
  readonly #options: SpoolWriterOptions;
  readonly #segmentBytes: number;
  #file: FileHandle | undefined;
  #current: Segment | undefined;
  #position = 0;
  #sequence = 0;

  constructor(options: SpoolWriterOptions) {
    this.#options = options;
    this.#segmentBytes = Math.min(MAX_SEGMENT_BYTES, Math.max(MIN_SEGMENT_BYTES, Math.floor(options.maxBytes / SEGMENTS_OF_A_SPOOL)));
  }

  /** The segment that is written to; undefined before the first. */
  get current(): Segment | undefined {
    return this.#current;
  }

  /** Commit point: once this resolves, all records of the chunk are durable. */
  async put(chunk: Chunk): Promise<void> {
    try {
      if (this.#file === undefined || this.#position > this.#segmentBytes) await this.#startSegment();
      const segment = this.#current as Segment;
      sealChunk(chunk, segment);
      await writeAll(this.#file as FileHandle, chunk.data.subarray(0, chunk.length), this.#position);
      await (this.#file as FileHandle).datasync();
      chunk.segment = segment;
      chunk.base = this.#position;
      segment.live += chunk.live;
      segment.bytes += chunk.length;
      this.#position += chunk.length;
    } catch (error) {
      // After a failed write or sync the file's content beyond the last sync is unknown: the next try starts a new file.
      await this.#abandon();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#file?.close();
  }

  async #startSegment(): Promise<void> {
    const { folder, epoch, state, stateKind } = this.#options;
    await this.#file?.close();
    this.#file = undefined;
    const magic = randomBytes(MAGIC_BYTES);
    const path = join(folder, `${toHex(epoch)}-${String(this.#sequence++).padStart(8, '0')}-${magic.toString('hex')}.spool`);
    this.#file = await open(path, 'wx', 0o600);
    const payload = state();
    const record = Buffer.allocUnsafe(RECORD_HEADER_BYTES + payload.length);
    record.set(payload, RECORD_HEADER_BYTES);
    sealRecord(record, 0, stateKind, payload.length, magic);
    try {
      await writeAll(this.#file, record, 0);
      await this.#file.datasync();
      await syncFolder(folder);
      if (this.#sequence === 1) await syncFolder(dirname(folder));
    } catch (error) {
      await this.#file.close();
      this.#file = undefined;
      rmSync(path, { force: true });
      throw error;
    }
    this.#current = { path, epoch, magic, keptAs: undefined, bytes: record.length, live: 0 };
    this.#position = record.length;
    this.#options.started(this.#current);
  }

  async #abandon(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    if (file === undefined) return;
    try {
      await file.truncate(this.#position);
    } catch {
      // Surplus bytes are cut as a torn tail when the segment is read.
    }
    await file.close().catch(() => undefined);
  }
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
