import { join } from 'node:path';
import { utf8, utf8Text } from '../core/bytes.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import type { SchemaRegistry } from '../core/ports/schema-registry.ts';
import { openFolderObjectStore } from './folder-object-store.ts';

/** Opens the embedded {@link SchemaRegistry} in `folder`: one file per id, created only where there is none. */
export async function openFolderSchemaRegistry(folder: string): Promise<SchemaRegistry> {
  return new FolderSchemaRegistry(await openFolderObjectStore(join(folder)));
}

interface Entry {
  readonly id: number;
  readonly subject: string;
  readonly schema: string;
}

class FolderSchemaRegistry implements SchemaRegistry {
  readonly #objects: ObjectStore;

  constructor(objects: ObjectStore) {
    this.#objects = objects;
  }

  async register(subject: string, schema: string): Promise<number> {
    for (;;) {
      const entries = await this.#entries();
      const known =
        entries.find((entry) => entry.subject === subject && entry.schema === schema) ?? entries.find((entry) => entry.schema === schema);
      if (known !== undefined) return known.id;
      const id = entries.length + 1;
      if (await this.#objects.create(keyOf(id), utf8(JSON.stringify({ subject, schema })))) return id;
    }
  }

  async get(id: number): Promise<string | undefined> {
    const found = Number.isInteger(id) && id > 0 ? await this.#objects.get(keyOf(id)) : undefined;
    return found === undefined ? undefined : (JSON.parse(utf8Text(found.bytes)) as Entry).schema;
  }

  async list(subject: string): Promise<readonly string[]> {
    return (await this.#entries()).filter((entry) => entry.subject === subject).map(({ schema }) => schema);
  }

  async close(): Promise<void> {
    await this.#objects.close();
  }

  async #entries(): Promise<Entry[]> {
    const entries: Entry[] = [];
    for await (const { key } of this.#objects.list('')) {
      const id = /^(\d{10})\.json$/.exec(key)?.[1];
      const found = id === undefined ? undefined : await this.#objects.get(key);
      if (id !== undefined && found !== undefined)
        entries.push({ ...(JSON.parse(utf8Text(found.bytes)) as Omit<Entry, 'id'>), id: Number(id) });
    }
    return entries;
  }
}

function keyOf(id: number): string {
  return `${String(id).padStart(10, '0')}.json`;
}
