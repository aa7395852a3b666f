import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Readable } from 'node:stream';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { expect, test } from '@jest/globals';
import { sha256 } from '#crypto';
import { type ContainerBlock, readContainer, writeContainer } from '../../../../core/avro/ocf.ts';
import { compileSchema } from '../../../../core/avro/schema.ts';
import { SCHEMA_TEXTS } from '../../../../core/avro/schema-texts.ts';
import { concat, toHex, utf8 } from '../../../../core/base/bytes.ts';

type Decoder = NodeJS.ReadWriteStream & AsyncIterable<{ stream: string; bytes: Buffer }>;
const avsc = createRequire(import.meta.url)('avsc') as { streams: { BlockDecoder: new () => Decoder } };
const SCHEMA = '{"fields":[{"name":"stream","type":"string"},{"name":"bytes","type":"bytes"}],"name":"R","type":"record"}';
const SYNC = new Uint8Array(16).fill(9);
const codec = compileSchema<{ stream: string; bytes: Uint8Array }>(JSON.parse(SCHEMA));
const RECORDS = Array.from({ length: 5 }, (_, i) => codec.encode({ stream: `s${i}`, bytes: new Uint8Array(100_000).fill(i) }));

async function file(): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of writeContainer(SCHEMA, SYNC, RECORDS, deflateRawSync)) parts.push(part);
  return concat(...parts);
}

async function blocksOf(bytes: Uint8Array): Promise<ContainerBlock[]> {
  const blocks: ContainerBlock[] = [];
  const inflate = (data: Uint8Array, maxOutputLength: number) => inflateRawSync(data, { maxOutputLength });
  for await (const block of readContainer(SCHEMA, SYNC, (at, length) => bytes.subarray(at, at + length), inflate)) blocks.push(block);
  return blocks;
}

test('containers come back record by record, cut before 256 KiB', async () => {
  const blocks = await blocksOf(await file());
  expect(blocks.map(({ records }) => records.length)).toEqual([2, 2, 1]);
  expect(blocks.flatMap(({ records }) => records.map(toHex))).toEqual(RECORDS.map(toHex));
});

test('avsc reads our containers', async () => {
  const names: string[] = [];
  const stream = Readable.from([Buffer.from(await file())]).pipe(new avsc.streams.BlockDecoder());
  for await (const { stream: name } of stream as AsyncIterable<{ stream: string }>) names.push(name);
  expect(names).toEqual(['s0', 's1', 's2', 's3', 's4']);
});

test('containers that are cut or extended are refused', async () => {
  const bytes = await file();
  await expect(blocksOf(bytes.subarray(0, -1))).rejects.toMatchObject({ code: 'FORMAT_INVALID' });
  await expect(blocksOf(concat(bytes, Uint8Array.of(0)))).rejects.toHaveProperty('code', 'AVRO_INVALID');
});

test('the file’s own sync marker, planted in records and not compressed away, breaks neither our reading nor avsc’s', async () => {
  const planted = Array.from({ length: 4 }, (_, i) => codec.encode({ stream: `p${i}`, bytes: concat(SYNC, Uint8Array.of(2, 0), SYNC) }));
  const parts: Uint8Array[] = [];
  for await (const part of writeContainer(SCHEMA, SYNC, planted, (data) => deflateRawSync(data, { level: 0 }))) parts.push(part);
  const bytes = concat(...parts);
  expect(Buffer.from(bytes).toString('latin1').split(Buffer.from(SYNC).toString('latin1')).length - 1).toBe(2 + 2 * planted.length);
  expect((await blocksOf(bytes)).flatMap(({ records }) => records.map(toHex))).toEqual(planted.map(toHex));
  const names: string[] = [];
  const stream = Readable.from([Buffer.from(bytes)]).pipe(new avsc.streams.BlockDecoder());
  for await (const { stream: name } of stream as AsyncIterable<{ stream: string }>) names.push(name);
  expect(names).toEqual(['p0', 'p1', 'p2', 'p3']);
});

test('released schemas have the digests of schemas/lock.json', () => {
  const digests = Object.fromEntries(Object.entries(SCHEMA_TEXTS).map(([name, text]) => [name, toHex(sha256(utf8(text)))]));
  expect(digests).toEqual(JSON.parse(readFileSync('schemas/lock.json', 'utf8')));
});

test('a block that inflates beyond 1 MiB is refused before it does', async () => {
  const parts: Uint8Array[] = [];
  for await (const part of writeContainer(SCHEMA, SYNC, [], deflateRawSync)) parts.push(part);
  const long = compileSchema<number>('long');
  const bomb = deflateRawSync(new Uint8Array(1024 * 1024 + 1));
  const bytes = concat(...parts, long.encode(1), long.encode(bomb.length), bomb, SYNC);
  await expect(blocksOf(bytes)).rejects.toThrow(/does not decompress within its limit/);
});
