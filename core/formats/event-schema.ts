import { sha256 } from '#crypto';
import {
  closeInput,
  compareInput,
  inputAt,
  openInput,
  readArrayEnd,
  readCount,
  readIndex,
  readLong,
  readSlice,
  readString,
  walkString,
} from '../avro/cursor.ts';
import { codecOf, compileFields } from '../avro/schema.ts';
import { SCHEMA_TEXTS } from '../avro/schema-texts.ts';
import { type AvroField, recordNode } from '../avro/value-node.ts';
import { compareCodePoints, toHex, utf8 } from '../base/bytes.ts';
import { LineproofError } from '../base/errors.ts';
import { mustFit, streamFault } from '../base/format-checks.ts';
import { canonicalJson } from '../base/jcs.ts';
import { LIMITS } from '../base/limits.ts';
import { EVENT_TYPES, EVENT_TYPES_OF_VERSION_1, type Event, type EventType, IMPORTANCES, type Importance } from './event.ts';

/** The fields of an event that the chainer needs. */
export interface EventHead {
  readonly id: Uint8Array;
  readonly stream: string;
  /** Bytes of the stream's name in UTF-8. */
  readonly streamBytes: number;
  /** OTHER for a kind that this version does not know. */
  readonly type: EventType;
  readonly importance: Importance;
  readonly occurredAt: number;
}

/** One version of the Event schema, compiled. */
export interface EventSchema {
  /** RFC 8785 text. */
  readonly text: string;
  /** SHA-256 of the text. */
  readonly digest: Uint8Array;
  readonly hex: string;
  /** Throws AVRO_INVALID, EVENT_INVALID or LIMIT_EXCEEDED for an event that {@link EventSchema.readHead} would refuse. */
  encode(event: Event): Uint8Array;
  decode(bytes: Uint8Array): Event;
  /** Walks the whole event strictly, checks it by the rules of docs/formats.md §1, and returns its leading fields. Throws AVRO_INVALID, EVENT_INVALID, LIMIT_EXCEEDED. */
  readHead(bytes: Uint8Array): EventHead;
}

type Parsed = {
  readonly name?: unknown;
  readonly namespace?: unknown;
  readonly fields?: readonly { readonly name: string; readonly type: unknown }[];
};
const LEADING = ['id', 'stream', 'type', 'importance', 'occurredAt'];
const RELEASED: Parsed = JSON.parse(SCHEMA_TEXTS.Event);

/** Compiles a released or later Event schema from its JSON text; throws SCHEMA_INVALID for anything else. */
export function compileEventSchema(schemaText: string): EventSchema {
  let schema: unknown;
  try {
    schema = JSON.parse(schemaText);
  } catch (cause) {
    throw new LineproofError('SCHEMA_INVALID', 'cannot compile schema: it is not JSON', {}, cause);
  }
  const fields = compileFields(schema);
  const symbols = checkShape(schema as Parsed, fields);
  const text = canonicalJson(schema);
  const digest = sha256(utf8(text));
  const codec = codecOf<Event>(recordNode(fields, 'Event'));
  const readHead = headReader(fields, symbols);
  return {
    text,
    digest,
    hex: toHex(digest),
    encode(event) {
      checkEvent(event);
      const bytes = codec.encode(event);
      mustFit(bytes.length, LIMITS.eventBytes, 'event');
      return bytes;
    },
    decode(bytes) {
      mustFit(bytes.length, LIMITS.eventBytes, 'event');
      const event = codec.decode(bytes);
      checkEvent(event);
      return event;
    },
    readHead,
  };
}

