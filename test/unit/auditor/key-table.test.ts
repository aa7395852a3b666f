import { expect, test } from '@jest/globals';
import { sha256 } from '#crypto';
import { KeyTable } from '../../../auditor/key-table.ts';
import { utf8 } from '../../../core/base/bytes.ts';

const key = (word: string | number): Uint8Array => sha256(utf8(String(word))).slice(0, 16);

test('finds every key among more than one chunk of them, and none that was not added', () => {
  const table = new KeyTable();
  const count = 70_000;
  for (let i = 0; i < count; i++) expect(table.add(key(i))).toBe(i);
  expect(table.size).toBe(count);
  for (let i = 0; i < count; i++) if (table.find(key(i)) !== i) throw new Error(`key ${i} is lost`);
  for (let i = count; i < count + 1000; i++) if (table.find(key(i)) !== undefined) throw new Error(`key ${i} was never added`);
});

test('gives the newest entry under a key, and knows under which each entry came', () => {
  const table = new KeyTable();
  for (const word of ['a', 'b', 'a']) table.add(key(word));
  expect([table.find(key('a')), table.find(key('b'))]).toEqual([2, 1]);
  expect([table.has(0, key('a')), table.has(0, key('b')), table.has(3, key('a'))]).toEqual([true, false, false]);
});

test('keys that share their first bytes are told apart', () => {
  const table = new KeyTable();
  const keys = Array.from({ length: 500 }, (_, i) =>
    Uint8Array.from({ length: 16 }, (_unused, at) => (at === 15 ? i % 256 : at === 14 ? i >> 8 : 1)),
  );
  for (const each of keys) table.add(each);
  for (const [i, each] of keys.entries()) expect(table.find(each)).toBe(i);
});
