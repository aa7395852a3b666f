import { inflateRawSync } from 'node:zlib';
import avsc from 'avsc';
import { segmentSyncMarker } from '../core/acceptance/segment-rule.ts';
import { logKeysOf, parseArchiveKey, schemaKey } from '../core/archive/archive-keys.ts';
import { type Manifest, parseManifest } from '../core/archive/manifest.ts';
import { readContainer } from '../core/avro/ocf.ts';
import { fromHex, toHex, utf8Text } from '../core/base/bytes.ts';
import { type ArchivedColumns, archivedEventSchema, decodeArchivedEvent } from '../core/formats/archived-event.ts';
import type { Event } from '../core/formats/event.ts';
import { compileEventSchema, EVENT_SCHEMA, type EventSchema } from '../core/formats/event-schema.ts';
import { formatUuid } from '../core/formats/identity.ts';
import { decodeEnvelope } from '../core/keys/dsse.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import { type ArchiveReader, listArchive } from './archive-reader.ts';
import { Findings } from './findings.ts';
import { errorText } from './governance.ts';
import { MAX_ROW_BYTES } from './segment-audit.ts';

export interface QueryOptions {
  /** Gives only events of this stream. */
  readonly stream?: string;
  /** Called with the stream of each event that was not asked for. */
  readonly onOther?: (stream: string) => void;
  /** Called for each events file that retention removed. */
  readonly onRemoved?: (object: string) => void;
  /** Called for each segment before its events are given, with the leaf after its last. */
  readonly onSegment?: (shard: number, end: number) => void;
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
  /** Null for an event that is not archived yet. */
  readonly object: string | null;
  /** Null where the content was removed. */
  readonly event: PlainEvent | null;
}

/**
 * The archive's events, unverified, in the order of each shard's log; the records of one segment at a time are in memory. An object that cannot be read
 * is a finding, and its events are left out. Events of older schemas are read as events of the newest schema that this program knows.
 */
export async function* queryArchive(
  store: ObjectStore,
  options: QueryOptions,
  findings = new Findings(),
): AsyncGenerator<ArchivedEventView> {
  const { objects, listed } = await listArchive(store, findings);
  const schemas = await readSchemas(objects, listed, findings);
  const sources: Sources = { objects, listed, schemas, findings };
  for (const key of listed.keys()) {
    const place = parseArchiveKey(key);
    if (place.kind !== 'manifest') continue;
    const manifest = await readManifest(sources, key, place.shard);
    options.onSegment?.(place.shard, place.end);
    if (manifest !== undefined) yield* eventsOfSegment(sources, manifest, place, options);
  }
}

interface Sources {
  readonly objects: ArchiveReader;
  readonly listed: ReadonlyMap<string, number>;
  readonly schemas: ReadonlyMap<string, EventReader>;
  readonly findings: Findings;
}

/** A schema of the archive, and its events as events of the newest schema. */
interface EventReader {
  readonly schema: EventSchema;
  readonly resolve: (bytes: Uint8Array) => Event;
}

/** An archived record that was asked for, not resolved yet. */
interface FoundRecord {
  readonly columns: ArchivedColumns;
  readonly event: Uint8Array | null;
  readonly object: string;
  readonly reader: EventReader;
}

async function readManifest({ objects, findings }: Sources, object: string, shard: number): Promise<Manifest | undefined> {
  const stored = await objects.get(object);
  if (stored === undefined) return undefined;
  try {
    return parseManifest(decodeEnvelope(stored.bytes, 'manifest').payload);
  } catch (error) {
    findings.add('MANIFEST_MALFORMED', `the manifest cannot be used: ${errorText(error)}`, { shard, object });
    return undefined;
  }
}

async function* eventsOfSegment(
  sources: Sources,
  manifest: Manifest,
  { shard, first, end }: { readonly shard: number; readonly first: number; readonly end: number },
  options: QueryOptions,
): AsyncGenerator<ArchivedEventView> {
  const { listed, schemas, findings } = sources;
  const sync = segmentSyncMarker(manifest.origin, manifest.first, manifest.end, fromHex(manifest.root));
  const { events, retired } = logKeysOf(shard);
  const found: FoundRecord[] = [];
  const file = { shard, sync, left: { bytes: MAX_ROW_BYTES } };
  // Each schema once: a forged manifest may list one twice.
  for (const hex of new Set(manifest.schemas)) {
    const object = events(first, end, hex);
    if (!listed.has(object) && listed.has(retired(first, end))) {
      options.onRemoved?.(object);
      continue;
    }
    const reader = schemas.get(hex);
    const missing = { shard, object: schemaKey(hex) };
    if (reader !== undefined) await readRecords(sources, { ...file, object, reader }, options, found);
    else if (!listed.has(missing.object))
      findings.add('MISSING', 'the schema of an events file is not in the archive', missing, { property: 'ARCHIVE' });
  }
  for (const each of found.toSorted((a, b) => a.columns.logIndex - b.columns.logIndex)) {
    const view = viewOf(each, shard, findings);
    if (view !== undefined) yield view;
  }
}

