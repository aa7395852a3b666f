import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect, test } from '@jest/globals';
import { document, namedRows } from './table.ts';

interface Rule {
  readonly name: string;
  readonly from: { readonly path?: string; readonly pathNot?: string };
  readonly to: {
    readonly path?: string;
    readonly pathNot?: string;
    readonly reachable?: boolean;
    readonly dependencyTypes?: readonly string[];
  };
}

const { forbidden } = createRequire(import.meta.url)('../../../.dependency-cruiser.cjs') as { readonly forbidden: readonly Rule[] };
const text = document('docs/architecture.md');
const rows = namedRows(text);
const folders = [...rows.keys()].filter((name) => !/^core\/./.test(name));
/** The floors of core, lowest first. */
const floors = [...rows.keys()].filter((name) => /^core\/./.test(name));

/** Whether `rule` forbids a file of `from` to import a file of `to`, both folders of the repository. */
function forbids(rule: Rule, from: string, to: string): boolean {
  if (rule.to.path === undefined || rule.to.reachable === true || rule.to.dependencyTypes !== undefined) return false;
  const match = new RegExp(rule.from.path ?? '').exec(`${from}x.ts`);
  if (match === null || (rule.from.pathNot !== undefined && new RegExp(rule.from.pathNot).test(`${from}x.ts`))) return false;
  const pathNot = rule.to.pathNot?.replaceAll('$1', match[1] ?? '');
  return new RegExp(rule.to.path).test(`${to}x.ts`) && !(pathNot !== undefined && new RegExp(pathNot).test(`${to}x.ts`));
}

test.each(folders)('the import table says of %s what the rules say', (from) => {
  const allowed = folders.filter((to) => to !== from && !forbidden.some((rule) => forbids(rule, from, to))).map((to) => to.slice(0, -1));
  const stated = rows.get(from)?.[2] ?? '';
  expect((stated === '–' ? [] : stated.split(', ')).toSorted()).toEqual(allowed.toSorted());
});

test('the table of floors is in the order that the rules enforce', () => {
  for (const [i, floor] of floors.entries())
    for (const [k, other] of floors.entries())
      if (i !== k) expect([floor, other, forbidden.some((rule) => forbids(rule, floor, other))]).toEqual([floor, other, k > i]);
});

test('every folder of core is a floor', () => {
  const root = new URL('../../../', import.meta.url);
  const found = readdirSync(new URL('core/', root), { withFileTypes: true });
  const paths = found.map((entry) => `core/${entry.name}${entry.isDirectory() ? '/' : ''}`);
  expect(paths.toSorted()).toEqual(['core/README.md', ...floors].toSorted());
});

test.each([...rows.keys(), 'scripts/'])('%s says in a README what lives there, and where to start reading', (folder) => {
  const [, start] = /^- (Start .*(?:\n {2}.*)*)/m.exec(document(`${folder}README.md`)) ?? [];
  expect([folder, start]).toEqual([folder, expect.stringMatching(/`/)]);
});

test('docs/ says in a README which document is for whom', () => {
  expect(document('docs/README.md')).toContain('| if you want to | read |');
});

test('docs/architecture.md names every import rule', () => {
  for (const { name } of forbidden) expect(text).toContain(`\`${name}\``);
});

test('the ports without a contract suite are those that the documents name', () => {
  const root = new URL('../../../', import.meta.url);
  const ports = readdirSync(new URL('core/ports/', root)).filter((name) => name.endsWith('.ts'));
  const suites = readdirSync(new URL('test/contract/', root)).map((name) => name.replace('-contract.ts', '.ts'));
  const without = ports.filter((name) => !suites.includes(name));
  expect(
    [...document('core/ports/README.md').matchAll(/Three have none[^.]*?own:(.*?)\(/gs)].flatMap(([, list]) =>
      [...(list as string).matchAll(/`([\w-]+\.ts)`/g)].map(([, name]) => name),
    ),
  ).toEqual(without);
});
