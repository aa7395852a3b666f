import { describe, expect, test } from '@jest/globals';
import { type Lane, laneKey, type StreamEnd } from '../../../../core/acceptance/log-state.ts';
import { encodeStateRecord, type SnapshotHead } from '../../../../core/archive/snapshot.ts';
import { readWindows, StateDecoder, type StateSource, statePieces } from '../../../../core/archive/state-file.ts';
import { concat } from '../../../../core/base/bytes.ts';
import { LIMITS } from '../../../../core/base/limits.ts';
import { codeOf } from '../../../contract/contract.ts';
import { collected } from '../../../support/collected.ts';
import { MemoryObjectStore } from '../../../support/memory.ts';
import { testId } from '../../../support/producer.ts';
import { readStateFile, type Snapshot, stateFile, stateFileOf, stateRecords } from '../../../support/snapshots.ts';

const HASH = new Uint8Array(32).fill(7);
const HEAD: SnapshotHead = {
  origin: 'example.org/log',
  shard: 0,
  shards: 1,
  size: 1,
  frontier: [HASH],
  seal: HASH,
  inputGeneration: 0,
  inputTo: 0,
  appendedAt: 0,
  acceptedAt: 0,
  chainOffset: 0,
  policy: null,
  final: false,
};
const NO_TURNS = { next: () => Promise.resolve() };

/** A state whose streams and lanes are in no order. */
function source(streams: number, lanes: number): StateSource {
  const end = (i: number): StreamEnd => ({ index: i, hash: HASH, logIndex: i, producer: `p${i % 5}` });
  const lane = (i: number): Lane => ({ number: i, hash: HASH, appendedAt: i });
  return {
    streams: new Map(Array.from({ length: streams }, (_, i) => [`${'s'.repeat(240)}${(i * 7_919) % streams}`, end(i)])),
    lanes: new Map(Array.from({ length: lanes }, (_, i) => [laneKey(`p${i % 3}`, testId(`epoch ${i % 7}`)), lane(i)])),
  };
}

async function written(state: StateSource): Promise<Uint8Array[]> {
  return collected(await statePieces(HEAD, state, NO_TURNS));
}

test('a state has one file, whoever writes it: its head, its streams and its lanes, sorted', async () => {
  const state = source(700, 21);
  const pieces = await written(state);
  const whole: Snapshot = readStateFile(concat(...pieces));
  expect([whole.streams.length, whole.lanes.length, whole.origin]).toEqual([700, 21, HEAD.origin]);
  expect(stateFile(whole)).toEqual(concat(...pieces));
  expect(pieces.length).toBeGreaterThan(2);
  // Each piece begins with a record, and none is much larger than 64 KiB.
  for (const piece of pieces) expect(piece.length).toBeLessThan(64 * 1024 + LIMITS.stateRecordBytes);
  const decoder = new StateDecoder();
  for (const piece of pieces) {
    expect([...decoder.take(piece)].length).toBeGreaterThan(0);
    decoder.end();
  }
});

test('the pieces can be gone through again', async () => {
  const pieces = await statePieces(HEAD, source(700, 3), NO_TURNS);
  expect(await collected(pieces)).toEqual(await collected(pieces));
});

test('the state of no streams is a file of its head', async () => {
  const file = concat(...(await written(source(0, 0))));
  expect(readStateFile(file)).toEqual({ ...HEAD, streams: [], lanes: [] });
});

test('a file is decoded whatever pieces it comes in', async () => {
  const file = concat(...(await written(source(9, 4))));
  for (const size of [1, 3, 4, 5, 100, 333]) {
    const decoder = new StateDecoder();
    let records = 0;
    for (let at = 0; at < file.length; at += size) records += [...decoder.take(file.subarray(at, at + size))].length;
    decoder.end();
    expect([size, records]).toEqual([size, 14]);
  }
});

