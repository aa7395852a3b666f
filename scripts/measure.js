// Measures the product's TypeScript on its syntax tree, prints a table, and fails if a limit does not hold.
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { filesBelow, PRODUCT, ROOT } from './folders.js';
import { bodyOf, isFunction, lineCounter, parametersOf, parse, walk } from './syntax-tree.js';

export const LIMITS = {
  /** Lines of a file, comments and empty lines included. */
  fileLines: 350,
  /**
   * Lines of a function, from the line in which it starts to the line in which it ends. Every function counts: declarations, methods,
   * constructors, accessors and arrow functions, nested ones too, so that a callback counts for itself and for the function around it.
   */
  functionMedian: 4,
  functionP90: 16,
  functionMax: 55,
  /** Instance fields that are not `readonly`, private ones included. A map in a `readonly` field does not count. */
  mutableFields: 8,
  /** Parameters of what another file can call: exported functions, and methods and constructors of exported classes that are not private. */
  parameters: 4,
  /** Share of exported names whose declaration follows a docstring, rounded down: it may only rise. */
  documented: 0.893,
};

/** Files that a script writes: their lines are not counted. */
const GENERATED = ['schema-texts.ts'];

/**
 * Exceptions, with the value that they may not exceed: by measure and name, where the name is a file's last part, a class or a function.
 * The checks of proofs take what RFC 9162 §2.1.3 and §2.1.4 list; sealRecord writes into a buffer on the hot path, where an options object
 * would be one allocation for each record. An entry that is no longer needed fails the check.
 */
const KNOWN = [
  ['parameters', 'checkBatchPath', 5],
  ['parameters', 'checkConsistency', 5],
  ['parameters', 'checkInclusion', 5],
  ['parameters', 'sealRecord', 5],
];

const DECLARATIONS = new Set(['FunctionDeclaration', 'ClassDeclaration', 'TsInterfaceDeclaration', 'TsTypeAliasDeclaration']);

function nameOf(node) {
  const key = node.key ?? node.identifier ?? node.id;
  return key?.type === 'PrivateName' ? `#${key.value ?? key.id?.value}` : (key?.value ?? '');
}

/** A field that its class, or another, may assign again. */
function isMutableField({ type, readonly, isStatic, declare }) {
  return (type === 'ClassProperty' || type === 'PrivateProperty') && !readonly && !isStatic && declare !== true;
}

/** Whether a docstring ends right before `offset`. */
function followsDocstring(text, offset) {
  const before = text.slice(0, offset).trimEnd();
  if (!before.endsWith('*/')) return false;
  return before.startsWith('/**', before.lastIndexOf('/*'));
}

/** Names that a file declares and exports, each with whether it has a docstring; overloads of a function count once. */
function exportsOf(text, statements) {
  const documented = new Map();
  for (const { type, declaration, from } of statements) {
    if (type !== 'ExportDeclaration') continue;
    const names = DECLARATIONS.has(declaration.type) ? [nameOf(declaration)] : (declaration.declarations ?? []).map(nameOf);
    for (const name of names) documented.set(name, documented.get(name) === true || followsDocstring(text, from));
  }
  return documented;
}

/** Functions that another file can call, below one statement of a file: pairs of a name and a node. */
function callable({ type, declaration }) {
  if (type !== 'ExportDeclaration') return [];
  if (declaration.type === 'FunctionDeclaration') return [[nameOf(declaration), declaration]];
  if (declaration.type !== 'ClassDeclaration')
    return (declaration.declarations ?? []).filter(({ init }) => isFunction(init ?? {})).map((each) => [nameOf(each), each.init]);
  return declaration.body
    .filter((member) => isFunction(member) && member.type !== 'PrivateMethod' && member.accessibility !== 'private')
    .map((member) => [`${nameOf(declaration)}.${nameOf(member)}`, member]);
}

