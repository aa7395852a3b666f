import { randomBytes } from '#crypto';
import { compareCodePoints } from '../core/base/bytes.ts';
import { LineproofError, messageOf } from '../core/base/errors.ts';
import { streamFault } from '../core/base/format-checks.ts';
import { quotedText } from '../core/base/quoted-text.ts';
import { type Activity, type Actor, type DataRef, EVENT_TYPES, type Event, type EventRef, IMPORTANCES } from '../core/formats/event.ts';
import { idFromKey, newEventId, parseUuid } from '../core/formats/identity.ts';
import { bytesOf, digestOf } from './digest-input.ts';
import type { EventInput } from './event-input.ts';
import { facetJson } from './facet-json.ts';
import {
  anyText,
  FieldFault,
  fieldsOf,
  listOf,
  member,
  membersOf,
  nature,
  optionalText,
  refuse,
  text,
  within,
  wordOf,
} from './field-check.ts';
import { microsOf } from './time-input.ts';
import { activeTrace } from './trace-context.ts';

type Given = Readonly<Record<string, unknown>>;

/** The fields of each part of an event; any other is a mistake of the caller, mostly of spelling. */
const FIELDS = {
  event: new Set([
    'stream',
    'type',
    'actor',
    'occurredAt',
    'id',
    'idempotencyKey',
    'importance',
    'activity',
    'inputs',
    'outputs',
    'parents',
    'trace',
    'attributes',
    'facets',
  ]),
  actor: new Set(['id', 'kind', 'onBehalfOf']),
  activity: new Set(['name', 'runId', 'version', 'environment']),
  data: new Set(['namespace', 'name', 'version', 'digest', 'size', 'mediaType']),
  parent: new Set(['stream', 'id', 'digest', 'origin']),
  trace: new Set(['traceId', 'spanId']),
  facet: new Set(['name', 'schemaUrl', 'json']),
} as const;
const ACTOR_KINDS: readonly Actor['kind'][] = ['SERVICE', 'PERSON', 'JOB', 'DEVICE', 'UNKNOWN'];
const MAX_KEY_UNITS = 4096;

/** The event that {@link EventInput} describes. Throws EVENT_INVALID with the path of the first field that does not fit, also for callers without types; LIMIT_EXCEEDED. */
export function buildEvent(input: EventInput): Event {
  try {
    return eventOf(fieldsOf(input, FIELDS.event, 'an event'));
  } catch (error) {
    if (error instanceof LineproofError) throw error;
    // Only a getter or a proxy of the caller throws anything else.
    if (!(error instanceof FieldFault))
      throw new LineproofError('EVENT_INVALID', `cannot take event: reading it failed: ${messageOf(error)}`, {}, error);
    const { path, fact } = error;
    throw new LineproofError('EVENT_INVALID', `cannot take event: ${path === '' ? 'it' : path} ${fact}`, { field: path });
  }
}

function eventOf(given: Given): Event {
  const nowMicros = Date.now() * 1000;
  const stream = streamOf(given['stream']);
  const id = givenId(given, stream);
  const { importance, occurredAt, activity, trace, attributes } = given;
  return {
    id: id ?? newEventId(nowMicros, noise(10)),
    stream,
    type: wordOf(given['type'], 'type', EVENT_TYPES),
    importance: importance === undefined ? 'ESSENTIAL' : wordOf(importance, 'importance', IMPORTANCES),
    occurredAt: 'occurredAt' in given ? microsOf(occurredAt, 'occurredAt') : nowMicros,
    actor: within('actor', () => actorOf(given['actor'])),
    activity: activity === undefined ? null : within('activity', () => activityOf(activity)),
    inputs: listOf(given['inputs'], 'inputs', dataOf),
    outputs: listOf(given['outputs'], 'outputs', dataOf),
    parents: listOf(given['parents'], 'parents', parentOf),
    trace: trace === undefined ? traceOfNow(id) : within('trace', () => traceOf(trace)),
    attributes: attributes === undefined ? [] : within('attributes', () => attributesOf(attributes)),
    facets: listOf(given['facets'], 'facets', facetOf),
  };
}

function streamOf(value: unknown): string {
  const stream = text(value, 'stream');
  const fault = streamFault(stream);
  if (fault !== undefined) refuse('stream', `cannot be used: ${fault}`);
  return stream;
}

/**
 * The id that the caller gives, as a UUID or by a key; undefined if it gives none. A member that is there and undefined is not taken as left out: the
 * caller meant to give an id, and a new one for each call would record an event again and again.
 */
function givenId(given: Given, stream: string): Uint8Array | undefined {
  const hasId = 'id' in given;
  const hasKey = 'idempotencyKey' in given;
  if (!hasId && !hasKey) return undefined;
  if (hasId && hasKey) refuse('idempotencyKey', 'is given beside id; give one of them');
  const name = hasId ? 'id' : 'idempotencyKey';
  const value = text(given[name], name);
  if (value.length > MAX_KEY_UNITS) refuse(name, `has ${value.length} characters; give at most ${MAX_KEY_UNITS}`);
  if (given['occurredAt'] === undefined)
    refuse('occurredAt', `is missing; an event with ${name} needs it, so that a repeated call is the same event and not a conflict`);
  return hasId ? uuidOf(value, 'id') : idFromKey(stream, value);
}

