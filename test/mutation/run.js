// Changes the rules of acceptance, archiver, chainer and auditor, one at a time, and expects a test to fail:
// `node test/mutation/run.js [SUITE [FILE]…] [--part 1/4] [--jobs 2] [--fresh]`.
// Prints each change that no test notices, and exits with 1 where there is one. What a run found is kept in the temporary folder until
// the product's sources change; `--fresh` forgets it.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { filesBelow, PRODUCT, ROOT } from '../../scripts/folders.js';
import { candidatesOf, coverage } from './coverage.js';
import { judgeByJest } from './jest-run.js';
import { mutantsAt, mutantsOf, normalised } from './mutants.js';
import { Worker } from './pool.js';
import { Results } from './results.js';
import { isNamed, suites } from './suites.js';
import { makeWorld } from './world.js';

/** One in this many verdicts is checked once more, in a separate process. */
const SAMPLE = 25;
/** A test that is no slower is tried first on the next mutant of the function in which it noticed one. */
const TRIED_FIRST_MS = 500;
/** Tests that together take no longer are run again in a process of the mutant's own. */
const AGAIN_MS = 5_000;
/** How long worlds and results are kept. */
const KEPT_MS = 24 * 3600_000;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    part: { type: 'string', default: '1/1' },
    jobs: { type: 'string', default: '2' },
    fresh: { type: 'boolean', default: false },
  },
});
const SUITES = suites();
const [wantedSuite, ...wantedFiles] = positionals;
const chosen = SUITES.filter(({ name }) => wantedSuite === undefined || wantedSuite === name);
if (chosen.length === 0) throw new Error(`there is no suite ${wantedSuite}`);
const jobs = Number(options.jobs);
const [part, parts] = options.part.split('/').map(Number);

function say(text) {
  process.stderr.write(`${text}\n`);
}

function hashOf(paths, ...texts) {
  const hash = createHash('sha256');
  for (const path of paths) hash.update(`${path}\n`).update(readFileSync(join(ROOT, path)));
  for (const text of texts) hash.update(text);
  return hash.digest('hex').slice(0, 16);
}

function filesWithin(folders) {
  return folders.flatMap((folder) => filesBelow(folder, '')).filter((path) => /\.\w+$/.test(path));
}

/** A suite's mutants in one source. Each anchored change that is found counts in `places`. */
function mutantsIn(file, suite, places) {
  const rules = suite.files.includes(file) ? suite.rules : [];
  const text = readFileSync(join(ROOT, file), 'utf8');
  const anchored = suite.anchored.flatMap((anchor) => {
    const found = mutantsAt(file, text, anchor);
    places.set(anchor, (places.get(anchor) ?? 0) + found.length);
    return found;
  });
  return [...mutantsOf(file, text, rules), ...anchored];
}

/** All mutants of all suites; `id` is their index, and `suites` names the suites that a mutant belongs to. */
function allMutants() {
  const found = new Map();
  for (const suite of SUITES) {
    const places = new Map(suite.anchored.map((anchor) => [anchor, 0]));
    for (const mutant of [...suite.files, ...suite.anchoredIn].flatMap((file) => mutantsIn(file, suite, places))) {
      const key = `${mutant.file} ${mutant.from} ${mutant.to} ${mutant.kind} ${normalised(mutant.text)}`;
      if (!found.has(key)) found.set(key, { ...mutant, id: found.size, suites: new Set() });
      found.get(key).suites.add(suite.name);
    }
    for (const [[name, source], count] of places)
      if (count !== 1) throw new Error(`suite ${suite.name} wants one place in ${name} that is ${source}, and there are ${count}`);
  }
  return [...found.values()];
}

function equivalenceOf({ file, name, node, change }, { equivalents }) {
  return equivalents.find(
    ([inFunction, source, changed, , inFile]) =>
      inFunction === name &&
      normalised(source) === normalised(node) &&
      normalised(changed) === normalised(change) &&
      (inFile === undefined || isNamed(file, [inFile])),
  );
}

