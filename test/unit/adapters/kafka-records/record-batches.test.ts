import { crc32 } from 'node:zlib';
import { expect, test } from '@jest/globals';
import { sha256 } from '#crypto';
import { readBatches } from '../../../../adapters/kafka-records/record-batches.ts';
import { LIMITS } from '../../../../core/base/limits.ts';
import type { LogEntry, LogRecord, UnreadableRecords } from '../../../../core/ports/log.ts';
import { plainBatch, recordBatch, recordsSection, summed, varint } from '../../../support/record-batch.ts';

const MUCH = 64 * 1024 * 1024;

async function read(...batches: readonly Uint8Array[]): Promise<readonly LogEntry[]> {
  return (await readBatches(Buffer.concat(batches), 0, MUCH)).entries;
}

/** `offset text` of records, `offset+span` of what cannot be read. */
function places(entries: readonly LogEntry[]): readonly string[] {
  return entries.map((entry) =>
    entry.kind === 'record' ? `${entry.offset} ${Buffer.from(entry.value).toString('utf8')}` : `${entry.offset}+${entry.span}`,
  );
}

async function only(batch: Uint8Array): Promise<LogEntry> {
  const entries = await read(batch);
  expect(entries).toHaveLength(1);
  return entries[0] as LogEntry;
}

test('records have their keys, values, headers, offsets and times', async () => {
  const section = recordsSection([
    {
      key: Buffer.from('k'),
      value: Buffer.from('v'),
      timestampDelta: 5,
      headers: [
        ['a', Buffer.from('1')],
        ['b', Buffer.from('2')],
      ],
    },
    { value: Buffer.alloc(0), timestampDelta: -7, offsetDelta: 3 },
  ]);
  const entries = await read(recordBatch({ baseOffset: 10, lastDelta: 4, count: 2, section, baseTimestamp: 100, maxTimestamp: 105 }));
  expect(entries).toEqual([
    {
      kind: 'record',
      offset: 10,
      timestampMicros: 105_000,
      key: Buffer.from('k'),
      value: Buffer.from('v'),
      headers: Object.assign(Object.create(null) as object, { a: Buffer.from('1'), b: Buffer.from('2') }),
    },
    { kind: 'record', offset: 13, timestampMicros: 93_000, key: null, value: Buffer.alloc(0), headers: Object.create(null) as object },
  ]);
});

test('a header whose name is longer than 255 bytes is left out, and the record is read', async () => {
  const value = Buffer.from('v');
  const headers = [255, 256].map((length) => ['n'.repeat(length), value] as const);
  const entry = (await only(recordBatch({ section: recordsSection([{ value, headers: [...headers, ['last', value]] }]) }))) as LogRecord;
  expect(Object.keys(entry.headers)).toEqual(['n'.repeat(255), 'last']);
});

test('if the log dates records, all of a batch have its time', async () => {
  const section = recordsSection([{ value: Buffer.from('v'), timestampDelta: 5 }]);
  const entry = await only(recordBatch({ attributes: 0x08, section, baseTimestamp: 1, maxTimestamp: 77 }));
  expect(entry.timestampMicros).toBe(77_000);
});

test('times that no clock shows are the nearest that numbers can hold', async () => {
  const most = Number.MAX_SAFE_INTEGER;
  const late = recordsSection([{ timestampDelta: most }]);
  expect((await only(recordBatch({ section: late }))).timestampMicros).toBe(most);
  expect((await only(recordBatch({ section: recordsSection([{ timestampDelta: -most }]) }))).timestampMicros).toBe(-most);
  expect((await only(recordBatch({ attributes: 7, section: late, maxTimestamp: most }))).timestampMicros).toBe(most);
});

test('a record without a value has an empty one, and so has a header', async () => {
  const { value, headers } = (await only(recordBatch({ section: recordsSection([{ value: null, headers: [['h', null]] }]) }))) as LogRecord;
  expect([value.length, headers['h']?.length]).toEqual([0, 0]);
});

test('of headers with one name the last counts, and no name is special', async () => {
  const names = ['h', '__proto__', 'h', ''].map((name, i) => [name, Buffer.from(`${i}`)] as const);
  const { headers } = (await only(recordBatch({ section: recordsSection([{ headers: names }]) }))) as LogRecord;
  expect(Object.entries(headers).map(([name, value]) => `${name}=${String(value)}`)).toEqual(['h=2', '__proto__=1', '=3']);
});

test('a key of 1 MB is read', async () => {
  const { key } = (await only(recordBatch({ section: recordsSection([{ key: Buffer.alloc(1_000_000, 7) }]) }))) as LogRecord;
  expect(key?.length).toBe(1_000_000);
});

test('an answer may end inside of a batch, and begin with a batch that begins before the wanted offset', async () => {
  const answer = Buffer.concat([plainBatch(0, ['a', 'b', 'c']), plainBatch(3, ['d']), plainBatch(4, ['e'])]);
  const last = plainBatch(4, ['e']).length;
  for (let cut = 1; cut < last; cut++) {
    const { entries, next } = await readBatches(answer.subarray(0, answer.length - cut), 1, MUCH);
    expect([places(entries), next]).toEqual([['1 b', '2 c', '3 d'], 4]);
  }
});

