import { closeSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { equal } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { errnoOf, ioError } from '../platform/errno.ts';
import { makeFolder } from '../platform/made-folder.ts';
import type { MadeProof } from '../prover/prove.ts';

export const TLOG_PROOF_ENDING = '.tlog-proof';

/** What names the files of a proof. */
export type ProofName = Pick<MadeProof, 'shard' | 'leaf' | 'size'>;

/** One of the files of a proof: the first is the proof itself. */
export interface ProofFile {
  readonly ending: string;
  readonly content: Uint8Array;
}

/** Where proofs are written. */
export interface ProofFolder {
  /** The path of the first file; undefined before it, and for standard output. */
  readonly example: string | undefined;
  /** The proofs that are to be written: each as it comes, or the only one. Throws USAGE where there is place for one and more come: then none is written. */
  fitting(proofs: AsyncIterable<MadeProof>): AsyncIterable<MadeProof>;
  /** Writes the files of the `number`th proof, from 0, and gives the path of the first; undefined where it belongs on standard output. Throws an I/O error. */
  write(name: ProofName, files: readonly ProofFile[], number: number): string | undefined;
}

/** A folder, one file, or `-` for standard output; the working folder where nothing is named. Nothing is made before the first proof. `ending` is that of a proof's first file. */
export function openProofFolder(place = '.', ending: string = TLOG_PROOF_ENDING): ProofFolder {
  let example: string | undefined;
  const single = place === '-' || place.endsWith(ending);
  return {
    fitting: (proofs) => (single ? onlyOne(proofs, place) : proofs),
    get example() {
      return example;
    },
    write: ({ shard, leaf, size }, files, number) => {
      if (place === '-') return undefined;
      const stem = single ? place.slice(0, -ending.length) : join(place, `leaf-${shard}-${leaf}-of-${size}`);
      if (!single && number === 0) makeFolder(place, 0o777);
      for (const file of files) writeOnce(`${stem}${file.ending}`, file.content);
      example ??= `${stem}${ending}`;
      return `${stem}${ending}`;
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
function writeOnce(path: string, content: Uint8Array): void {
  const file = openNew(path, content);
  if (file === undefined) return;
  try {
    writeFileSync(file, content);
  } catch (error) {
    rmSync(path, { force: true });
    throw ioError(`write ${path}`, error);
  } finally {
    closeSync(file);
  }
}

/** Makes the file; undefined where it is there with this content. */
function openNew(path: string, content: Uint8Array): number | undefined {
  try {
    return openSync(path, 'wx');
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw ioError(`write ${path}`, error);
    if (holds(path, content)) return undefined;
    throw new LineproofError(
      'IO_FAILED',
      `cannot write ${path}: it is there with other content; remove it, or name another place with --out`,
    );
  }
}

function holds(path: string, content: Uint8Array): boolean {
  try {
    // A pipe or an endless device with this name holds no proof, and is not read.
    return statSync(path).isFile() && statSync(path).size === content.length && equal(readFileSync(path), content);
  } catch {
    return false;
  }
}