function uuidOf(value: unknown, name: string): Uint8Array {
  const given = text(value, name);
  // Programs use these two where they have no id.
  if (/^(?:0[0-]*0|f[f-]*f)$/.test(given)) refuse(name, `is ${quotedText(given)}, which is no event's id`);
  try {
    return parseUuid(given);
  } catch {
    return refuse(name, `is ${quotedText(given)}; give a UUID in lower case, such as 01890a5d-ac96-774b-bcce-b302099a8057`);
  }
}

const NOISE_BYTES = 4000;
let unused: Uint8Array = new Uint8Array(0);

/** Random bytes for ids, drawn from the system many at a time: a draw of ten costs as much as the rest of an event. */
function noise(length: number): Uint8Array {
  if (unused.length < length) unused = randomBytes(NOISE_BYTES);
  const taken = unused.subarray(0, length);
  unused = unused.subarray(length);
  return taken;
}

function actorOf(actor: unknown): Actor {
  if (typeof actor === 'string') return { id: text(actor, ''), kind: 'SERVICE', onBehalfOf: null };
  const { id, kind, onBehalfOf } = fieldsOf(actor, FIELDS.actor, 'an actor');
  return {
    id: text(id, 'id'),
    kind: kind === undefined ? 'UNKNOWN' : wordOf(kind, 'kind', ACTOR_KINDS),
    onBehalfOf: optionalText(onBehalfOf, 'onBehalfOf'),
  };
}

function activityOf(activity: unknown): Activity {
  if (typeof activity === 'string') return { name: text(activity, ''), runId: null, version: null, environment: null };
  const { name, runId, version, environment } = fieldsOf(activity, FIELDS.activity, 'an activity');
  return {
    name: text(name, 'name'),
    runId: optionalText(runId, 'runId'),
    version: optionalText(version, 'version'),
    environment: optionalText(environment, 'environment'),
  };
}

function dataOf(data: unknown): DataRef {
  if (typeof data === 'string') return { namespace: '', name: text(data, ''), version: null, digest: null, size: null, mediaType: null };
  const { namespace, name, version, digest, size, mediaType } = fieldsOf(data, FIELDS.data, 'data');
  return {
    namespace: namespace === undefined ? '' : anyText(namespace, 'namespace'),
    name: text(name, 'name'),
    version: optionalText(version, 'version'),
    digest: digest === undefined ? null : within('digest', () => digestOf(digest)),
    size: size === undefined ? null : sizeOf(size),
    mediaType: optionalText(mediaType, 'mediaType'),
  };
}

function sizeOf(size: unknown): number {
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0 || Object.is(size, -0))
    refuse('size', `${nature(size)}; give a whole number of bytes from 0 to 2^53 − 1`);
  return size;
}

function parentOf(parent: unknown): EventRef {
  const { stream, id, digest, origin } = fieldsOf(parent, FIELDS.parent, 'a parent');
  return {
    stream: streamOf(stream),
    id: uuidOf(id, 'id'),
    digest: digest === undefined ? null : bytesOf(digest, 'digest', 32),
    origin: optionalText(origin, 'origin'),
  };
}

/** A repeated call has another span, and would be a conflict with it. */
function traceOfNow(id: Uint8Array | undefined): Event['trace'] {
  return id === undefined ? activeTrace() : null;
}

function traceOf(trace: unknown): Event['trace'] {
  if (trace === null) return null;
  const { traceId, spanId } = fieldsOf(trace, FIELDS.trace, 'a trace');
  const ids = { traceId: bytesOf(traceId, 'traceId', 16), spanId: bytesOf(spanId, 'spanId', 8) };
  for (const [name, bytes] of Object.entries(ids)) if (bytes.every((byte) => byte === 0)) refuse(name, 'is all zeros, which names no span');
  return ids;
}

function attributesOf(attributes: unknown): Event['attributes'] {
  const rows = Object.entries(membersOf(attributes, '{"rows": "12"}')).map(([key, value]) => {
    if (key === '') refuse('[""]', 'has an empty name');
    anyText(key, member(key));
    return { key, value: anyText(value, member(key)) };
  });
  return rows.length < 2 ? rows : rows.toSorted((a, b) => compareCodePoints(a.key, b.key));
}

function facetOf(facet: unknown): Event['facets'][number] {
  const { name, schemaUrl, json } = fieldsOf(facet, FIELDS.facet, 'a facet');
  return { name: text(name, 'name'), schemaUrl: text(schemaUrl, 'schemaUrl'), json: within('json', () => facetJson(json)) };
}
