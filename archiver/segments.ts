import { sha256 } from '#crypto';
import type { AcceptedBlock } from '../core/acceptance/accept.ts';
import type { LogHead } from '../core/acceptance/log-state.ts';
import { encodeManifest } from '../core/archive/manifest.ts';
import { toHex } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import type { EventSchema } from '../core/formats/event-schema.ts';
import { frontierRoot } from '../core/tree/frontier.ts';
import type { ArchivedLog } from './archived-log.ts';
import { SegmentWriter } from './segment-writer.ts';
import { putEnvelope, putNote, putTreeHead, signedPayload } from './write-once.ts';

/** The segments of one log: fills the open one and closes it with its manifest. Each manifest names the one before. Only `reset`, `add` and `close` change it. */
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

  /** Closes the open segment at `head`: its files first, its manifest last. Returns the bytes of its files. Can be called again after a failure. */
  async close({ size, frontier }: LogHead): Promise<number> {
    const { name, shard, objects, keys, signing } = this.#log;
    const root = frontierRoot(frontier);
    const manifest = await this.#open.close(objects, root, (hex) => this.#schema(hex), this.#previousManifest);
    const payload = encodeManifest(manifest);
    await putNote(objects, keys.checkpointAt(size), { origin: name, size, root }, signing);
    await putTreeHead(objects, keys.coseAt(size), { origin: name, size, root }, signing);
    await putEnvelope(objects, keys.manifest(manifest.first, size), { type: 'manifest', payload }, signing);
    this.#previousManifest = toHex(sha256(payload));
    this.#archivedSize = size;
    this.#open = new SegmentWriter(name, shard, size);
    return manifest.objects.reduce((sum, object) => sum + object.size, 0);
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
