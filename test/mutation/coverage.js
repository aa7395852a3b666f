// Which tests ask for which mutants: found by running each test file once, in a separate process, without a mutant.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { Worker } from './pool.js';

/** How long a test may take with a mutant: what takes much longer than without does not end. */
const LEAST_MS = 3_000;
const SLOWER = 5;

async function coverOnce(world, message) {
  const worker = new Worker(world);
  let report;
  const answer = await worker.ask(message, {
    onPart: (part) => {
      report = part;
    },
  });
  worker.close();
  if (report === undefined) throw new Error(`${message.path} cannot be run: ${answer.error}`);
  return report;
}

/**
 * The report of one test file. Its tests run the last one first: where that makes one fail, tests build on those before them, and the file
 * is `ordered`. Throws where a test fails in their order.
 */
async function coverOne(world, path, count) {
  const backwards = await coverOnce(world, { count, path, inOrder: false });
  if (backwards.covered.every(({ error }) => error === undefined)) return { ...backwards, ordered: false };
  const report = await coverOnce(world, { count, path, inOrder: true });
  const failed = report.covered.find(({ error }) => error !== undefined);
  if (failed !== undefined) throw new Error(`a test fails without a mutant: ${path}: ${failed.name}: ${failed.error}`);
  return { ...report, ordered: true };
}

/** Reports of these test files, as the worker makes them. Each is kept in the file that `kept` names. */
export async function coverage({ world, count, paths, jobs, kept, say }) {
  // Named once: the test files may be worked on meanwhile.
  const files = new Map(paths.map((path) => [path, kept(path)]));
  const queue = paths.filter((path) => !existsSync(files.get(path)));
  const work = async () => {
    for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
      const report = await coverOne(world, path, count);
      writeFileSync(files.get(path), JSON.stringify(report));
      say(`covered ${path}: ${report.covered.length} tests, ${report.skipped} skipped${report.ordered ? ', only in their order' : ''}`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  return paths.map((path) => JSON.parse(readFileSync(files.get(path), 'utf8')));
}

function quickFirst(tests) {
  return tests.toSorted((a, b) => a.ms - b.ms);
}

/** Lists that are made when something is first added to them. */
class Lists {
  #lists = new Map();

  add(key, value) {
    const list = this.#lists.get(key);
    if (list === undefined) this.#lists.set(key, [value]);
    else list.push(value);
  }

  of(key) {
    return this.#lists.get(key) ?? [];
  }
}

/**
 * Of a mutant, the tests that may notice it, the quick ones first. `reached` ask for it while they run. `all` holds also those of files that
 * ask for it when they prepare themselves, and, where a module asks for it when it is loaded, all that ask for anything of this module: for
 * them the mutant must count from the start of the process. Of a file whose tests need their order, `all` has all tests.
 */
export function candidatesOf(reports, mutants) {
  const [reached, prepared, ofSource] = [new Lists(), new Lists(), new Lists()];
  const ordered = new Map();
  const atLoad = new Set(reports.flatMap((report) => report.atLoad));
  for (const report of reports) {
    const tests = report.covered.map(({ hits, ...rest }) => [
      hits,
      { ...rest, file: report.file, limitMs: LEAST_MS + SLOWER * rest.ms, loadLimitMs: 3 * LEAST_MS + SLOWER * report.loadMs },
    ]);
    if (report.ordered)
      ordered.set(
        report.file,
        tests.map(([, test]) => test),
      );
    for (const [hits, test] of tests) {
      for (const id of hits) reached.add(id, test);
      for (const id of report.prepared) prepared.add(id, test);
      for (const source of new Set(hits.map((id) => mutants[id].file))) ofSource.add(source, test);
    }
  }
  return ({ id, file }) => {
    const further = [...quickFirst(prepared.of(id)), ...(atLoad.has(id) ? quickFirst(ofSource.of(file)) : [])];
    const all = [...new Set([...quickFirst(reached.of(id)), ...further])];
    const free = (tests) => tests.filter((test) => !ordered.has(test.file));
    const files = new Set(all.map((test) => test.file).filter((path) => ordered.has(path)));
    return { reached: free(quickFirst(reached.of(id))), all: [...free(all), ...[...files].flatMap((path) => ordered.get(path))] };
  };
}
