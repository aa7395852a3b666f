import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { Verdict } from '../../auditor/verdict.ts';
import { toBase64 } from '../../core/base/bytes.ts';
import { lineproof, ROOT, runProgram } from './command.ts';
import type { ForgedArchive } from './forged-archive.ts';
import { hasPython, installPython, pythonOf } from './python.ts';

const NAIVE = join(ROOT, 'test/naive-verifier');
const REQUIREMENTS = join(NAIVE, 'requirements.txt');
/** Properties that the naive verifier judges, in the order of SECURITY.md. */
export const PROPERTIES = ['ARCHIVE', 'LOG', 'STREAMS', 'SIGNATURES', 'ORDER', 'COMPLETE', 'UNIQUE', 'POLICY', 'WITNESSES'] as const;
/** Where Python is missing, tests are skipped under their names, which fails where CI=true. */
export const testWithPython: typeof test = hasPython ? test : (test.skip as typeof test);

export interface NaiveVerdict {
  readonly word: string;
  readonly properties: Record<string, string>;
  readonly counts: Record<string, number>;
  readonly findings: readonly { readonly property: string; readonly severity: string; readonly words: string; readonly place: string }[];
}

/** What proof.py says of a proof; the results are null where it is FAILED. */
export interface NaiveProof {
  readonly word: string;
  readonly LOG: string | null;
  readonly SIGNATURES: string | null;
  readonly POLICY: string | null;
  readonly WITNESSES: string | null;
  /** Why it is FAILED. */
  readonly why: string;
}

/** An archive in memory, and what its reader knows. */
export interface GivenArchive {
  readonly objects: ReadonlyMap<string, Uint8Array>;
  readonly keys: readonly string[];
  readonly origin?: string;
  readonly genesis?: string;
  /** Notes that the reader kept. */
  readonly since?: readonly string[];
  /** Witness policies, as texts. */
  readonly witnesses?: readonly string[];
}

/** The verifier of test/naive-verifier. Its packages are installed once, in a folder that is named by what they are. */
export class NaiveVerifier {
  readonly #python = pythonOf('naive-verifier', REQUIREMENTS);

  /** Installs the pinned packages where they are not yet; a failure fails the test. */
  install(): Promise<void> {
    return installPython('naive-verifier', REQUIREMENTS);
  }

  /** Verdicts over archives in memory, by one process. */
  async verifyMany(archives: readonly GivenArchive[]): Promise<NaiveVerdict[]> {
    const lines = archives.map(({ objects, ...reader }) => {
      return JSON.stringify({ ...reader, objects: Object.fromEntries([...objects].map(([name, bytes]) => [name, toBase64(bytes)])) });
    });
    return (await this.#many('verify.py', lines)) as NaiveVerdict[];
  }

  /** Verdicts over proofs, by one process. */
  async checkProofs(
    proofs: readonly { readonly bytes: Uint8Array; readonly keys: readonly string[]; readonly witnesses?: readonly string[] }[],
  ): Promise<NaiveProof[]> {
    const lines = proofs.map(({ bytes, ...reader }) => JSON.stringify({ proof: toBase64(bytes), ...reader }));
    return (await this.#many('proof.py', lines)) as NaiveProof[];
  }

  /** What a program says of each line. */
  async #many(program: string, lines: readonly string[]): Promise<unknown[]> {
    const env = { PYTHONDONTWRITEBYTECODE: '1' };
    const { stdout, stderr } = await runProgram(this.#python, [join(NAIVE, program), '--many'], { env, input: lines.join('\n') });
    expect(stderr).toBe('');
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  }

  async verify(path: string, ...keys: readonly string[]): Promise<NaiveVerdict> {
    const env = { PYTHONDONTWRITEBYTECODE: '1' };
    const { stdout, stderr } = await runProgram(this.#python, [join(NAIVE, 'verify.py'), path, ...keys], { env });
    expect(stderr).toBe('');
    return JSON.parse(stdout) as NaiveVerdict;
  }

  /** Both verifiers' results by property, which do not contradict each other. */
  async agreed(path: string, ...keys: readonly string[]): Promise<Record<string, string>> {
    const [naive, product] = await Promise.all([this.verify(path, ...keys), verdictOf(path, keys)]);
    const results = Object.fromEntries(PROPERTIES.map((name) => [name, product.properties[name].result]));
    const told = {
      naive: naive.findings.filter(({ severity }) => severity !== 'NOTE'),
      product: product.findings.filter(({ severity }) => severity !== 'NOTE'),
    };
    expect({ contradictions: contradictions(naive.properties, results), told }).toEqual({ contradictions: [], told });
    return results;
  }
}

/**
 * Where the results of the naive verifier and of the product contradict each other. They must be the same while nothing fails that others rest on. Where an
 * object is missing or damaged, the product calls what rests on it NOT CHECKED or OPEN, and the naive verifier judges what is left: then only OK beside
 * FAILED is a contradiction.
 */
export function contradictions(naive: Readonly<Record<string, string>>, product: Readonly<Record<string, string>>): string[] {
  const isWhole = product['ARCHIVE'] !== 'FAILED' && product['LOG'] !== 'FAILED' && product['POLICY'] !== 'FAILED';
  const isBlind = Object.values(product).includes('FAILED');
  const differs = (name: string): boolean =>
    naive[name] !== product[name] && !(isBlind && product[name] === 'NOT CHECKED' && naive[name] === 'OK');
  const pairs = PROPERTIES.filter((name) => !isWhole || differs(name)).map((name) => `${name} ${naive[name]} ${product[name]}`);
  return isWhole ? pairs : pairs.filter((pair) => /OK FAILED|FAILED OK/.test(pair));
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