test('an answer that ends inside of its first batch is not usable, and an empty one has nothing', async () => {
  const batch = plainBatch(0, ['a']);
  for (const length of [1, 11, 12, 60, batch.length - 1])
    await expect(readBatches(batch.subarray(0, length), 0, MUCH)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(await readBatches(Buffer.alloc(0), 5, MUCH)).toEqual({ entries: [], next: 5 });
});

test('batches below the wanted offset, markers of transactions and batches without records are passed over', async () => {
  const marker = recordBatch({
    baseOffset: 2,
    attributes: 0x30,
    section: recordsSection([{ key: Buffer.alloc(4), value: Buffer.alloc(6) }]),
  });
  const compacted = recordBatch({ baseOffset: 3, lastDelta: 4, count: 0, section: Buffer.alloc(0) });
  const answer = Buffer.concat([plainBatch(0, ['a', 'b']), marker, compacted]);
  expect(await readBatches(answer, 2, MUCH)).toEqual({ entries: [], next: 8 });
  expect(places(await read(answer, plainBatch(8, ['c'])))).toEqual(['0 a', '1 b', '8 c']);
});

test('a batch of an open transaction is read', async () => {
  expect(places(await read(recordBatch({ attributes: 0x10, section: recordsSection([{ value: Buffer.from('open') }]) })))).toEqual([
    '0 open',
  ]);
});

test('a damaged batch is not judged, whatever bit fell over', async () => {
  const batch = recordBatch({ baseOffset: 5, section: recordsSection([{ value: Buffer.from('v'), headers: [['h', null]] }]) });
  for (let bit = 8 * 16; bit < 8 * batch.length; bit++) {
    const damaged = Buffer.from(batch);
    damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
    await expect(readBatches(damaged, 5, MUCH)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  }
});

test.each<[string, Buffer]>([
  ['a size below that of a header', plainBatch(0, ['a']).fill(0, 8, 12)],
  ['a negative size', plainBatch(0, ['a']).fill(255, 8, 12)],
  ['a last offset before the first', recordBatch({ lastDelta: -1, section: recordsSection([{}]) })],
  ['a last offset that no number follows', recordBatch({ baseOffset: Number.MAX_SAFE_INTEGER, section: recordsSection([{}]) })],
  ['offsets beyond 2^53', recordBatch({ baseOffset: Number.MAX_SAFE_INTEGER, lastDelta: 1, section: recordsSection([{}]) })],
])('a header that no broker writes is damage: %s', async (_, batch) => {
  await expect(read(batch)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});

test('a batch that cannot be read is one entry with the facts of its stored bytes, and what follows is read', async () => {
  const section = Buffer.alloc(LIMITS.rejectedBytes + 10, 9);
  const bad = recordBatch({ baseOffset: 1, count: 3, attributes: 5, section, maxTimestamp: 42 });
  const entries = await read(plainBatch(0, ['a']), bad, plainBatch(4, ['b']));
  expect(places(entries)).toEqual(['0 a', '1+3', '4 b']);
  const { timestampMicros, digest, size, bytes } = entries[1] as UnreadableRecords;
  expect([timestampMicros, size, bytes.length]).toEqual([42_000, section.length, LIMITS.rejectedBytes]);
  expect(Buffer.from(digest).equals(sha256(section))).toBe(true);
});

test('what cannot be read and begins before the wanted offset is given from there on', async () => {
  const bad = recordBatch({ baseOffset: 1, count: 5, attributes: 6, section: Buffer.alloc(3) });
  const { entries, next } = await readBatches(bad, 4, MUCH);
  expect([places(entries), next]).toEqual([['4+2'], 6]);
});

const ok = recordsSection([{ value: Buffer.from('v'), headers: [['h', Buffer.from('x')]] }]);
/** The section with the length of its first record one higher: a zig-zag varint of one byte. */
function longer(section: Buffer): Buffer {
  section[0] = (section[0] as number) + 2;
  return section;
}
const cut = (length: number): Buffer => ok.subarray(0, length);
test.each<[string, Parameters<typeof recordBatch>[0]]>([
  ['no records where one is announced', { section: Buffer.alloc(0) }],
  ['fewer records than announced', { section: ok, count: 2 }],
  ['more records than announced', { section: Buffer.concat([ok, ok]), count: 1, lastDelta: 1 }],
  ['a negative count', { section: ok, count: -1, lastDelta: 0 }],
  ['a count of 2^31 - 1', { section: ok, count: 2 ** 31 - 1 }],
  ['a byte after the last record', { section: Buffer.concat([ok, Buffer.alloc(1)]) }],
  ['a negative length', { section: varint(-1) }],
  ['a length beyond the section', { section: varint(1000) }],
  ['a length of more than 32 bits', { section: Buffer.alloc(6, 255) }],
  ['an offset beyond the last of the batch', { section: recordsSection([{ offsetDelta: 1 }]), lastDelta: 0 }],
  ['an offset below the first of the batch', { section: recordsSection([{ offsetDelta: -1 }]) }],
  ['an offset that is there twice', { section: recordsSection([{ offsetDelta: 1 }, { offsetDelta: 1 }]), count: 2 }],
  ['a record that declares a byte of the next one', { section: longer(recordsSection([{}, {}])), count: 2 }],
  ['a header without a name', { section: Buffer.from([14, 0, 0, 0, 1, 1, 2, 1]) }],
  ['a negative number of headers', { section: Buffer.from([12, 0, 0, 0, 1, 1, 1]) }],
  ...[1, 2, 3, 5, ok.length - 1].map((length): [string, Parameters<typeof recordBatch>[0]] => [
    `a record cut after ${length} bytes`,
    { section: cut(length) },
  ]),
])('a batch is read as a whole or not at all: %s', async (_, batch) => {
  const first = (batch.count ?? 1) > 0 ? (batch.lastDelta ?? (batch.count ?? 1) - 1) + 1 : 1;
  expect(places(await read(recordBatch(batch)))).toEqual([`0+${first}`]);
});

test('messages of the formats before 2 are stated as unreadable, with the checksum that they have', async () => {
  const message = Buffer.alloc(26 + 8);
  message.writeBigInt64BE(3n, 0);
  message.writeInt32BE(message.length - 12, 8);
  message.writeInt8(1, 16);
  message.writeBigInt64BE(55n, 18);
  message.writeUInt32BE(crc32(message.subarray(16)), 12);
  const entries = await read(message, plainBatch(4, ['b']));
  expect(places(entries)).toEqual(['3+1', '4 b']);
  expect(entries[0]).toMatchObject({ timestampMicros: 55_000, size: message.length - 12 });
  message[30] = 1;
  await expect(read(message)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});

test('as many records and headers as the limits allow are read, one more is not', async () => {
  const records = (count: number): Buffer => recordBatch({ count, section: recordsSection(Array.from({ length: count }, () => ({}))) });
  expect(await read(records(LIMITS.recordBatchRecords))).toHaveLength(LIMITS.recordBatchRecords);
  expect(places(await read(records(LIMITS.recordBatchRecords + 1)))).toEqual([`0+${LIMITS.recordBatchRecords + 1}`]);
  const headers = (count: number): Buffer =>
    recordBatch({ section: recordsSection([{ headers: Array.from({ length: count }, (_, i) => [`h${i}`, Buffer.from([i & 255])]) }]) });
  expect(Object.keys(((await only(headers(LIMITS.recordBatchHeaders))) as LogRecord).headers)).toHaveLength(LIMITS.recordBatchHeaders);
  expect(places(await read(headers(LIMITS.recordBatchHeaders + 1)))).toEqual(['0+1']);
});

test('a read stops after about as many unpacked bytes as it was asked for, but gives at least one entry', async () => {
  const batches = Array.from({ length: 10 }, (_, i) => plainBatch(i, ['x'.repeat(1000)]));
  const answer = Buffer.concat(batches);
  const { entries, next } = await readBatches(answer, 0, 3000);
  expect([entries.length, next]).toEqual([3, 3]);
  expect((await readBatches(answer, 4, 1)).next).toBe(5);
  const bad = recordBatch({ baseOffset: 0, attributes: 5, section: Buffer.alloc(1) });
  expect((await readBatches(Buffer.concat([bad, plainBatch(1, ['a'])]), 0, 1)).next).toBe(1);
});

test('200,000 empty records in one batch are refused as a whole, and 10,000 headers read, within milliseconds', async () => {
  const empty = recordBatch({ count: 200_000, section: recordsSection(Array.from({ length: 200_000 }, () => ({}))) });
  const headers = Array.from({ length: 10_000 }, (_, i) => [`name ${i}`, Buffer.alloc(1)] as const);
  const full = recordBatch({ baseOffset: 200_000, section: recordsSection([{ headers }]) });
  const answer = Buffer.concat([empty, full]);
  const start = performance.now();
  const { entries } = await readBatches(answer, 0, MUCH);
  const tookMs = performance.now() - start;
  expect(places(entries)).toEqual(['0+200000', '200000 ']);
  expect(Object.keys((entries[1] as LogRecord).headers)).toHaveLength(10_000);
  // kafkajs took 17 s for the headers alone; a slow machine has room here.
  expect(tookMs).toBeLessThan(1000);
});

test('a batch with a right checksum around any other bytes is read or stated, never thrown', async () => {
  const batch = plainBatch(0, ['some', 'values']);
  for (let at = 61; at < batch.length; at++) {
    for (const byte of [0, 1, 127, 128, 255]) {
      const changed = Buffer.from(batch);
      changed[at] = byte;
      const entries = await read(summed(changed));
      expect(entries.every(({ kind }) => kind === 'record') ? entries.length : places(entries)).toEqual(entries.length === 2 ? 2 : ['0+2']);
    }
  }
});
