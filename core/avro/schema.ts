import { LineproofError } from '../base/errors.ts';
import {
  closeInput,
  closeOutput,
  inputAt,
  MAX_DEPTH,
  openInput,
  openOutput,
  readArrayEnd,
  readBoolean,
  readCount,
  readIndex,
  readInt,
  readLong,
  readSlice,
  readString,
  refuseValue,
  skip,
  walkString,
  writeLong,
  writeSlice,
  writeString,
} from './cursor.ts';

/** Reads and writes values of one schema in the one spelling that docs/formats.md admits. */
export interface Codec<T> {
  /** The bytes of `value`, which nothing writes to again; throws AVRO_INVALID where the schema has no place for it. */
  encode(value: T): Uint8Array;
  /** The value that `bytes` hold, to the last byte; byte strings are views. Throws AVRO_INVALID. */
  decode(bytes: Uint8Array): T;
  /** Offset behind the value that starts at `at`, checked as strictly as by decode; throws AVRO_INVALID. */
  walk(bytes: Uint8Array, at: number): number;
}

/** One type of a schema; works at the module's cursor. */
export interface AvroNode {
  /** Bytes of the shortest value, at least 1. */
  readonly minBytes: number;
  readonly walk: () => unknown;
  readonly read: () => unknown;
  readonly write: (value: unknown) => void;
}

export interface AvroField {
  readonly name: string;
  readonly type: unknown;
  readonly node: AvroNode;
  readonly fallback: unknown;
}

interface Scope {
  readonly names: Map<string, AvroNode>;
  /** Names of the records around, which must not occur inside themselves. */
  readonly open: Set<string>;
  readonly namespace: string;
  readonly depth: number;
}

type Json = Readonly<Record<string, unknown>>;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Compiles an Avro schema (parsed JSON); throws SCHEMA_INVALID for what released schemas must not use: maps, floats, recursion, unknown types. */
export function compileSchema<T>(schema: unknown): Codec<T> {
  return codecOf(compile(schema, rootScope(), 'value'));
}

/** The fields of a record schema, each compiled, in order. Throws SCHEMA_INVALID. */
export function compileFields(schema: unknown): readonly AvroField[] {
  if (!isObject(schema) || schema['type'] !== 'record') throw invalid('it is no record');
  return recordFields(schema, rootScope());
}

/** The codec of a compiled type. */
export function codecOf<T>(node: AvroNode): Codec<T> {
  return {
    encode(value) {
      openOutput();
      node.write(value);
      return closeOutput();
    },
    decode(bytes) {
      openInput(bytes);
      const value = node.read() as T;
      closeInput();
      return value;
    },
    walk(bytes, at) {
      openInput(bytes, at);
      node.walk();
      return inputAt();
    },
  };
}

/** The record that `fields` make. */
export function recordNode(fields: readonly AvroField[], place: string): AvroNode {
  const count = fields.length;
  const names = fields.map(({ name }) => name);
  const nodes = fields.map(({ node }) => node);
  // Functions out of one array each: to load them from nodes of many shapes costs as much as what they do.
  const walks = nodes.map(({ walk }) => walk);
  const reads = nodes.map(({ read }) => read);
  const writes = nodes.map(({ write }) => write);
  return {
    minBytes: nodes.reduce((sum, { minBytes }) => sum + minBytes, 0),
    walk() {
      for (let i = 0; i < count; i++) (walks[i] as AvroNode['walk'])();
    },
    read() {
      const record: Record<string, unknown> = {};
      for (let i = 0; i < count; i++) record[names[i] as string] = (reads[i] as AvroNode['read'])();
      return record;
    },
    write(value) {
      if (!isObject(value)) refuseValue(place, 'it is no record');
      for (let i = 0; i < count; i++) {
        const member = value[names[i] as string];
        (writes[i] as AvroNode['write'])(member === undefined ? fields[i]?.fallback : member);
      }
    },
  };
}

function rootScope(): Scope {
  return { names: new Map(), open: new Set(), namespace: '', depth: 0 };
}

