import type { SpoolRecord } from './spool-record.ts';

/** One file of the spool. It can be deleted when nothing in it is live and all files before it are deleted. */
export interface Segment {
  readonly path: string;
  readonly epoch: Uint8Array;
  readonly magic: Uint8Array;
  /** Name under which the file stays once nothing in it is live, because it holds what cannot be read; undefined if it is deleted then. */
  readonly keptAs: string | undefined;
  bytes: number;
  /** Events and batches in it that the log has not acknowledged. */
  live: number;
}

/** The place at which a record's payload is, or will be. */
export interface Place {
  readonly chunk: { readonly segment: Segment | undefined; readonly base: number; live: number };
  readonly at: number;
  readonly length: number;
}

/** A record that was found when the spool was opened. */
export interface FoundRecord extends SpoolRecord {
  readonly segment: Segment;
}

/** The spool as the collector uses it; on disk or in memory. */
export interface Spool {
  /** Size of the spool in bytes, with those that are not yet written. */
  readonly bytes: number;
  /** Bytes that wait in memory for the disk. */
  readonly unwritten: number;
  /** Adds a record; `live` ones hold their segment until {@link Spool.release}. Its bytes are copied. */
  append(kind: number, head: Uint8Array, payload: Uint8Array, live: boolean): Place;
  /** Resolves when all that was appended is on disk. Rejects with DISK_FULL or IO_FAILED if a try to write failed; the spool tries again, and drops nothing that was appended. */
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
  /** `empty` means that nothing is left to be sent, so that the files can be deleted. */
  close(empty: boolean): Promise<void>;
}
