import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { LineproofError } from '../../core/base/errors.ts';
import { type Ended, endOf, outputOf, saidBy, startGit } from './process.ts';

/** What git says of an object before its content. */
export interface ObjectHead {
  readonly type: string;
  /** Bytes of its content. */
  readonly size: number;
}

/**
 * Contents of objects through one `git cat-file --batch`. Objects are asked for in any number and read in the same order. Each
 * content is checked against its id: git itself gives out an object that lies under a wrong name.
 */
export class ObjectReader {
  readonly #folder: string;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #ended: Promise<Ended>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(folder: string) {
    this.#folder = folder;
    this.#child = startGit(folder, ['cat-file', '--batch']);
    this.#ended = endOf(this.#child);
    this.#chunks = outputOf(this.#child);
  }

  ask(ids: readonly string[]): void {
    this.#child.stdin.write(ids.map((id) => `${id}\n`).join(''));
  }

  /** Asks for all of `ids`, as fast as git takes them; nothing else can be asked for afterwards. */
  askAll(ids: Iterable<string>): void {
    feed(this.#child, ids);
  }

  /** The next object that was asked for, which must be `id`, its content in parts to `take`; undefined if the repository does not have it. */
  async read(id: string, take: (part: Buffer) => void): Promise<ObjectHead | undefined> {
    const line = await this.#line();
    if (line === `${id} missing`) return undefined;
    const [, found, type, digits] = /^([0-9a-f]+) ([a-z]+) (\d+)$/.exec(line) ?? [];
    if (found !== id || type === undefined) throw this.#unreadable(id, `git says ${JSON.stringify(saidBy(line))}`);
    const size = Number(digits);
    const hash = createHash(id.length === 64 ? 'sha256' : 'sha1').update(`${type} ${size}\0`);
    for (let left = size; left > 0; ) {
      if (this.#rest.length === 0) await this.#more();
      const part = this.#rest.subarray(0, left);
      hash.update(part);
      take(part);
      left -= part.length;
      this.#rest = this.#rest.subarray(part.length);
    }
    if (this.#rest.length === 0) await this.#more();
    this.#rest = this.#rest.subarray(1);
    if (hash.digest('hex') !== id) throw this.#unreadable(id, 'its content does not fit its name');
    return { type, size };
  }

  #unreadable(id: string | undefined, fact: string): LineproofError {
    const what = id === undefined ? 'git objects' : `object ${id}`;
    return new LineproofError(
      'REPOSITORY_UNREADABLE',
      `cannot read ${what} of ${this.#folder}: ${fact}; git fsck tells more. Clone the repository again, or copy the object from another clone`,
      { folder: this.#folder },
    );
  }

  async #line(): Promise<string> {
    for (;;) {
      const end = this.#rest.indexOf(10);
      if (end !== -1) {
        const line = this.#rest.toString('latin1', 0, end);
        this.#rest = this.#rest.subarray(end + 1);
        return line;
      }
      await this.#more();
    }
  }

  async #more(): Promise<void> {
    const { value, done } = await this.#chunks.next();
    if (done === true) {
      const { stderr } = await this.#ended;
      throw this.#unreadable(undefined, `git says ${JSON.stringify(saidBy(stderr) || 'nothing')}`);
    }
    this.#rest = this.#rest.length === 0 ? value : Buffer.concat([this.#rest, value]);
  }

  close(): void {
    this.#child.kill();
  }
}

/** Writes lines to a child's stdin, at its pace. */
export function feed(child: ChildProcessWithoutNullStreams, lines: Iterable<string>): void {
  Readable.from(chunksOf(lines)).pipe(child.stdin);
}

function* chunksOf(lines: Iterable<string>): Generator<string> {
  let chunk: string[] = [];
  for (const line of lines) {
    chunk.push(`${line}\n`);
    if (chunk.length < 256) continue;
    yield chunk.join('');
    chunk = [];
  }
  if (chunk.length > 0) yield chunk.join('');
}
