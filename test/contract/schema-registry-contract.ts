import { afterAll, beforeAll, expect } from '@jest/globals';
import { SCHEMA_TEXTS } from '../../core/avro/schema-texts.ts';
import type { SchemaRegistry } from '../../core/ports/schema-registry.ts';
import { type Clause, codeOf, contract, type Exceptions } from './contract.ts';

/** Where a registry of the contract keeps its schemas. */
export interface SchemaRegistryPlace {
  /** Opens the registry; each time with all that was registered before. */
  open(): Promise<SchemaRegistry>;
  release(): Promise<void>;
  /** Starts the subjects that nobody else uses: letters, digits, `.` and `-`. */
  readonly prefix: string;
}

/** What every {@link SchemaRegistry} must do. */
export function schemaRegistryContract(name: string, place: () => Promise<SchemaRegistryPlace>, exceptions: Exceptions = {}): void {
  contract(`SchemaRegistry: ${name}`, exceptions, (clause) => {
    const suite = new Suite();
    beforeAll(async () => suite.open(await place()), 60_000);
    afterAll(async () => suite.release());
    registering(clause, suite);
    asking(clause, suite);
    refusing(clause, suite);
    lasting(clause, suite);
  });
}

class Suite {
  registry!: SchemaRegistry;
  #place: SchemaRegistryPlace | undefined;
  #names = 0;

  async open(place: SchemaRegistryPlace): Promise<void> {
    this.#place = place;
    this.registry = await place.open();
  }