test('an object is read in windows, up to what is wanted or as far as it goes', async () => {
  const objects = new MemoryObjectStore();
  const bytes = new Uint8Array(9 * 1024 * 1024).map((_, i) => i % 251);
  await objects.create('object', bytes);
  for (const [wanted, length] of [
    [bytes.length, bytes.length],
    [Number.MAX_SAFE_INTEGER, bytes.length],
    [5_000_000, 5_000_000],
    [0, 0],
  ] as const) {
    const windows = await collected(readWindows(objects, 'object', wanted));
    for (const window of windows) expect(window.length).toBeLessThanOrEqual(4 * 1024 * 1024);
    expect(Buffer.compare(concat(...windows), bytes.subarray(0, length))).toBe(0);
  }
  expect(await collected(readWindows(objects, 'other', 5))).toEqual([]);
});

describe('a file is refused', () => {
  const [head, a, b, one, two] = stateRecords({
    ...HEAD,
    streams: ['a', 'b'].map((stream) => ({ stream, index: 0, hash: HASH, logIndex: 0, producer: 'p' })),
    lanes: ['p', 'q'].map((producer) => ({ producer, epoch: testId('epoch'), number: 1, hash: HASH, appendedAt: 0 })),
  }) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  const refused = (bytes: Uint8Array): Promise<unknown> => codeOf(async () => readStateFile(bytes));

  test('unless it has all its records in their order', async () => {
    expect(await refused(stateFileOf([head, a, b, one, two]))).toBeUndefined();
  });

  test.each([
    ['without records', []],
    ['without a head', [a, b]],
    ['with two heads', [head, head]],
    ['with a head at its end', [head, a, head]],
    ['with a stream twice', [head, a, a]],
    ['with streams in another order', [head, b, a]],
    ['with a stream after a lane', [head, a, one, b]],
    ['with a lane twice', [head, one, one]],
    ['with lanes in another order', [head, two, one]],
  ])('%s', async (_, records) => {
    expect(await refused(stateFileOf(records))).toBe('FORMAT_INVALID');
  });

  test('that ends within a record, or within its length', async () => {
    const file = stateFileOf([head, a, b]);
    for (const cut of [1, a.length, a.length + 1, a.length + 3])
      expect([cut, await refused(file.subarray(0, file.length - cut))]).toEqual([cut, 'FORMAT_INVALID']);
  });

  test('with a record beyond the bound, before its end has come', async () => {
    const length = new Uint8Array([0, 0, (LIMITS.stateRecordBytes + 1) >> 8, (LIMITS.stateRecordBytes + 1) & 0xff]);
    expect(await refused(concat(stateFileOf([head]), length))).toBe('LIMIT_EXCEEDED');
  });

  test('with a record that is none', async () => {
    expect(await refused(stateFileOf([head, new Uint8Array([3])]))).toBe('AVRO_INVALID');
    expect(await refused(stateFileOf([head, concat(a, new Uint8Array(1))]))).toBe('AVRO_INVALID');
  });
});

test('the largest records fit the bound', () => {
  const [name, top] = ['é'.repeat(127).concat('x'), Number.MAX_SAFE_INTEGER];
  const numbers = { inputGeneration: 2 ** 31 - 1, inputTo: top, appendedAt: top, acceptedAt: top, chainOffset: top };
  const head = { ...HEAD, ...numbers, origin: name, size: top, shard: 4_095, shards: 4_096, policy: HASH };
  const frontier = Array.from({ length: 53 }, () => HASH);
  expect(encodeStateRecord({ branch: 'SnapshotHead', value: { ...head, frontier } }).length).toBeLessThan(LIMITS.stateRecordBytes);
  const stream = { stream: `${name}x`, index: top, hash: HASH, logIndex: top, producer: name };
  expect(encodeStateRecord({ branch: 'StreamHead', value: stream }).length).toBeLessThan(LIMITS.stateRecordBytes);
  const lane = { producer: name, epoch: testId('e'), number: top, hash: HASH, appendedAt: top };
  expect(encodeStateRecord({ branch: 'HeldLane', value: lane }).length).toBeLessThan(LIMITS.stateRecordBytes);
});