/** Throws where an equivalent speaks of several files: the reason was given for one of them. */
function mustBeOfOneFile(equivalent, suite) {
  const files = new Map();
  for (const mutant of equivalent) {
    const each = equivalenceOf(mutant, suite);
    if (files.has(each) && files.get(each) !== mutant.file)
      throw new Error(`suite ${suite.name}: ${each.slice(0, 3).join(' | ')} is in ${files.get(each)} and ${mutant.file}; name its file`);
    files.set(each, mutant.file);
  }
}

/** The test that noticed last in this function likely notices again. */
function triedFirst(candidates, last) {
  const at = candidates.findIndex((test) => test.file === last?.file && test.index === last.index);
  return at < 1 ? candidates : [candidates[at], ...candidates.slice(0, at), ...candidates.slice(at + 1)];
}

/** Asks the worker about a mutant, or a fresh process in which it counts from the first line on. */
function ask(worker, mutant, candidates, fresh) {
  const limitOf = ({ running, loading }) => candidates[running]?.limitMs ?? candidates[loading]?.loadLimitMs;
  return worker.ask({ id: mutant.id, tests: candidates }, { limitOf, ...(fresh ? { mutant: mutant.id } : {}) });
}

/**
 * The tests that a separate process must run after the shared one noticed nothing: what only asks for the mutant from the start, and the rest once
 * more where that is cheap, since what an earlier mutant left in a cache can hide this one.
 */
function alone({ reached, all }) {
  const again = reached.reduce((sum, { ms }) => sum + ms, 0) <= AGAIN_MS ? reached : [];
  return [...again, ...all.filter((test) => !reached.includes(test))];
}

/** The verdict on one mutant: in the shared process first, then in a separate one, then by jest. */
async function judge(worker, mutant, { reached, all }, slow) {
  const first = reached.length === 0 ? { verdict: 'survived' } : await ask(worker, mutant, reached, false);
  // What took too long or went wrong in a process that others have used counts only when it does so in a fresh one too.
  const doubtful = first.verdict === 'unsure' || first.verdict === 'endless' || first.died === true;
  if (!doubtful && first.verdict !== 'survived') return first;
  const rest = doubtful ? all : alone({ reached, all });
  const answer = rest.length === 0 ? first : { ...(await ask(worker, mutant, rest, true)), alone: true };
  if (answer.verdict === 'survived' && all.length > 0 && slow.length > 0) return judgeByJest(world, mutant, slow);
  return answer;
}

/** A suite's mutants that this part of the run judges, with how the others fall away. */
function shareOf(suite) {
  const own = mutants.filter((mutant) => mutant.suites.has(suite.name) && isNamed(mutant.file, wantedFiles));
  const equivalent = own.filter((mutant) => equivalenceOf(mutant, suite) !== undefined);
  mustBeOfOneFile(equivalent, suite);
  const used = new Set(equivalent.map((mutant) => equivalenceOf(mutant, suite)));
  const unused = wantedFiles.length > 0 ? [] : suite.equivalents.filter((each) => !used.has(each));
  const mine = own.filter((mutant) => equivalenceOf(mutant, suite) === undefined).filter((_, i) => i % parts === part - 1);
  return { own, equivalent, unused, mine };
}

/** Takes mutants from the queue until it is empty. */
async function work({ suite, queue, candidates, state }) {
  const worker = new Worker(world);
  const lastBy = new Map();
  for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
    const where = `${mutant.file} ${mutant.name}`;
    const { reached, all } = candidates(mutant);
    let answer = await judge(worker, mutant, { reached: triedFirst(reached, lastBy.get(where)), all }, suite.slow);
    state.done += 1;
    if (answer.verdict === 'noticed' && answer.alone !== true && state.done % SAMPLE === 0) {
      const again = await ask(worker, mutant, [answer.by], true);
      if (again.verdict === 'survived') {
        state.disagreed += 1;
        say(`a fresh process disagrees: ${nameOf(mutant)}: ${answer.error}`);
        answer = all.length === 0 ? again : await ask(worker, mutant, all, true);
      }
    }
    if (answer.by !== undefined && answer.by.ms < TRIED_FIRST_MS) lastBy.set(where, answer.by);
    results.keep(suite, mutant, { verdict: answer.verdict, by: answer.by?.name, reached: all.length });
    if (answer.verdict === 'survived') say(`survived ${nameOf(mutant)}`);
    if (state.done % 50 === 0) {
      const each = (performance.now() - state.startedMs) / state.done;
      say(`${suite.name}: ${state.done} done, ${queue.length} left, ${each.toFixed(0)} ms each`);
    }
  }
  worker.close();
}

