import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { sha256Stream } from '#crypto';
import { MAX_FILES } from '../files.ts';
import { feed } from './objects.ts';
import { type Ended, endOf, outputOf, startGit, unreadable } from './process.ts';

const ZEROS = /^0+$/;
const NUL = Buffer.from([0]);

/** One file that a commit changed. A renamed file is deleted under one name and added under another. */
export interface Change {
  /** A added, M modified, D deleted, T made another kind of file. */
  readonly status: string;
  readonly path: Buffer;
  readonly before: Side | undefined;
  readonly after: Side | undefined;
}

/** A file before or after a commit. */
export interface Side {
  /** 100644, 100755 (executable), 120000 (link), 160000 (submodule). */
  readonly mode: string;
  /** A blob; of a submodule, a commit of another repository. */
  readonly id: string;
}

/** All changes of one commit. */
export interface Changes {
  readonly listed: readonly Change[];
  /** All changes, those beyond {@link MAX_FILES} too. */
  readonly count: number;
  /** SHA-256 of the whole list as `git diff-tree -r -z` writes it. */
  readonly digest: Uint8Array;
}

/** Changes of many commits through one `git diff-tree`, each against one other commit or, with none, against an empty tree. */
export class ChangeReader {
  readonly #folder: string;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #ended: Promise<Ended>;
  readonly #tokens: AsyncGenerator<Buffer>;
  /** The commit that was announced after the last change of the one before. */
  #next: Buffer | undefined;

  /** Each pair is a commit and the one that it is compared with. They are read in this order. */
  constructor(folder: string, pairs: Iterable<readonly [commit: string, against: string | undefined]>) {
    this.#folder = folder;
    this.#child = startGit(folder, [
      'diff-tree',
      '--stdin',
      '--always',
      '--root',
      '-r',
      '-z',
      '--raw',
      '--no-abbrev',
      '--no-renames',
      '--no-relative',
      '--no-ext-diff',
      '--no-textconv',
      '--ignore-submodules=none',
    ]);
    this.#ended = endOf(this.#child);
    this.#tokens = zeroTerminated(outputOf(this.#child));
    feed(this.#child, linesOf(pairs));
  }

  /** The changes of the next commit, which must be `hash`. */
  async read(hash: string): Promise<Changes> {
    const announced = this.#next ?? (await this.#token());
    this.#next = undefined;
    if (announced?.toString('latin1') !== hash) throw unreadable(this.#folder, await this.#said(`no changes of commit ${hash}`));
    const listed: Change[] = [];
    const digest = sha256Stream();
    let count = 0;
    for (;;) {
      const raw = await this.#token();
      if (raw === undefined || raw[0] !== 0x3a) {
        this.#next = raw;
        return { listed, count, digest: digest.digest() };
      }
      const path = await this.#token();
      if (path === undefined) throw unreadable(this.#folder, await this.#said(`half a change of commit ${hash}`));
      for (const part of [raw, NUL, path, NUL]) digest.update(part);
      if (count++ < MAX_FILES) listed.push(changeOf(raw.toString('latin1'), path));
    }
  }

  async #token(): Promise<Buffer | undefined> {
    const { value, done } = await this.#tokens.next();
    if (done !== true) return value;
    const { code, stderr } = await this.#ended;
    if (code !== 0) throw unreadable(this.#folder, stderr);
    return undefined;
  }

  async #said(otherwise: string): Promise<string> {
    this.close();
    const { stderr } = await this.#ended;
    return stderr.trim() === '' ? otherwise : stderr;
  }

  close(): void {
    this.#child.kill();
  }
}

function* linesOf(pairs: Iterable<readonly [string, string | undefined]>): Generator<string> {
  for (const [commit, against] of pairs) yield against === undefined ? commit : `${commit} ${against}`;
}

/** `:100644 100644 <before> <after> M` */
function changeOf(raw: string, path: Buffer): Change {
  const [modeBefore = '', modeAfter = '', before = '', after = '', status = ''] = raw.slice(1).split(' ');
  const side = (mode: string, id: string): Side | undefined => (ZEROS.test(mode) ? undefined : { mode, id });
  return { status, path, before: side(modeBefore, before), after: side(modeAfter, after) };
}

async function* zeroTerminated(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let pieces: Buffer[] = [];
  for await (const chunk of stream) {
    let from = 0;
    for (let at = chunk.indexOf(0); at !== -1; at = chunk.indexOf(0, from)) {
      yield pieces.length === 0 ? chunk.subarray(from, at) : Buffer.concat([...pieces, chunk.subarray(from, at)]);
      pieces = [];
      from = at + 1;
    }
    if (from < chunk.length) pieces.push(chunk.subarray(from));
  }
  if (pieces.length > 0) yield Buffer.concat(pieces);
}
