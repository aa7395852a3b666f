import { describe, expect, test } from '@jest/globals';
import { Findings } from '../../../auditor/findings.ts';
import { PROPERTIES, type Property } from '../../../auditor/property.ts';
import type { Finding, PropertyVerdict, Verdict } from '../../../auditor/verdict.ts';
import { verdictText } from '../../../auditor/verdict-text.ts';

function verdictOf(
  results: Partial<Record<Property, Partial<PropertyVerdict>>>,
  findings = new Findings(),
  origin = 'example.org/log',
): Verdict {
  const properties = Object.fromEntries(
    PROPERTIES.map((property) => [
      property,
      { result: 'OK', trust: 'root key r+00000000 (pinned)', counts: { shards: 1 }, ...results[property] },
    ]),
  ) as Verdict['properties'];
  const ok = PROPERTIES.every((property) => properties[property].result === 'OK' || properties[property].result === 'OPEN');
  return { ok, origin, properties, findings: findings.list, unlisted: findings.unlisted() };
}

function lastLine(verdict: Verdict): string | undefined {
  return verdictText(verdict).trimEnd().split('\n').at(-1);
}

describe('a verdict for people', () => {
  test('has a line for each property with its counts and the key that it rests on', () => {
    const text = verdictText(verdictOf({ LOG: { counts: { shards: 2, leaves: 7 } } }));
    expect(text).toContain('  LOG         OK          2 shards, 7 leaves, by root key r+00000000 (pinned)\n');
    for (const property of PROPERTIES) expect(text).toMatch(new RegExp(`^  ${property} +OK +`, 'm'));
    expect(text.startsWith('Archive of example.org/log\n')).toBe(true);
  });

  test.each<[string, Parameters<typeof verdictOf>[0], string]>([
    ['all OK', {}, 'VERDICT: OK'],
    ['some open', { COMPLETE: { result: 'OPEN' }, UNIQUE: { result: 'OPEN' } }, 'VERDICT: OK, still open: COMPLETE, UNIQUE'],
    ['some failed', { LOG: { result: 'FAILED' }, POLICY: { result: 'OPEN' } }, 'VERDICT: FAILED: LOG'],
    ['no key', { LOG: { result: 'NOT CHECKED', trust: 'no key pinned' } }, 'VERDICT: NOT PROVEN: no key pinned'],
    ['nothing logged', { LOG: { counts: { shards: 0 } }, TIME: { result: 'NOT CHECKED' } }, 'VERDICT: NOT PROVEN: nothing was logged'],
  ])('%s: the last line says so', (_, results, line) => {
    expect(lastLine(verdictOf(results))).toBe(line);
  });

  test('names five findings of a kind with their places, and counts the others', () => {
    const findings = new Findings();
    for (let i = 0; i < 120; i++) findings.add('TILE_WRONG', `tile ${i}`, { object: `tile/${i}`, shard: 0, leaf: i });
    findings.add('ABSENT', 'absent', {});
    const text = verdictText(verdictOf({ LOG: { result: 'FAILED' } }, findings));
    expect(text).toContain('  FAILED LOG TILE_WRONG: tile 4 [object tile/4, shard 0, leaf 4]\n');
    expect(text).not.toContain('tile 5 ');
    expect(text).toContain('and 115 more TILE_WRONG\n');
    expect(text).toContain('  NOTE   ARCHIVE ABSENT: absent\n');
    expect(text).not.toContain('more ABSENT');
  });

  test('shows no control or format character of an archive, wherever it stands', () => {
    const bad = 'x\u001b[2J\u202e\u0007\r';
    const findings = new Findings();
    findings.add('TILE_WRONG', bad, { object: bad, stream: bad, lane: bad });
    const text = verdictText(verdictOf({ LOG: { result: 'NOT CHECKED', trust: bad }, POLICY: { trust: bad } }, findings, bad));
    expect(text).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u);
  });
});

describe('findings', () => {
  test('keep a hundred of each kind and count the others', () => {
    const findings = new Findings();
    for (let i = 0; i < 101; i++) findings.add('TILE_WRONG', '', {});
    for (let i = 0; i < 100; i++) findings.add('LANE_OPEN', '', {});
    expect([findings.list.length, findings.unlisted()]).toEqual([200, { TILE_WRONG: 1 }]);
  });

  test.each<[readonly Finding['severity'][], 'FAILED' | 'OPEN' | undefined]>([
    [[], undefined],
    [['NOTE'], undefined],
    [['NOTE', 'OPEN'], 'OPEN'],
    [['OPEN', 'FAILED'], 'FAILED'],
    [['FAILED', 'OPEN', 'NOTE'], 'FAILED'],
  ])('%j: the worst is %s', (severities, worst) => {
    const findings = new Findings();
    const codes = { FAILED: 'GAP', OPEN: 'LANE_OPEN', NOTE: 'COPIED_SPOOL' } as const;
    for (const severity of severities) findings.add(codes[severity], '', {});
    expect([findings.worst('COMPLETE'), findings.worst('TIME')]).toEqual([worst, undefined]);
  });
});
