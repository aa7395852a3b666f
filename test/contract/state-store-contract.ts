import { afterAll, beforeAll, beforeEach, expect } from '@jest/globals';
import fc from 'fast-check';
import { compare, utf8, utf8Text } from '../../core/base/bytes.ts';
import type { StateChange, StateStore } from '../../core/ports/state-store.ts';
import { type Clause, codeOf, contract, type Exceptions } from './contract.ts';

/** Where a state store of the contract keeps its entries. */
export interface StateStorePlace {
  /** Opens the store; each time with all that was committed before. */
  open(): Promise<StateStore>;
  release(): Promise<void>;
}

/** What every {@link StateStore} must do. */
export function stateStoreContract(name: string, place: () => Promise<StateStorePlace>, exceptions: Exceptions = {}): void {
  contract(`StateStore: ${name}`, exceptions, (clause) => {
    const suite = new Suite();
    beforeAll(async () => suite.open(await place()), 60_000);
    beforeEach(async () => suite.clear());
    afterAll(async () => suite.release());
    committing(clause, suite);
    iterating(clause, suite);
    closing(clause, suite);
  });
}

class Suite {
  store!: StateStore;
  #place: StateStorePlace | undefined;

  async open(place: StateStorePlace): Promise<void> {
    this.#place = place;
    this.store = await place.open();
  }

