import { describe, expect, test } from '@jest/globals';
import { Findings, type Worst } from '../../../auditor/findings.ts';
import { FINDINGS, type FindingCode } from '../../../auditor/findings-table.ts';
import { PROPERTIES, type Property } from '../../../auditor/property.ts';
import type { Finding, PropertyVerdict, Refused, Verdict } from '../../../auditor/verdict.ts';
import { verdictText } from '../../../auditor/verdict-text.ts';

const ROOT = 'root key r+00000000 (pinned)';
const NOBODY = { messages: 0, events: 0, records: 0 };
const NOTHING: Refused = { ...NOBODY, byReason: [], byProducer: [], otherNames: NOBODY, nameless: NOBODY };

function verdictOf(change: {
  readonly results?: Partial<Record<Property, Partial<PropertyVerdict>>>;
  readonly findings?: Findings;
  readonly verdict?: Partial<Verdict>;
}): Verdict {
  const { results = {}, findings = new Findings(), verdict = {} } = change;
  const properties = Object.fromEntries(
    PROPERTIES.map((property) => [property, { result: 'OK', trust: ROOT, counts: { shards: 1 }, ...results[property] }]),
  ) as Verdict['properties'];
  return {
    result: 'OK',
    ok: true,
    origin: 'example.org/log',
    genesis: 'a'.repeat(64),
    shards: [{ shard: 0, size: 7, root: 'b'.repeat(64), acceptedAt: '2026-01-31T00:00:00.000Z', archived: 7, witnessed: null }],
    properties,
    lacking: [],
    refused: NOTHING,
    findings: findings.list,
    unlisted: findings.unlisted(),
    ...verdict,
  };
}

function textOf(change: Parameters<typeof verdictOf>[0]): string {
  return verdictText(verdictOf(change));
}

function lastLine(change: Parameters<typeof verdictOf>[0]): string | undefined {
  return textOf(change).trimEnd().split('\n').at(-1);
}

