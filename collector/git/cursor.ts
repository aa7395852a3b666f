import type { CursorStore } from './collection.ts';
import type { Presence } from './presence.ts';
import { isAncestor, listCommits, type Walked } from './walk.ts';

/** Commits that a cursor remembers, so that going back and forth between branches adds nothing twice. */
const MAX_TIPS = 64;
/** With more places than this, the state is not stored: the next collection starts again, and ids make the repeats harmless. */
const MAX_CUT = 10_000;
const MAX_FRONTIER = 4_096;
const MAX_LACKING = 16;

/** What is stored of a cursor. */
interface CursorState {
  /** Commits that were recorded with all that they come from, the newest first. */
  readonly tips: readonly string[];
  /** Among them and what they come from: commits that were recorded without their changes, because a shallow clone was cut there. Nothing older was recorded through them. */
  readonly cut: readonly string[];
  /** Some of the objects without which commits were recorded. Once the repository has one of them, everything is collected again. */
  readonly lacking: readonly string[];
}

/** The history that is collected. */
export interface History {
  readonly folder: string;
  /** The commit that HEAD leads to. */
  readonly head: string;
  readonly presence: Presence;
}

const EMPTY: CursorState = { tips: [], cut: [], lacking: [] };

function cursorName(stream: string): string {
  return `git/${stream}`;
}

/** The cursor of a stream; an empty one where nothing was recorded, or nothing that can be read. */
async function readCursor(store: CursorStore, stream: string): Promise<CursorState> {
  const value = parsed(await store.get(cursorName(stream)));
  if (!isObject(value)) return EMPTY;
  return { tips: hashes(value['tips']), cut: hashes(value['cut']), lacking: hashes(value['lacking']) };
}

/** A JSON text as a value; undefined if it is not JSON, because a state that cannot be read counts as no state. */
export function parsed(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether a value of JSON has named parts. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** Those of a list that are hashes of commits, so that nothing else reaches a command line. */
export function hashes(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each): each is string => typeof each === 'string' && /^[0-9a-f]{40,64}$/.test(each)) : [];
}

/** How far the collection of a stream has come. Nothing else writes the stored state. Each state that it stores is true also if the process ends right then. */
export class GitCursor {
  readonly #store: CursorStore;
  readonly #stream: string;
  readonly #tips: readonly string[];
  readonly #cut: Set<string>;
  readonly #lacking: Set<string>;
  /** Recorded commits of which no child was recorded. */
  readonly #frontier = new Set<string>();

  private constructor(store: CursorStore, stream: string, { tips, cut, lacking }: CursorState) {
    this.#store = store;
    this.#stream = stream;
    this.#tips = tips;
    this.#cut = new Set(cut);
    this.#lacking = new Set(lacking);
  }

  /** Goes on from the stream's cursor; gives the commits to record now, parents before children. */
  static async open(
    { folder, head, presence }: History,
    stream: string,
    store: CursorStore,
  ): Promise<{ cursor: GitCursor; commits: Walked[] }> {
    const stored = await readCursor(store, stream);
    const came = (await presence.of(stored.lacking)).size > 0;
    const state = came ? EMPTY : stored;
    const present = await presence.of(state.tips);
    const tips = state.tips.filter((tip) => present.has(tip));
    const commits =
      state.cut.length === 0
        ? await listCommits(folder, [head], tips)
        : notRecorded(await listCommits(folder, [head, ...tips], []), head, tips, new Set(state.cut));
    return { cursor: new GitCursor(store, stream, state), commits };
  }

  /** To be called for each commit, in order, once it is recorded. */
  done({ hash, parents }: Walked, how: { readonly isCut: boolean; readonly lacks: readonly string[] }): void {
    const wasCut = this.#cut.delete(hash);
    if (how.isCut) this.#cut.add(hash);
    for (const parent of parents) this.#frontier.delete(parent);
    // A commit that was cut has a child that was recorded before.
    if (!wasCut) this.#frontier.add(hash);
    for (const id of how.lacks) if (this.#lacking.size < MAX_LACKING) this.#lacking.add(id);
  }

  /** Commit point: everything that was recorded until now is durable and will not be recorded again. */
  async save(): Promise<void> {
    if (this.#cut.size > MAX_CUT || this.#frontier.size > MAX_FRONTIER) return;
    await this.#put([...this.#frontier, ...this.#tips]);
  }

  /** The same at the end, when all that `head` comes from is recorded. */
  async finish({ folder, head, presence }: History): Promise<void> {
    if (this.#cut.size > MAX_CUT) return;
    const present = await presence.of(this.#tips);
    const others: string[] = [];
    for (const tip of this.#tips) if (tip !== head && !(present.has(tip) && (await isAncestor(folder, tip, head)))) others.push(tip);
    await this.#put([head, ...others].slice(0, MAX_TIPS));
  }

  async #put(tips: readonly string[]): Promise<void> {
    const cursor: CursorState = { tips: [...new Set(tips)], cut: [...this.#cut], lacking: [...this.#lacking] };
    await this.#store.put(cursorName(this.#stream), JSON.stringify(cursor));
  }
}

/** For clones that were cut and may have been deepened since: the tips may come from more commits now than were recorded with them, so `rev-list` cannot tell what is new. */
function notRecorded(all: readonly Walked[], head: string, tips: readonly string[], cut: ReadonlySet<string>): Walked[] {
  const byHash = new Map(all.map((commit) => [commit.hash, commit]));
  const recorded = reached(byHash, tips, cut);
  const wanted = reached(byHash, [head], new Set());
  return all.filter(({ hash, parents }) => wanted.has(hash) && (!recorded.has(hash) || (cut.has(hash) && parents.length > 0)));
}

/** All that `from` come from, and they themselves; nothing through a commit of `ends`. */
function reached(commits: ReadonlyMap<string, Walked>, from: readonly string[], ends: ReadonlySet<string>): Set<string> {
  const found = new Set<string>();
  const left = [...from];
  for (let hash = left.pop(); hash !== undefined; hash = left.pop()) {
    if (found.has(hash)) continue;
    found.add(hash);
    if (!ends.has(hash)) left.push(...(commits.get(hash)?.parents ?? []));
  }
  return found;
}
