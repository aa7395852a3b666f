import {
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

/** A parsed JSON object. */
export type Json = Readonly<Record<string, unknown>>;

/** One type of a schema: it walks over, reads and writes its values at the cursor of cursor.ts. */
export interface AvroNode {
  /** Bytes of the shortest value, at least 1. */
  readonly minBytes: number;
  readonly walk: () => unknown;
  readonly read: () => unknown;
  readonly write: (value: unknown) => void;
}

/** A field of a record, compiled. */
export interface AvroField {
  readonly name: string;
  readonly type: unknown;
  readonly node: AvroNode;
  readonly fallback: unknown;
}

/** Whether a value is an object with named members. */
export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The record that `fields` make. */
export function recordNode(fields: readonly AvroField[], place: string): AvroNode {
  const count = fields.length;
  const names = fields.map(({ name }) => name);
  const nodes = fields.map(({ node }) => node);
  // One array for each kind of function: to load a function from nodes of many shapes would cost as much as to run it.
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
      if (!isObject(value)) refuseValue(place, 'it is not a record');
      for (let i = 0; i < count; i++) {
        const member = value[names[i] as string];
        (writes[i] as AvroNode['write'])(member === undefined ? fields[i]?.fallback : member);
      }
    },
  };
}

/** A string. */
export function stringNode(place: string): AvroNode {
  return {
    minBytes: 1,
    walk: walkString,
    read: readString,
    write(value) {
      if (typeof value !== 'string') refuseValue(place, 'it is not a string');
      writeString(value, place);
    },
  };
}

/** A byte string; reads views. */
export function bytesNode(place: string): AvroNode {
  return {
    minBytes: 1,
    walk: () => skip(readLong()),
    read: () => readSlice(readLong()),
    write(value) {
      if (!isBytes(value)) refuseValue(place, 'it is not a byte string');
      writeLong(value.length);
      writeSlice(value);
    },
  };
}

/** A long within ±(2^53 − 1). */
export function longNode(place: string): AvroNode {
  return {
    minBytes: 1,
    walk: readLong,
    read: readLong,
    write(value) {
      if (typeof value !== 'number' || !Number.isSafeInteger(value)) refuseValue(place, 'it is not an integer within ±(2^53 − 1)');
      writeLong(value);
    },
  };
}

/** A 32-bit integer. */
export function intNode(place: string): AvroNode {
  return {
    minBytes: 1,
    walk: readInt,
    read: readInt,
    write(value) {
      if (typeof value !== 'number' || (value | 0) !== value) refuseValue(place, 'it is not a 32-bit integer');
      writeLong(value);
    },
  };
}

/** A boolean. */
export function booleanNode(place: string): AvroNode {
  return {
    minBytes: 1,
    walk: readBoolean,
    read: readBoolean,
    write(value) {
      if (typeof value !== 'boolean') refuseValue(place, 'it is not a boolean');
      // 0 and 1 are the varints of 0 and −1.
      writeLong(value ? -1 : 0);
    },
  };
}

/** An enum, by the names of its symbols. */
export function enumNode(symbols: readonly string[], place: string): AvroNode {
  const count = symbols.length;
  const indices = new Map<unknown, number>(symbols.map((symbol, i) => [symbol, i]));
  return {
    minBytes: 1,
    walk: () => readIndex(count),
    read: () => symbols[readIndex(count)],
    write(value) {
      const index = indices.get(value);
      if (index === undefined) refuseValue(place, 'it is not one of the symbols');
      writeLong(index);
    },
  };
}

/** A byte string of `size` bytes; reads views. */
export function fixedNode(size: number, place: string): AvroNode {
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

/** An array. Every item takes at least one byte, so a valid count never exceeds the number of bytes that are left. */
export function arrayNode({ minBytes, walk, read, write }: AvroNode, place: string): AvroNode {
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
      if (!Array.isArray(value)) refuseValue(place, 'it is not an array');
      if (value.length > 0) {
        writeLong(value.length);
        for (const one of value) write(one);
      }
      writeLong(0);
    },
  };
}

/** `["null", X]`: null, or the value itself. */
export function optionalNode({ walk, read, write }: AvroNode): AvroNode {
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
export function recordUnionNode(names: readonly string[], nodes: readonly AvroNode[], place: string): AvroNode {
  return {
    minBytes: 1 + Math.min(...nodes.map(({ minBytes }) => minBytes)),
    walk: () => (nodes[readIndex(nodes.length)] as AvroNode).walk(),
    read() {
      const index = readIndex(nodes.length);
      return { branch: names[index], value: (nodes[index] as AvroNode).read() };
    },
    write(value) {
      const index = isObject(value) ? names.indexOf(String(value['branch'])) : -1;
      if (index < 0) refuseValue(place, 'it is not one of the branches');
      writeLong(index);
      (nodes[index] as AvroNode).write((value as Json)['value']);
    },
  };
}

function isBytes(value: unknown): value is Uint8Array {
  if (value instanceof Uint8Array) return true;
  // A Uint8Array of another realm.
  return ArrayBuffer.isView(value) && Object.prototype.toString.call(value) === '[object Uint8Array]';
}
