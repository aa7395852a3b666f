import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fromHex, toHex } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Logger } from '../core/ports/logger.ts';
import { syncFolder } from '../platform/durable-file.ts';
import { ioError } from '../platform/errno.ts';
import type { FileLock } from '../platform/file-lock.ts';
import { MAGIC_BYTES, RECORD_HEADER_BYTES, readRecords, type SpoolRecord, sealRecord } from './spool-record.ts';

const NAME = /^([0-9a-f]{32})-(\d{8})-([0-9a-f]{16})\.spool$/;
const MAX_SEGMENT_BYTES = 16 * 1024 * 1024;
const MIN_SEGMENT_BYTES = 64 * 1024;
/** Only whole segments are given back, so a spool has room for this many. */
const SEGMENTS_OF_A_SPOOL = 8;
const FIRST_CHUNK_BYTES = 64 * 1024;
const FIRST_RETRY_MS = 20;
const LAST_RETRY_MS = 2000;

/** One file of the spool. It can go once nothing in it is live and all before it went. */
export interface Segment {
  readonly path: string;
  readonly epoch: Uint8Array;
  readonly magic: Uint8Array;
  bytes: number;
  /** Events and batches in it that the log has not acknowledged. */
  live: number;
}

/** What is written together. `segment` and `base` are known once it is on disk. */
interface Chunk {
  data: Buffer;
  length: number;
  /** Live records in it. */
  live: number;
  segment: Segment | undefined;
  base: number;
  /** Kind, start and payload length of each record: their headers are written when the segment, and so the magic, is known. */
  readonly notes: number[];
  /** Settles with the try that is under way; a failed chunk gets a new one. */
  attempt: Attempt;
}

interface Attempt {
  readonly durable: Promise<void>;
  readonly settle: (error?: unknown) => void;
}

/** Where a record's payload is or will be. */
export interface Place {
  readonly chunk: { readonly segment: Segment | undefined; readonly base: number; live: number };
  readonly at: number;
  readonly length: number;
}

/** A record that was found when the spool was opened. */
export interface FoundRecord extends SpoolRecord {
  readonly segment: Segment;
}

/** What the recorder needs of a spool; on disk or in memory. */
export interface Spool {
  /** Bytes that the spool takes, those not yet written included. */
  readonly bytes: number;
  /** Bytes that wait in memory for the disk. */
  readonly unwritten: number;
  /** Adds a record; `live` ones hold their segment until {@link Spool.release}. Its bytes are copied. */
  append(kind: number, head: Uint8Array, payload: Uint8Array, live: boolean): Place;
  /** Resolves when all that was appended is on disk. Rejects with DISK_FULL or IO_FAILED when a try to write failed; it is tried again, and nothing appended is dropped. */
  durable(): Promise<void>;
  /** Resolves when all that was appended is on disk, however long that takes; rejects with CLOSED after {@link Spool.interrupt}. */
  settled(): Promise<void>;
  /** Ends every {@link Spool.settled}: a disk that takes nothing must not hold up a collector that closes. */
  interrupt(): void;
  /** The payload at `place`, which must be durable. */
  read(place: Place): Promise<Uint8Array>;
  release(place: Place): void;
  /** Releases one record of a segment that an earlier start wrote. */
  releaseFrom(segment: Segment): void;
  /** `empty`: nothing is left to be sent, the files may go. */
  close(empty: boolean): Promise<void>;
}

export interface FileSpoolOptions {
  readonly folder: string;
  /** On the folder; the spool gives it free when it closes. */
  readonly lock: FileLock;
  /** The epoch that is about to start, 16 bytes. */
  readonly epoch: Uint8Array;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Payload of the state record that opens every segment. */
  state(): Uint8Array;
  readonly stateKind: number;
  /** Size at which the spool counts as full; segments are small against it. */
  readonly maxBytes: number;
  /** Called for each stretch that cannot be read. */
  damaged(): void;
}

/** Folders below `parent` that hold spooled records, whether somebody works on them or not. */
export function listSpools(parent: string): string[] {
  if (!existsSync(parent)) return [];
  return readdirSync(parent, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(parent, entry.name))
    .filter((folder) => readdirSync(folder).some((name) => NAME.test(name)));
}

/**
 * Append-only segments in a folder, one process at a time. A start never writes to a file of an earlier one. All that is appended during one
 * fsync is written by the next (group commit).
 */
export class FileSpool implements Spool {
  readonly #options: FileSpoolOptions;
  readonly #segments: Segment[] = [];
  #file: FileHandle | undefined;
  #current: Segment | undefined;
  #position = 0;
  #sequence = 0;
  #chunk: Chunk | undefined;
  /** Taken by the writer, not yet on disk. */
  #inFlight: Chunk | undefined;
  #writing: Promise<void> | undefined;
  #reader: { readonly segment: Segment; readonly file: FileHandle } | undefined;
  #unwritten = 0;
  #onDisk = 0;
  #interrupted = false;
  readonly #waiting = new Set<() => void>();
  readonly #segmentBytes: number;
  readonly #stop = new AbortController();