/** Checks that the fields of version 1 come first and in order, and that the leading ones have the types of version 1; only `type` may have more symbols. Returns these symbols. */
function checkShape(schema: Parsed, fields: readonly AvroField[]): readonly string[] {
  const released = RELEASED.fields ?? [];
  if (schema.name !== RELEASED.name || schema.namespace !== RELEASED.namespace || released.some(({ name }, i) => fields[i]?.name !== name))
    throw new LineproofError('SCHEMA_INVALID', 'cannot compile schema: its fields are not those of lineproof.v1.Event');
  for (const [i, name] of LEADING.entries()) {
    if (name !== 'type' && canonicalJson(bare(fields[i]?.type)) !== canonicalJson(bare(released[i]?.type)))
      throw new LineproofError('SCHEMA_INVALID', `cannot compile schema: field ${name} has another type`);
  }
  const symbols = (fields[2]?.type as { readonly symbols?: unknown } | undefined)?.symbols;
  if (!Array.isArray(symbols) || EVENT_TYPES_OF_VERSION_1.some((type, i) => symbols[i] !== type))
    throw new LineproofError('SCHEMA_INVALID', 'cannot compile schema: field type lacks symbols of version 1');
  return symbols as string[];
}

/** A type without its `doc`, the text for people. */
function bare(type: unknown): unknown {
  if (typeof type !== 'object' || type === null) return type ?? null;
  return Object.fromEntries(Object.entries(type).filter(([name]) => name !== 'doc'));
}

function headReader(fields: readonly AvroField[], symbols: readonly string[]): EventSchema['readHead'] {
  const rest: readonly (() => unknown)[] = fields
    .slice(LEADING.length)
    .map(({ name, type, node }) => (name === 'attributes' ? attributesWalk(type) : node.walk));
  return (bytes) => {
    mustFit(bytes.length, LIMITS.eventBytes, 'event');
    openInput(bytes);
    const id = readSlice(16);
    const start = inputAt();
    const stream = readString();
    const streamBytes = textBytes(inputAt() - start);
    const symbol = symbols[readIndex(symbols.length)] as EventType;
    const importance = IMPORTANCES[readIndex(IMPORTANCES.length)] as Importance;
    const occurredAt = readLong();
    let sorted = true;
    for (const walk of rest) if (walk() === false) sorted = false;
    closeInput();
    const fault = streamFault(stream) ?? (sorted ? undefined : 'its attributes are not sorted and unique');
    if (fault !== undefined) throw eventInvalid(fault);
    return { id, stream, streamBytes, type: EVENT_TYPES.includes(symbol) ? symbol : 'OTHER', importance, occurredAt };
  };
}

/** Bytes of a text whose Avro form has `bytes`: its length takes one byte up to 63, two up to 8,191; longer ones are not stream names. */
function textBytes(bytes: number): number {
  return bytes - (bytes > 64 ? 2 : 1);
}

/** Makes a walk over the attributes. The walk returns false unless they are sorted by the bytes of their keys, and each key is unique. */
function attributesWalk(type: unknown): () => boolean {
  const item = compileFields((type as { readonly items?: unknown }).items);
  if (item[0]?.name !== 'key' || item[0].type !== 'string')
    throw new LineproofError('SCHEMA_INVALID', 'cannot compile schema: an attribute does not start with its key');
  const others = item.slice(1).map(({ node }) => node.walk);
  const minBytes = item.reduce((sum, { node }) => sum + node.minBytes, 0);
  return () => {
    const count = readCount(minBytes);
    if (count === 0) return true;
    let sorted = true;
    let before = 0;
    let beforeEnd = 0;
    for (let i = 0; i < count; i++) {
      const key = walkString();
      const keyEnd = inputAt();
      if (i > 0 && compareInput(before, beforeEnd, key, keyEnd) >= 0) sorted = false;
      before = key;
      beforeEnd = keyEnd;
      for (const walk of others) walk();
    }
    readArrayEnd();
    return sorted;
  };
}

function checkEvent(event: Event): void {
  const fault = streamFault(event.stream);
  if (fault !== undefined) throw eventInvalid(fault);
  let before: string | undefined;
  for (const { key } of event.attributes) {
    if (before !== undefined && compareCodePoints(before, key) >= 0) throw eventInvalid('its attributes are not sorted and unique');
    before = key;
  }
}

function eventInvalid(fault: string): LineproofError {
  return new LineproofError('EVENT_INVALID', `cannot take event: ${fault}`);
}

/** The released version 1 of the Event schema. */
export const EVENT_SCHEMA: EventSchema = compileEventSchema(SCHEMA_TEXTS.Event);
