import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect } from '@jest/globals';
import { utf8, utf8Text } from '../../core/base/bytes.ts';
import { LineproofError } from '../../core/base/errors.ts';
import type { ListedObject, ObjectStore, Pieces } from '../../core/ports/object-store.ts';
import { collected } from '../support/collected.ts';
import { type Clause, codeOf, contract, type Exceptions } from './contract.ts';

/** Where an object store of the contract keeps its objects. */
export interface ObjectStorePlace {
  /** Opens the store; each time with all that was written before. */
  open(): Promise<ObjectStore>;
  release(): Promise<void>;
  /** Starts the keys that nobody else uses: a plain name. */
  readonly prefix: string;
}

/** More than S3 lists in one answer. */
const MANY = 1_050;
/** More than one part of a multipart upload. */
const LARGE_BYTES = 21 * 1024 * 1024 + 7;

/** What every {@link ObjectStore} must do. */
export function objectStoreContract(name: string, place: () => Promise<ObjectStorePlace>, exceptions: Exceptions = {}): void {
  contract(`ObjectStore: ${name}`, exceptions, (clause) => {
    const suite = new Suite();
    beforeAll(async () => suite.open(await place()), 60_000);
    afterAll(async () => suite.release());
    creating(clause, suite);
    streaming(clause, suite);
    replacing(clause, suite);
    reading(clause, suite);
    listing(clause, suite);
    deleting(clause, suite);
    naming(clause, suite);
    lasting(clause, suite);
  });
}

class Suite {
  store!: ObjectStore;
  #place: ObjectStorePlace | undefined;
  #folders = 0;

  async open(place: ObjectStorePlace): Promise<void> {
    this.#place = place;
    this.store = await place.open();
  }

