import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openKafkaLog } from '../adapters/kafka-log.ts';
import { readKeyFile } from '../adapters/key-files.ts';
import { pinoLogger } from '../adapters/pino-logger.ts';
import { openS3ObjectStore } from '../adapters/s3-object-store.ts';
import { verifyArchive } from '../auditor/verify.ts';
import { shardOf } from '../core/formats/shard.ts';
import { parseVerifierKey } from '../core/keys/key.ts';
import type { Log } from '../core/ports/log.ts';
import { connectKafka, type KafkaConnection } from '../sdk/kafka.ts';
import { type Collector, createCollector } from '../sdk/lineproof.ts';
import { ChainTail, chainEnd, inputChained } from './chain-tail.ts';
import { checkedOf } from './checked.ts';
import type { LocalStack } from './local-stack.ts';
import { OVERRIDES } from './overrides.ts';
import { runCommand, Service } from './service.ts';
import type { Attestation, BenchSystem, Checked } from './system.ts';

const REQUEST_TIMEOUT_MS = 10_000;
const POLL_MS = 25;
/** How often a run that measures latency asks the archiver for its attested size; measured times are late by at most this much. */
const WATCH_MS = 10;

export interface StackSystemOptions {
  readonly stack: LocalStack;
  readonly folder: string;
  readonly shards: number;
  /** Whether new notes are watched for, which costs time on both sides. */
  readonly watches: boolean;
}

/** The settings of a system's processes, with a separate name for its topics and objects. */
function environmentOf({ kafka, redis, registry, s3 }: LocalStack, folder: string, id: string): NodeJS.ProcessEnv {
  return {
    ...process.env,
    AWS_ACCESS_KEY_ID: s3.accessKeyId,
    AWS_SECRET_ACCESS_KEY: s3.secretAccessKey,
    LINEPROOF_KAFKA_BROKERS: kafka.brokers.join(','),
    LINEPROOF_KAFKA_TOPIC_PREFIX: `${id}.`,
    LINEPROOF_REDIS_URL: redis.url,
    LINEPROOF_REGISTRY_URL: registry.url,
    LINEPROOF_S3_ENDPOINT: s3.endpoint,
    LINEPROOF_S3_REGION: s3.region,
    LINEPROOF_S3_BUCKET: s3.bucket,
    LINEPROOF_S3_PREFIX: `${id}/`,
    LINEPROOF_S3_PATH_STYLE: 'on',
    LINEPROOF_KEYS: join(folder, 'keys'),
  };
}

/**
 * The product as it runs in a cluster, on the servers of a stack: this process records through the SDK and verifies the archive in S3; one
 * `lineproof chain` and one `lineproof archive` are separate processes.
 */
export async function openStackSystem({ stack, folder, shards, watches }: StackSystemOptions): Promise<BenchSystem> {
  const id = `bench-${randomBytes(6).toString('hex')}`;
  const env = environmentOf(stack, folder, id);
  mkdirSync(folder, { recursive: true });
  const tool = ['--shards', String(shards), '--data', join(folder, 'tool')];
  await runCommand(env, 'topics', 'create', ...tool);
  const age = ['--segment-max-age-ms', String(OVERRIDES.segmentMaxAgeMs)];
  await runCommand(env, 'policy', 'init', '--origin', `bench/${id}`, ...age, ...tool);
  const services = { chainer: new Service('chain', folder, env), archiver: new Service('archive', folder, env) };
  await Promise.all([services.chainer.ready(), services.archiver.ready()]);
  const topicPrefix = `${id}.`;
  const kafka = connectKafka({ brokers: stack.kafka.brokers, topicPrefix, registry: stack.registry });
  const collector = await createCollector({
    origin: `bench/${id}`,
    shards,
    signer: await readKeyFile(join(folder, 'keys', 'collector.key')),
    log: kafka.log,
    registry: kafka.registry,
    lingerMs: OVERRIDES.lingerMs,
    spool: { folder: join(folder, 'spool'), maxBytes: OVERRIDES.spoolMaxBytes, whenFull: 'block' },
  });
  const settings = {
    brokers: stack.kafka.brokers,
    clientId: 'bench',
    topicPrefix,
    tls: false,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
  } as const;
  const log = openKafkaLog(settings, pinoLogger('warn'));
  return new StackSystem({ stack, folder, shards, services, kafka, collector, log, watches, prefix: `${id}/` });
}

