import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { readSmallFile, SMALL_BYTES } from '../../../settings/small-file.ts';
import { keyFileOf, typedKeyText } from '../../../settings/typed-key.ts';
import { temporaryFolder } from '../../support/command.ts';
import { testSigner } from '../../support/producer.ts';

const folder = temporaryFolder('typed-key');
afterAll(() => folder.release());
const KEY = testSigner('example.org/log/root').verifierKey;

describe('a typed key', () => {
  test.each([KEY, `@${KEY}`, `./${KEY}`, KEY.slice(0, -1), 'a+b', 'PRIVATE+KEY+name'])('%s is a key, never a path', (text) => {
    expect(keyFileOf(text)).toBeUndefined();
  });

  test('is a file where it has no +, or after an @', () => {
    expect(['root.pub', './keys/root.pub', '@root.pub', '@a+b/root.pub'].map(keyFileOf)).toEqual([
      'root.pub',
      './keys/root.pub',
      'root.pub',
      'a+b/root.pub',
    ]);
  });

  test('is read from its file without the white space around it', () => {
    const path = join(folder.path, 'a+b.pub');
    writeFileSync(path, `${KEY}\n`);
    expect(typedKeyText(`@${path}`)).toBe(KEY);
    expect(typedKeyText(` ${KEY} \n`)).toBe(KEY);
    expect(() => typedKeyText(join(folder.path, 'nowhere'))).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  });

  test('is itself, though a file of that name holds another key', () => {
    const before = process.cwd();
    const other = testSigner('example.org/log/root', 'thief').verifierKey;
    mkdirSync(join(folder.path, KEY.slice(0, KEY.lastIndexOf('/'))), { recursive: true });
    writeFileSync(join(folder.path, KEY), other);
    process.chdir(folder.path);
    try {
      expect(typedKeyText(KEY)).toBe(KEY);
    } finally {
      process.chdir(before);
    }
  });
});

describe('a small file', () => {
  test.each([
    ['of the largest size', 'x'.repeat(SMALL_BYTES), undefined],
    ['of a byte more', 'x'.repeat(SMALL_BYTES + 1), 'EFBIG'],
    ['that is not UTF-8', Buffer.from([0xff]), 'EILSEQ'],
  ])('%s', (_, content, code) => {
    const path = join(folder.path, 'small');
    writeFileSync(path, content);
    if (code === undefined) expect(readSmallFile(path)).toBe(content);
    else expect(() => readSmallFile(path)).toThrow(expect.objectContaining({ code }));
  });

  test('without an end is not read to its end', () => {
    expect(() => readSmallFile('/dev/zero')).toThrow(expect.objectContaining({ code: 'EFBIG' }));
  });
});