/** All measured values of one file, each with its measure, name and line. */
export function measuresOf(path, text) {
  const statements = parse(text);
  const line = lineCounter(text);
  const found = [
    { measure: 'fileLines', value: text.split('\n').length - (text.endsWith('\n') ? 1 : 0), name: path.split('/').at(-1), path, line: 1 },
  ];
  const add = (measure, value, name, node) => found.push({ measure, value, name, path, line: line(node.from) });
  for (const statement of statements) {
    walk(statement, (node) => {
      if (node.type === 'ClassDeclaration' || node.type === 'ClassExpression')
        add('mutableFields', node.body.filter(isMutableField).length, nameOf(node), node);
      if (isFunction(node) && bodyOf(node) !== undefined) add('functionMax', line(node.to) - line(node.from) + 1, nameOf(node), node);
    });
    for (const [name, each] of callable(statement)) add('parameters', parametersOf(each).length, name, each);
  }
  for (const [name, documented] of exportsOf(text, statements))
    found.push({ measure: 'documented', value: documented ? 1 : 0, name, path, line: 1 });
  return found;
}

/** The value below which the share `q` of `values` is. */
function quantile(values, q) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
}

/** The table's rows, and a line for each violation, from what {@link measuresOf} gave for every file. */
export function judge(found, known = KNOWN, limits = LIMITS) {
  const of = (measure) => found.filter((each) => each.measure === measure);
  const values = (measure) => of(measure).map(({ value }) => value);
  const violations = [];
  const unused = new Set(known);
  const rows = [];
  const row = (measure, value, holds, limit) => {
    rows.push([measure, value, limit]);
    if (!holds) violations.push(`${measure} is ${value}, limit ${limit}`);
  };
  const most = (measure, title, exempt = []) => {
    for (const { value, name, path, line } of of(measure)) {
      if (value <= limits[measure] || exempt.includes(name)) continue;
      const entry = known.find((each) => each[0] === measure && each[1] === name);
      unused.delete(entry);
      if (entry === undefined || value > entry[2])
        violations.push(`${path}:${line}: ${name || 'a function'}: ${title} ${value}, limit ${entry?.[2] ?? limits[measure]}`);
    }
    const counted = of(measure).filter(({ name }) => !exempt.includes(name));
    rows.push([`${title}, most`, Math.max(0, ...counted.map(({ value }) => value)), limits[measure]]);
  };
  rows.push(['files', of('fileLines').length, '–']);
  most('fileLines', 'lines of a file', GENERATED);
  const lengths = values('functionMax');
  rows.push(['functions', lengths.length, '–']);
  const [median, p90] = [quantile(lengths, 0.5), quantile(lengths, 0.9)];
  row('lines of a function, median', median, median <= limits.functionMedian, limits.functionMedian);
  row('lines of a function, p90', p90, p90 <= limits.functionP90, limits.functionP90);
  most('functionMax', 'lines of a function');
  most('mutableFields', 'mutable fields of a class');
  most('parameters', 'parameters of a function');
  const exported = values('documented');
  const share = exported.length === 0 ? 1 : exported.reduce((sum, each) => sum + each, 0) / exported.length;
  row('exports with a docstring', percent(share), share >= limits.documented, `≥ ${percent(limits.documented)}`);
  for (const [measure, name] of unused) violations.push(`KNOWN has an entry that is no longer needed: ${measure} of ${name}`);
  return { rows, violations };
}

function percent(share) {
  return `${(share * 100).toFixed(1)} %`;
}

function main() {
  const found = PRODUCT.flatMap((folder) => filesBelow(folder)).flatMap((path) => measuresOf(path, readFileSync(`${ROOT}${path}`, 'utf8')));
  const { rows, violations } = judge(found);
  for (const [measure, value, limit] of rows) process.stdout.write(`${measure.padEnd(34)}${String(value).padStart(8)}   limit ${limit}\n`);
  for (const violation of violations) process.stdout.write(`${violation}\n`);
  if (violations.length > 0)
    process.stdout.write(`measures: ${violations.length} ${violations.length === 1 ? 'violation' : 'violations'}\n`);
  process.exitCode = violations.length === 0 ? 0 : 1;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) main();