  async reopen(): Promise<void> {
    await this.store.close();
    this.store = await (this.#place as ObjectStorePlace).open();
  }

  /** A folder that nobody used. */
  folder(): string {
    return `${this.#place?.prefix}/${this.#folders++}`;
  }

  /** A key in a new folder, with an object if `content` is given. */
  async key(content?: string): Promise<string> {
    const key = `${this.folder()}/object.txt`;
    if (content !== undefined) expect(await this.store.create(key, utf8(content))).toBe(true);
    return key;
  }

  async text(key: string): Promise<string | undefined> {
    const found = await this.store.get(key);
    return found === undefined ? undefined : utf8Text(found.bytes);
  }

  async etag(key: string): Promise<string> {
    return (await this.store.get(key))?.etag as string;
  }

  async list(prefix: string): Promise<ListedObject[]> {
    const listed: ListedObject[] = [];
    for await (const each of this.store.list(prefix)) listed.push(each);
    return listed;
  }

  async keys(prefix: string): Promise<string[]> {
    return (await this.list(prefix)).map(({ key }) => key);
  }

  async release(): Promise<void> {
    await this.store.close();
    await this.#place?.release();
  }
}

function creating(clause: Clause, suite: Suite): void {
  clause('an object is created once: a second create says so and leaves what is there, its tag too', async () => {
    const key = await suite.key();
    expect(await suite.store.create(key, utf8('first'))).toBe(true);
    const etag = await suite.etag(key);
    for (const again of ['second', 'first']) expect(await suite.store.create(key, utf8(again))).toBe(false);
    expect([await suite.text(key), await suite.etag(key)]).toEqual(['first', etag]);
  });

  clause('of concurrent creators exactly one wins, and what is stored is what it wrote', async () => {
    const key = await suite.key();
    const words = Array.from({ length: 16 }, (_, i) => `creator ${i}`);
    const won = await Promise.all(words.map((word) => suite.store.create(key, utf8(word))));
    expect(words.filter((_, i) => won[i])).toEqual([await suite.text(key)]);
  });

  clause('an object does not change when the caller, or a reader, writes to its bytes afterwards', async () => {
    const key = await suite.key();
    const bytes = utf8('before');
    await suite.store.create(key, bytes);
    bytes.fill(0x78);
    const found = await suite.store.get(key);
    expect(utf8Text(found?.bytes as Uint8Array)).toBe('before');
    found?.bytes.fill(0x79);
    expect(await suite.text(key)).toBe('before');
  });

  clause('objects are bytes: none, every one, and many', async () => {
    const every = Uint8Array.from({ length: 256 }, (_, i) => i);
    const folder = suite.folder();
    for (const bytes of [new Uint8Array(0), every, every.subarray(7, 9)]) {
      const key = `${folder}/${bytes.length}.bin`;
      await suite.store.create(key, bytes);
      const found = await suite.store.get(key);
      expect([found?.bytes.length, Buffer.from(bytes).equals(found?.bytes as Uint8Array)]).toEqual([bytes.length, true]);
    }
  });

  clause('a large object comes back byte by byte, is created once and can be replaced', async () => {
    const key = await suite.key();
    const large = new Uint8Array(LARGE_BYTES);
    for (let i = 0; i < large.length; i += 4096) large[i] = (i / 4096) & 0xff;
    expect(await suite.store.create(key, large)).toBe(true);
    expect(await suite.store.create(key, large)).toBe(false);
    const found = await suite.store.get(key);
    expect([found?.bytes.length, digest(found?.bytes as Uint8Array)]).toEqual([LARGE_BYTES, digest(large)]);
    large[LARGE_BYTES - 1] = 0xaa;
    expect(await suite.store.replace(key, large, found?.etag)).toEqual(expect.any(String));
    expect(await suite.store.replace(key, large, found?.etag)).toBeUndefined();
    expect(digest((await suite.store.get(key))?.bytes as Uint8Array)).toBe(digest(large));
  });
}

function streaming(clause: Clause, suite: Suite): void {
  for (const [what, sizes] of [
    ['none', []],
    ['empty ones', [0, 0]],
    ['small ones', [5, 0, 70_000, 1]],
    ['many that are more than a part of an upload', Array.from({ length: 170 }, () => 128 * 1024 + 1)],
  ] as const)
    clause(`an object is created from pieces: ${what}`, async () => {
      const key = await suite.key();
      expect(await suite.store.create(key, piecesOf(sizes))).toBe(true);
      expect(await suite.store.create(key, piecesOf([3]))).toBe(false);
      const found = await suite.store.get(key);
      expect([found?.bytes.length, digest(found?.bytes as Uint8Array)]).toEqual([
        sizes.reduce((sum, size) => sum + size, 0),
        digest(Buffer.concat(await collected(piecesOf(sizes)))),
      ]);
      expect(Buffer.from((await suite.store.get(key, { start: 3, end: 9 }))?.bytes as Uint8Array)).toEqual(
        Buffer.from(found?.bytes as Uint8Array).subarray(3, 9),
      );
    });

  clause('pieces that fail leave no object, and their error is passed on', async () => {
    const [folder, failure] = [suite.folder(), new LineproofError('INTERNAL', 'no more pieces')];
    for (const before of [0, 200]) {
      const key = `${folder}/${before}`;
      const pieces = { [Symbol.asyncIterator]: () => failing(before, failure) };
      expect(await codeOf(() => suite.store.create(key, pieces))).toBe('INTERNAL');
      expect(await suite.store.get(key)).toBeUndefined();
    }
    expect(await suite.keys(`${folder}/`)).toEqual([]);
  });
}

/** Pieces of these sizes, the same each time. */
function piecesOf(sizes: readonly number[]): Pieces {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (const [i, size] of sizes.entries()) yield new Uint8Array(size).fill(i);
  }
  return { [Symbol.asyncIterator]: pieces };
}

async function* failing(before: number, failure: Error): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < before; i++) yield new Uint8Array(128 * 1024);
  throw failure;
}

