import { LineproofError } from '../../core/base/errors.ts';
import { endOf, outputOf, runGit, saidBy, startGit, unreadable } from './process.ts';

/** Which objects a repository has, without ever asking its remotes for one. */
export interface Presence {
  /** True for a clone that was made with a filter. Git would fetch an object that such a clone lacks; where it may not fetch, it fails. */
  readonly isPartial: boolean;
  /** Those of `ids` that are there, of any type. */
  of(ids: readonly string[]): Promise<ReadonlySet<string>>;
  /** Throws REPOSITORY_UNREADABLE if one of `ids`, of which git said that it is missing, is there but damaged: git says the same of both. */
  refuseDamaged(ids: readonly string[]): Promise<void>;
}

/** Looks once whether the repository is a partial clone, and if so, at which objects it has. */
export async function openPresence(folder: string): Promise<Presence> {
  const promisors = await runGit(folder, [
    'config',
    '--get-regexp',
    String.raw`^(remote\..*\.(promisor|partialclonefilter)|extensions\.partialclone)$`,
  ]);
  const damaged = (id: string, said: string): LineproofError =>
    new LineproofError(
      'REPOSITORY_UNREADABLE',
      `cannot read object ${id} of ${folder}: it is damaged${said === '' ? '' : `, git says ${JSON.stringify(said)}`}; git fsck tells more. Clone the repository again, or copy the object from another clone`,
      { folder },
    );
  if (promisors.code !== 0) {
    return {
      isPartial: false,
      of: async (ids) => (await askedObjects(folder, ids)).present,
      refuseDamaged: async (ids) => {
        const { present, said } = await askedObjects(folder, ids);
        const [id] = said === '' ? present : ids;
        if (id !== undefined) throw damaged(id, said);
      },
    };
  }
  const list = await listObjects(folder);
  return {
    isPartial: true,
    of: async (ids) => new Set(ids.filter((id) => list.has(id))),
    refuseDamaged: async (ids) => {
      const id = ids.find((each) => list.has(each));
      if (id !== undefined) throw damaged(id, '');
    },
  };
}

async function askedObjects(
  folder: string,
  ids: readonly string[],
): Promise<{ readonly present: ReadonlySet<string>; readonly said: string }> {
  if (ids.length === 0) return { present: new Set(), said: '' };
  const { code, stdout, stderr } = await runGit(folder, ['cat-file', '--batch-check=%(objectname)'], ids.map((id) => `${id}\n`).join(''));
  if (code !== 0) throw unreadable(folder, stderr);
  const lines = new Set(stdout.toString('latin1').split('\n'));
  return { present: new Set(ids.filter((id) => lines.has(id))), said: saidBy(stderr) };
}

/** All objects of a repository, as their sorted ids in one piece of memory. */
class ObjectList {
  readonly #bytes: Buffer;
  readonly #width: number;

  /** `bytes` holds sorted ids of `width` bytes each. */
  constructor(bytes: Buffer, width: number) {
    this.#bytes = bytes;
    this.#width = width;
  }

  has(id: string): boolean {
    const wanted = Buffer.from(id, 'hex');
    if (wanted.length !== this.#width) return false;
    let low = 0;
    for (let high = this.#bytes.length / this.#width; low < high; ) {
      const middle = Math.floor((low + high) / 2);
      const order = this.#bytes.compare(wanted, 0, wanted.length, middle * this.#width, (middle + 1) * this.#width);
      if (order === 0) return true;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return false;
  }
}

async function listObjects(folder: string): Promise<ObjectList> {
  const child = startGit(folder, ['cat-file', '--batch-all-objects', '--batch-check=%(objectname)']);
  child.stdin.end();
  const ended = endOf(child);
  const ids: Buffer[] = [];
  let width = 20;
  let rest = '';
  for await (const chunk of outputOf(child)) {
    const text = rest + chunk.toString('latin1');
    const end = text.lastIndexOf('\n') + 1;
    rest = text.slice(end);
    if (end === 0) continue;
    width = text.indexOf('\n') / 2;
    ids.push(Buffer.from(text.slice(0, end).replaceAll('\n', ''), 'hex'));
  }
  const { code, stderr } = await ended;
  if (code !== 0) throw unreadable(folder, stderr);
  return new ObjectList(Buffer.concat(ids), width);
}
