import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { sha256Stream } from '#crypto';
import { LineproofError } from '../../core/base/errors.ts';
import type { DataRef } from '../../core/formats/event.ts';
import { type Ended, endOf, startGit } from './process.ts';

/** SHA-256 of blobs through one `git cat-file --batch`, streaming; the last few thousand are remembered. */
export class BlobHasher {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #known = new Map<string, { readonly digest: Uint8Array; readonly size: number } | undefined>();
  readonly #ended: Promise<Ended>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(folder: string) {
    this.#child = startGit(folder, ['cat-file', '--batch']);
    this.#child.stdin.on('error', () => undefined);
    this.#ended = endOf(this.#child);
    this.#chunks = this.#child.stdout[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  async ref(namespace: string, name: string, id: string): Promise<DataRef> {
    const blob = id.startsWith('submodule:') ? undefined : await this.#hash(id);
    return {
      namespace,
      name,
      version: id,
      digest: blob === undefined ? null : { algorithm: 'sha256', value: blob.digest },
      size: blob?.size ?? null,
      mediaType: null,
    };
  }

  async #hash(id: string): Promise<{ readonly digest: Uint8Array; readonly size: number } | undefined> {
    if (this.#known.has(id)) return this.#known.get(id);
    this.#child.stdin.write(`${id}\n`);
    const line = await this.#line();
    const [, type, size] = /^[0-9a-f]+ ([a-z]+) (\d+)$/.exec(line) ?? [];
    if (size === undefined && !line.endsWith(' missing'))
      throw new LineproofError('IO_FAILED', `cannot read object ${id}: git says ${JSON.stringify(line.slice(0, 200))}`);
    const content = size === undefined ? undefined : await this.#content(Number(size));
    // A tree may call any object a file; only a blob has content that can be checked.
    const blob = type === 'blob' ? content : undefined;
    if (this.#known.size > 4096) this.#known.clear();
    this.#known.set(id, blob);
    return blob;
  }

  async #content(size: number): Promise<{ readonly digest: Uint8Array; readonly size: number }> {
    const hash = sha256Stream();
    for (let left = size; left > 0; ) {
      if (this.#rest.length === 0) await this.#more();
      const part = this.#rest.subarray(0, left);
      hash.update(part);
      left -= part.length;
      this.#rest = this.#rest.subarray(part.length);
    }
    if (this.#rest.length === 0) await this.#more();
    this.#rest = this.#rest.subarray(1);
    return { digest: hash.digest(), size };
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
      throw new LineproofError('IO_FAILED', `cannot read git objects: ${stderr.trim() || 'git cat-file ended'}; git fsck tells more`);
    }
    this.#rest = this.#rest.length === 0 ? value : Buffer.concat([this.#rest, value]);
  }

  close(): void {
    this.#child.kill();
  }
}