function replacing(clause: Clause, suite: Suite): void {
  clause('a caller that names the tag of an object replaces it, and gets the new tag for the next time', async () => {
    const key = await suite.key('one');
    const first = await suite.etag(key);
    const second = await suite.store.replace(key, utf8('two'), first);
    expect([await suite.text(key), await suite.etag(key)]).toEqual(['two', second]);
    expect(second).not.toBe(first);
    const third = await suite.store.replace(key, utf8('three, which is longer'), second);
    expect([await suite.text(key), await suite.etag(key)]).toEqual(['three, which is longer', third]);
  });

  clause('another tag than the present one replaces nothing', async () => {
    const key = await suite.key('one');
    const first = await suite.etag(key);
    await suite.store.replace(key, utf8('two'), first);
    const now = await suite.etag(key);
    for (const etag of [first, 'nobody', undefined]) expect(await suite.store.replace(key, utf8('three'), etag)).toBeUndefined();
    expect([await suite.text(key), await suite.etag(key)]).toEqual(['two', now]);
  });

  clause('replacing with no tag creates an object, and only if there is none', async () => {
    const key = await suite.key();
    const etag = await suite.store.replace(key, utf8('new'), undefined);
    expect(etag).toBe(await suite.etag(key));
    expect(await suite.store.replace(key, utf8('newer'), undefined)).toBeUndefined();
    expect(await suite.text(key)).toBe('new');
  });

  clause('a missing object cannot be replaced by a tag', async () => {
    const key = await suite.key();
    const other = await suite.key('other');
    expect(await suite.store.replace(key, utf8('lost'), await suite.etag(other))).toBeUndefined();
    expect(await suite.text(key)).toBeUndefined();
  });

  clause('of concurrent replacers that name the same tag exactly one wins', async () => {
    const key = await suite.key('start');
    const etag = await suite.etag(key);
    const words = Array.from({ length: 16 }, (_, i) => `replacer ${i}`);
    const tags = await Promise.all(words.map((word) => suite.store.replace(key, utf8(word), etag)));
    expect(words.filter((_, i) => tags[i] !== undefined)).toEqual([await suite.text(key)]);
    expect(tags.filter((tag) => tag !== undefined)).toEqual([await suite.etag(key)]);
  });

  clause('of concurrent replacers of nothing exactly one wins', async () => {
    const key = await suite.key();
    const words = Array.from({ length: 16 }, (_, i) => `replacer ${i}`);
    const tags = await Promise.all(words.map((word) => suite.store.replace(key, utf8(word), undefined)));
    expect(words.filter((_, i) => tags[i] !== undefined)).toEqual([await suite.text(key)]);
  });

  clause('a counter that several replacers raise by compare-and-swap loses no step', async () => {
    const key = await suite.key('0');
    const raise = async (): Promise<void> => {
      for (;;) {
        const found = await suite.store.get(key);
        const next = utf8(String(Number(utf8Text(found?.bytes as Uint8Array)) + 1));
        if ((await suite.store.replace(key, next, found?.etag)) !== undefined) return;
      }
    };
    await Promise.all(Array.from({ length: 8 }, raise));
    expect(await suite.text(key)).toBe('8');
  });

  clause('a reader gets one whole content while it is replaced', async () => {
    const key = await suite.key('a'.repeat(100_000));
    const write = async (): Promise<void> => {
      let etag: string | undefined = await suite.etag(key);
      for (const letter of 'bcdefg') etag = await suite.store.replace(key, utf8(letter.repeat(100_000)), etag);
    };
    const read = async (): Promise<void> => {
      for (let i = 0; i < 20; i++) expect(await suite.text(key)).toMatch(/^(.)\1{99999}$/);
    };
    await Promise.all([write(), read(), read()]);
    expect(await suite.text(key)).toBe('g'.repeat(100_000));
  });
}

