import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { ACCEPTANCE_RULES } from '../../../core/acceptance/acceptance-rules.ts';
import { parseArchiveKey } from '../../../core/archive/archive-keys.ts';
import { parseManifest } from '../../../core/archive/manifest.ts';
import { parseRetired } from '../../../core/archive/retired.ts';
import { parseSnapshotStatement } from '../../../core/archive/snapshot.ts';
import { CONTAINER_BLOCK_BYTES } from '../../../core/avro/ocf.ts';
import { SCHEMA_TEXTS } from '../../../core/avro/schema-texts.ts';
import { utf8 } from '../../../core/base/bytes.ts';
import { canonicalJson } from '../../../core/base/jcs.ts';
import { LIMITS } from '../../../core/base/limits.ts';
import { REASON_TRAITS, REASONS } from '../../../core/base/reasons.ts';
import { PAYLOAD_TYPES } from '../../../core/keys/dsse.ts';
import { KEY_TYPE } from '../../../core/keys/signature.ts';
import { newPolicy } from '../../../core/policy/new-policy.ts';
import { type KeyStatus, REQUIRABLE_FIELDS } from '../../../core/policy/policy-document.ts';
import { testPolicy } from '../../support/policies.ts';

const DAY_MS = 24 * 3600_000;
const grouped = (value: number): string => value.toLocaleString('en-US');

const text = readFileSync(new URL('../../../docs/formats.md', import.meta.url), 'utf8');

/** A section of the formats document, from its number on. */
function section(number: number): string {
  return text.split(/^(?=## )/m).find((part) => part.startsWith(`## ${number}. `)) ?? '';
}

/** Cells of the rows of all tables in `part` whose header's first cell is `title`. */
function table(part: string, title: string): string[][] {
  const found: string[][] = [];
  let inside = false;
  for (const line of part.split('\n')) {
    if (!line.startsWith('|')) inside = false;
    else if (line.startsWith(`| ${title} |`)) inside = true;
    else if (inside && !line.startsWith('| ---'))
      found.push(
        line
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim()),
      );
  }
  return found;
}

const keys = section(4);
const policy = section(6);
/** First cells of the table's rows in a section. */
const rows = (part: string): string[] => [...part.matchAll(/^\| `(\w+)` \|/gm)].map(([, name = '']) => name);

interface Field {
  readonly name: string;
  readonly type: unknown;
}

/** The records of a schema with their fields, in the order of the text. */
function recordsOf(schema: unknown): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const visit = (type: unknown): void => {
    if (Array.isArray(type)) for (const branch of type) visit(branch);
    if (typeof type !== 'object' || type === null || Array.isArray(type)) return;
    const { type: kind, name, fields, items } = type as { type: unknown; name?: string; fields?: readonly Field[]; items?: unknown };
    if (kind === 'record')
      found.set(
        name ?? '',
        (fields ?? []).map((field) => field.name),
      );
    for (const field of fields ?? []) visit(field.type);
    visit(items);
    visit(kind);
  };
  visit(schema);
  return found;
}

/** Names of the fields in the table under `**name**`. */
function describedFields(name: string): string[] {
  const [, part = ''] = text.split(`**${name}**: `);
  return table(part.split('\n\n').slice(1, 2).join(), 'field').map(([cell = '']) => cell.replaceAll('`', ''));
}

test('every schema has a table of its fields, in order, and every record inside it too', () => {
  for (const [schema, json] of Object.entries(SCHEMA_TEXTS)) {
    const records = recordsOf(JSON.parse(json));
    expect([schema, records.size]).not.toEqual([schema, 0]);
    for (const [name, fields] of records) expect([schema, name, describedFields(name)]).toEqual([schema, name, fields]);
  }
});

test('symbols of enums are those of the schemas', () => {
  for (const json of Object.values(SCHEMA_TEXTS))
    for (const [, list = ''] of json.matchAll(/"symbols":\[([^\]]*)\]/g))
      expect(text).toContain(`${list.replaceAll('"', '').replaceAll(',', ', ')}.`);
});

test('limits are those of the code', () => {
  const described = table(section(0), 'limit').map(([name = '', value = '']) => [name.replaceAll('`', ''), value]);
  expect(described).toEqual(Object.entries(LIMITS).map(([name, value]) => [name, grouped(value)]));
});

test('reasons are those of the code', () => {
  const described = table(section(3), 'number').map(([number, name = '', , fails]) => [name.replaceAll('`', ''), Number(number), fails]);
  const traits = Object.entries(REASON_TRAITS).map(([name, { number, breaks }]) => [name, number, name === 'NONE' ? '–' : breaks]);
  expect(described).toEqual(traits);
});

test('the order in which input is judged, and the length of a run, are those of the code', () => {
  const [, first, from, to, last, eventsFrom, eventsTo] =
    /judged in this order: (\d+), (\d+) to (\d+), (\d+), and then, for each event, (\d+) to (\d+)\./.exec(section(3)) ?? [];
  const range = (start: string | undefined, end: string | undefined): number[] =>
    Array.from({ length: Number(end) - Number(start) + 1 }, (_, i) => Number(start) + i);
  const traits = Object.values(REASON_TRAITS).filter(({ number }) => number !== REASONS.NONE);
  const judged = traits.toSorted((a, b) => a.judged - b.judged).map(({ number }) => number);
  expect([Number(first), ...range(from, to), Number(last), ...range(eventsFrom, eventsTo)]).toEqual(judged);
  expect(section(3)).toContain(`| 2 to ${grouped(LIMITS.runBytes / 4)} |`);
});

