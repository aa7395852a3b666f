import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openFolderObjectStore } from '../adapters/folder-object-store.ts';
import { openFolderSchemaRegistry } from '../adapters/folder-schema-registry.ts';
import { readLmdbLog } from '../adapters/lmdb-log.ts';
import { checkEnvironments } from '../adapters/lmdb-probe.ts';
import { systemClock } from '../adapters/system-clock.ts';
import { archiveAnchor } from '../core/archive/archive-anchor.ts';
import { toHex } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import type { AcceptSources } from '../core/chain/chain-reader.ts';
import { ChainFollower } from '../core/chain/follower.ts';
import { Sources } from '../core/chain/governance-source.ts';
import type { RecoveryPoint } from '../core/chain/recovery-point.ts';
import type { EventSchema } from '../core/formats/event-schema.ts';
import { decodeEnvelope } from '../core/keys/dsse.ts';
import { parsePolicy } from '../core/policy/policy.ts';
import { type Log, TOPICS } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';

const READ_BYTES = 2 * 1024 * 1024;

/** An event that is linked in the log and in no closed segment yet. */
export interface TailEvent {
  readonly shard: number;
  readonly logIndex: number;
  readonly stream: string;
  readonly streamIndex: number;
  /** Microseconds since 1970. */
  readonly acceptedAt: number;
  readonly producer: string;
  readonly leafHash: Uint8Array;
  readonly schema: EventSchema;
  readonly bytes: Uint8Array;
}

/** What a data folder holds beyond its archive. It is read beside the process that works on the folder, and for display: the log is judged, not audited. */
export interface OpenTail {
  readonly shards: number;
  /** The events of a shard from leaf `from` on, in the order of its log. Throws NOT_FOUND if the folder lacks what a block needs, CHAIN_TRIMMED if the archiver trimmed what was to be read: then open it again. */
  events(shard: number, from: number): AsyncGenerator<TailEvent>;
  /** Messages of the shard that were recorded and that no block has consumed yet; known after its events were read. */
  waiting(shard: number): Promise<number>;
  close(): Promise<void>;
}

/** Opens the tail of a data folder; undefined if the folder has no log or no policy yet. Throws IO_FAILED if its log is damaged. */
export async function openTail(data: string, logger: Logger): Promise<OpenTail | undefined> {
  const folder = join(data, 'log');
  if (!existsSync(join(folder, 'data.mdb'))) return undefined;
  checkEnvironments([folder]);
  const log = await readLmdbLog(folder, { clock: systemClock });
  try {
    const place = await placeOf(log);
    if (place !== undefined) return await tailOf(log, data, place, logger);
    await log.close();
    return undefined;
  } catch (error) {
    await log.close();
    throw error;
  }
}

interface Place {
  readonly origin: string;
  readonly shards: number;
}

/** What the first policy says that the log holds. */
async function placeOf(log: Log): Promise<Place | undefined> {
  const [first] = await log.read(TOPICS.control, 0, 0, { maxBytes: 1, waitMs: 0 });
  return first?.kind !== 'record' ? undefined : parsePolicy(decodeEnvelope(first.value, 'policy').payload);
}

/** Sources that wait for nothing: what a block of this folder needs was put into the folder before the block. */
function presentSources(sources: Sources): AcceptSources {
  return {
    context: () => sources.context(),
    findPolicy: (digest, signal, failed) => sources.findPolicy(digest, signal, failed),
    obtain: async (missing, digest) => {
      if (await sources.finds(missing, digest)) return;
      throw new LineproofError('NOT_FOUND', `the folder lacks the ${missing} ${digest} of a block; restore the folder from its backup`);
    },
  };
}

async function tailOf(log: Log, data: string, { origin, shards }: Place, logger: Logger): Promise<OpenTail> {
  const registry = await openFolderSchemaRegistry(join(data, 'registry'));
  const objects = await openFolderObjectStore(join(data, 'archive'));
  const sources = new Sources({ origin, log, registry, clock: systemClock, logger });
  await sources.refreshPolicies();
  await sources.refreshSchemas();
  const anchor = archiveAnchor(objects, sources, origin, shards);
  // Taken before the archive is listed: a segment that closes meanwhile is then in both, and its events are left out here.
  const points: (RecoveryPoint | undefined)[] = [];
  for (let shard = 0; shard < shards; shard++) points.push(await anchor.snapshot(shard));
  const consumed = new Map<number, number>();
  const present = presentSources(sources);
  return {
    shards,
    async *events(shard, from) {
      const chain = new ChainFollower({ origin, shard, shards, log, sources: present, clock: systemClock });
      chain.resume(points[shard]);
      for await (const { accepted } of chain.readToEnd(READ_BYTES, new AbortController().signal)) {
        for (const [i, link] of accepted.links.entries()) {
          const logIndex = accepted.seal.firstIndex + i;
          const schema = sources.eventSchema(toHex(link.schema));
          if (logIndex < from || schema === undefined) continue;
          yield {
            shard,
            logIndex,
            stream: link.stream,
            streamIndex: link.index,
            acceptedAt: link.acceptedAt,
            producer: accepted.headers.get(link.inputOffset)?.producer ?? '',
            leafHash: accepted.leafHashes[i] as Uint8Array,
            schema,
            bytes: accepted.block.events[i] as Uint8Array,
          };
        }
      }
      consumed.set(shard, chain.state.head.inputTo);
    },
    waiting: async (shard) => Math.max(0, (await log.bounds(TOPICS.events, shard)).end - (consumed.get(shard) ?? 0)),
    close: async () => {
      await log.close();
      await objects.close();
      await registry.close();
    },
  };
}