  async reopen(): Promise<StateStore> {
    const closed = this.store;
    await closed.close();
    this.store = await (this.#place as StateStorePlace).open();
    return closed;
  }

  async clear(): Promise<void> {
    await this.store.commit((await this.entries('')).map(([key]) => ({ key, value: undefined })));
  }

  async put(entries: Readonly<Record<string, string>>): Promise<void> {
    await this.store.commit(Object.entries(entries).map(([key, value]) => ({ key, value: utf8(value) })));
  }

  async text(key: string): Promise<string | undefined> {
    const value = await this.store.get(key);
    return value === undefined ? undefined : utf8Text(value);
  }

  async entries(prefix: string): Promise<[string, string][]> {
    const entries: [string, string][] = [];
    for await (const [key, value] of this.store.entries(prefix)) entries.push([key, Buffer.from(value).toString()]);
    return entries;
  }

  async release(): Promise<void> {
    await this.store.close();
    await this.#place?.release();
  }
}

function committing(clause: Clause, suite: Suite): void {
  clause('a committed entry is read, replaced and deleted; a missing one is undefined', async () => {
    await suite.put({ a: 'one', b: 'two' });
    expect([await suite.text('a'), await suite.text('b'), await suite.text('c')]).toEqual(['one', 'two', undefined]);
    await suite.store.commit([
      { key: 'a', value: utf8('again') },
      { key: 'b', value: undefined },
      { key: 'never', value: undefined },
    ]);
    expect([await suite.text('a'), await suite.text('b'), await suite.text('never')]).toEqual(['again', undefined, undefined]);
  });

  clause('the changes of one commit count in their order', async () => {
    await suite.store.commit([
      { key: 'a', value: utf8('one') },
      { key: 'a', value: utf8('two') },
      { key: 'b', value: utf8('one') },
      { key: 'b', value: undefined },
      { key: 'c', value: undefined },
      { key: 'c', value: utf8('last') },
    ]);
    expect(await suite.entries('')).toEqual([
      ['a', 'two'],
      ['c', 'last'],
    ]);
  });

  clause('a commit that is refused changes nothing at all', async () => {
    await suite.put({ kept: 'before' });
    const changes: StateChange[] = [
      { key: 'kept', value: utf8('after') },
      { key: 'new', value: utf8('new') },
      { key: 'k'.repeat(4000), value: utf8('too long a key') },
      { key: 'later', value: utf8('later') },
    ];
    expect(await codeOf(() => suite.store.commit(changes))).toBe('IO_FAILED');
    expect(await suite.entries('')).toEqual([['kept', 'before']]);
  });

  clause('concurrent commits are each whole', async () => {
    const commits = Array.from({ length: 20 }, (_, i) => suite.put({ x: `${i}`, y: `${i}`, [`own/${i}`]: 'here' }));
    await Promise.all(commits);
    expect(await suite.text('x')).toBe(await suite.text('y'));
    expect((await suite.entries('own/')).length).toBe(20);
  });

  clause('values are bytes: none, every one, and a megabyte; a reader may write to the value that it got', async () => {
    const every = Uint8Array.from({ length: 256 }, (_, i) => i);
    const large = new Uint8Array(1_000_000).fill(7);
    const values = { none: new Uint8Array(0), every, part: every.subarray(3, 9), large };
    await suite.store.commit(Object.entries(values).map(([key, value]) => ({ key, value })));
    for (const [key, value] of Object.entries(values)) {
      const found = (await suite.store.get(key)) as Uint8Array;
      expect([key, Buffer.from(value).equals(found)]).toEqual([key, true]);
      found.fill(0);
      expect([key, Buffer.from(value).equals((await suite.store.get(key)) as Uint8Array)]).toEqual([key, true]);
    }
  });
}

function iterating(clause: Clause, suite: Suite): void {
  clause('entries are those whose key starts with the prefix, in the order of the bytes of the keys', async () => {
    const keys = ['0/', '0/a', '0/a/b', '0/b', '00', '1/a', 'é', 'z', '\u{10000}', '\uffff', 'Z'];
    await suite.put(Object.fromEntries(keys.map((key) => [key, key])));
    const sorted = keys.toSorted((a, b) => compare(utf8(a), utf8(b)));
    for (const prefix of ['', '0', '0/', '0/a', 'z', 'é', '\uffff', '\u{10000}', 'nothing'])
      expect([prefix, (await suite.entries(prefix)).map(([key]) => key)]).toEqual([prefix, sorted.filter((key) => key.startsWith(prefix))]);
  });

  clause('any text of up to 500 bytes is a key, found by itself and in its place', async () => {
    const key = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 });
    const long = fc.string({ unit: fc.constantFrom('a', 'é', '\u{10000}'), minLength: 100, maxLength: 125 });
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.oneof({ weight: 4, arbitrary: key }, long), { minLength: 1, maxLength: 12 }), async (keys) => {
        await suite.clear();
        await suite.store.commit(keys.map((each) => ({ key: each, value: utf8(each) })));
        const sorted = keys.toSorted((a, b) => compare(utf8(a), utf8(b)));
        expect(await suite.entries('')).toEqual(sorted.map((each) => [each, each]));
        const [first] = sorted as [string];
        expect(await suite.text(first)).toBe(first);
        expect((await suite.entries(first)).map(([each]) => each)).toEqual(sorted.filter((each) => each.startsWith(first)));
      }),
      { numRuns: 60 },
    );
  });

  clause('entries are of one moment, whatever is committed while they are read', async () => {
    await suite.put(Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`k/${String(i).padStart(4, '0')}`, 'old'])));
    const seen: string[] = [];
    for await (const [key, value] of suite.store.entries('k/')) {
      if (seen.length === 100) await suite.put({ 'k/0200': 'new', 'k/0300x': 'new' });
      if (seen.length === 150) await suite.store.commit([{ key: 'k/0400', value: undefined }]);
      seen.push(`${key} ${utf8Text(value)}`);
    }
    expect(seen).toEqual(Array.from({ length: 500 }, (_, i) => `k/${String(i).padStart(4, '0')} old`));
    expect([await suite.text('k/0200'), await suite.text('k/0300x'), await suite.text('k/0400')]).toEqual(['new', 'new', undefined]);
  });

  clause('entries that are left early do no harm', async () => {
    await suite.put({ a: '1', b: '2', c: '3' });
    for await (const [key] of suite.store.entries('')) {
      expect(key).toBe('a');
      break;
    }
    await suite.put({ d: '4' });
    expect((await suite.entries('')).length).toBe(4);
  });
}

function closing(clause: Clause, suite: Suite): void {
  clause('committed entries are there after closing and opening again', async () => {
    await suite.put({ a: 'one', b: 'two' });
    await suite.store.commit([{ key: 'b', value: undefined }]);
    await suite.reopen();
    expect(await suite.entries('')).toEqual([['a', 'one']]);
  });

  clause('after closing its methods are UNAVAILABLE, and closing again does nothing', async () => {
    const closed = await suite.reopen();
    await closed.close();
    expect(await codeOf(() => closed.get('a'))).toBe('UNAVAILABLE');
    expect(await codeOf(() => closed.commit([{ key: 'a', value: utf8('lost') }]))).toBe('UNAVAILABLE');
    expect(await codeOf(async () => closed.entries('')[Symbol.asyncIterator]().next())).toBe('UNAVAILABLE');
    expect(await suite.entries('')).toEqual([]);
  });
}
