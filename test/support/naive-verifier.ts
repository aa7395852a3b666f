import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { Verdict } from '../../auditor/verdict.ts';
import { lineproof, ROOT, runProgram } from './command.ts';
import type { ForgedArchive } from './forged-archive.ts';

const NAIVE = join(ROOT, 'test/naive-verifier');
/** Properties that the naive verifier judges, in the order of SECURITY.md. */
export const PROPERTIES = ['ARCHIVE', 'LOG', 'STREAMS', 'SIGNATURES', 'ORDER', 'COMPLETE', 'UNIQUE', 'POLICY'] as const;
const hasPython = spawnSync('python3', ['-c', 'import venv, ensurepip'], { stdio: 'ignore' }).status === 0;
/** Where Python is missing, tests are skipped under their names, which fails where CI=true. */
export const testWithPython: typeof test = hasPython ? test : (test.skip as typeof test);

interface NaiveVerdict {
  readonly properties: Record<string, string>;
  readonly counts: Record<string, number>;
  readonly findings: readonly { readonly property: string; readonly severity: string; readonly words: string; readonly place: string }[];
}

/** The verifier of test/naive-verifier, with its packages in a virtual environment below `folder`. */
export class NaiveVerifier {
  readonly #python: string;
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.#python = join(folder, 'venv', 'bin', 'python');
  }

  /** Installs the pinned packages; a failure fails the test. */
  async install(): Promise<void> {
    if (!hasPython) return;
    expect(await runProgram('python3', ['-m', 'venv', join(this.#folder, 'venv')])).toMatchObject({ code: 0 });
    const install = ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', '-r', join(NAIVE, 'requirements.txt')];
    expect(await runProgram(this.#python, install)).toMatchObject({ code: 0 });
  }

  async verify(path: string, ...keys: readonly string[]): Promise<NaiveVerdict> {
    const env = { PYTHONDONTWRITEBYTECODE: '1' };
    const { stdout, stderr } = await runProgram(this.#python, [join(NAIVE, 'verify.py'), path, ...keys], { env });
    expect(stderr).toBe('');
    return JSON.parse(stdout) as NaiveVerdict;
  }

  /**
   * Both verifiers' results by property. They must be the same while all objects are there. Where one is missing or damaged, the product calls what rests
   * on it NOT CHECKED or OPEN, and this verifier judges what is left: then only OK beside FAILED is a contradiction.
   */
  async agreed(path: string, ...keys: readonly string[]): Promise<Record<string, string>> {
    const [naive, product] = await Promise.all([this.verify(path, ...keys), verdictOf(path, keys)]);
    const results = Object.fromEntries(PROPERTIES.map((name) => [name, product.properties[name].result]));
    const told = {
      naive: naive.findings.filter(({ severity }) => severity !== 'NOTE'),
      product: product.findings.filter(({ severity }) => severity !== 'NOTE'),
    };
    const isWhole = results['ARCHIVE'] !== 'FAILED' && results['LOG'] !== 'FAILED' && results['POLICY'] !== 'FAILED';
    if (isWhole) expect({ results: naive.properties, told }).toEqual({ results, told });
    const pairs = PROPERTIES.map((name) => `${name} ${naive.properties[name]} ${results[name]}`);
    expect({ contradictions: pairs.filter((pair) => /OK FAILED|FAILED OK/.test(pair)), told }).toEqual({ contradictions: [], told });
    return results;
  }
}

async function verdictOf(path: string, keys: readonly string[]): Promise<Verdict> {
  const { stdout, stderr } = await lineproof(['verify', path, '--json', ...keys.flatMap((key) => ['--key', key])]);
  expect(stderr).toBe('');
  return JSON.parse(stdout) as Verdict;
}

/** Properties with a result. */
export function having(results: Record<string, string>, result: string): string[] {
  return PROPERTIES.filter((name) => results[name] === result);
}

/** Writes an archive's objects as files. */
export function writeArchive(archive: ForgedArchive, path: string): void {
  for (const [name, bytes] of archive.objects.map) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), bytes);
  }
}
