import { afterAll, beforeAll, expect } from '@jest/globals';
import { toHex, utf8, utf8Text } from '../../core/base/bytes.ts';
import { LIMITS } from '../../core/base/limits.ts';
import type { Log, LogEntry, LogRecord, NewRecord } from '../../core/ports/log.ts';
import { recordsOf } from '../support/log-records.ts';
import { type Clause, codeOf, contract, type Exceptions } from './contract.ts';

/** Where a log of the contract keeps its records. */
export interface LogPlace {
  /** Opens the log; each time with all that was appended before. */
  open(): Promise<Log>;
  release(): Promise<void>;
  /** Starts the names of topics that nobody else uses; letters, digits, `.` and `-`. */
  readonly prefix: string;
}

const NOW = { maxBytes: 1e7, waitMs: 0 };
/** Longer than any test may take: a test that waits to its end fails. */
const FOR_EVER_MS = 600_000;

/** What every {@link Log} must do. */
export function logContract(name: string, place: () => Promise<LogPlace>, exceptions: Exceptions = {}): void {
  contract(`Log: ${name}`, exceptions, (clause) => {
    const suite = new Suite();
    beforeAll(async () => suite.open(await place()), 60_000);
    afterAll(async () => suite.release());
    appending(clause, suite);
    content(clause, suite);
    reading(clause, suite);
    waiting(clause, suite);
    trimming(clause, suite);
    topics(clause, suite);
    closing(clause, suite);
  });
}

class Suite {
  log!: Log;
  #place: LogPlace | undefined;
  #topics = 0;

  async open(place: LogPlace): Promise<void> {
    this.#place = place;
    this.log = await place.open();
  }

