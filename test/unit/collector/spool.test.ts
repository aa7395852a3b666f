import { expect, test } from '@jest/globals';
import { crc32, RECORD_HEADER_BYTES, readRecords, sealRecord, tableCrc32 } from '../../../collector/spool-record.ts';

const MAGIC = Buffer.from('0102030405060708', 'hex');
const PAYLOADS = ['first', '', 'the third one', 'x'.repeat(300)];

function segment(): { readonly bytes: Buffer; readonly ends: number[] } {
  const parts: Buffer[] = [];
  const ends: number[] = [];
  let length = 0;
  for (const [kind, text] of PAYLOADS.entries()) {
    const record = Buffer.alloc(RECORD_HEADER_BYTES + text.length);
    record.write(text, RECORD_HEADER_BYTES);
    sealRecord(record, 0, kind + 1, text.length, MAGIC);
    parts.push(record);
    length += record.length;
    ends.push(length);
  }
  return { bytes: Buffer.concat(parts), ends };
}

const texts = (bytes: Buffer): string[] => readRecords(bytes, MAGIC).records.map(({ payload }) => Buffer.from(payload).toString());

test('a segment cut at any byte gives every whole record, and the rest as torn', () => {
  const { bytes, ends } = segment();
  for (let cut = 0; cut <= bytes.length; cut++) {
    const whole = ends.filter((end) => end <= cut).length;
    const { stretches } = readRecords(bytes.subarray(0, cut), MAGIC);
    expect([cut, texts(bytes.subarray(0, cut))]).toEqual([cut, PAYLOADS.slice(0, whole)]);
    expect([cut, stretches.map(({ torn }) => torn)]).toEqual([cut, cut === (ends[whole - 1] ?? 0) ? [] : [true]]);
  }
});

test('a flipped byte at any position costs one record, is reported as damage, and the records before and after it are kept', () => {
  const { bytes, ends } = segment();
  for (let at = 0; at < bytes.length; at++) {
    const damaged = Buffer.from(bytes);
    damaged[at] = (damaged[at] as number) ^ 0x40;
    const hit = ends.findIndex((end) => at < end);
    expect([at, texts(damaged)]).toEqual([at, PAYLOADS.filter((_, i) => i !== hit)]);
    const { stretches } = readRecords(damaged, MAGIC);
    expect([at, stretches.map(({ torn }) => torn)]).toEqual([at, [false]]);
  }
});

test('the table gives the same CRC as zlib', () => {
  const { bytes } = segment();
  for (let end = 0; end < bytes.length; end++) expect(tableCrc32(bytes.subarray(0, end))).toBe(crc32(bytes.subarray(0, end)));
});
