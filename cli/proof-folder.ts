import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { utf8 } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { errnoOf, ioError } from '../platform/errno.ts';
import { makeFolder } from '../platform/made-folder.ts';
import type { MadeProof } from '../prover/prove.ts';

const ENDING = '.tlog-proof';

/** Where proofs are written. */
export interface ProofFolder {
  /** The path of the first file; undefined before it, and for standard output. */
  readonly example: string | undefined;
  /** Writes the `number`th proof, from 0, and gives its path; undefined where it belongs on standard output. Throws USAGE or an I/O error. */
  write(proof: MadeProof, number: number): string | undefined;
}

/** A folder, one file, or `-` for standard output; the working folder where nothing is named. Nothing is made before the first proof. */
export function openProofFolder(place = '.'): ProofFolder {
  let example: string | undefined;
  return {
    get example() {
      return example;
    },
    write: (proof, number) => {
      const single = place === '-' || place.endsWith(ENDING);
      if (single && number > 0)
        throw new LineproofError('USAGE', `--out ${place} takes one proof, and more events were found: name a folder`);
      if (place === '-') return undefined;
      const path = single ? place : join(place, `leaf-${proof.shard}-${proof.leaf}-of-${proof.size}${ENDING}`);
      if (!single && number === 0) makeFolder(place, 0o777);
      writeOnce(path, proof.text);
      example ??= path;
      return path;
    },
  };
}

/** Writes a file that is not there yet, or is there with this content. */
function writeOnce(path: string, text: string): void {
  try {
    writeFileSync(path, text, { flag: 'wx' });
  } catch (error) {
    if (errnoOf(error) === 'EEXIST' && holds(path, text)) return;
    if (errnoOf(error) === 'EEXIST')
      throw new LineproofError(
        'IO_FAILED',
        `cannot write ${path}: it is there with other content; remove it, or name another place with --out`,
      );
    throw ioError(`write ${path}`, error);
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