describe('a verdict for people', () => {
  test('says its moment, and the key that it rests on once', () => {
    const text = textOf({});
    expect(text.split('\n').slice(0, 5)).toEqual([
      'Archive of example.org/log, as it was read:',
      `  genesis ${'a'.repeat(64)}`,
      '  shard 0: 7 leaves, newest block accepted 2026-01-31T00:00:00.000Z',
      `  root    ${'b'.repeat(64)}`,
      `Proven by the ${ROOT}`,
    ]);
    expect(text.split('(pinned)')).toHaveLength(2);
  });

  test('has a line for each property with its counts, in the singular where there is one', () => {
    const counts = { shards: 1, leaves: 1, batches: 2, openLeaves: 3, segments: 1, events: 0 };
    expect(textOf({ results: { LOG: { counts } } })).toContain(
      '  LOG         OK          1 shard, 1 leaf, 2 batches, 3 in the open tail, 1\n                          segment, 0 events\n',
    );
    for (const property of PROPERTIES) expect(textOf({})).toMatch(new RegExp(`^  ${property} +OK +1 shard$`, 'm'));
  });

  test('names the open tail of a shard, and only so many shards', () => {
    const shards = Array.from({ length: 20 }, (_, shard) => ({
      shard,
      size: 9,
      root: null,
      acceptedAt: null,
      archived: 4,
      witnessed: null,
    }));
    const text = textOf({ verdict: { shards } });
    expect(text).toContain(
      '  shard 15: 9 leaves\n  root    unknown: not all leaves can be read\n          open tail: leaves 4 to 8, about',
    );
    expect(text).toContain('  and 4 more shards (--json lists all)\n');
    expect(text).not.toContain('shard 16');
  });

  test('explains OPEN and NOT CHECKED where they occur', () => {
    expect(textOf({})).not.toMatch(/^(?:OPEN|NOT CHECKED):/m);
    const text = textOf({ results: { COMPLETE: { result: 'OPEN' }, TIME: { result: 'NOT CHECKED', trust: 'why' } } });
    expect(text).toMatch(/^OPEN: .+\.$/m);
    expect(text).toMatch(/^NOT CHECKED: .+\.$/m);
    expect(text).toContain('  TIME        NOT CHECKED why\n');
  });

  test.each<[string, Parameters<typeof verdictOf>[0], string]>([
    ['OK', {}, 'VERDICT: OK'],
    [
      'OK by log keys',
      { results: { POLICY: { result: 'NOT CHECKED', trust: 'not proven by the pinned keys; needs the root key' } } },
      'VERDICT: OK, and not proven by the pinned keys: POLICY',
    ],
    [
      'OPEN',
      { results: { COMPLETE: { result: 'OPEN' }, UNIQUE: { result: 'OPEN' } }, verdict: { result: 'OPEN' } },
      'VERDICT: OPEN: COMPLETE, UNIQUE',
    ],
    [
      'FAILED',
      { results: { LOG: { result: 'FAILED' }, POLICY: { result: 'OPEN' } }, verdict: { result: 'FAILED' } },
      'VERDICT: FAILED: LOG',
    ],
    [
      'NOT CHECKED',
      {
        results: { LOG: { result: 'NOT CHECKED' }, TIME: { result: 'NOT CHECKED' } },
        verdict: { result: 'NOT CHECKED', lacking: ['LOG', 'ORDER'] },
      },
      'VERDICT: NOT CHECKED: LOG, ORDER',
    ],
    ['no key', { results: { LOG: { trust: 'no key pinned' } }, verdict: { result: 'UNPROVEN' } }, 'VERDICT: UNPROVEN: no key pinned'],
    ['nothing logged', { verdict: { result: 'UNPROVEN', shards: [] } }, 'VERDICT: UNPROVEN: nothing was logged'],
  ])('%s: the last line says so', (_, change, line) => {
    expect(lastLine(change)).toBe(line);
  });

  test('says what was refused, why, and whose it was; and that nothing was', () => {
    expect(textOf({})).toContain('Refused, as far as the evidence shows: no message and no event.\n');
    const one = { ...NOBODY, messages: 1 };
    const refused: Refused = {
      messages: 14,
      events: 2,
      records: 7,
      byReason: [
        { ...NOBODY, reason: 'KEY_UNKNOWN', messages: 14 },
        { ...NOBODY, reason: 'RECORDS_UNREADABLE', records: 7 },
        { ...NOBODY, reason: 'FIELD_MISSING', events: 2 },
      ],
      byProducer: [
        { ...NOBODY, producer: 'known', proven: true, events: 2 },
        ...Array.from({ length: 11 }, (_, i) => ({ producer: `thief ${i}`, proven: false, ...one })),
      ],
      otherNames: one,
      nameless: { ...one, records: 7 },
    };
    expect(textOf({ verdict: { refused } })).toContain(
      [
        'Refused, as far as the evidence shows: 14 messages, 2 events and 7 unreadable records',
        '  why   KEY_UNKNOWN: 14 messages',
        '  why   RECORDS_UNREADABLE: 7 unreadable records',
        '  why   FIELD_MISSING: 2 events',
        '  whose known: 2 events',
        '  whose thief 0 (a name that no key proves): 1 message',
      ].join('\n'),
    );
    expect(textOf({ verdict: { refused } })).toContain(
      '  whose others: 3 messages\n  whose unknown, as no header can be read: 1 message and 7 unreadable records\n',
    );
  });

  test('says of each kind of finding what it means and what to do, names five with their places, and counts the others', () => {
    const findings = new Findings();
    findings.add('ABSENT', 'absent', {});
    for (let i = 0; i < 120; i++) findings.add('TILE_WRONG', `tile ${i}`, { object: `tile/${i}`, shard: 0, leaf: i });
    const text = textOf({ results: { LOG: { result: 'FAILED' } }, findings });
    expect(text).toContain(
      '  FAILED  TILE_WRONG  (LOG)\n    A stored tile or bundle differs from what the leaves give.\n    What to do: Treat the object as altered:',
    );
    expect(text).toContain('    - tile 4 [object tile/4, shard 0, leaf 4]\n    - and 115 more TILE_WRONG\n');
    expect(text).not.toContain('tile 5 ');
    expect(text.indexOf('FAILED  TILE_WRONG')).toBeLessThan(text.indexOf('NOTE  ABSENT  (ARCHIVE)'));
    expect(text).not.toContain('more ABSENT');
  });

  test('says once what is so of several properties', () => {
    const findings = new Findings();
    for (const property of ['LOG', 'POLICY'] as const) findings.add('SEGMENT_OPEN', 'the tail', { shard: 0 }, { property });
    const text = textOf({ findings });
    expect(text).toContain('  OPEN  SEGMENT_OPEN  (LOG, POLICY)\n');
    expect(text.split('the tail')).toHaveLength(2);
  });

  test('fits 80 columns, as long as no single name is longer', () => {
    const findings = new Findings();
    for (const code of Object.keys(FINDINGS) as FindingCode[])
      for (const property of [FINDINGS[code].property].flat())
        findings.take({
          code,
          property,
          severity: FINDINGS[code].severity,
          message: 'a fact '.repeat(30),
          place: { object: 'x'.repeat(60), shard: 4095, leaf: 2 ** 52 },
        });
    const counts = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`${i} things`, 2 ** 52]));
    const results = Object.fromEntries(PROPERTIES.map((property) => [property, { result: 'FAILED' as const, counts }]));
    const text = textOf({ findings, results, verdict: { result: 'FAILED' } });
    expect(text.split('\n').filter((line) => line.length > 80)).toEqual([]);
  });

  test('shows no character of an archive that could steer a terminal, wherever it is', () => {
    const bad = 'x\u001b[2J\u202e\u0007\r\u009b\u2028';
    const findings = new Findings();
    findings.add('TILE_WRONG', bad, { object: bad, stream: bad, lane: bad });
    const refused: Refused = { ...NOTHING, messages: 1, byProducer: [{ ...NOBODY, producer: bad, proven: false, messages: 1 }] };
    const results = { LOG: { result: 'NOT CHECKED', trust: bad }, POLICY: { trust: `${bad} (pinned)` } } as const;
    const text = textOf({ results, findings, verdict: { origin: bad, refused, result: 'UNPROVEN' } });
    expect(text).not.toMatch(/[^\P{Cc}\n]|\p{Cf}|\p{Zl}/u);
    expect(text).toContain('x\\u{1b}[2J\\u{202e}');
  });
});