  constructor(options: FileSpoolOptions) {
    this.#options = options;
    this.#segmentBytes = Math.min(MAX_SEGMENT_BYTES, Math.max(MIN_SEGMENT_BYTES, Math.floor(options.maxBytes / SEGMENTS_OF_A_SPOOL)));
  }

  /** Reads what earlier starts left, segment by segment, oldest first; `found` says how many of a segment's records are live by setting {@link Segment.live}. */
  recover(found: (segment: Segment, records: readonly SpoolRecord[]) => void): void {
    const { folder, logger, damaged } = this.#options;
    for (const name of readdirSync(folder).toSorted()) {
      const parts = NAME.exec(name);
      if (parts === null) continue;
      const path = join(folder, name);
      const bytes = readSegment(path);
      const segment = { path, epoch: fromHex(parts[1] as string), magic: fromHex(parts[3] as string), bytes: bytes.length, live: 0 };
      const { records, stretches } = readRecords(bytes, segment.magic);
      for (const { from, to, torn } of stretches) {
        if (torn) {
          logger.info('a crash cut the last record of a spool segment', { segment: name, from, to });
          continue;
        }
        damaged();
        logger.error('a stretch of the spool is damaged; what follows it is kept', { code: 'SPOOL_DAMAGED', segment: name, from, to });
      }
      this.#segments.push(segment);
      this.#onDisk += bytes.length;
      found(segment, records);
    }
  }

  /** Reads a segment that {@link recover} found once more; what is damaged in it was reported then. */
  reread({ path, magic }: Segment): readonly SpoolRecord[] {
    return readRecords(readSegment(path), magic).records;
  }

  get bytes(): number {
    return this.#onDisk + this.#unwritten;
  }

  get unwritten(): number {
    return this.#unwritten;
  }

  append(kind: number, head: Uint8Array, payload: Uint8Array, live: boolean): Place {
    const length = head.length + payload.length;
    const chunk = this.#room(RECORD_HEADER_BYTES + length);
    const at = chunk.length;
    const start = at + RECORD_HEADER_BYTES;
    chunk.data.set(head, start);
    chunk.data.set(payload, start + head.length);
    chunk.notes.push(kind, at, length);
    chunk.length = start + length;
    if (live) chunk.live++;
    this.#unwritten += RECORD_HEADER_BYTES + length;
    this.#writing ??= this.#write();
    return { chunk, at: start + head.length, length: payload.length };
  }

  async durable(): Promise<void> {
    const last = this.#chunk ?? this.#inFlight;
    if (last !== undefined) await last.attempt.durable;
  }

