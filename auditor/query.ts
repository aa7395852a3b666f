import { inflateRawSync } from 'node:zlib';
import avsc from 'avsc';
import { parseArchiveKey } from '../core/archive-keys.ts';
import { archivedEventSchema, decodeArchivedEvent } from '../core/archived-event.ts';
import { fromHex, toHex, utf8Text } from '../core/bytes.ts';
import { decodeEnvelope } from '../core/dsse.ts';
import { LineproofError } from '../core/errors.ts';
import type { Event } from '../core/event.ts';
import { compileEventSchema, EVENT_SCHEMA, type EventSchema } from '../core/event-schema.ts';
import { formatUuid } from '../core/identity.ts';
import { parseManifest } from '../core/manifest.ts';
import { readContainer } from '../core/ocf.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import { segmentSyncMarker } from '../core/segment.ts';

export interface QueryOptions {
  /** Only events of this stream. */
  readonly stream?: string;
}

/** A value of an event as JSON has it: ids as UUIDs, other bytes as hexadecimal. */
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

/** Events as the archive holds them, in the order of each shard's log. Events of older schemas are read as the newest that this program knows. */
export async function* queryArchive(objects: ObjectStore, options: QueryOptions): AsyncGenerator<ArchivedEventView> {
  const schemas = await readSchemas(objects);
  for await (const { key } of objects.list('logs/')) {
    const place = parseKey(key);
    if (place?.kind !== 'manifest') continue;
    const stored = await objects.get(key);
    if (stored === undefined) continue;
    const manifest = parseManifest(decodeEnvelope(stored.bytes, 'manifest').payload);
    const sync = segmentSyncMarker(manifest.origin, manifest.first, manifest.end, fromHex(manifest.root));
    const found: ArchivedEventView[] = [];
    for (const hex of manifest.schemas) {
      const schema = schemas.get(hex);
      if (schema === undefined) throw new LineproofError('NOT_FOUND', `cannot query: schema ${hex} is not in the archive`);
      const object = `${key.slice(0, key.lastIndexOf('/') + 1)}${key.slice(key.lastIndexOf('/') + 1).replace('manifest.json', `${hex.slice(0, 16)}.events.avro`)}`;
      for await (const view of eventsOf(objects, object, schema, sync, place.shard))
        if (options.stream === undefined || view.event?.stream === options.stream) found.push(view);
    }
    yield* found.toSorted((a, b) => a.logIndex - b.logIndex);
  }
}

function parseKey(key: string): ReturnType<typeof parseArchiveKey> | undefined {
  try {
    return parseArchiveKey(key);
  } catch {
    return undefined;
  }
}

async function readSchemas(objects: ObjectStore): Promise<Map<string, EventSchema>> {
  const schemas = new Map<string, EventSchema>();
  for await (const { key } of objects.list('schemas/')) {
    const stored = await objects.get(key);
    if (stored === undefined) continue;
    const schema = compileEventSchema(utf8Text(stored.bytes));
    schemas.set(schema.hex, schema);
  }
  return schemas;
}

async function* eventsOf(
  objects: ObjectStore,
  object: string,
  schema: EventSchema,
  sync: Uint8Array,
  shard: number,
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

/** Reads an event's bytes, which were walked strictly, as the newest schema: fields added since take their defaults. One resolver per schema. */
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
