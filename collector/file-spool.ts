import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fromHex } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { LOG } from '../core/base/log-lines.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import { ioError } from '../platform/errno.ts';
import type { FileLock } from '../platform/file-lock.ts';
import type { Place, Segment, Spool } from './spool.ts';
import { type Chunk, makeRoom, newAttempt, newChunk } from './spool-chunk.ts';
import { RECORD_HEADER_BYTES, readRecords, type SpoolRecord } from './spool-record.ts';
import { SpoolWriter } from './spool-writer.ts';

const NAME = /^([0-9a-f]{32})-(\d{8})-([0-9a-f]{16})\.spool$/;
const FIRST_RETRY_MS = 20;
const LAST_RETRY_MS = 2000;

/** Options of a {@link FileSpool}. */
export interface FileSpoolOptions {
  readonly folder: string;
  /** Lock on the folder; the spool releases it when it closes. */
  readonly lock: FileLock;
  /** The epoch that is about to start, 16 bytes. */
  readonly epoch: Uint8Array;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Payload of the state record that opens every segment. */
  state(): Uint8Array;
  readonly stateKind: number;
  /** Size at which the spool counts as full; segments are small against it. */
  readonly maxBytes: number;
  /** Called for each stretch of bytes that cannot be read. */
  damaged(): void;
}

/** Folders below `parent` that hold spooled records, whether a process works on them or not. */
export function listSpools(parent: string): string[] {
  if (!existsSync(parent)) return [];
  return readdirSync(parent, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(parent, entry.name))
    .filter((folder) => readdirSync(folder).some((name) => NAME.test(name)));
}

/**
 * Append-only segments in a folder, which one process uses at a time. A start never writes to a file of an earlier start. Records that are appended
 * during one fsync are written together with the next (group commit).
 */
export class FileSpool implements Spool {
  readonly #options: FileSpoolOptions;
  readonly #segments: Segment[] = [];
  readonly #writer: SpoolWriter;
  #chunk: Chunk | undefined;
  /** Taken by the writer, not yet on disk. */
  #inFlight: Chunk | undefined;
  #writing: Promise<void> | undefined;
  #reader: { readonly segment: Segment; readonly file: FileHandle } | undefined;
  #unwritten = 0;
  #onDisk = 0;
  #interrupted = false;
  readonly #waiting = new Set<() => void>();
  readonly #stop = new AbortController();

  constructor(options: FileSpoolOptions) {
    this.#options = options;
    this.#writer = new SpoolWriter({
      ...options,
      started: (segment) => {
        this.#segments.push(segment);
        this.#onDisk += segment.bytes;
      },
    });
    options.metrics.set('lineproof_collector_spool_limit_bytes', options.maxBytes);
  }

  /**
   * Reads the segments that earlier starts left, oldest first. A segment is deleted when its count {@link Segment.live} is 0: before it releases
   * anything, the caller raises that count for each record that it keeps.
   */
  recover(found: (segment: Segment, records: readonly SpoolRecord[]) => void): void {
    const { folder, logger, damaged } = this.#options;
    for (const name of readdirSync(folder).toSorted()) {
      const parts = NAME.exec(name);
      if (parts === null) continue;
      const path = join(folder, name);
      const bytes = readSegment(path);
      const [epoch, magic] = [fromHex(parts[1] as string), fromHex(parts[3] as string)];
      const { records, stretches } = readRecords(bytes, magic);
      const isKept = bytes.length === 0 || stretches.some(({ torn }) => !torn);
      const keptAs = isKept ? name.replace(/spool$/, 'damaged') : undefined;
      if (bytes.length === 0) logger.warn(LOG.spoolEmpty, { segment: name, keptAs });
      for (const { from, to, torn } of stretches) {
        if (torn) {
          logger.info('a crash cut the last record of a spool segment', { segment: name, from, to });
          continue;
        }
        damaged();
        logger.error(LOG.spoolDamaged, { code: 'SPOOL_DAMAGED', segment: name, from, to, keptAs });
      }
      const segment = { path, epoch, magic, keptAs, bytes: bytes.length, live: 0 };
      this.#segments.push(segment);
      this.#onDisk += bytes.length;
      found(segment, records);
    }
    this.#tellSize();
  }

  /** Reads a segment that {@link recover} found once more; its damage was reported the first time. */
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
    this.#chunk ??= newChunk(RECORD_HEADER_BYTES + length);
    const chunk = this.#chunk;
    makeRoom(chunk, RECORD_HEADER_BYTES + length);
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
    // The first segment of this start restates the lanes of earlier segments: no earlier segment is deleted before it is on disk.
    const { current } = this.#writer;
    if (current === undefined) return;
    for (let oldest = this.#segments[0]; oldest !== undefined && oldest !== current; oldest = this.#segments[0]) {
      if (oldest.live > 0) return;
      try {
        remove(oldest);
      } catch (error) {
        // Records that are no longer needed do no harm; the next release tries again.
        const { code, message } = spoolError('delete a segment of the spool', error);
        this.#options.logger.error(message, { code });
        return;
      }
      this.#segments.shift();
      this.#onDisk -= oldest.bytes;
    }
  }

  /** Waits until the appended records are written, unless the disk fails; `empty` means that nothing is left to be sent, so that its files can be deleted. */
  async close(empty: boolean): Promise<void> {
    try {
      await this.durable();
    } catch (error) {
      this.#options.logger.error(LOG.spoolNotTaken, { error: String(error) });
    }
    this.#stop.abort();
    await this.#writing;
    await this.#writer.close();
    await this.#reader?.file.close();
    if (empty && this.#segments.every(({ live }) => live <= 0)) for (const segment of this.#segments) remove(segment);
    await this.#options.lock.release();
  }

  /** The only writer: takes the gathered records, writes and syncs them, until none is left. */
  async #write(): Promise<void> {
    await nextTurn();
    let retryMs = FIRST_RETRY_MS;
    while (this.#chunk !== undefined || this.#inFlight !== undefined) {
      const chunk: Chunk = this.#inFlight ?? (this.#chunk as Chunk);
      if (chunk === this.#chunk) this.#chunk = undefined;
      this.#inFlight = chunk;
      try {
        await this.#writer.put(chunk);
        this.#onDisk += chunk.length;
        this.#unwritten -= chunk.length;
        this.collect();
        this.#tellSize();
        this.#inFlight = undefined;
        chunk.attempt.settle();
        retryMs = FIRST_RETRY_MS;
      } catch (error) {
        const failure = spoolError('write to spool', error);
        this.#options.logger.error(failure.message, { code: failure.code });
        this.#tellSize();
        // All callers that wait are told, also those whose records come after the chunk. Nothing is dropped; the next try has new promises.
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

  /** Told with each write, so that it is known too while the log takes nothing. */
  #tellSize(): void {
    this.#options.metrics.set('lineproof_collector_spool_bytes', this.bytes);
  }
}

/** Deletes a segment that is not needed any more. What could not be read of it stays, under another name. */
function remove({ path, keptAs }: Segment): void {
  if (keptAs === undefined) rmSync(path, { force: true });
  else renameSync(path, join(dirname(path), keptAs));
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