  async settled(): Promise<void> {
    const last = this.#chunk ?? this.#inFlight;
    if (last === undefined) return;
    for (;;) {
      if (last.segment !== undefined) return;
      if (this.#interrupted) throw closed();
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
        last.attempt.durable.then(wake, wake);
      });
    }
  }

  interrupt(): void {
    this.#interrupted = true;
    for (const wake of this.#waiting) wake();
  }

  /** One call at a time. */
  async read({ chunk, at, length }: Place): Promise<Uint8Array> {
    const { segment, base } = chunk;
    if (segment === undefined) throw new LineproofError('INTERNAL', 'cannot read from spool: the record is not on disk yet');
    if (this.#reader?.segment !== segment) {
      await this.#reader?.file.close();
      this.#reader = undefined;
      this.#reader = { segment, file: await open(segment.path, 'r') };
    }
    const bytes = new Uint8Array(length);
    const { bytesRead } = await this.#reader.file.read(bytes, 0, length, base + at);
    if (bytesRead !== length) throw new LineproofError('SPOOL_DAMAGED', `cannot read ${segment.path}: it is shorter than it was`);
    return bytes;
  }

  release({ chunk }: Place): void {
    if (chunk.segment === undefined) chunk.live--;
    else this.releaseFrom(chunk.segment);
  }

  /** As {@link release}, for a record that {@link recover} found. */
  releaseFrom(segment: Segment): void {
    segment.live--;
    this.collect();
  }

  /** Deletes the oldest segments in which nothing is live. */
  collect(): void {
    // The first segment of this start restates what the earlier ones know of lanes: none of them goes before it is on disk.
    if (this.#current === undefined) return;
    for (let oldest = this.#segments[0]; oldest !== undefined && oldest !== this.#current; oldest = this.#segments[0]) {
      if (oldest.live > 0) return;
      try {
        rmSync(oldest.path, { force: true });
      } catch (error) {
        // What it holds is done with and does no harm; the next release tries again.
        const { code, message } = spoolError('delete a segment of the spool', error);
        this.#options.logger.error(message, { code });
        return;
      }
      this.#segments.shift();
      this.#onDisk -= oldest.bytes;
    }
  }

  /** Waits for what was appended, as long as the disk takes it; `empty` says that nothing is left to be sent, so that the folder can be emptied. */
  async close(empty: boolean): Promise<void> {
    try {
      await this.durable();
    } catch (error) {
      this.#options.logger.error('the spool closes with records that the disk did not take', { error: String(error) });
    }
    this.#stop.abort();
    await this.#writing;
    await this.#file?.close();
    await this.#reader?.file.close();
    if (empty && this.#segments.every(({ live }) => live <= 0)) for (const { path } of this.#segments) rmSync(path, { force: true });
    await this.#options.lock.release();
  }

  #room(bytes: number): Chunk {
    this.#chunk ??= newChunk(Math.max(FIRST_CHUNK_BYTES, bytes));
    const chunk = this.#chunk;
    if (chunk.length + bytes > chunk.data.length) {
      const grown = Buffer.allocUnsafe(Math.max(2 * chunk.data.length, chunk.length + bytes));
      grown.set(chunk.data.subarray(0, chunk.length));
      chunk.data = grown;
    }
    return chunk;
  }

  /** The one writer: takes what has gathered, writes it, syncs it, until nothing is left. */
  async #write(): Promise<void> {
    await nextTurn();
    let retryMs = FIRST_RETRY_MS;
    while (this.#chunk !== undefined || this.#inFlight !== undefined) {
      const chunk: Chunk = this.#inFlight ?? (this.#chunk as Chunk);
      if (chunk === this.#chunk) this.#chunk = undefined;
      this.#inFlight = chunk;
      try {
        await this.#put(chunk);
        this.#inFlight = undefined;
        chunk.attempt.settle();
        retryMs = FIRST_RETRY_MS;
      } catch (error) {
        const failure = spoolError('write to spool', error);
        this.#options.logger.error(failure.message, { code: failure.code });
        // Whoever waits learns of it, also for what stands behind the chunk; all of it stays, and the next try has promises of its own.
        for (const waiting of [chunk, this.#chunk]) {
          if (waiting === undefined) continue;
          const { settle } = waiting.attempt;
          waiting.attempt = newAttempt();
          settle(failure);
        }
        if (this.#stop.signal.aborted) break;
        await this.#options.clock.sleep(retryMs, this.#stop.signal);
        retryMs = Math.min(2 * retryMs, LAST_RETRY_MS);
      }
    }
    this.#writing = undefined;
  }

  /** Commit point: after the sync all records of the chunk are durable. */
  async #put(chunk: Chunk): Promise<void> {
    try {
      if (this.#file === undefined || this.#position > this.#segmentBytes) await this.#startSegment();
      const segment = this.#current as Segment;
      for (let i = 0; i < chunk.notes.length; i += 3)
        sealRecord(chunk.data, chunk.notes[i + 1] as number, chunk.notes[i] as number, chunk.notes[i + 2] as number, segment.magic);
      await writeAll(this.#file as FileHandle, chunk.data.subarray(0, chunk.length), this.#position);
      await (this.#file as FileHandle).datasync();
      chunk.segment = segment;
      chunk.base = this.#position;
      segment.live += chunk.live;
      segment.bytes += chunk.length;
      this.#position += chunk.length;
      this.#onDisk += chunk.length;
      this.#unwritten -= chunk.length;
    } catch (error) {
      // After a failed write or sync nobody knows what the file holds beyond the last sync: the next try starts a new one.
      await this.#abandon();
      throw error;
    }
    this.collect();
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
    this.#current = { path, epoch, magic, bytes: record.length, live: 0 };
    this.#segments.push(this.#current);
    this.#position = record.length;
    this.#onDisk += record.length;
  }

  async #abandon(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    if (file === undefined) return;
    try {
      await file.truncate(this.#position);
    } catch {
      // What is too much is cut as a torn tail when the segment is read.
    }
    await file.close().catch(() => undefined);
  }
}

/** For services without a disk: what was recorded and not acknowledged is gone when the process ends. */
export class MemorySpool implements Spool {
  bytes = 0;
  readonly unwritten = 0;

  append(_kind: number, head: Uint8Array, payload: Uint8Array, live: boolean): Place {
    if (live) this.bytes += RECORD_HEADER_BYTES + head.length + payload.length;
    return { chunk: { segment: undefined, base: head.length, live: 0 }, at: 0, length: payload.length };
  }

  async durable(): Promise<void> {}

  async settled(): Promise<void> {}

  interrupt(): void {}

  read(): Promise<Uint8Array> {
    return Promise.reject(new LineproofError('INTERNAL', 'cannot read from a spool in memory'));
  }

  release({ chunk, length }: Place): void {
    this.bytes -= RECORD_HEADER_BYTES + chunk.base + length;
  }

  releaseFrom(): void {}

  async close(): Promise<void> {}
}

function newAttempt(): Attempt {
  let settle: (error?: unknown) => void = () => undefined;
  const durable = new Promise<void>((resolve, reject) => {
    settle = (error) => (error === undefined ? resolve() : reject(error));
  });
  durable.catch(() => undefined);
  return { durable, settle };
}

function newChunk(bytes: number): Chunk {
  return { data: Buffer.allocUnsafe(bytes), length: 0, live: 0, segment: undefined, base: 0, notes: [], attempt: newAttempt() };
}

function closed(): LineproofError {
  return new LineproofError('CLOSED', 'cannot use spool: it is closed');
}

function spoolError(act: string, error: unknown): LineproofError {
  return ioError(act, error, 'free some space, nothing that was acknowledged is lost');
}

function readSegment(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw spoolError(`read ${path}`, error);
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