  /** Closes the log, opens it again and gives the closed one. */
  async reopen(): Promise<Log> {
    const closed = this.log;
    await closed.close();
    this.log = await (this.#place as LogPlace).open();
    return closed;
  }

  /** A name that no topic has. */
  name(): string {
    return `${this.#place?.prefix}-${this.#topics++}`;
  }

  /** A new topic. */
  async topic(partitions = 1): Promise<string> {
    const topic = this.name();
    await this.log.ensureTopic(topic, { partitions });
    return topic;
  }

  /** Everything that a partition holds from `from` on, in as many reads as it takes. */
  async all(topic: string, partition = 0, from = 0, maxBytes: number = NOW.maxBytes): Promise<LogRecord[]> {
    const { end } = await this.log.bounds(topic, partition);
    const records: LogRecord[] = [];
    for (let next = from; next < end; ) {
      const some = await this.log.read(topic, partition, next, { maxBytes, waitMs: 1000 });
      records.push(...recordsOf(some));
      next = (some.at(-1)?.offset ?? end) + 1;
    }
    return records;
  }

  async release(): Promise<void> {
    await this.log.close();
    await this.#place?.release();
  }
}

function text(value: string): NewRecord {
  return { key: null, value: utf8(value) };
}

function texts(entries: readonly LogEntry[]): string[] {
  return recordsOf(entries).map(({ value }) => utf8Text(value));
}

function appending(clause: Clause, suite: Suite): void {
  clause('an append resolves with the offset of its first record, and the records follow in order', async () => {
    const topic = await suite.topic();
    const { offset: first } = await suite.log.append(topic, 0, [text('a'), text('b'), text('c')]);
    const { offset: second } = await suite.log.append(topic, 0, [text('d'), text('e')]);
    const records = await suite.all(topic);
    expect(texts(records)).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect([records[0]?.offset, records[3]?.offset]).toEqual([first, second]);
    expect(records.map(({ offset }) => offset)).toEqual(records.map((_, i) => first + i));
  });

  clause('an append answers the time at which the log took its first record, as readers get it', async () => {
    const topic = await suite.topic();
    const { timestampMicros } = await suite.log.append(topic, 0, [text('a'), text('b')]);
    expect((await suite.all(topic))[0]?.timestampMicros).toBe(timestampMicros);
  });

  clause('concurrent appends do not mix: the records of each call are together, in its order', async () => {
    const topic = await suite.topic();
    const calls = Array.from({ length: 20 }, (_, call) => [0, 1, 2].map((i) => text(`${call}.${i}`)));
    const firsts = await Promise.all(calls.map((records) => suite.log.append(topic, 0, records)));
    const records = await suite.all(topic);
    expect(records.length).toBe(60);
    for (const [call, { offset: first }] of firsts.entries()) {
      const at = records.findIndex(({ offset }) => offset === first);
      expect(texts(records.slice(at, at + 3))).toEqual([`${call}.0`, `${call}.1`, `${call}.2`]);
    }
  });

  clause('each partition has separate offsets and records', async () => {
    const topic = await suite.topic(3);
    await suite.log.append(topic, 2, [text('two')]);
    await suite.log.append(topic, 0, [text('zero'), text('zero again')]);
    expect(texts(await suite.all(topic, 0))).toEqual(['zero', 'zero again']);
    expect(texts(await suite.all(topic, 2))).toEqual(['two']);
    const bounds = await Promise.all([0, 1, 2].map((partition) => suite.log.bounds(topic, partition)));
    expect(bounds).toEqual([
      { start: 0, end: 2 },
      { start: 0, end: 0 },
      { start: 0, end: 1 },
    ]);
  });

  clause('two topics do not mix if the name of one begins with that of the other', async () => {
    const topic = await suite.topic();
    const longer = `${topic}.0`;
    await suite.log.ensureTopic(longer, { partitions: 1 });
    await suite.log.append(longer, 0, [text('longer')]);
    await suite.log.append(topic, 0, [text('shorter')]);
    expect([texts(await suite.all(topic)), texts(await suite.all(longer))]).toEqual([['shorter'], ['longer']]);
  });
}

function content(clause: Clause, suite: Suite): void {
  clause('keys, null keys, values and headers come back as they were, whatever their bytes', async () => {
    const topic = await suite.topic();
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    const records: NewRecord[] = [
      { key: null, value: bytes },
      { key: bytes, value: new Uint8Array(0), headers: { 'content-type': utf8('application/avro'), empty: new Uint8Array(0) } },
      { key: utf8('k'), value: utf8('v'), headers: { raw: bytes, ünï: utf8('ünï'), constructor: utf8('c') } },
    ];
    await suite.log.append(topic, 0, records);
    const read = await suite.all(topic);
    expect(read.map(plain)).toEqual(records.map(plain));
  });

  clause('a value may have any size that a message may have, up to what is kept of a rejected one', async () => {
    const topic = await suite.topic();
    const sizes = [0, 1, 65_536, LIMITS.messageBytes, LIMITS.rejectedBytes];
    for (const size of sizes) await suite.log.append(topic, 0, [{ key: null, value: patterned(size) }]);
    const read = await suite.all(topic);
    expect(read.map(({ value }) => value.length)).toEqual(sizes);
    for (const { value } of read) expect(Buffer.from(patterned(value.length)).equals(value)).toBe(true);
  });

  clause('records of one call that are together larger than a message are all appended, in order', async () => {
    const topic = await suite.topic();
    const records = [1, 2, 3, 4].map((i) => ({ key: null, value: patterned(600_000 + i) }));
    const { offset: first } = await suite.log.append(topic, 0, records);
    const read = await suite.all(topic);
    expect(read.map(({ value }) => value.length)).toEqual([600_001, 600_002, 600_003, 600_004]);
    expect(read[0]?.offset).toBe(first);
  });

  clause('an appended record does not change when the caller, or a reader, writes to its bytes afterwards', async () => {
    const topic = await suite.topic();
    const value = utf8('before');
    await suite.log.append(topic, 0, [{ key: null, value }]);
    value.fill(0x78);
    const [read] = await suite.all(topic);
    expect(utf8Text((read as LogRecord).value)).toBe('before');
    (read as LogRecord).value.fill(0x79);
    expect(texts(await suite.all(topic))).toEqual(['before']);
  });

  clause('a record carries the time at which the log took it, microseconds since 1970, which does not fall', async () => {
    const topic = await suite.topic();
    for (let i = 0; i < 5; i++) await suite.log.append(topic, 0, [text(`${i}`), text(`${i} too`)]);
    const times = (await suite.all(topic)).map(({ timestampMicros }) => timestampMicros);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    // Microseconds, and not the milliseconds of most clocks: between 2020 and 2100.
    for (const time of times) expect([Number.isSafeInteger(time), time > 1.57e15, time < 4.1e15]).toEqual([true, true, true]);
  });
}

function reading(clause: Clause, suite: Suite): void {
  clause('a read starts at the record it asks for, and is empty at and beyond the end', async () => {
    const topic = await suite.topic();
    await suite.log.append(topic, 0, ['a', 'b', 'c'].map(text));
    expect(texts(await suite.log.read(topic, 0, 1, { ...NOW, waitMs: 1000 }))).toEqual(['b', 'c']);
    expect(await suite.log.read(topic, 0, 3, NOW)).toEqual([]);
    expect(await suite.log.read(topic, 0, 1000, NOW)).toEqual([]);
    const unused = await suite.topic();
    expect(await suite.log.read(unused, 0, 0, NOW)).toEqual([]);
  });

  clause('a read can start inside an append of many records', async () => {
    const topic = await suite.topic();
    await suite.log.append(
      topic,
      0,
      Array.from({ length: 100 }, (_, i) => text(`${i}`)),
    );
    for (const from of [1, 50, 99]) {
      const read = await suite.log.read(topic, 0, from, { ...NOW, waitMs: 1000 });
      expect([read[0]?.offset, read.at(-1)?.offset]).toEqual([from, 99]);
    }
  });

  clause('a read stops after about maxBytes, and reads that go on from there get everything once', async () => {
    const topic = await suite.topic();
    for (let i = 0; i < 20; i++) await suite.log.append(topic, 0, [{ key: null, value: patterned(10_000) }]);
    const some = await suite.log.read(topic, 0, 0, { maxBytes: 50_000, waitMs: 1000 });
    expect([some.length >= 1, some.length <= 6]).toEqual([true, true]);
    const all = await suite.all(topic, 0, 0, 50_000);
    expect(all.map(({ offset }) => offset)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  clause('a read gives at least one record if there is one, however small maxBytes is', async () => {
    const topic = await suite.topic();
    await suite.log.append(topic, 0, [{ key: null, value: patterned(100_000) }, text('next')]);
    const [first] = recordsOf(await suite.log.read(topic, 0, 0, { maxBytes: 1, waitMs: 1000 }));
    expect(first?.value.length).toBe(100_000);
    expect(texts(await suite.log.read(topic, 0, 1, { maxBytes: 1, waitMs: 1000 }))).toEqual(['next']);
  });

  clause('readers do not disturb each other', async () => {
    const topic = await suite.topic();
    const words = Array.from({ length: 50 }, (_, i) => `${i}`);
    for (const word of words) await suite.log.append(topic, 0, [text(word)]);
    const [all, tail, slow] = await Promise.all([suite.all(topic), suite.all(topic, 0, 25), suite.all(topic, 0, 0, 1)]);
    expect([texts(all), texts(tail), texts(slow)]).toEqual([words, words.slice(25), words]);
  });

  clause('bounds are {0, 0} in an unused partition, and end after the last record', async () => {
    const topic = await suite.topic();
    expect(await suite.log.bounds(topic, 0)).toEqual({ start: 0, end: 0 });
    const { offset: first } = await suite.log.append(topic, 0, [text('a'), text('b')]);
    expect(await suite.log.bounds(topic, 0)).toEqual({ start: 0, end: first + 2 });
  });
}

function waiting(clause: Clause, suite: Suite): void {
  clause('a read waits for the first record, in each of several readers', async () => {
    const topic = await suite.topic(2);
    const readers = [0, 1].map(() => suite.log.read(topic, 0, 0, { maxBytes: 1000, waitMs: FOR_EVER_MS }));
    await suite.log.append(topic, 1, [text('another partition')]);
    await suite.log.append(topic, 0, [text('come')]);
    expect((await Promise.all(readers)).map(texts)).toEqual([['come'], ['come']]);
  });

  clause('a read does not wait where there is a record', async () => {
    const topic = await suite.topic();
    await suite.log.append(topic, 0, [text('there')]);
    expect(texts(await suite.log.read(topic, 0, 0, { maxBytes: 1e6, waitMs: FOR_EVER_MS }))).toEqual(['there']);
  });

  clause('a wait ends by itself, with nothing', async () => {
    const topic = await suite.topic();
    expect(await suite.log.read(topic, 0, 0, { maxBytes: 1000, waitMs: 20 })).toEqual([]);
  });

  clause('a signal ends the wait, and the call returns what it has', async () => {
    const topic = await suite.topic();
    const stop = new AbortController();
    const waits = suite.log.read(topic, 0, 0, { maxBytes: 1000, waitMs: FOR_EVER_MS, signal: stop.signal });
    stop.abort();
    expect(await waits).toEqual([]);
    expect(await suite.log.read(topic, 0, 0, { maxBytes: 1000, waitMs: FOR_EVER_MS, signal: stop.signal })).toEqual([]);
    await suite.log.append(topic, 0, [text('later')]);
    expect(texts(await suite.log.read(topic, 0, 0, { maxBytes: 1000, waitMs: 0 }))).toEqual(['later']);
  });
}

function trimming(clause: Clause, suite: Suite): void {
  clause('trimming raises the start; a read below it begins there, at a higher offset than it asked for', async () => {
    const topic = await suite.topic(2);
    for (const partition of [0, 1]) await suite.log.append(topic, partition, ['a', 'b', 'c', 'd'].map(text));
    await suite.log.trim(topic, 0, 2);
    expect(await suite.log.bounds(topic, 0)).toEqual({ start: 2, end: 4 });
    const read = await suite.log.read(topic, 0, 0, { ...NOW, waitMs: 1000 });
    expect(recordsOf(read).map(({ offset, value }) => [offset, utf8Text(value)])).toEqual([
      [2, 'c'],
      [3, 'd'],
    ]);
    expect(await suite.log.bounds(topic, 1)).toEqual({ start: 0, end: 4 });
  });

  clause('trimming again, or lower, changes nothing', async () => {
    const topic = await suite.topic();
    await suite.log.append(topic, 0, ['a', 'b', 'c', 'd'].map(text));
    for (const before of [3, 3, 1, 0]) await suite.log.trim(topic, 0, before);
    expect(await suite.log.bounds(topic, 0)).toEqual({ start: 3, end: 4 });
  });

  clause('trimming to the end and beyond empties the partition; offsets are never given again', async () => {
    const topic = await suite.topic();
    await suite.log.append(topic, 0, ['a', 'b'].map(text));
    await suite.log.trim(topic, 0, 1000);
    expect(await suite.log.bounds(topic, 0)).toEqual({ start: 2, end: 2 });
    expect((await suite.log.append(topic, 0, [text('c')])).offset).toBe(2);
    expect(texts(await suite.log.read(topic, 0, 0, { ...NOW, waitMs: 1000 }))).toEqual(['c']);
  });
}

function topics(clause: Clause, suite: Suite): void {
  clause('ensuring a topic again changes nothing, also at the same time', async () => {
    const topic = suite.name();
    await Promise.all([0, 1, 2].map(() => suite.log.ensureTopic(topic, { partitions: 2 })));
    await suite.log.append(topic, 1, [text('kept')]);
    await suite.log.ensureTopic(topic, { partitions: 2 });
    expect(texts(await suite.all(topic, 1))).toEqual(['kept']);
  });

  clause('a topic that exists with other settings is CONFIG_INVALID and stays unchanged', async () => {
    const topic = await suite.topic(2);
    expect(await codeOf(() => suite.log.ensureTopic(topic, { partitions: 3 }))).toBe('CONFIG_INVALID');
    expect(await codeOf(() => suite.log.ensureTopic(topic, { partitions: 1 }))).toBe('CONFIG_INVALID');
    expect(await suite.log.bounds(topic, 1)).toEqual({ start: 0, end: 0 });
    expect(await codeOf(() => suite.log.bounds(topic, 2))).toBe('NOT_FOUND');
  });

  clause('of two calls that ensure a topic with different settings at the same time, one gets CONFIG_INVALID', async () => {
    const topic = suite.name();
    const codes = await Promise.all([1, 2].map((partitions) => codeOf(() => suite.log.ensureTopic(topic, { partitions }))));
    expect(codes.filter((code) => code !== undefined)).toEqual(['CONFIG_INVALID']);
  });

  clause('a topic or partition that does not exist is NOT_FOUND, and asking does not create it', async () => {
    const topic = await suite.topic();
    const missing = suite.name();
    for (const [name, partition] of [
      [missing, 0],
      [topic, 1],
      [topic, -1],
      [topic, 0.5],
    ] as const) {
      const calls = [
        () => suite.log.append(name, partition, [text('lost')]),
        () => suite.log.read(name, partition, 0, NOW),
        () => suite.log.bounds(name, partition),
        () => suite.log.trim(name, partition, 0),
      ];
      for (const call of calls) expect([name, partition, await codeOf(call)]).toEqual([name, partition, 'NOT_FOUND']);
    }
  });
}

function closing(clause: Clause, suite: Suite): void {
  clause('acknowledged data is there after closing and opening again: records, times, bounds, topics', async () => {
    const topic = await suite.topic(2);
    await suite.log.append(topic, 0, [text('a'), { key: utf8('k'), value: utf8('b'), headers: { h: utf8('h') } }, text('c')]);
    await suite.log.trim(topic, 0, 1);
    const before = await suite.all(topic);
    await suite.reopen();
    expect((await suite.all(topic)).map(dated)).toEqual(before.map(dated));
    expect(await suite.log.bounds(topic, 0)).toEqual({ start: 1, end: 3 });
    expect(await codeOf(() => suite.log.ensureTopic(topic, { partitions: 1 }))).toBe('CONFIG_INVALID');
    expect((await suite.log.append(topic, 0, [text('d')])).offset).toBe(3);
  });

  clause('after closing every method is UNAVAILABLE, and closing again does nothing', async () => {
    const topic = await suite.topic();
    const closed = await suite.reopen();
    await closed.close();
    const calls = [
      () => closed.ensureTopic(topic, { partitions: 1 }),
      () => closed.append(topic, 0, [text('lost')]),
      () => closed.read(topic, 0, 0, NOW),
      () => closed.bounds(topic, 0),
      () => closed.trim(topic, 0, 0),
    ];
    for (const call of calls) expect(await codeOf(call)).toBe('UNAVAILABLE');
    expect(await suite.log.bounds(topic, 0)).toEqual({ start: 0, end: 0 });
  });

  clause('closing ends a wait', async () => {
    const topic = await suite.topic();
    const waits = codeOf(() => suite.log.read(topic, 0, 0, { maxBytes: 1000, waitMs: FOR_EVER_MS }));
    await suite.reopen();
    // With no records, or with the error that the log is closed.
    expect([undefined, 'UNAVAILABLE']).toContain(await waits);
  });
}

function patterned(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i * 31 + size) & 0xff);
}

function plain({ key, value, headers }: NewRecord | LogRecord): unknown {
  const sorted = Object.entries(headers ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return { key: key === null ? null : toHex(key), value: toHex(value), headers: sorted.map(([name, bytes]) => [name, toHex(bytes)]) };
}

function dated(record: LogRecord): unknown {
  return [record.offset, record.timestampMicros, plain(record)];
}
