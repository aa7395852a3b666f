import { describe, expect, test } from '@jest/globals';
import { workOnShards } from '../../../cluster/shard-worker.ts';
import { LineproofError } from '../../../core/base/errors.ts';
import type { GroupState, ShardGroup } from '../../../core/ports/shard-group.ts';
import { TestLogger } from '../../support/memory.ts';

/** A group whose assignments the test makes. */
class HandedGroup implements ShardGroup {
  #tell: (changed: (shards: ReadonlySet<number>) => Promise<void>) => void = () => undefined;
  readonly #told = new Promise<(shards: ReadonlySet<number>) => Promise<void>>((resolve) => {
    this.#tell = resolve;
  });

  async join(changed: (shards: ReadonlySet<number>) => Promise<void>, signal: AbortSignal): Promise<void> {
    this.#tell(changed);
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  }

  async assign(...shards: number[]): Promise<void> {
    await (await this.#told)(new Set(shards));
  }

  owns(): boolean {
    return true;
  }

  committed(): void {}

  async members(): Promise<number> {
    return 1;
  }

  state(): GroupState {
    throw new Error('nobody asks');
  }
}

interface Scene {
  readonly group: HandedGroup;
  readonly stop: AbortController;
  /** What happened to shards, in order. */
  readonly story: string[];
  readonly ended: Promise<void>;
  /** Makes a shard fail. */
  fail(shard: number, error: Error): void;
}

function scene(): Scene {
  const [group, stop, story] = [new HandedGroup(), new AbortController(), [] as string[]];
  const failing = new Map<number, (error: Error) => void>();
  const run = async (shard: number, signal: AbortSignal): Promise<void> => {
    story.push(`start ${shard}`);
    await new Promise<void>((resolve, reject) => {
      failing.set(shard, reject);
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    // What a shard still does when it is told to stop.
    await Promise.resolve();
    story.push(`end ${shard}`);
  };
  const owned = (shards: ReadonlySet<number>): void => void story.push(`own ${[...shards].join(' ')}`);
  const ended = workOnShards({ group, logger: new TestLogger(), run, owned }, stop.signal);
  return { group, stop, story, ended, fail: (shard, error) => failing.get(shard)?.(error) };
}

describe('work on shards', () => {
  test('follows the group: what comes is started, what goes is ended before the change is done, what stays is left alone', async () => {
    const { group, stop, story, ended } = scene();
    await group.assign(0, 1);
    await group.assign(1, 2);
    stop.abort();
    await ended;
    expect(story).toEqual(['start 0', 'start 1', 'own 0 1', 'end 0', 'start 2', 'own 1 2', 'end 1', 'end 2', 'own ']);
  });

  test('two changes at once are made one after the other', async () => {
    const { group, stop, story, ended } = scene();
    await Promise.all([group.assign(0), group.assign(1)]);
    stop.abort();
    await ended;
    expect(story).toEqual(['start 0', 'own 0', 'end 0', 'start 1', 'own 1', 'end 1', 'own ']);
  });

  test('a shard that stops for good ends all work, and its error is what is thrown', async () => {
    const { group, story, ended, fail } = scene();
    await group.assign(0, 1);
    fail(0, new LineproofError('LOG_BEHIND', 'cannot go on: the tail is gone'));
    await expect(ended).rejects.toMatchObject({ code: 'LOG_BEHIND' });
    expect(story).toContain('end 1');
  });
});