function reading(clause: Clause, suite: Suite): void {
  clause('a missing object is undefined, also below an object, above one, and with a range', async () => {
    const key = await suite.key('here');
    for (const missing of [`${key}.not`, `${key}/below`, key.slice(0, key.lastIndexOf('/')), await suite.key()]) {
      expect([missing, await suite.store.get(missing)]).toEqual([missing, undefined]);
      expect([missing, await suite.store.get(missing, { start: 0, end: 1 })]).toEqual([missing, undefined]);
    }
  });

  clause('a range gives the bytes from start to end, as far as the object goes', async () => {
    const key = await suite.key('0123456789');
    const cases: [number, number, string][] = [
      [0, 10, '0123456789'],
      [2, 5, '234'],
      [9, 10, '9'],
      [7, 100, '789'],
      [10, 20, ''],
      [50, 60, ''],
      [3, 3, ''],
    ];
    for (const [start, end, text] of cases) {
      const found = await suite.store.get(key, { start, end });
      expect([start, end, utf8Text(found?.bytes as Uint8Array)]).toEqual([start, end, text]);
    }
    const empty = await suite.key('');
    expect((await suite.store.get(empty, { start: 0, end: 5 }))?.bytes.length).toBe(0);
  });
}

function listing(clause: Clause, suite: Suite): void {
  clause('a list has the keys that start with the prefix, whole names or not, in byte order with their sizes', async () => {
    const folder = suite.folder();
    const names = [
      'a',
      'a-b',
      'a.b',
      'a0',
      'aB',
      'a_b',
      'ab/c',
      'ab/d/e',
      'ab-c',
      'b',
      'B',
      'Z/z',
      '0',
      '00',
      '000/1',
      '10',
      '9',
      '_',
      '-x',
    ];
    for (const name of names) await suite.store.create(`${folder}/${name}`, utf8(name));
    const sorted = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(await suite.list(`${folder}/`)).toEqual(sorted.map((name) => ({ key: `${folder}/${name}`, size: name.length })));
    for (const prefix of ['a', 'ab', 'ab/', 'ab/d', 'ab/d/', 'ab/d/e', '0', '00', 'b', 'nothing', 'a/', 'ab/d/e/'])
      expect([prefix, await suite.keys(`${folder}/${prefix}`)]).toEqual([
        prefix,
        sorted.filter((name) => name.startsWith(prefix)).map((name) => `${folder}/${name}`),
      ]);
  });

  clause('folders do not run into each other', async () => {
    const folder = suite.folder();
    await suite.store.create(`${folder}/1/x`, utf8('x'));
    await suite.store.create(`${folder}/10/x`, utf8('x'));
    expect(await suite.keys(`${folder}/1/`)).toEqual([`${folder}/1/x`]);
    expect(await suite.keys(`${folder}/1`)).toEqual([`${folder}/1/x`, `${folder}/10/x`]);
  });

  clause('a list of nothing is empty', async () => {
    expect(await suite.keys(`${suite.folder()}/`)).toEqual([]);
  });

  clause('the list of everything has this object, and no name that is not a key', async () => {
    const key = await suite.key('listed');
    await suite.store.replace(key, utf8('again'), await suite.etag(key));
    const keys = await suite.keys('');
    expect(keys).toContain(key);
    for (const each of keys) expect(await codeOf(() => suite.store.get(each))).toBeUndefined();
  });

  clause(`a list of ${MANY} objects has each of them once, in order`, async () => {
    const folder = suite.folder();
    const keys = Array.from({ length: MANY }, (_, i) => `${folder}/${String(i).padStart(6, '0')}`);
    for (let i = 0; i < keys.length; i += 25) await Promise.all(keys.slice(i, i + 25).map((key) => suite.store.create(key, utf8('x'))));
    expect(await suite.keys(`${folder}/`)).toEqual(keys);
  });

  clause('a list that is left early does no harm', async () => {
    const folder = suite.folder();
    for (const name of ['a', 'b', 'c']) await suite.store.create(`${folder}/${name}`, utf8(name));
    for await (const { key } of suite.store.list(`${folder}/`)) {
      expect(key).toBe(`${folder}/a`);
      break;
    }
    expect((await suite.keys(`${folder}/`)).length).toBe(3);
  });
}

