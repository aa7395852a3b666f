import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { PAYLOAD_TYPES } from '../../../core/dsse.ts';
import { KEY_TYPE } from '../../../core/key.ts';
import { LIMITS } from '../../../core/limits.ts';
import { type KeyStatus, newPolicy, REQUIRABLE_FIELDS } from '../../../core/policy.ts';
import { testPolicy } from '../../support/policies.ts';

const DAY_MS = 24 * 3600_000;
const grouped = (value: number): string => value.toLocaleString('en-US');

/** A section of the formats document, which stands whole or in parts. */
function section(number: number, part: string): string {
  const whole = new URL('../../../docs/formats.md', import.meta.url);
  const parts = [whole, new URL(`../../../docs/${part}`, import.meta.url)].filter((file) => existsSync(file));
  const found = parts.flatMap((file) => readFileSync(file, 'utf8').split(/^(?=## )/m));
  return found.find((text) => text.startsWith(`## ${number}. `)) ?? '';
}

const keys = section(4, 'formats-keys.md');
const policy = section(6, 'formats-policy.md');
/** First cells of the table's rows in a section. */
const rows = (text: string): string[] => [...text.matchAll(/^\| `(\w+)` \|/gm)].map(([, name = '']) => name);

test('the table of the policy names every field, in order', () => {
  expect(rows(policy)).toEqual(Object.keys(testPolicy()));
});

test('inner fields of the policy are named with the field that holds them', () => {
  const [producer, chainer] = [testPolicy().producers[0], testPolicy().chainers[0]];
  const { roots, retention, inputGeneration } = testPolicy();
  for (const [field, inner] of Object.entries({
    producers: producer,
    chainers: chainer,
    logs: chainer,
    roots,
    retention,
    inputGeneration,
  })) {
    const row = policy.split('\n').find((line) => line.startsWith(`| \`${field}\` `)) ?? '';
    const braces = /\{(.*?)\}/.exec(row)?.[1] ?? '';
    expect([field, ...[...braces.matchAll(/`(\w+)`/g)].map(([, name]) => name)]).toEqual([field, ...Object.keys(inner ?? {})]);
  }
});

test('status words, fields that can be required, and numbers are those of the code', () => {
  const statuses: Record<KeyStatus, true> = { ACTIVE: true, RETIRED: true, COMPROMISED: true };
  expect(policy).toContain(
    `\`status\` is ${Object.keys(statuses)
      .join(', ')
      .replace(/, (?=\w+$)/, ' or ')}`,
  );
  const listed = /may be absent or empty: (.*?)\.\n/s.exec(policy)?.[1] ?? '';
  expect([...listed.matchAll(/`([\w.]+)`/g)].map(([, name]) => name)).toEqual([...REQUIRABLE_FIELDS]);
  const { clockSkewMs, dedupWindowMs, laneRetentionMs, segmentMaxAgeMs } = newPolicy({
    origin: 'o',
    shards: 1,
    roots: [],
    producers: [],
    chainers: [],
    logs: [],
    schemas: [],
  });
  const expected = {
    shards: `1 to ${grouped(LIMITS.policyItems)}`,
    clockSkewMs: grouped(clockSkewMs),
    dedupWindowMs: `${grouped(dedupWindowMs)} in a cluster, ${grouped(30 * DAY_MS)} (30 days) embedded`,
    laneRetentionMs: `${grouped(laneRetentionMs)} (7 days)`,
    segmentMaxAgeMs: grouped(segmentMaxAgeMs),
  };
  for (const [field, text] of Object.entries(expected))
    expect(policy.split('\n').find((line) => line.startsWith(`| \`${field}\` `))).toContain(text);
  expect(policy).toContain(`at most ${grouped(LIMITS.policyBytes)} bytes`);
  expect(policy).toContain(`at most ${grouped(LIMITS.policyItems)} items`);
});

test('payload types, key types and limits of notes are those of the code', () => {
  expect([...keys.matchAll(/^\| .* \| `(application\/.*)` \|$/gm)].map(([, type]) => type)).toEqual(Object.values(PAYLOAD_TYPES));
  for (const type of Object.values(KEY_TYPE)) expect(keys).toContain(`| 0x0${type} |`);
  expect(keys).toContain(`at most ${LIMITS.noteSignatures} signatures and has at most ${grouped(LIMITS.noteBytes)} bytes`);
  expect(keys).toContain(`1 to ${LIMITS.nameBytes} bytes`);
});