/** The schemas of the archive that this program can read events of. Each other one is a finding. */
async function readSchemas(
  objects: ArchiveReader,
  listed: ReadonlyMap<string, number>,
  findings: Findings,
): Promise<Map<string, EventReader>> {
  const schemas = new Map<string, EventReader>();
  for (const object of listed.keys()) {
    const stored = object.startsWith('schemas/') ? await objects.get(object) : undefined;
    if (stored === undefined) continue;
    try {
      const schema = compileEventSchema(utf8Text(stored.bytes));
      if (schemaKey(schema.hex) !== object) throw new Error('it does not have the digest that its name states');
      schemas.set(schema.hex, { schema, resolve: resolverOf(schema) });
    } catch (error) {
      findings.add('SCHEMA_INVALID', `the schema cannot be used: ${errorText(error)}`, { object });
    }
  }
  return schemas;
}

interface EventsFile {
  readonly shard: number;
  readonly object: string;
  readonly sync: Uint8Array;
  readonly reader: EventReader;
  /** Decompressed bytes that the files of the segment may still have. */
  readonly left: { bytes: number };
}

/** Adds the records of a file that were asked for, as far as it can be read. */
async function readRecords(
  { objects, listed, findings }: Sources,
  { shard, object, sync, reader, left }: EventsFile,
  { stream, onOther }: QueryOptions,
  found: FoundRecord[],
): Promise<void> {
  const place = { shard, object };
  const stored = await objects.get(object);
  if (stored === undefined) {
    if (!listed.has(object)) findings.add('MISSING', 'the object is missing, and the manifest lists it', place, { property: 'ARCHIVE' });
    return;
  }
  const read = (at: number, length: number): Uint8Array => stored.bytes.subarray(at, at + length);
  const inflate = (data: Uint8Array, maxOutputLength: number): Uint8Array => inflateRawSync(data, { maxOutputLength });
  try {
    for await (const { data, records } of readContainer(archivedEventSchema(reader.schema.text), sync, read, inflate)) {
      left.bytes -= data.length;
      if (left.bytes < 0) {
        findings.add('TOO_LARGE', 'the object decompresses to more than a segment can hold', place);
        return;
      }
      for (const record of records) {
        const { columns, event } = decodeArchivedEvent(record);
        const own = stream === undefined || event === null ? undefined : reader.schema.readHead(event).stream;
        if (stream === undefined || own === stream) found.push({ columns, event, object, reader });
        else if (own !== undefined) onOther?.(own);
      }
    }
  } catch (error) {
    findings.add('CONTAINER', `the object cannot be read as an Avro file: ${errorText(error)}`, place);
  }
}

function viewOf({ columns, event, object, reader }: FoundRecord, shard: number, findings: Findings): ArchivedEventView | undefined {
  try {
    return eventView({ ...columns, shard }, object, event === null ? null : plain(reader.resolve(event)));
  } catch (error) {
    findings.add('CONTAINER', `the event cannot be read by its schema: ${errorText(error)}`, { shard, object, leaf: columns.logIndex });
    return undefined;
  }
}

/** Where an event is in the log, as archive and log hold it. */
type EventPlace = Pick<ArchivedColumns, 'logIndex' | 'streamIndex' | 'acceptedAt' | 'producer' | 'leafHash'> & { readonly shard: number };

/** An event and its place, for display. Throws a RangeError for a time that no date has. */
export function eventView(place: EventPlace, object: string | null, event: PlainEvent | null): ArchivedEventView {
  const { shard, logIndex, streamIndex, acceptedAt, producer, leafHash } = place;
  const time = new Date(acceptedAt / 1000).toISOString();
  return { shard, logIndex, streamIndex, acceptedAt: time, producer, leafHash: toHex(leafHash), object, event };
}

/** An event of one schema as JSON, with the defaults of the fields that the newest schema adds. The function throws AVRO_INVALID for other bytes. */
export function plainEvents(schema: EventSchema): (bytes: Uint8Array) => PlainEvent {
  const resolve = resolverOf(schema);
  return (bytes) => plain(resolve(bytes));
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