interface StackParts {
  readonly stack: LocalStack;
  readonly folder: string;
  readonly shards: number;
  readonly services: { readonly chainer: Service; readonly archiver: Service };
  readonly kafka: KafkaConnection;
  readonly collector: Collector;
  /** Separate connections, by which the benchmark watches the topics. */
  readonly log: Log;
  readonly watches: boolean;
  readonly prefix: string;
}

class StackSystem implements BenchSystem {
  readonly name = 'stack';
  readonly settings: BenchSystem['settings'] = OVERRIDES;
  readonly #parts: StackParts;
  readonly #tail: ChainTail | undefined;
  readonly #over = new AbortController();
  readonly #watching: Promise<void> | undefined;
  readonly #attested: { readonly shard: number; readonly size: number; readonly atMs: number }[] = [];
  #acceptedAtMs = Number.NaN;

  constructor(parts: StackParts) {
    this.#parts = parts;
    const { shards } = parts;
    this.#tail = parts.watches ? new ChainTail(parts.log, shards) : undefined;
    this.#watching = parts.watches ? this.#watch() : undefined;
    this.#watching?.catch(() => undefined);
  }

  record(event: Parameters<BenchSystem['record']>[0]): string {
    return this.#parts.collector.record(event);
  }

  recordDurably(event: Parameters<BenchSystem['record']>[0]): Promise<string> {
    return this.#parts.collector.recordDurably(event);
  }

  shardOf(stream: string): number {
    return shardOf(stream, this.#parts.shards);
  }

  othersMicros(): Readonly<Record<string, number>> {
    const { services, stack } = this.#parts;
    return {
      chainer: services.chainer.processorMicros(),
      archiver: services.archiver.processorMicros(),
      ...stack.processorMicros(),
    };
  }

  acceptedAtMs(): number {
    return this.#acceptedAtMs;
  }

  attestations(): readonly Attestation[] {
    return this.#attested.map(({ shard, size, atMs }) => ({ shard, links: this.#tail?.linksAt(shard, size) ?? 0, atMs }));
  }

  async finish(): Promise<void> {
    const { collector, log, shards } = this.#parts;
    await collector.flush();
    await inputChained(log, shards, () => this.#check());
    this.#acceptedAtMs = performance.now();
    // The statement that nothing follows is input as well.
    await collector.close();
    await inputChained(log, shards, () => this.#check());
    await this.#archived();
    this.#over.abort();
    await this.#watching;
    await this.#tail?.close();
  }

  /** Resolves when everything on the chain topic is in closed segments. */
  async #archived(): Promise<void> {
    const { log, shards, services } = this.#parts;
    for (let shard = 0; shard < shards; ) {
      const { size } = await chainEnd(log, shard);
      const archived = await services.archiver.gauge('lineproof_archiver_archived_size');
      if ((archived.get(shard) ?? 0) === size) shard++;
      else await sleep(POLL_MS);
    }
  }

  /** Records the time at which each new note of a shard appears. */
  async #watch(): Promise<void> {
    const last = new Map<number, number>();
    while (!this.#over.signal.aborted) {
      for (const [shard, size] of await this.#parts.services.archiver.gauge('lineproof_archiver_attested_size')) {
        if (size === (last.get(shard) ?? 0)) continue;
        last.set(shard, size);
        this.#attested.push({ shard, size, atMs: performance.now() });
      }
      await sleep(WATCH_MS);
    }
  }

  #check(): void {
    for (const service of Object.values(this.#parts.services)) service.check();
  }

  async verify(): Promise<Checked> {
    const { stack, folder, prefix } = this.#parts;
    const { bucket, endpoint, region, accessKeyId, secretAccessKey } = stack.s3;
    const objects = openS3ObjectStore({
      bucket,
      endpoint,
      region,
      prefix,
      credentials: { accessKeyId, secretAccessKey },
      forcePathStyle: true,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
    });
    try {
      const rootKey = readFileSync(join(folder, 'keys', 'root.pub'), 'utf8').trim();
      return checkedOf(await verifyArchive(objects, { keys: [parseVerifierKey(rootKey)] }));
    } finally {
      await objects.close();
    }
  }

  async close(): Promise<void> {
    const { collector, kafka, log, services } = this.#parts;
    this.#over.abort();
    await collector.close();
    await kafka.close();
    await log.close();
    await Promise.all(Object.values(services).map((service) => service.end()));
  }
}
