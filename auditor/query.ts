import { inflateRawSync } from 'node:zlib';
import avsc from 'avsc';
import { segmentSyncMarker } from '../core/acceptance/segment-rule.ts';
import { logKeysOf, parseArchiveKey } from '../core/archive/archive-keys.ts';
import { parseManifest } from '../core/archive/manifest.ts';
import { readContainer } from '../core/avro/ocf.ts';
import { fromHex, toHex, utf8Text } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { archivedEventSchema, decodeArchivedEvent } from '../core/formats/archived-event.ts';
import type { Event } from '../core/formats/event.ts';
import { compileEventSchema, EVENT_SCHEMA, type EventSchema } from '../core/formats/event-schema.ts';
import { formatUuid } from '../core/formats/identity.ts';
import { decodeEnvelope } from '../core/keys/dsse.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import { type ArchiveReader, openArchive } from './archive-reader.ts';
import { Findings } from './findings.ts';

export interface QueryOptions {
  /** Gives only events of this stream. */
  readonly stream?: string;
  /** Called with the stream of each event that was not asked for. */
  readonly onOther?: (stream: string) => void;
  /** Called for each events file that retention removed. */
  readonly onRemoved?: (object: string) => void;
}

/** An event as JSON: its ids as UUIDs, other bytes as hexadecimal. */
export type PlainEvent = Readonly<Record<string, unknown>> & { readonly id: string; readonly stream: string; readonly type: string };

/** An archived event and its place in the log. */
export interface ArchivedEventView {
  readonly shard: number;
  readonly logIndex: number;
  readonly streamIndex: number;
  /** ISO 8601. */
  readonly acceptedAt: string;
  readonly producer: string;
  readonly leafHash: string;
  readonly object: string;
  /** Null where the content was removed. */
  readonly event: PlainEvent | null;
}

/**
 * The archive's events, unverified, in the order of each shard's log; one segment at a time is in memory.
 * Events of older schemas are read as events of the newest schema that this program knows.
 */
export async function* queryArchive(store: ObjectStore, options: QueryOptions): AsyncGenerator<ArchivedEventView> {
  const { objects, listed } = await openArchive(store, new Findings());
  const schemas = await readSchemas(objects, listed);
  for (const key of listed.keys()) {
    const place = parseArchiveKey(key);
    if (place.kind !== 'manifest') continue;
    const stored = await objects.get(key);
    if (stored === undefined) continue;
    const manifest = parseManifest(decodeEnvelope(stored.bytes, 'manifest').payload);
    const sync = segmentSyncMarker(manifest.origin, manifest.first, manifest.end, fromHex(manifest.root));
    const found: ArchivedEventView[] = [];
    const { events, retired } = logKeysOf(place.shard);
    for (const hex of manifest.schemas) {
      const object = events(place.first, place.end, hex);
      if (!listed.has(object) && listed.has(retired(place.first, place.end))) {
        options.onRemoved?.(object);
        continue;
      }
      const schema = schemas.get(hex);
      if (schema === undefined) throw new LineproofError('NOT_FOUND', `cannot query: schema ${hex} is not in the archive`);
      for await (const view of eventsOf(objects, object, { schema, sync, shard: place.shard }, options)) found.push(view);
    }
    yield* found.toSorted((a, b) => a.logIndex - b.logIndex);
  }
}

async function readSchemas(objects: ArchiveReader, listed: ReadonlyMap<string, number>): Promise<Map<string, EventSchema>> {
  const schemas = new Map<string, EventSchema>();
  for (const key of listed.keys()) {
    const stored = key.startsWith('schemas/') ? await objects.get(key) : undefined;
    if (stored === undefined) continue;
    const schema = compileEventSchema(utf8Text(stored.bytes));
    schemas.set(schema.hex, schema);
  }
  return schemas;
}

async function* eventsOf(
  objects: ArchiveReader,
  object: string,
  { schema, sync, shard }: { readonly schema: EventSchema; readonly sync: Uint8Array; readonly shard: number },
  { stream, onOther }: QueryOptions,
): AsyncGenerator<ArchivedEventView> {
  const stored = await objects.get(object);
  if (stored === undefined) throw new LineproofError('NOT_FOUND', `cannot query: ${object} is not in the archive`);
  const inflate = (data: Uint8Array, maxOutputLength: number): Uint8Array => inflateRawSync(data, { maxOutputLength });
  const resolve = resolverOf(schema);
  for await (const { records } of readContainer(
    archivedEventSchema(schema.text),
    sync,
    (at, length) => stored.bytes.subarray(at, at + length),
    inflate,
  )) {
    for (const record of records) {
      const { columns, event } = decodeArchivedEvent(record);
      const own = event === null ? undefined : schema.readHead(event).stream;
      if (stream !== undefined && own !== stream) {
        if (own !== undefined) onOther?.(own);
        continue;
      }
      const { logIndex, streamIndex, acceptedAt, producer, leafHash } = columns;
      yield {
        shard,
        logIndex,
        streamIndex,
        acceptedAt: new Date(acceptedAt / 1000).toISOString(),
        producer,
        leafHash: toHex(leafHash),
        object,
        event: event === null ? null : plain(resolve(event)),
      };
    }
  }
}

/** A reader of one schema's events as events of the newest schema: fields added since take their defaults. */
function resolverOf(schema: EventSchema): (bytes: Uint8Array) => Event {
  if (schema.hex === EVENT_SCHEMA.hex) return (bytes) => schema.decode(bytes);
  const writer = avsc.Type.forSchema(JSON.parse(schema.text));
  const reader = avsc.Type.forSchema(JSON.parse(EVENT_SCHEMA.text));
  const resolver = reader.createResolver(writer);
  return (bytes) => {
    schema.readHead(bytes);
    return reader.fromBuffer(Buffer.from(bytes), resolver) as Event;
  };
}

function plain(event: Event): PlainEvent {
  return JSON.parse(
    JSON.stringify(event, (name, value) => {
      const bytes = value?.type === 'Buffer' ? Uint8Array.from(value.data) : value;
      if (!(bytes instanceof Uint8Array)) return value;
      return name === 'id' ? formatUuid(bytes) : toHex(bytes);
    }),
  ) as PlainEvent;
}
