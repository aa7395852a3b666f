import { LineproofError } from '../../core/base/errors.ts';
import type { CursorStore } from './collection.ts';
import { type History, hashes, isObject, parsed } from './cursor.ts';
import { isAncestor } from './walk.ts';

const STREAMS = 'git-streams';
/** Streams that are remembered, those of the latest collections. */
const MAX_STREAMS = 1_000;
const MAX_ANCHORS = 8;

/** A stream that holds a history, by commits of it. */
interface Known {
  readonly stream: string;
  readonly anchors: readonly string[];
}

async function knownStreams(store: CursorStore): Promise<Known[]> {
  const value = parsed(await store.get(STREAMS));
  if (!Array.isArray(value)) return [];
  return value
    .filter(isObject)
    .flatMap(({ stream, anchors }) => (typeof stream === 'string' ? [{ stream, anchors: hashes(anchors) }] : []));
}

/** Streams to which `head`, or a commit that it comes from, was collected before. */
async function streamsOf({ folder, head, presence }: History, store: CursorStore): Promise<string[]> {
  const known = await knownStreams(store);
  const present = await presence.of([...new Set(known.flatMap(({ anchors }) => anchors))]);
  const streams: string[] = [];
  for (const { stream, anchors } of known) {
    for (const anchor of anchors) {
      if (!present.has(anchor) || !(await isAncestor(folder, anchor, head))) continue;
      streams.push(stream);
      break;
    }
  }
  return streams;
}

/** Remembers that the history of `head` is in `stream`. */
export async function rememberStream(store: CursorStore, stream: string, head: string): Promise<void> {
  const known = await knownStreams(store);
  const before = known.find((each) => each.stream === stream)?.anchors ?? [];
  const entry: Known = { stream, anchors: [head, ...before.filter((anchor) => anchor !== head)].slice(0, MAX_ANCHORS) };
  const all = [entry, ...known.filter((each) => each.stream !== stream)].slice(0, MAX_STREAMS);
  await store.put(STREAMS, JSON.stringify(all));
}

/**
 * The stream of the history that leads to `head`: the one that was asked for; else the one that it was collected to before; else one named by `first`, its
 * first commit along first parents. Undefined where `first` is not known. Throws USAGE where it was collected to several.
 */
export async function nameStream(
  history: History,
  store: CursorStore,
  { wanted, first }: { readonly wanted: string | undefined; readonly first: string | undefined },
): Promise<string | undefined> {
  if (wanted !== undefined) return wanted;
  const named = first === undefined ? undefined : `git/${first}`;
  const known = await streamsOf(history, store);
  if (named !== undefined && known.includes(named)) return named;
  if (known.length > 1) {
    const names = known.slice(0, 5).map((stream) => JSON.stringify(stream));
    throw new LineproofError(
      'USAGE',
      `cannot collect ${history.folder}: its history was collected to ${known.length} streams, ${names.join(', ')}; choose one with --stream`,
    );
  }
  return known[0] ?? named;
}
