import { randomBytes } from '#crypto';
import { compareCodePoints, fromHex } from '../core/base/bytes.ts';
import { LineproofError, messageOf } from '../core/base/errors.ts';
import type { Activity, Actor, DataRef, Event, EventRef, EventType, Importance } from '../core/formats/event.ts';
import { idFromKey, newEventId, parseUuid } from '../core/formats/identity.ts';
import { activeTrace } from './trace-context.ts';

/** Data outside the log. Names must be pseudonyms where they could tell about a person. */
export interface DataInput {
  /** Default empty. */
  readonly namespace?: string;
  readonly name: string;
  readonly version?: string;
  /** Hex of a SHA-256, or any digest with its algorithm's name. */
  readonly digest?: string | { readonly algorithm: string; readonly value: string | Uint8Array };
  /** Bytes. */
  readonly size?: number;
  readonly mediaType?: string;
}

/** An event that caused this one. */
export interface ParentInput {
  readonly stream: string;
  readonly id: string;
  readonly digest?: string | Uint8Array;
  readonly origin?: string;
}

/** An event as a service writes it down. */
export interface EventInput {
  readonly stream: string;
  readonly type: EventType;
  /** Default ESSENTIAL. */
  readonly importance?: Importance;
  /** Default now. */
  readonly occurredAt?: Date;
  /** A service's name, or more about who did it. */
  readonly actor: string | { readonly id: string; readonly kind?: Actor['kind']; readonly onBehalfOf?: string };
  readonly activity?: string | { readonly name: string; readonly runId?: string; readonly version?: string; readonly environment?: string };
  readonly inputs?: readonly (string | DataInput)[];
  readonly outputs?: readonly (string | DataInput)[];
  readonly parents?: readonly ParentInput[];
  /** Default: the active span of OpenTelemetry, where the service has it; hex. */
  readonly trace?: { readonly traceId: string; readonly spanId: string } | null;
  readonly attributes?: Readonly<Record<string, string | number | boolean>>;
  readonly facets?: readonly { readonly name: string; readonly schemaUrl: string; readonly json: unknown }[];
  /** UUID; default a new UUIDv7. */
  readonly id?: string;
  /** The same key in the same stream always gives the same id, so that a repeated call adds nothing twice. */
  readonly idempotencyKey?: string;
}

/** The event that {@link EventInput} describes; throws EVENT_INVALID with the field's name. */
export function buildEvent(input: EventInput): Event {
  try {
    return eventOf(input);
  } catch (error) {
    if (error instanceof LineproofError) throw error;
    // Callers without types can leave out a field or give it a wrong type.
    throw new LineproofError(
      'EVENT_INVALID',
      `cannot take event: it lacks a field, or has one of another type (${String(error)})`,
      {},
      error,
    );
  }
}

function eventOf(input: EventInput): Event {
  const nowMicros = Date.now() * 1000;
  return {
    id: idOf(input, nowMicros),
    stream: input.stream,
    type: input.type,
    importance: input.importance ?? 'ESSENTIAL',
    occurredAt: input.occurredAt === undefined ? nowMicros : microsOf(input.occurredAt),
    actor: actorOf(input.actor),
    activity: input.activity === undefined ? null : activityOf(input.activity),
    inputs: (input.inputs ?? []).map(dataOf),
    outputs: (input.outputs ?? []).map(dataOf),
    parents: (input.parents ?? []).map(parentOf),
    trace: input.trace === undefined ? activeTrace() : traceOf(input.trace),
    attributes: attributesOf(input.attributes ?? {}),
    facets: (input.facets ?? []).map(({ name, schemaUrl, json }) => ({ name, schemaUrl, json: JSON.stringify(json) ?? 'null' })),
  };
}

function idOf({ id, idempotencyKey, stream }: EventInput, nowMicros: number): Uint8Array {
  if (id !== undefined) return field('id', () => parseUuid(id));
  return idempotencyKey === undefined ? newEventId(nowMicros, noise(10)) : field('stream', () => idFromKey(stream, idempotencyKey));
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

function microsOf(date: Date): number {
  const ms = date.getTime();
  if (!Number.isFinite(ms)) throw invalid('occurredAt', 'it is not a valid date');
  return Math.round(ms * 1000);
}

function actorOf(actor: EventInput['actor']): Actor {
  if (typeof actor === 'string') return { id: actor, kind: 'SERVICE', onBehalfOf: null };
  return { id: actor.id, kind: actor.kind ?? 'UNKNOWN', onBehalfOf: actor.onBehalfOf ?? null };
}

function activityOf(activity: NonNullable<EventInput['activity']>): Activity {
  const { name, runId, version, environment } = typeof activity === 'string' ? ({ name: activity } as Partial<Activity>) : activity;
  return { name: name as string, runId: runId ?? null, version: version ?? null, environment: environment ?? null };
}

function dataOf(data: string | DataInput): DataRef {
  const { namespace, name, version, digest, size, mediaType } = typeof data === 'string' ? ({ name: data } as DataInput) : data;
  return {
    namespace: namespace ?? '',
    name,
    version: version ?? null,
    digest: digest === undefined ? null : digestOf(digest),
    size: size ?? null,
    mediaType: mediaType ?? null,
  };
}

function digestOf(digest: NonNullable<DataInput['digest']>): NonNullable<DataRef['digest']> {
  if (typeof digest !== 'string') return { algorithm: digest.algorithm, value: bytesOf(digest.value, 'digest') };
  const value = bytesOf(digest, 'digest');
  if (value.length !== 32) throw invalid('digest', 'a plain hex digest must be a SHA-256; name the algorithm of any other');
  return { algorithm: 'sha256', value };
}

function parentOf({ stream, id, digest, origin }: ParentInput): EventRef {
  return {
    stream,
    id: field('parents', () => parseUuid(id)),
    digest: digest === undefined ? null : bytesOf(digest, 'parents'),
    origin: origin ?? null,
  };
}

function traceOf(trace: { readonly traceId: string; readonly spanId: string } | null): Event['trace'] {
  return trace === null ? null : { traceId: bytesOf(trace.traceId, 'trace'), spanId: bytesOf(trace.spanId, 'trace') };
}

function attributesOf(attributes: NonNullable<EventInput['attributes']>): Event['attributes'] {
  const rows = Object.entries(attributes).flatMap(([key, value]) => (value === undefined ? [] : [{ key, value: String(value) }]));
  return rows.length < 2 ? rows : rows.toSorted((a, b) => compareCodePoints(a.key, b.key));
}

function bytesOf(value: string | Uint8Array, name: string): Uint8Array {
  return typeof value === 'string' ? field(name, () => fromHex(value)) : value;
}

function field<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw invalid(name, messageOf(error), error);
  }
}

function invalid(name: string, fact: string, cause?: unknown): LineproofError {
  return new LineproofError('EVENT_INVALID', `cannot take event: its ${name} is not usable: ${fact}`, { field: name }, cause);
}
