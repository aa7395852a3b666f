import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { LOG, LOG_LINES } from '../../../core/base/log-lines.ts';
import { document, namedRows } from './table.ts';

const ROOT = new URL('../../../', import.meta.url);
const PARTS = ['adapters', 'archiver', 'chainer', 'cli', 'cluster', 'collector', 'core', 'embedded', 'resubmit'];
const sources = PARTS.flatMap((part) =>
  readdirSync(new URL(part, ROOT), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.endsWith('log-lines.ts'))
    .map((path) => readFileSync(new URL(`${part}/${path}`, ROOT), 'utf8')),
).join('\n');

test('docs/logs.md has every line that operators look for, and no other (npm run docs writes it)', () => {
  const rows = [...namedRows(document('docs/logs.md')).values()];
  expect(rows).toEqual(Object.values(LOG_LINES).map(({ text, level, by, meaning }) => [`\`${text}\``, level, by, meaning]));
});

test('every line of the table is written somewhere, and no part spells one itself', () => {
  for (const [name, text] of Object.entries(LOG)) {
    expect([name, new RegExp(`\\bLOG\\.${name}\\b`).test(sources)]).toEqual([name, true]);
    expect([name, sources.includes(`'${text}'`)]).toEqual([name, false]);
  }
});
