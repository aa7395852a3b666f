import type { AcceptedBlock } from '../core/acceptance/accept.ts';
import type { LogHead } from '../core/acceptance/log-state.ts';
import { EMPTY_TAIL, growTree, type TreeTail } from '../core/tree/build/tile.ts';
import { frontierRoot } from '../core/tree/frontier.ts';
import type { ArchivedLog } from './archived-log.ts';
import { inParallel } from './parallel.ts';
import { readBack, readStoredTail } from './stored-tree.ts';
import { putOnce } from './write-once.ts';

/**
 * Grows one log's tree in the store. `add` gathers leaves and `store` writes their tiles. `settle` forgets the leaves
 * only when the note that covers them is signed, so a step that failed can be tried again.
 */
export class TreeWriter {
  readonly #log: ArchivedLog;
  /** Leaves accepted since the last settled size, with their hashes. */
  #leaves: Uint8Array[] = [];
  #hashes: Uint8Array[] = [];
  /** The tree as it is stored. */
  #tail: TreeTail = EMPTY_TAIL;
  /** The tree where the open segment begins. */
  #segmentTail: TreeTail = EMPTY_TAIL;

  constructor(log: ArchivedLog) {
    this.#log = log;
  }

  /** Leaves that no note covers yet. */
  get waiting(): number {
    return this.#leaves.length;
  }

  /** Goes on from the tree that the store holds at `head`, where a segment ends. */
  async reset({ size, frontier }: LogHead): Promise<void> {
    this.#tail = size === 0 ? EMPTY_TAIL : await readStoredTail(this.#log.tree, size, frontierRoot(frontier));
    this.#segmentTail = this.#tail;
    this.#leaves = [];
    this.#hashes = [];
  }

  add({ block, leafHashes }: AcceptedBlock): void {
    this.#leaves.push(...block.links, block.seal);
    this.#hashes.push(...leafHashes);
  }

  /** Writes the tiles and bundles of the waiting leaves, in any order: none of them counts before all are stored and the note is signed. */
  async store(): Promise<TreeTail> {
    const { objects, keys } = this.#log;
    const grown = growTree(this.#tail, this.#leaves, this.#hashes);
    await inParallel(grown.objects, async ({ path, bytes }) => void (await putOnce(objects, `${keys.folder}/${path}`, bytes)));
    return grown.tail;
  }

  /** Called when the note that covers the leaves of {@link store} is signed. */
  settle(tail: TreeTail): void {
    this.#tail = tail;
    this.#leaves = [];
    this.#hashes = [];
  }

  /** Reads the open segment's leaves back and compares every tile of them. Throws ARCHIVE_DIVERGED. */
  async readSegmentBack({ size, frontier }: LogHead): Promise<void> {
    await readBack(this.#log.tree, this.#segmentTail, size, frontierRoot(frontier));
  }

  /** Called when a segment ended: the next one begins with the tree as it is stored. */
  beginSegment(): void {
    this.#segmentTail = this.#tail;
  }
}
