import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Kafka, logLevel, Partitioners } from 'kafkajs';
import { openKafkaLog } from '../../adapters/kafka-log.ts';
import { LIMITS } from '../../core/base/limits.ts';
import { type Log, type LogEntry, offsetAfter } from '../../core/ports/log.ts';
import { TestLogger } from '../support/memory.ts';
import { produceRaw } from '../support/raw-kafka.ts';
import { BOMB, CODECS, PACK, type RawRecord, recordBatch, recordsSection, varint } from '../support/record-batch.ts';
import { describeOnStack, STACK_TIMEOUT_MS, type StackSettings, testStack } from '../support/stack.ts';

const PREFIX = `t${randomBytes(6).toString('hex')}.`;
const NAMES = ['gzip', 'snappy', 'lz4', 'zstd'] as const;
/** A batch of a foreign client, its records, and whether it can be read. */
type Foreign = readonly [what: string, batch: Buffer, records: readonly RawRecord[], readable: boolean];

let kafka: StackSettings['kafka'];
let log: Log;

function packed(codec: number, pack: (section: Buffer) => Buffer, records: readonly RawRecord[]): Buffer {
  return recordBatch({ attributes: codec, count: records.length, section: pack(recordsSection(records)) });
}

function plain(records: readonly RawRecord[]): Buffer {
  return packed(CODECS.none, (section) => section, records);
}

/** One record that would unpack to more than the limit. */
function bomb(name: (typeof NAMES)[number]): Buffer {
  const size = LIMITS.recordBatchBytes + 1000;
  // Attributes, two differences, no key, the length of the value; zeros for the value and the number of headers follow.
  const fields = Buffer.concat([Buffer.from([0, 0, 0]), varint(-1), varint(size - 13)]);
  const head = Buffer.concat([varint(size - 4), fields]);
  return recordBatch({ attributes: CODECS[name], section: BOMB[name](size, head) });
}

function foreign(): readonly Foreign[] {
  const two = [
    { key: Buffer.from('k'), value: Buffer.from('v'.repeat(100)) },
    { value: Buffer.from('w'), headers: [['h', Buffer.from('x')]] as const },
  ];
  const headers = (count: number): RawRecord => ({ headers: Array.from({ length: count }, (_, i) => [`${i}`, null] as const) });
  const empty = (count: number): RawRecord[] => Array.from({ length: count }, () => ({}));
  const nullValue = [{ key: Buffer.from('k'), value: null }];
  const largeKey = [{ key: Buffer.alloc(900_000, 7) }];
  return [
    ...NAMES.map((name): Foreign => [name, packed(CODECS[name], PACK[name], two), two, true]),
    ['snappy as Java frames it', packed(CODECS.snappy, PACK.javaSnappy, two), two, true],
    ['a value that is null', plain(nullValue), nullValue, true],
    ['a key of 900 kB', plain(largeKey), largeKey, true],
    ['10,000 headers', plain([headers(10_000)]), [headers(10_000)], true],
    ['10,000 empty records', plain(empty(10_000)), empty(10_000), true],
    ['an unknown compression', recordBatch({ attributes: 5, section: recordsSection(two), count: 2 }), two, false],
    ['too many headers', plain([headers(LIMITS.recordBatchHeaders + 1)]), [{}], false],
    ['125,000 empty records', plain(empty(125_000)), empty(125_000), false],
    ...NAMES.map((name): Foreign => [`a bomb of ${name}`, bomb(name), [{}], false]),
  ];
}

/** The facts of a record, written or read, that tell it from others. */
function facts(key: Uint8Array | null | undefined, value: Uint8Array | null | undefined, headers: number): string {
  return `key ${key?.length ?? '-'}, ${Buffer.from(value ?? '').toString('utf8')}, ${headers} headers`;
}

