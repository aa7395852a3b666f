// Which sources each suite changes, by which rules, and which tests may notice. What of these tests reaches a mutant is found by running them.
import { basename } from 'node:path';
import { filesBelow, PRODUCT } from '../../scripts/folders.js';
import { ANCHORED } from './anchored.js';
import { EQUIVALENTS } from './equivalents.js';

const ACCEPTANCE = ['core/acceptance/'];
const ARCHIVED = ['archiver/', 'core/archive/archive-anchor.ts', 'core/chain/chain-reader.ts', 'core/chain/follower.ts'];
/** The auditor and what it rests on, beside acceptance. */
const AUDITED = [
  'auditor/',
  'core/archive/archive-keys.ts',
  'core/archive/snapshot.ts',
  'core/archive/state-file.ts',
  'core/avro/ocf.ts',
  'core/base/jcs.ts',
  'core/base/json-shape.ts',
  'core/formats/archived-event.ts',
  'core/formats/batch.ts',
  'core/formats/block-evidence.ts',
  'core/formats/evidence.ts',
  'core/formats/leaf.ts',
  'core/keys/checkpoint.ts',
  'core/keys/dsse.ts',
  'core/keys/note.ts',
  'core/policy/policy-history.ts',
  'core/tree/batch-tree.ts',
  'core/tree/growing-tiles.ts',
  'core/tree/hash.ts',
  'core/tree/proof.ts',
  'core/tree/tile.ts',
];
/** More that takes part in accepting, archiving or verifying. */
const FURTHER = ['core/archive/', 'core/avro/', 'core/base/', 'core/chain/', 'core/formats/', 'core/keys/', 'core/policy/', 'core/tree/'];

const UNIT = /^test\/unit\/(?:core|auditor|archiver|chainer|schemas|sdk|resubmit|collector\/(?!git|run))/;
const PROPERTY = /^test\/property\/(?:keys|tree)/;
const VERIFIED = /^test\/embedded\/(?:verify-(?!altered-wide)|query)/;
const ARCHIVES = /^test\/embedded\/archiver/;
const FOLLOWS = /^test\/unit\/core\/chain/;
const STOPS = /^test\/fault\/sequencer-stops/;

const SUITES = [
  {
    name: 'acceptance',
    sources: ACCEPTANCE,
    rules: ['checks', 'values'],
    tests: [/^test\/unit\/core\/acceptance/, /^test\/unit\/docs\/formats-doc/],
  },
  {
    name: 'functions',
    sources: [...ACCEPTANCE, ...ARCHIVED, ...AUDITED, ...FURTHER],
    rules: ['functions'],
    tests: [UNIT, PROPERTY, VERIFIED, ARCHIVES, STOPS],
  },
  { name: 'auditor', sources: AUDITED, rules: ['checks'], tests: [UNIT, PROPERTY, VERIFIED], slow: ['test/property/mutations'] },
  {
    name: 'archiver',
    sources: ARCHIVED,
    rules: ['checks', 'values'],
    tests: [/^test\/unit\/archiver/, FOLLOWS, ARCHIVES, /^test\/fault\/archiver/],
  },
  {
    name: 'chainer',
    sources: ['chainer/', 'core/chain/follower.ts'],
    rules: ['checks', 'values'],
    anchoredIn: ['test/support/memory-dedup-index.ts'],
    tests: [/^test\/unit\/chainer/, FOLLOWS, /^test\/fault\/(?:sequencer|own-failures)/, /^test\/embedded\/bad-input/],
  },
];

const ALL = PRODUCT.flatMap((folder) => filesBelow(folder));

/** The files that an entry names: a folder, or the last parts of one file's path, wherever it is. */
function filesOf(entry) {
  const found = ALL.filter((path) => (entry.endsWith('/') ? path.startsWith(entry) : path === entry || path.endsWith(`/${entry}`)));
  if (found.length === 0 || (found.length > 1 && !entry.endsWith('/'))) throw new Error(`${entry} names ${found.length} source files`);
  return found;
}

const TESTS = filesBelow('test', '.test.ts').map((path) => path.replace(/\.ts$/, '.js'));

/** Suites with their files, the test files that may notice, their changes that no rule makes, and changes that are none. */
export function suites() {
  return SUITES.map(({ name, sources, rules, tests, slow = [], anchoredIn = [] }) => ({
    name,
    rules,
    slow,
    anchoredIn,
    files: [...new Set(sources.flatMap(filesOf))],
    tests: TESTS.filter((path) => tests.some((pattern) => pattern.test(path))),
    anchored: ANCHORED[name] ?? [],
    equivalents: EQUIVALENTS[name] ?? [],
  }));
}

/** Whether `wanted`, a path or its last parts, names `file`. */
export function isNamed(file, wanted) {
  return (
    wanted.length === 0 ||
    wanted.some((each) => file === each || file.startsWith(each) || file.endsWith(`/${each}`) || basename(file) === each)
  );
}