async function runSuite(suite) {
  const { own, equivalent, unused, mine } = shareOf(suite);
  const queue = mine.filter((mutant) => results.of(suite, mutant) === undefined);
  say(
    `${suite.name}: ${own.length} mutants, ${equivalent.length} equivalent, ${mine.length - queue.length} known, ${queue.length} to judge`,
  );
  const state = { startedMs: performance.now(), done: 0, disagreed: 0 };
  if (queue.length > 0) {
    const reports = await coverage({ world, count: mutants.length, paths: suite.tests, jobs, kept: keptCoverage, say });
    state.startedMs = performance.now();
    const candidates = candidatesOf(reports, mutants);
    await Promise.all(Array.from({ length: jobs }, () => work({ suite, queue, candidates, state })));
  }
  return report(suite, { own, equivalent, unused, mine, state });
}

function nameOf({ file, line, name, node, change }) {
  return `${file}:${line} ${name}: ${node} -> ${change}`;
}

/** Prints survivors and a summary; gives how many reasons there are to fail. */
function report(suite, { own, equivalent, unused, mine, state }) {
  const of = (verdict) => mine.filter((mutant) => results.of(suite, mutant)?.verdict === verdict);
  const survivors = of('survived');
  for (const mutant of survivors) {
    const unreached = results.of(suite, mutant).reached === 0 ? ' [no test reaches it]' : '';
    process.stdout.write(`SURVIVED ${nameOf(mutant)}${unreached}\n`);
  }
  for (const mutant of equivalent) process.stdout.write(`equivalent ${nameOf(mutant)}: ${equivalenceOf(mutant, suite)[3]}\n`);
  for (const each of unused) process.stdout.write(`UNUSED equivalent: ${each.slice(0, 3).join(' | ')}\n`);
  const counts = `${of('noticed').length} noticed, ${of('endless').length} endless, ${equivalent.length} equivalent, ${survivors.length} survived`;
  const seconds = ((performance.now() - state.startedMs) / 1000).toFixed(0);
  process.stdout.write(`${suite.name}: ${own.length} mutants, ${counts}; ${state.disagreed} disagreed; ${seconds} s\n`);
  return survivors.length + unused.length;
}

const sources = filesWithin(PRODUCT);
/** What the verdict on a mutant rests on, beside sources and tests. */
const tools = ['harness', 'pool', 'schemata', 'switch', 'worker', 'world'].map((name) => `test/mutation/${name}.js`);
const tests = filesWithin(['test']).filter((path) => !path.startsWith('test/mutation/'));
const folder = join(tmpdir(), 'lineproof-mutation', hashOf([], ROOT));
const mutants = allMutants();
const changes = JSON.stringify(mutants.map(({ file, from, to, kind, text }) => [file, from, to, kind, text]));
const world = join(folder, hashOf([...sources, ...tests, ...tools], changes));
const kept = join(folder, `${hashOf([...sources, ...tools])}.jsonl`);
/** What a test file asks for changes with the sources, with itself and with what is beside it; the other tests do not matter. */
const beside = hashOf([...sources, ...tools, ...tests.filter((path) => !path.endsWith('.test.ts'))], changes);
const keptCoverage = (path) => join(folder, `${beside}-${hashOf([path.replace(/\.js$/, '.ts')])}.json`);
if (options.fresh) for (const path of [world, kept]) rmSync(path, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
// Another run may still use a world of other sources; an old one is used by nobody.
for (const name of readdirSync(folder)) {
  const path = join(folder, name);
  if (path !== world && statSync(path).mtimeMs < Date.now() - KEPT_MS) rmSync(path, { recursive: true, force: true });
}
say(`${mutants.length} mutants in all suites; world ${world}`);
makeWorld(world, mutants);
const results = new Results(kept, world);
let failures = 0;
for (const suite of chosen) failures += await runSuite(suite);
process.exitCode = failures === 0 ? 0 : 1;