/** Everything that a topic holds, read in steps of about `maxBytes`. */
async function readAll(topic: string, maxBytes: number): Promise<readonly LogEntry[]> {
  const { end } = await log.bounds(topic, 0);
  const all: LogEntry[] = [];
  for (let offset = 0; offset < end; ) {
    const entries = await log.read(topic, 0, offset, { maxBytes, waitMs: 1000 });
    if (entries.length === 0) break;
    all.push(...entries);
    offset = offsetAfter(entries.at(-1) as LogEntry);
  }
  return all;
}

describeOnStack('records of other clients on Kafka', () => {
  beforeAll(async () => {
    ({ kafka } = await testStack());
    const settings = { brokers: kafka.brokers, clientId: 'test', topicPrefix: PREFIX, tls: false as const, requestTimeoutMs: 10_000 };
    log = openKafkaLog(settings, new TestLogger());
  }, STACK_TIMEOUT_MS);

  afterAll(() => log.close());

  test('each batch is read or, as a whole, stated as unreadable; the records of others before and behind it are read', async () => {
    await log.ensureTopic('foreign', { partitions: 1 });
    const expected: string[] = [];
    const refused: string[] = [];
    const next = async (value: string): Promise<void> => {
      const { offset } = await log.append('foreign', 0, [{ key: null, value: Buffer.from(value) }]);
      expected.push(`${offset} ${facts(null, Buffer.from(value), 0)}`);
    };
    for (const [what, batch, records, readable] of foreign()) {
      await next(`before ${what}`);
      const { errorCode, baseOffset } = await produceRaw(kafka.brokers[0] as string, `${PREFIX}foreign`, batch);
      if (errorCode !== 0) refused.push(`${what}: ${errorCode}`);
      else if (readable)
        expected.push(...records.map(({ key, value, headers }, i) => `${baseOffset + i} ${facts(key, value, headers?.length ?? 0)}`));
      else expected.push(`${baseOffset}+${records.length}`);
    }
    await next('end');
    // What a broker does not take needs no reader.
    expect(refused).toEqual(['an unknown compression: -1']);
    for (const maxBytes of [1, 1_000_000, 64_000_000]) {
      const read = (await readAll('foreign', maxBytes)).map((entry) =>
        entry.kind === 'unreadable'
          ? `${entry.offset}+${entry.span}`
          : `${entry.offset} ${facts(entry.key, entry.value, Object.keys(entry.headers).length)}`,
      );
      expect(read).toEqual(expected);
    }
  }, 120_000);

  test('a read that begins inside of unreadable records states the rest of them', async () => {
    await log.ensureTopic('inside', { partitions: 1 });
    const batch = plain(Array.from({ length: LIMITS.recordBatchRecords + 1 }, () => ({})));
    expect((await produceRaw(kafka.brokers[0] as string, `${PREFIX}inside`, batch)).errorCode).toBe(0);
    const [entry] = await log.read('inside', 0, 7, { maxBytes: 1, waitMs: 1000 });
    expect(entry).toMatchObject({ kind: 'unreadable', offset: 7, span: LIMITS.recordBatchRecords - 6 });
  });

  test('records of transactions that were aborted or are open are read', async () => {
    await log.ensureTopic('transactions', { partitions: 1 });
    const topic = `${PREFIX}transactions`;
    const client = new Kafka({ brokers: [...kafka.brokers], logLevel: logLevel.NOTHING });
    const options = { maxInFlightRequests: 1, idempotent: true, createPartitioner: Partitioners.DefaultPartitioner };
    const producer = client.producer({ ...options, transactionalId: topic });
    await producer.connect();
    const aborted = await producer.transaction();
    await aborted.send({ topic, messages: [{ partition: 0, value: 'aborted' }] });
    await aborted.abort();
    const open = await producer.transaction();
    await open.send({ topic, messages: [{ partition: 0, value: 'open' }] });
    await log.append('transactions', 0, [{ key: null, value: Buffer.from('after') }]);
    const read = (await readAll('transactions', 1)).map((entry) =>
      entry.kind === 'record' ? Buffer.from(entry.value).toString('utf8') : entry.kind,
    );
    expect(read).toEqual(['aborted', 'open', 'after']);
    await open.abort();
    await producer.disconnect();
  }, 60_000);
});