test('rules of acceptance are those of the code', () => {
  const described = table(section(3), 'rule').map(([name = '', paragraph, broken]) => [
    name.replaceAll('`', ''),
    Number(paragraph),
    broken,
  ]);
  expect(described).toEqual(Object.entries(ACCEPTANCE_RULES).map(([name, { paragraph, broken }]) => [name, paragraph, broken]));
});

test('every object of the layout has a place in the archive, and every place is in the layout', () => {
  const samples: Record<string, string> = {
    shard: '3',
    size: '7',
    end: '7',
    digest: 'a'.repeat(64),
    schema: 'b'.repeat(16),
    L: '0',
    N: 'x001/234',
    authority: 'tsa',
    witness: '0123456789abcdef',
  };
  const kinds = table(section(5), 'object').map(([cell = '']) => {
    const key = cell
      .replaceAll('`', '')
      .replace('[.p/<W>]', '.p/5')
      .replace('<first>-<end>', `${'0'.padStart(20, '0')}-${'7'.padStart(20, '0')}`)
      .replaceAll(/<(\w+)>/g, (_, name: string) => samples[name] ?? `<${name}>`);
    return parseArchiveKey(key).kind;
  });
  const all: Record<ReturnType<typeof parseArchiveKey>['kind'], true> = {
    archive: true,
    schema: true,
    policy: true,
    signed: true,
    checkpoint: true,
    checkpointAt: true,
    coseAt: true,
    cosignature: true,
    snapshot: true,
    state: true,
    tile: true,
    events: true,
    evidence: true,
    refused: true,
    manifest: true,
    retired: true,
    timestamp: true,
    stampCertificates: true,
    stampedNote: true,
  };
  expect([...new Set(kinds)].toSorted()).toEqual(Object.keys(all).toSorted());
});

test('fields of manifest, retired.json and the statement of a snapshot are those that the readers take', () => {
  const described = (title: string): string[] => {
    const part = section(5).slice(section(5).indexOf(title));
    return table(part.split('\n\n').slice(1, 2).join(), 'field').flatMap(([cell = '']) =>
      [...cell.matchAll(/`(\w+)`/g)].map(([, name = '']) => name),
    );
  };
  const range = { from: 0, to: 0 };
  const hash = '0'.repeat(64);
  const values: Record<string, unknown> = {
    origin: 'o/0',
    first: 0,
    end: 1,
    root: hash,
    objects: [],
    counts: { links: 0, seals: 1, duplicates: 0, conflicts: 0, repeated: 0, rejected: 0, empty: 0, sampledOut: 0, perProducer: [] },
    occurred: null,
    accepted: range,
    schemas: [],
    policies: [],
    offsets: [],
    previous: null,
    manifest: hash,
    policy: hash,
    size: 1,
    bytes: 1,
    sha256: hash,
  };
  const payload = (names: readonly string[]): Uint8Array =>
    utf8(canonicalJson(Object.fromEntries(names.map((name) => [name, values[name]]))));
  expect(Object.keys(parseManifest(payload(described('**Manifest**')))).length).toBe(12);
  expect(Object.keys(parseRetired(payload(described('**Retention**')))).length).toBe(6);
  expect(Object.keys(parseSnapshotStatement(payload(described('**Snapshots**')))).length).toBe(4);
  for (const name of Object.keys(values['counts'] as object)) expect(section(5)).toContain(`\`${name}\``);
});

test('numbers of segments and files in the text are those of the code', () => {
  expect(section(5)).toContain(`at or after ${grouped(LIMITS.segmentLeaves)} leaves, ${grouped(LIMITS.segmentEventBytes)} event bytes`);
  expect(section(5)).toContain(`before they pass ${CONTAINER_BLOCK_BYTES / 1024} KiB of records`);
  expect(section(3)).toContain(`at most ${grouped(LIMITS.blockBytes)} bytes`);
});

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
  for (const [field, value] of Object.entries(expected))
    expect(policy.split('\n').find((line) => line.startsWith(`| \`${field}\` `))).toContain(value);
  expect(policy).toContain(`at most ${grouped(LIMITS.policyBytes)} bytes`);
  expect(policy).toContain(`at most ${grouped(LIMITS.policyItems)} items`);
});

test('payload types, key types and limits of notes are those of the code', () => {
  expect([...keys.matchAll(/^\| .* \| `(application\/.*)` \|$/gm)].map(([, type]) => type)).toEqual(Object.values(PAYLOAD_TYPES));
  for (const type of Object.values(KEY_TYPE)) expect(keys).toContain(`| 0x0${type} |`);
  expect(keys).toContain(`at most ${LIMITS.noteSignatures} signatures and has at most ${grouped(LIMITS.noteBytes)} bytes`);
  expect(keys).toContain(`1 to ${LIMITS.nameBytes} bytes`);
});
