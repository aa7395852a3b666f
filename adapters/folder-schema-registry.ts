import { compileSchema } from '../core/avro/schema.ts';
import { utf8, utf8Text } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import type { SchemaRegistry } from '../core/ports/schema-registry.ts';
import { openFolderObjectStore } from './folder-object-store.ts';

/**
 * Opens the embedded {@link SchemaRegistry} in `folder`: one numbered file per subject and schema. A file is never replaced.
 * The id of a schema is the number of its first file.
 */
export async function openFolderSchemaRegistry(folder: string): Promise<SchemaRegistry> {
  return new FolderSchemaRegistry(await openFolderObjectStore(folder));
}

interface Entry {
  readonly number: number;
  readonly subject: string;
  readonly schema: string;
}

class FolderSchemaRegistry implements SchemaRegistry {
  readonly #objects: ObjectStore;

  constructor(objects: ObjectStore) {
    this.#objects = objects;
  }

  async register(subject: string, schema: string): Promise<number> {
    checkSchema(schema);
    for (;;) {
      const entries = await this.#entries();
      const same = entries.filter((entry) => entry.schema === schema);
      const next = (entries.at(-1)?.number ?? 0) + 1;
      const known = same.some((entry) => entry.subject === subject);
      if (known || (await this.#objects.create(keyOf(next), utf8(JSON.stringify({ subject, schema }))))) return same[0]?.number ?? next;
    }
  }

  async get(id: number): Promise<string | undefined> {
    return Number.isSafeInteger(id) && id > 0 ? (await this.#entry(id))?.schema : undefined;
  }

  async list(subject: string): Promise<readonly string[]> {
    return (await this.#entries()).filter((entry) => entry.subject === subject).map(({ schema }) => schema);
  }

  async close(): Promise<void> {
    await this.#objects.close();
  }

  /** All entries, oldest first. */
  async #entries(): Promise<Entry[]> {
    const entries: Entry[] = [];
    for await (const { key } of this.#objects.list('')) {
      const number = /^(\d{10})\.json$/.exec(key)?.[1];
      const entry = number === undefined ? undefined : await this.#entry(Number(number));
      if (entry !== undefined) entries.push(entry);
    }
    return entries;
  }

  async #entry(number: number): Promise<Entry | undefined> {
    const found = await this.#objects.get(keyOf(number));
    return found === undefined ? undefined : parseEntry(number, found.bytes);
  }
}

function parseEntry(number: number, bytes: Uint8Array): Entry {
  try {
    const { subject, schema } = JSON.parse(utf8Text(bytes)) as Partial<Entry>;
    if (typeof subject === 'string' && typeof schema === 'string') return { number, subject, schema };
  } catch {
    // Reported below.
  }
  throw new LineproofError('UNAVAILABLE', `cannot read schema ${number}: its file ${keyOf(number)} in the registry's folder is damaged`);
}

function checkSchema(text: string): void {
  let schema: unknown;
  try {
    schema = JSON.parse(text);
  } catch (cause) {
    throw new LineproofError('SCHEMA_INVALID', 'cannot register schema: it is not JSON', {}, cause);
  }
  compileSchema(schema);
}

function keyOf(number: number): string {
  return `${String(number).padStart(10, '0')}.json`;
}