function deleting(clause: Clause, suite: Suite): void {
  clause('a deleted object is gone from get and list, and can be created again', async () => {
    const key = await suite.key('old');
    const etag = await suite.etag(key);
    await suite.store.delete(key);
    expect([await suite.text(key), await suite.keys(key)]).toEqual([undefined, []]);
    expect(await suite.store.replace(key, utf8('by tag'), etag)).toBeUndefined();
    expect(await suite.store.create(key, utf8('new'))).toBe(true);
    expect(await suite.text(key)).toBe('new');
  });

  clause('deleting a missing object is not an error, also below an object or above one, and harms neither', async () => {
    const key = await suite.key('kept');
    for (const missing of [await suite.key(), `${key}.not`, `${key}/below`, key.slice(0, key.lastIndexOf('/'))])
      await suite.store.delete(missing);
    expect(await suite.text(key)).toBe('kept');
  });
}

function naming(clause: Clause, suite: Suite): void {
  clause('a text that is not a key is FORMAT_INVALID in every method, before anything is touched', async () => {
    const hostile = ['', '/', '/etc/passwd', 'a/', 'a//b', '.', '..', '../a', 'a/../../b', './a', 'a/.', 'a/..', '.hidden', 'a/.hidden'];
    hostile.push(
      'a\\b',
      'a\0b',
      'a\nb',
      'a\n',
      'a b',
      'ä',
      'a%2e',
      'a?b',
      'a#b',
      'a*',
      'a:b',
      '~',
      'a/'.repeat(300).concat('a'),
      'a'.repeat(201),
    );
    for (const key of hostile) {
      const calls = [
        () => suite.store.get(key),
        () => suite.store.create(key, utf8('x')),
        () => suite.store.replace(key, utf8('x'), undefined),
        () => suite.store.replace(key, utf8('x'), 'tag'),
        () => suite.store.delete(key),
      ];
      for (const call of calls) expect([key, await codeOf(call)]).toEqual([key, 'FORMAT_INVALID']);
    }
  });

  clause('a prefix that begins no key lists nothing or is FORMAT_INVALID', async () => {
    await suite.key('here');
    for (const prefix of ['/', '..', '../', '../../', './', '.', 'a/../', 'a//', '\0', 'ä/']) {
      const listed = await suite.keys(prefix).catch((error: { code?: unknown }) => error.code);
      expect([[], 'FORMAT_INVALID']).toContainEqual(listed);
    }
  });

  clause('the longest key that is allowed works in every method', async () => {
    const folder = suite.folder();
    const key = `${folder}/${'k'.repeat(200)}/${'l'.repeat(200)}/`.padEnd(512, 'm');
    expect(await suite.store.create(key, utf8('long'))).toBe(true);
    expect(await suite.store.replace(key, utf8('longer'), await suite.etag(key))).toEqual(expect.any(String));
    expect([await suite.text(key), await suite.keys(key)]).toEqual(['longer', [key]]);
    await suite.store.delete(key);
    expect(await suite.text(key)).toBeUndefined();
  });

  clause('an object below another one, or above it, is stored or refused with an error, and never harms the other', async () => {
    const key = await suite.key('here');
    for (const [near, bytes] of [
      [`${key}/below`, 'below'],
      [key.slice(0, key.lastIndexOf('/')), 'above'],
    ] as const) {
      const written = await suite.store.create(near, utf8(bytes)).catch((error: { code?: unknown }) => error.code);
      expect([near, written, await suite.text(near)]).toEqual([near, ...(written === true ? [true, bytes] : ['IO_FAILED', undefined])]);
    }
    expect(await suite.text(key)).toBe('here');
  });
}

function lasting(clause: Clause, suite: Suite): void {
  clause('objects and their tags are there after closing and opening again', async () => {
    const key = await suite.key('kept');
    const etag = await suite.etag(key);
    await suite.reopen();
    expect([await suite.text(key), await suite.etag(key)]).toEqual(['kept', etag]);
    expect(await suite.store.replace(key, utf8('next'), etag)).toEqual(expect.any(String));
  });
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
