import type { Segment } from './spool.ts';
import { sealRecord } from './spool-record.ts';

const FIRST_CHUNK_BYTES = 64 * 1024;

/** Records that are written together. `segment` and `base` are known once it is on disk. */
export interface Chunk {
  data: Buffer;
  length: number;
  /** Live records in it. */
  live: number;
  segment: Segment | undefined;
  base: number;
  /** Kind, start and payload length of each record: their headers are written when the segment, and so the magic, is known. */
  readonly notes: number[];
  /** Settles with the current try to write; a chunk that failed gets a new promise. */
  attempt: Attempt;
}

interface Attempt {
  readonly durable: Promise<void>;
  readonly settle: (error?: unknown) => void;
}

/** A promise of the next try to write, and the functions that settle it. It need not be awaited. */
export function newAttempt(): Attempt {
  let settle: (error?: unknown) => void = () => undefined;
  const durable = new Promise<void>((resolve, reject) => {
    settle = (error) => (error === undefined ? resolve() : reject(error));
  });
  durable.catch(() => undefined);
  return { durable, settle };
}

/** An empty chunk with room for a record of `bytes`. */
export function newChunk(bytes: number): Chunk {
  const data = Buffer.allocUnsafe(Math.max(FIRST_CHUNK_BYTES, bytes));
  return { data, length: 0, live: 0, segment: undefined, base: 0, notes: [], attempt: newAttempt() };
}

/** Makes room for a record of `bytes` more. */
export function makeRoom(chunk: Chunk, bytes: number): void {
  if (chunk.length + bytes <= chunk.data.length) return;
  const grown = Buffer.allocUnsafe(Math.max(2 * chunk.data.length, chunk.length + bytes));
  grown.set(chunk.data.subarray(0, chunk.length));
  chunk.data = grown;
}

/** Writes the headers of all records: they depend on the segment that the chunk goes to. */
export function sealChunk({ data, notes }: Chunk, { magic }: Segment): void {
  for (let i = 0; i < notes.length; i += 3) sealRecord(data, notes[i + 1] as number, notes[i] as number, notes[i + 2] as number, magic);
}
