import { LineproofError, messageOf } from '../core/base/errors.ts';
import { LOG } from '../core/base/log-lines.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { ShardGroup } from '../core/ports/shard-group.ts';

export interface ShardWork {
  readonly group: ShardGroup;
  readonly logger: Logger;
  /** Works on one shard until `signal` aborts; an error that it throws ends the process. */
  run(shard: number, signal: AbortSignal): Promise<void>;
  /** Called after every change with the shards that are worked on. */
  owned(shards: ReadonlySet<number>): void;
}

interface Running {
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

/** Works on the shards that the group gives this process, until `signal` aborts; then drains and leaves. Throws the error that ended a shard. */
export async function workOnShards(work: ShardWork, signal: AbortSignal): Promise<void> {
  const running = new Map<number, Running>();
  const failed = new AbortController();
  const failures: unknown[] = [];
  const start = (shard: number): void => {
    const stop = new AbortController();
    const done = work.run(shard, AbortSignal.any([stop.signal, failed.signal])).catch((error: unknown) => {
      failures.push(error);
      const code = error instanceof LineproofError ? error.code : 'INTERNAL';
      work.logger.error(LOG.shardStopped, { shard, code, reason: messageOf(error) });
      failed.abort();
    });
    running.set(shard, { stop, done });
  };
  const apply = async (shards: ReadonlySet<number>): Promise<void> => {
    const leaving = [...running].filter(([shard]) => !shards.has(shard));
    for (const [, { stop }] of leaving) stop.abort();
    const came = [...shards].filter((shard) => !running.has(shard));
    await Promise.all(leaving.map(([, { done }]) => done));
    for (const [shard] of leaving) running.delete(shard);
    if (!failed.signal.aborted && !signal.aborted) for (const shard of came) start(shard);
    if (leaving.length > 0 || came.length > 0) work.logger.info(LOG.shardsChanged, { shards: [...running.keys()].join(' ') });
    work.owned(new Set(running.keys()));
  };
  let turn: Promise<void> = Promise.resolve();
  const changed = (shards: ReadonlySet<number>): Promise<void> => {
    turn = turn.then(() => apply(shards));
    return turn;
  };
  await work.group.join(changed, AbortSignal.any([signal, failed.signal]));
  await changed(new Set());
  if (failures.length > 0) throw failures[0];
}
