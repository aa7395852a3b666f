import { beforeAll, describe, expect, test } from '@jest/globals';
import { equal } from '../../core/base/bytes.ts';
import { LineproofError } from '../../core/base/errors.ts';
import { TOPICS } from '../../core/ports/log.ts';
import type { ByteRange, ListedObject, ObjectStore, Pieces, StoredObject } from '../../core/ports/object-store.ts';
import { archiveChain, makeChain, type TestChain } from '../support/archive.ts';
import { MemoryObjectStore } from '../support/memory.ts';
import { checkTree, readNote } from '../support/tree-check.ts';

/** What goes wrong at one call of the store. */
interface Fault {
  /** The call's number, from 0. */
  readonly at: number;
  /** Whether the call takes effect before it fails. */
  readonly persisted: boolean;
  /** A crash ends the process; UNAVAILABLE is what it retries. */
  readonly crash: boolean;
}

class Crash extends Error {}

/** A store that fails once. */
class FaultyStore implements ObjectStore {
  calls = 0;
  readonly #store: ObjectStore;
  readonly #fault: Fault | undefined;

  constructor(store: ObjectStore, fault?: Fault) {
    this.#store = store;
    this.#fault = fault;
  }

  async #call<T>(action: () => Promise<T>): Promise<T> {
    const fault = this.calls++ === this.#fault?.at ? this.#fault : undefined;
    if (fault === undefined) return action();
    if (fault.persisted) await action();
    throw fault.crash ? new Crash('the process died') : new LineproofError('UNAVAILABLE', 'cannot reach the store');
  }

  get(key: string, range?: ByteRange): Promise<StoredObject | undefined> {
    return this.#call(() => this.#store.get(key, range));
  }

  create(key: string, content: Uint8Array | Pieces): Promise<boolean> {
    return this.#call(() => this.#store.create(key, content));
  }

  replace(key: string, bytes: Uint8Array, etag: string | undefined): Promise<string | undefined> {
    return this.#call(() => this.#store.replace(key, bytes, etag));
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    await this.#call(async () => undefined);
    yield* this.#store.list(prefix);
  }

  delete(key: string): Promise<void> {
    return this.#call(() => this.#store.delete(key));
  }

  close(): Promise<void> {
    return this.#store.close();
  }
}

const FOLDER = 'logs/0';
const BLOCKS = 12;
let chain: TestChain;
/** The archive that a run without faults makes, and the number of calls that it takes. */
let whole: MemoryObjectStore;
let calls: number;

/** The same chain on a new log, because trimming is part of the run. */
async function freshLog(): Promise<TestChain> {
  const fresh = await makeChain(0, chain.world, chain.sources);
  await fresh.log.append(
    TOPICS.chain,
    0,
    chain.values.map((value) => ({ key: null, value })),
  );
  return { ...fresh, state: chain.state };
}

beforeAll(async () => {
  chain = await makeChain(BLOCKS);
  whole = new MemoryObjectStore();
  const store = new FaultyStore(whole);
  await archiveChain(await freshLog(), store);
  calls = store.calls;
});

/** Runs with the fault, again where it was a crash, and gives what is stored in the end. Looks at the archive in between as a reader would. */
async function archiveWith(fault: Fault): Promise<MemoryObjectStore> {
  const objects = new MemoryObjectStore();
  const given = await freshLog();
  const store = new FaultyStore(objects, fault);
  const log = given.world.logs[0] as Parameters<typeof checkTree>[3];
  try {
    await archiveChain(given, store);
  } catch (error) {
    if (!(error instanceof Crash)) throw error;
  }
  expect(store.calls).toBeGreaterThan(fault.at);
  checkTree(objects, FOLDER, `${FOLDER}/signed`, log);
  checkTree(objects, FOLDER, `${FOLDER}/checkpoint`, log);
  const [signed, shown] = ['signed', 'checkpoint'].map((name) => readNote(objects, `${FOLDER}/${name}`, log)?.size ?? 0) as [
    number,
    number,
  ];
  expect(signed).toBeGreaterThanOrEqual(shown);
  if (fault.crash) await archiveChain(given, objects);
  return objects;
}

describe('the archive is the same, object by object, when the store fails', () => {
  test('and without a fault it has what the test is about: several segments and snapshots, and a trimmed chain', async () => {
    expect([...whole.objects.keys()].filter((key) => key.endsWith('.manifest.json')).length).toBeGreaterThanOrEqual(2);
    expect([...whole.objects.keys()].filter((key) => key.includes('/snapshots/')).length).toBeGreaterThanOrEqual(2);
    const given = await freshLog();
    await archiveChain(given, new MemoryObjectStore());
    expect((await given.log.bounds(TOPICS.chain, 0)).start).toBeGreaterThan(0);
  });

  test.each([
    ['and the process dies with it', { persisted: false, crash: true }],
    ['after it did what it was asked, and the process dies with it', { persisted: true, crash: true }],
    ['and is there again', { persisted: false, crash: false }],
    ['after it did what it was asked, and is there again', { persisted: true, crash: false }],
  ])(
    'at each of its calls in turn %s',
    async (_, kind) => {
      for (let at = 0; at < calls; at++) {
        const objects = await archiveWith({ ...kind, at });
        expect([at, [...objects.objects.keys()].toSorted()]).toEqual([at, [...whole.objects.keys()].toSorted()]);
        const differ = [...whole.objects].filter(([key, bytes]) => !equal(objects.objects.get(key) as Uint8Array, bytes));
        expect([at, differ.map(([key]) => key)]).toEqual([at, []]);
      }
    },
    120_000,
  );
});
