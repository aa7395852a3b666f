import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { readBatches } from '../../../../adapters/kafka-records/record-batches.ts';

interface Vectors {
  readonly timestampMs: number;
  readonly records: readonly {
    readonly key: string | null;
    readonly value: string | null;
    readonly headers: readonly (readonly [string, string])[];
  }[];
  readonly written: readonly { readonly writer: string; readonly codec: string; readonly batches: string }[];
}

/** Batches of librdkafka and of a broker's Java code; make_batches.py beside the file made them. */
const { timestampMs, records, written } = JSON.parse(
  readFileSync(new URL('../../../vectors/kafka/record-batches.json', import.meta.url), 'utf8'),
) as Vectors;

const expected = records.map(({ key, value, headers }, offset) => ({
  offset,
  timestampMicros: timestampMs * 1000,
  key,
  value: value ?? '',
  headers: Object.fromEntries(headers),
}));

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

test('the vectors have each compression of both writers', () => {
  expect(written.map(({ writer, codec }) => `${writer} ${codec}`)).toEqual([
    'librdkafka none',
    'librdkafka gzip',
    'librdkafka snappy',
    'librdkafka lz4',
    'librdkafka zstd',
    'broker gzip',
    'broker snappy',
    'broker lz4',
    'broker zstd',
  ]);
});

test.each(written)('$codec as $writer writes it is read', async ({ batches }) => {
  const { entries, next } = await readBatches(Buffer.from(batches, 'base64'), 0, 1e6);
  const read = entries.map((entry) => {
    if (entry.kind !== 'record') return entry;
    const { offset, timestampMicros, key, value, headers } = entry;
    const named = Object.entries(headers).map(([name, bytes]) => [name, text(bytes)]);
    return {
      offset,
      timestampMicros,
      key: key === null ? null : text(key),
      value: text(value),
      headers: Object.fromEntries(named) as object,
    };
  });
  expect(read).toEqual(expected);
  expect(next).toBe(records.length);
});