function invalid(fact: string): LineproofError {
  return new LineproofError('SCHEMA_INVALID', `cannot compile schema: ${fact}`);
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function compile(schema: unknown, scope: Scope, place: string): AvroNode {
  if (scope.depth > MAX_DEPTH) throw invalid(`it nests deeper than ${MAX_DEPTH}`);
  const inner = { ...scope, depth: scope.depth + 1 };
  if (Array.isArray(schema)) return unionNode(schema, inner, place);
  if (typeof schema === 'string') return namedOrPrimitive(schema, scope, place);
  if (!isObject(schema)) throw invalid(`${place} has no type`);
  checkLogicalType(schema);
  switch (schema['type']) {
    case 'record':
      return define(schema, inner, (named) => {
        const { name } = fullName(schema, scope);
        named.open.add(name);
        const node = recordNode(recordFields(schema, named), String(schema['name']));
        named.open.delete(name);
        return node;
      });
    case 'enum':
      return define(schema, inner, () => enumNode(schema, place));
    case 'fixed':
      return define(schema, inner, () => fixedNode(schema['size'], place));
    case 'array':
      return arrayNode(compile(schema['items'], inner, place), place);
    default:
      return compile(schema['type'], inner, place);
  }
}

function checkLogicalType(schema: Json): void {
  const logical = schema['logicalType'];
  if (logical !== undefined && (logical !== 'timestamp-micros' || schema['type'] !== 'long'))
    throw invalid(`logical type ${JSON.stringify(logical)} is not used`);
}

function fullName(schema: Json, scope: Scope): { name: string; namespace: string } {
  const name = schema['name'];
  if (typeof name !== 'string' || !NAME.test(name)) throw invalid('a type has no plain name');
  const namespace = typeof schema['namespace'] === 'string' ? schema['namespace'] : scope.namespace;
  return { name: namespace === '' ? name : `${namespace}.${name}`, namespace };
}

function define(schema: Json, scope: Scope, make: (scope: Scope) => AvroNode): AvroNode {
  const { name, namespace } = fullName(schema, scope);
  if (scope.names.has(name) || scope.open.has(name)) throw invalid(`${name} is defined twice`);
  const node = make({ ...scope, namespace });
  scope.names.set(name, node);
  return node;
}

function recordFields(schema: Json, scope: Scope): AvroField[] {
  const fields = schema['fields'];
  if (!Array.isArray(fields) || fields.length === 0) throw invalid(`record ${String(schema['name'])} has no fields`);
  const { namespace } = fullName(schema, scope);
  const seen = new Set<string>();
  return fields.map((field: unknown) => {
    if (!isObject(field) || typeof field['name'] !== 'string') throw invalid('a field has no name');
    const name = field['name'];
    if (!NAME.test(name) || name === '__proto__' || seen.has(name)) throw invalid(`field name ${name} is not plain or not unique`);
    seen.add(name);
    const node = compile(field['type'], { ...scope, namespace }, `${String(schema['name'])}.${name}`);
    return { name, type: field['type'], node, fallback: field['default'] };
  });
}

function namedOrPrimitive(type: string, scope: Scope, place: string): AvroNode {
  switch (type) {
    case 'string':
      return stringNode(place);
    case 'bytes':
      return bytesNode(place);
    case 'long':
      return longNode(place);
    case 'int':
      return intNode(place);
    case 'boolean':
      return booleanNode(place);
    default: {
      const name = type.includes('.') || scope.namespace === '' ? type : `${scope.namespace}.${type}`;
      const node = scope.names.get(name);
      if (node === undefined) throw invalid(scope.open.has(name) ? `${name} contains itself` : `type ${type} is not used or not known`);
      return node;
    }
  }
}

function stringNode(place: string): AvroNode {
  return {
    minBytes: 1,
    walk: walkString,
    read: readString,
    write(value) {
      if (typeof value !== 'string') refuseValue(place, 'it is no string');
      writeString(value, place);
    },
  };
}

function bytesNode(place: string): AvroNode {
  return {
    minBytes: 1,
    walk: () => skip(readLong()),
    read: () => readSlice(readLong()),
    write(value) {
      if (!isBytes(value)) refuseValue(place, 'it is no byte string');
      writeLong(value.length);
      writeSlice(value);
    },
  };
}

function longNode(place: string): AvroNode {
  return {
    minBytes: 1,
    walk: readLong,
    read: readLong,
    write(value) {
      if (typeof value !== 'number' || !Number.isSafeInteger(value)) refuseValue(place, 'it is no integer within ±(2^53 − 1)');
      writeLong(value);
    },
  };
}

function intNode(place: string): AvroNode {
  return {
    minBytes: 1,
    walk: readInt,
    read: readInt,
    write(value) {
      if (typeof value !== 'number' || (value | 0) !== value) refuseValue(place, 'it is no 32-bit integer');
      writeLong(value);
    },
  };
}

function booleanNode(place: string): AvroNode {
  return {
    minBytes: 1,
    walk: readBoolean,
    read: readBoolean,
    write(value) {
      if (typeof value !== 'boolean') refuseValue(place, 'it is no boolean');
      // 0 and 1 are the varints of 0 and −1.
      writeLong(value ? -1 : 0);
    },
  };
}

function enumNode(schema: Json, place: string): AvroNode {
  const symbols: unknown = schema['symbols'];
  if (!Array.isArray(symbols) || symbols.length === 0) throw invalid(`${place} has no symbols`);
  if (symbols.some((symbol) => typeof symbol !== 'string' || !NAME.test(symbol)) || new Set(symbols).size !== symbols.length)
    throw invalid(`symbols of ${place} are not plain or not unique`);
  if (schema['default'] !== undefined && !symbols.includes(schema['default'])) throw invalid(`default of ${place} is none of its symbols`);
  const count = symbols.length;
  const indices = new Map<unknown, number>(symbols.map((symbol, i) => [symbol, i]));
  return {
    minBytes: 1,
    walk: () => readIndex(count),
    read: () => symbols[readIndex(count)] as string,
    write(value) {
      const index = indices.get(value);
      if (index === undefined) refuseValue(place, 'it is none of the symbols');
      writeLong(index);
    },
  };
}

function fixedNode(size: unknown, place: string): AvroNode {
  if (typeof size !== 'number' || !Number.isInteger(size) || size < 1 || size > 4096)
    throw invalid(`size of ${place} is not within 1 to 4096`);
  return {
    minBytes: size,
    walk: () => skip(size),
    read: () => readSlice(size),
    write(value) {
      if (!isBytes(value) || value.length !== size) refuseValue(place, `it is not ${size} bytes`);
      writeSlice(value);
    },
  };
}

/** Every type takes at least one byte, so that no count can exceed the bytes that are left. */
function arrayNode({ minBytes, walk, read, write }: AvroNode, place: string): AvroNode {
  return {
    minBytes: 1,
    walk() {
      const count = readCount(minBytes);
      if (count === 0) return;
      for (let i = 0; i < count; i++) walk();
      readArrayEnd();
    },
    read() {
      const count = readCount(minBytes);
      const items: unknown[] = [];
      if (count === 0) return items;
      for (let i = 0; i < count; i++) items.push(read());
      readArrayEnd();
      return items;
    },
    write(value) {
      if (!Array.isArray(value)) refuseValue(place, 'it is no array');
      if (value.length > 0) {
        writeLong(value.length);
        for (const one of value) write(one);
      }
      writeLong(0);
    },
  };
}

function unionNode(branches: readonly unknown[], scope: Scope, place: string): AvroNode {
  const [first, second] = branches;
  if (first === 'null') {
    if (branches.length !== 2 || Array.isArray(second) || second === 'null')
      throw invalid(`${place} is neither optional nor a union of records`);
    return optionalNode(compile(second, scope, place));
  }
  if (branches.length === 0 || !branches.every((branch) => isObject(branch) && branch['type'] === 'record'))
    throw invalid(`${place} is no union of records`);
  const names = branches.map((branch) => String((branch as Json)['name']));
  return recordUnionNode(
    names,
    branches.map((branch) => compile(branch, scope, place)),
    place,
  );
}

/** `["null", X]`: null, or the value itself. */
function optionalNode({ walk, read, write }: AvroNode): AvroNode {
  return {
    minBytes: 1,
    walk() {
      if (readIndex(2) === 1) walk();
    },
    read: () => (readIndex(2) === 1 ? read() : null),
    write(value) {
      const present = value !== null && value !== undefined;
      writeLong(present ? 1 : 0);
      if (present) write(value);
    },
  };
}

/** A union of records: `{branch, value}`, the branch by its record's name. */
function recordUnionNode(names: readonly string[], nodes: readonly AvroNode[], place: string): AvroNode {
  return {
    minBytes: 1 + Math.min(...nodes.map(({ minBytes }) => minBytes)),
    walk: () => (nodes[readIndex(nodes.length)] as AvroNode).walk(),
    read() {
      const index = readIndex(nodes.length);
      return { branch: names[index], value: (nodes[index] as AvroNode).read() };
    },
    write(value) {
      const index = isObject(value) ? names.indexOf(String(value['branch'])) : -1;
      if (index < 0) refuseValue(place, 'it is none of the branches');
      writeLong(index);
      (nodes[index] as AvroNode).write((value as Json)['value']);
    },
  };
}

function isBytes(value: unknown): value is Uint8Array {
  if (value instanceof Uint8Array) return true;
  // One from another realm.
  return ArrayBuffer.isView(value) && Object.prototype.toString.call(value) === '[object Uint8Array]';
}