describe('findings', () => {
  test('keep a hundred of each kind and count the others: no property pushes out another', () => {
    const findings = new Findings();
    for (let i = 0; i < 200; i++) findings.add('MISSING', '', {}, { property: 'ARCHIVE' });
    findings.add('MISSING', '', {}, { property: 'POLICY' });
    expect([findings.list.at(-1)?.property, findings.list.length, findings.unlisted()]).toEqual(['POLICY', 101, { MISSING: 100 }]);
  });

  test('of one kind: a hundred are kept', () => {
    const findings = new Findings();
    for (let i = 0; i < 101; i++) findings.add('TILE_WRONG', '', {});
    for (let i = 0; i < 100; i++) findings.add('LANE_OPEN', '', {});
    expect([findings.list.length, findings.unlisted()]).toEqual([200, { TILE_WRONG: 1 }]);
  });

  test.each<[readonly Finding['severity'][], Worst | undefined]>([
    [[], undefined],
    [['NOTE'], undefined],
    [['NOTE', 'OPEN'], 'OPEN'],
    [['OPEN', 'NOT CHECKED'], 'NOT CHECKED'],
    [['OPEN', 'FAILED', 'NOT CHECKED'], 'FAILED'],
    [['FAILED', 'OPEN', 'NOTE'], 'FAILED'],
  ])('%j: the worst is %s', (severities, worst) => {
    const findings = new Findings();
    const codes = { FAILED: 'GAP', 'NOT CHECKED': 'UNSHOWN', OPEN: 'LANE_OPEN', NOTE: 'COPIED_SPOOL' } as const;
    for (const severity of severities) findings.take({ property: 'COMPLETE', severity, code: codes[severity], message: '', place: {} });
    expect([findings.worst('COMPLETE'), findings.worst('TIME')]).toEqual([worst, undefined]);
  });
});