  async reopen(): Promise<void> {
    await this.registry.close();
    this.registry = await (this.#place as SchemaRegistryPlace).open();
  }

  /** A subject that nobody used, and of which none is the beginning of another. */
  subject(): string {
    return `${this.#place?.prefix}.Subject${String(this.#names++).padStart(4, '0')}`;
  }

  /** Versions of a record that nobody registered: each adds a field with a default to the one before. */
  versions(count: number): string[] {
    const name = `Record${this.#names++}`;
    const namespace = `${this.#place?.prefix}`.replaceAll(/[^A-Za-z0-9]/g, '_').replace(/^[0-9]/, '_');
    const fields = Array.from({ length: count }, (_, i) => ({ name: `f${i}`, type: 'string', ...(i === 0 ? {} : { default: '' }) }));
    return fields.map((_, i) => JSON.stringify({ type: 'record', name, namespace, fields: fields.slice(0, i + 1) }));
  }

  async release(): Promise<void> {
    await this.registry.close();
    await this.#place?.release();
  }
}

/** A registry may write the same schema with other white space. */
function parsed(texts: readonly (string | undefined)[]): unknown[] {
  return texts.map((text) => (text === undefined ? undefined : JSON.parse(text)));
}

function registering(clause: Clause, suite: Suite): void {
  clause('a schema gets an id, the same one each time, by which it is found', async () => {
    const [subject, [text]] = [suite.subject(), suite.versions(1) as [string]];
    const id = await suite.registry.register(subject, text);
    expect([Number.isSafeInteger(id), id >= 0]).toEqual([true, true]);
    expect(await suite.registry.register(subject, text)).toBe(id);
    expect(parsed([await suite.registry.get(id)])).toEqual(parsed([text]));
  });

  clause('another schema gets another id', async () => {
    const subject = suite.subject();
    const [one, two] = suite.versions(2) as [string, string];
    const ids = [await suite.registry.register(subject, one), await suite.registry.register(subject, two)];
    expect(new Set(ids).size).toBe(2);
    expect(parsed(await Promise.all(ids.map((id) => suite.registry.get(id))))).toEqual(parsed([one, two]));
  });

  clause('registered by several at the same time, a schema has one id and is listed once', async () => {
    const [subject, [text]] = [suite.subject(), suite.versions(1) as [string]];
    const ids = await Promise.all(Array.from({ length: 8 }, () => suite.registry.register(subject, text)));
    expect(new Set(ids).size).toBe(1);
    expect(parsed(await suite.registry.list(subject))).toEqual(parsed([text]));
  });

  clause('schemas registered at the same time under several subjects have an id each', async () => {
    const texts = Array.from({ length: 6 }, () => suite.versions(1)[0] as string);
    const ids = await Promise.all(texts.map((text) => suite.registry.register(suite.subject(), text)));
    expect(new Set(ids).size).toBe(texts.length);
    expect(parsed(await Promise.all(ids.map((id) => suite.registry.get(id))))).toEqual(parsed(texts));
  });

  clause('the same schema under two subjects is found under both, by one id', async () => {
    const [one, two, [text]] = [suite.subject(), suite.subject(), suite.versions(1) as [string]];
    const ids = [await suite.registry.register(one, text), await suite.registry.register(two, text)];
    expect(ids[0]).toBe(ids[1]);
    expect(parsed([...(await suite.registry.list(one)), ...(await suite.registry.list(two))])).toEqual(parsed([text, text]));
  });

  clause('the schemas of the product are taken and come back as they are', async () => {
    for (const text of Object.values(SCHEMA_TEXTS)) {
      const subject = suite.subject();
      const id = await suite.registry.register(subject, text);
      expect(parsed([await suite.registry.get(id), ...(await suite.registry.list(subject))])).toEqual(parsed([text, text]));
    }
  });
}

function asking(clause: Clause, suite: Suite): void {
  clause('the schemas of a subject are listed oldest first, those of another are not among them', async () => {
    const [subject, other] = [suite.subject(), suite.subject()];
    const versions = suite.versions(4);
    for (const text of versions) {
      await suite.registry.register(subject, text);
      await suite.registry.register(other, suite.versions(1)[0] as string);
    }
    await suite.registry.register(subject, versions[1] as string);
    expect(parsed(await suite.registry.list(subject))).toEqual(parsed(versions));
  });

  clause('a subject that nobody used has no schemas, also one whose name begins like another', async () => {
    const subject = suite.subject();
    await suite.registry.register(subject, suite.versions(1)[0] as string);
    expect(await suite.registry.list(suite.subject())).toEqual([]);
    expect(await suite.registry.list(subject.slice(0, -1))).toEqual([]);
    expect(await suite.registry.list(`${subject}-value`)).toEqual([]);
  });

  clause('an id that was never given has no schema', async () => {
    for (const id of [2_000_000_000, -1, 1.5, Number.NaN]) expect([id, await suite.registry.get(id)]).toEqual([id, undefined]);
  });
}

function refusing(clause: Clause, suite: Suite): void {
  clause('a text that is not a schema is SCHEMA_INVALID, and is not listed', async () => {
    const [subject, [good]] = [suite.subject(), suite.versions(1) as [string]];
    const bad = [
      '',
      'no JSON',
      '{',
      '{"type":"nonsense"}',
      '{"type":"record","name":"R"}',
      '{"type":"record","name":"1 R","fields":[]}',
      '[]]',
      '12',
    ];
    for (const text of bad) expect([text, await codeOf(() => suite.registry.register(subject, text))]).toEqual([text, 'SCHEMA_INVALID']);
    expect(await suite.registry.list(subject)).toEqual([]);
    await suite.registry.register(subject, good);
    expect(parsed(await suite.registry.list(subject))).toEqual(parsed([good]));
  });
}

function lasting(clause: Clause, suite: Suite): void {
  clause('schemas and ids are there after closing and opening again', async () => {
    const subject = suite.subject();
    const [one, two] = suite.versions(2) as [string, string];
    const id = await suite.registry.register(subject, one);
    await suite.reopen();
    expect(parsed([await suite.registry.get(id), ...(await suite.registry.list(subject))])).toEqual(parsed([one, one]));
    expect(await suite.registry.register(subject, one)).toBe(id);
    expect(await suite.registry.register(subject, two)).not.toBe(id);
  });
}
