import { closeSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { utf8 } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { errnoOf, ioError } from '../platform/errno.ts';
import { makeFolder } from '../platform/made-folder.ts';
import type { MadeProof } from '../prover/prove.ts';

const ENDING = '.tlog-proof';

/** What names a proof's file, and its content. */
export type NamedProof = Pick<MadeProof, 'shard' | 'leaf' | 'size' | 'text'>;

/** Where proofs are written. */
export interface ProofFolder {
  /** The path of the first file; undefined before it, and for standard output. */
  readonly example: string | undefined;
  /** The proofs that are to be written: each as it comes, or the only one. Throws USAGE where there is place for one and more come: then none is written. */
  fitting(proofs: AsyncIterable<MadeProof>): AsyncIterable<MadeProof>;
  /** Writes the `number`th proof, from 0, and gives its path; undefined where it belongs on standard output. Throws an I/O error. */
  write(proof: NamedProof, number: number): string | undefined;
}

/** A folder, one file, or `-` for standard output; the working folder where nothing is named. Nothing is made before the first proof. */
export function openProofFolder(place = '.'): ProofFolder {
  let example: string | undefined;
  const single = place === '-' || place.endsWith(ENDING);
  return {
    fitting: (proofs) => (single ? onlyOne(proofs, place) : proofs),
    get example() {
      return example;
    },
    write: (proof, number) => {
      if (place === '-') return undefined;
      const path = single ? place : join(place, `leaf-${proof.shard}-${proof.leaf}-of-${proof.size}${ENDING}`);
      if (!single && number === 0) makeFolder(place, 0o777);
      writeOnce(path, proof.text);
      example ??= path;
      return path;
    },
  };
}

async function* onlyOne(proofs: AsyncIterable<MadeProof>, place: string): AsyncGenerator<MadeProof> {
  let only: MadeProof | undefined;
  for await (const proof of proofs) {
    if (only !== undefined) throw new LineproofError('USAGE', `--out ${place} takes one proof, and more events were found: name a folder`);
    only = proof;
  }
  if (only !== undefined) yield only;
}

/** Writes a file that is not there yet, or is there with this content. A file that could not be written to its end is removed. */
function writeOnce(path: string, text: string): void {
  const file = openNew(path, text);
  if (file === undefined) return;
  try {
    writeFileSync(file, text);
  } catch (error) {
    rmSync(path, { force: true });
    throw ioError(`write ${path}`, error);
  } finally {
    closeSync(file);
  }
}

/** Makes the file; undefined where it is there with this content. */
function openNew(path: string, text: string): number | undefined {
  try {
    return openSync(path, 'wx');
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw ioError(`write ${path}`, error);
    if (holds(path, text)) return undefined;
    throw new LineproofError(
      'IO_FAILED',
      `cannot write ${path}: it is there with other content; remove it, or name another place with --out`,
    );
  }
}

function holds(path: string, text: string): boolean {
  try {
    // A pipe or an endless device with this name holds no proof, and is not read.
    return statSync(path).isFile() && statSync(path).size === utf8(text).length && readFileSync(path, 'utf8') === text;
  } catch {
    return false;
  }
}
