import type { AcceptedBlock } from '../core/acceptance/accept.ts';
import { headWindowStart } from '../core/acceptance/dedup-window.ts';
import type { LogHead } from '../core/acceptance/log-state.ts';
import { newestSnapshotSize } from '../core/archive/archive-anchor.ts';
import { LineproofError } from '../core/base/errors.ts';
import { type Log, TOPICS } from '../core/ports/log.ts';
import type { ArchivedLog } from './archived-log.ts';

/** A block's place on the chain topic. */
interface Place {
  readonly offset: number;
  readonly appendedAt: number;
}

/** Trims the topics: removes records that the archive covers and nobody needs. `note` adds to the places, `behind` drops old ones, `reset` drops all. */
export class TopicTrim {
  readonly #archived: ArchivedLog;
  readonly #topics: Log;
  /** Accepted blocks that the chain topic still holds for the dedup window, oldest first. */
  #places: Place[] = [];

  constructor(archived: ArchivedLog, topics: Log) {
    this.#archived = archived;
    this.#topics = topics;
  }

  reset(): void {
    this.#places = [];
  }

  /** Remembers the place of an accepted block. Skips a block without input: it only repeats the time of the block before it. */
  remember({ inputs, delta }: AcceptedBlock, offset: number): void {
    if (inputs.length > 0) this.#places.push({ offset, appendedAt: delta.head.appendedAt });
  }

  /**
   * Trims the topics up to the snapshot at `head`. First checks that a restart could read this snapshot, or a newer one by another archiver. Tiles and
   * segments were read back when they closed. The chain topic keeps the dedup window and one block before it; the input topic keeps the last consumed message.
   */
  async behind(head: LogHead): Promise<void> {
    const { shard, sources } = this.#archived;
    await this.#checkSnapshot(head);
    await sources.refreshPolicies();
    const { inputGeneration } = sources.policies.latest.policy;
    const cutoff = headWindowStart(head, sources.policies);
    while (this.#places.length > 1 && (this.#places[1] as Place).appendedAt < cutoff) this.#places.shift();
    const oldest = this.#places[0];
    if (oldest !== undefined && oldest.appendedAt < cutoff) await this.#topics.trim(TOPICS.chain, shard, oldest.offset);
    // A recreated topic has other offsets than the topic that was consumed.
    if (inputGeneration.generation === head.inputGeneration) await this.#topics.trim(TOPICS.events, shard, Math.max(0, head.inputTo - 1));
  }

  async #checkSnapshot({ size }: LogHead): Promise<void> {
    const { objects, sources, shard, name } = this.#archived;
    if ((await newestSnapshotSize(objects, sources, this.#archived)) < size)
      throw new LineproofError('ARCHIVE_DIVERGED', `cannot trim ${name}: the snapshot at ${size} does not verify`, { shard });
  }
}
