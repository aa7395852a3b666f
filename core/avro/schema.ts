import { LineproofError } from '../base/errors.ts';
import { closeInput, closeOutput, inputAt, MAX_DEPTH, openInput, openOutput } from './cursor.ts';
import {
  type AvroField,
  type AvroNode,
  arrayNode,
  booleanNode,
  bytesNode,
  enumNode,
  fixedNode,
  intNode,
  isObject,
  type Json,
  longNode,
  optionalNode,
  recordNode,
  recordUnionNode,
  stringNode,
} from './value-node.ts';

/** Reads and writes values of one schema in the one spelling that docs/formats.md admits. */
export interface Codec<T> {
  /** The bytes of `value`, which are never overwritten; throws AVRO_INVALID if the schema does not permit `value`. */
  encode(value: T): Uint8Array;
  /** The value that `bytes` hold, to the last byte; byte strings are views. Throws AVRO_INVALID. */
  decode(bytes: Uint8Array): T;
  /** The offset after the value that starts at `at`. Checks it as strictly as `decode` does; throws AVRO_INVALID. */
  walk(bytes: Uint8Array, at: number): number;
}

interface Scope {
  readonly names: Map<string, AvroNode>;
  /** Names of the enclosing records; a record must not contain itself. */
  readonly open: Set<string>;
  readonly namespace: string;
  readonly depth: number;
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Compiles an Avro schema (parsed JSON); throws SCHEMA_INVALID for features that released schemas must not use: maps, floats, recursion, unknown types. */
export function compileSchema<T>(schema: unknown): Codec<T> {
  return codecOf(compile(schema, rootScope(), 'value'));
}

/** The fields of a record schema, each compiled, in order. Throws SCHEMA_INVALID. */
export function compileFields(schema: unknown): readonly AvroField[] {
  if (!isObject(schema) || schema['type'] !== 'record') throw invalid('it is not a record');
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

function rootScope(): Scope {
  return { names: new Map(), open: new Set(), namespace: '', depth: 0 };
}

function invalid(fact: string): LineproofError {
  return new LineproofError('SCHEMA_INVALID', `cannot compile schema: ${fact}`);
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
      return define(schema, inner, () => enumNode(symbolsOf(schema, place), place));
    case 'fixed':
      return define(schema, inner, () => fixedNode(sizeOf(schema, place), place));
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

function symbolsOf(schema: Json, place: string): readonly string[] {
  const symbols: unknown = schema['symbols'];
  if (!Array.isArray(symbols) || symbols.length === 0) throw invalid(`${place} has no symbols`);
  if (symbols.some((symbol) => typeof symbol !== 'string' || !NAME.test(symbol)) || new Set(symbols).size !== symbols.length)
    throw invalid(`symbols of ${place} are not plain or not unique`);
  if (schema['default'] !== undefined && !symbols.includes(schema['default']))
    throw invalid(`default of ${place} is not one of its symbols`);
  return symbols as string[];
}

function sizeOf(schema: Json, place: string): number {
  const size = schema['size'];
  if (typeof size !== 'number' || !Number.isInteger(size) || size < 1 || size > 4096)
    throw invalid(`size of ${place} is not within 1 to 4096`);
  return size;
}

function unionNode(branches: readonly unknown[], scope: Scope, place: string): AvroNode {
  const [first, second] = branches;
  if (first === 'null') {
    if (branches.length !== 2 || Array.isArray(second) || second === 'null')
      throw invalid(`${place} is neither optional nor a union of records`);
    return optionalNode(compile(second, scope, place));
  }
  if (branches.length === 0 || !branches.every((branch) => isObject(branch) && branch['type'] === 'record'))
    throw invalid(`${place} is not a union of records`);
  const names = branches.map((branch) => String((branch as Json)['name']));
  return recordUnionNode(
    names,
    branches.map((branch) => compile(branch, scope, place)),
    place,
  );
}
