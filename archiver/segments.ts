import { sha256 } from '#crypto';
import type { AcceptedBlock } from '../core/acceptance/accept.ts';
import type { LogHead } from '../core/acceptance/log-state.ts';
import { encodeManifest } from '../core/archive/manifest.ts';
import { toHex } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import type { EventSchema } from '../core/formats/event-schema.ts';
import type { Checkpoint } from '../core/keys/checkpoint.ts';
import type { NoteSignature } from '../core/keys/note.ts';
import { frontierRoot } from '../core/tree/frontier.ts';
import type { ArchivedLog } from './archived-log.ts';
import { SegmentWriter } from './segment-writer.ts';
import { putEnvelope, putNote, putTreeHead, signedPayload } from './write-once.ts';

/** A segment whose files are stored, before its note and its manifest are. */
export interface EndedSegment {
  readonly checkpoint: Checkpoint;
  readonly first: number;
  /** The manifest. */
  readonly payload: Uint8Array;
  /** Bytes of its files. */
  readonly bytes: number;
}

/** The segments of one log: fills the open one, ends it with its files, and closes it with its manifest. Each manifest names the one before. Only `reset`, `add`, `end` and `close` change it. */
export class Segments {
  readonly #log: ArchivedLog;
  #open: SegmentWriter;
  /** Digest of the last manifest's payload, hex. */
  #previousManifest: string | null = null;
  #archivedSize = 0;

  constructor(log: ArchivedLog) {
    this.#log = log;
    this.#open = new SegmentWriter(log.name, log.shard, 0);
  }

  /** Leaves in closed segments. */
  get archivedSize(): number {
    return this.#archivedSize;
  }

  /** Goes on from `size`, where a segment ends. Throws ARCHIVE_DIVERGED if its manifest is missing. */
  async reset(size: number): Promise<void> {
    this.#previousManifest = size === 0 ? null : await this.#manifestEndingAt(size);
    this.#open = new SegmentWriter(this.#log.name, this.#log.shard, size);
    this.#archivedSize = size;
  }

  add(accepted: AcceptedBlock): void {
    this.#open.add(accepted);
  }

  /** Stores the files of the open segment, which ends at `head`, and opens the next. Can be called again after a failure. */
  async end({ size, frontier }: LogHead): Promise<EndedSegment> {
    const { name, shard, objects } = this.#log;
    const root = frontierRoot(frontier);
    const manifest = await this.#open.close(objects, root, (hex) => this.#schema(hex), this.#previousManifest);
    const payload = encodeManifest(manifest);
    this.#previousManifest = toHex(sha256(payload));
    this.#open = new SegmentWriter(name, shard, size);
    const bytes = manifest.objects.reduce((sum, object) => sum + object.size, 0);
    return { checkpoint: { origin: name, size, root }, first: manifest.first, payload, bytes };
  }

  /** Closes a segment whose files are stored: its note first, its manifest last. Can be called again after a failure. */
  async close({ checkpoint, first, payload }: EndedSegment, cosignatures: readonly NoteSignature[]): Promise<void> {
    const { objects, keys, signing } = this.#log;
    const { size } = checkpoint;
    await putNote(objects, keys.checkpointAt(size), { checkpoint, cosignatures }, signing);
    await putTreeHead(objects, keys.coseAt(size), checkpoint, signing);
    await putEnvelope(objects, keys.manifest(first, size), { type: 'manifest', payload }, signing);
    this.#archivedSize = size;
  }

  #schema(hex: string): EventSchema {
    const schema = this.#log.sources.eventSchema(hex);
    if (schema === undefined)
      throw new LineproofError('INTERNAL', `cannot archive: schema ${hex} was needed to accept the block and is gone`);
    return schema;
  }

  async #manifestEndingAt(end: number): Promise<string> {
    const { name, objects, keys, verifiers } = this.#log;
    for await (const { key } of objects.list(keys.segments)) {
      if (!key.endsWith(`-${String(end).padStart(20, '0')}.manifest.json`)) continue;
      const stored = await objects.get(key);
      const payload = stored === undefined ? undefined : signedPayload(stored.bytes, 'manifest', verifiers);
      if (payload !== undefined) return toHex(sha256(payload));
    }
    throw new LineproofError(
      'ARCHIVE_DIVERGED',
      `cannot go on: no manifest of ${name} that the log key signed ends at ${end}, where a snapshot does`,
    );
  }
}
