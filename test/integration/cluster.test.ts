import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { queryArchive } from '../../auditor/query.ts';
import { unframe } from '../../core/avro/framing.ts';
import { toHex } from '../../core/base/bytes.ts';
import { decodeSignedBatch } from '../../core/formats/batch.ts';
import { type LogRecord, TOPICS } from '../../core/ports/log.ts';
import { ChainTail, onCluster, type TestCluster, until } from '../support/cluster.ts';
import { linesFile, loadLines, weave } from '../support/cluster-load.ts';
import { recordsOf } from '../support/log-records.ts';
import { describeOnStack, STACK_TIMEOUT_MS, type StackSettings, testStack } from '../support/stack.ts';

/** Different events of the large load. */
const EVENTS = Number(process.env['LINEPROOF_CLUSTER_EVENTS'] ?? 100_000);
const TIMEOUT_MS = 10 * 60_000;

/** What the input topic held, counted without the product's own accounts. */
interface Input {
  /** Messages whose bytes were there before. */
  readonly repeatedBatches: number;
  /** Events of all different batches. */
  readonly events: number;
}

/**
 * Follows the input topic until `events` events of different batches came by, for the archiver trims what is consumed. On the way it appends
 * every third batch again as it is, until they carried `twice` events.
 */
async function followInput(cluster: TestCluster, events: number, twice: number): Promise<Input> {
  const at = Array.from({ length: cluster.shards }, () => 0);
  const distinct = new Set<string>();
  let [messages, seen, repeats, repeated] = [0, 0, 0, 0];
  const take = async (shard: number, record: LogRecord): Promise<void> => {
    expect(record.offset).toBe(at[shard]);
    at[shard] = record.offset + 1;
    messages++;
    const { signature, events: carried } = decodeSignedBatch(unframe(record.value).payload);
    const name = toHex(signature);
    if (distinct.has(name)) return;
    distinct.add(name);
    seen += carried.length;
    if (repeated >= twice || carried.length === 0 || distinct.size % 3 !== 0) return;
    await cluster.log.append(TOPICS.events, shard, [record]);
    repeated += carried.length;
    repeats++;
  };
  await until('all input came by', async () => {
    for (const [shard, from] of at.entries())
      for (const record of recordsOf(await cluster.log.read(TOPICS.events, shard, from, { maxBytes: 1_000_000, waitMs: 0 })))
        await take(shard, record);
    return seen >= events && messages - distinct.size >= repeats;
  });
  expect(repeated).toBeGreaterThanOrEqual(twice);
  return { repeatedBatches: messages - distinct.size, events: seen };
}

/** Streams in which the events of a producer are not in the order in which it recorded them. */
async function unorderedStreams(cluster: TestCluster): Promise<{ readonly ids: Set<string>; readonly unordered: string[] }> {
  const ids = new Set<string>();
  const last = new Map<string, number>();
  const unordered = new Set<string>();
  for await (const { producer, event } of queryArchive(cluster.objects, {})) {
    if (event === null) continue;
    ids.add(`${event.stream} ${event.id}`);
    const [attribute] = event['attributes'] as readonly { readonly value: string }[];
    const number = Number(attribute?.value);
    const lane = `${producer} ${event.stream}`;
    if (!(number > (last.get(lane) ?? -1))) unordered.add(lane);
    last.set(lane, number);
  }
  return { ids, unordered: [...unordered] };
}

/** The shards of each name. */
async function ownersOf(
  cluster: TestCluster,
  kind: 'chain' | 'archive',
  names: readonly string[],
): Promise<readonly (readonly number[])[]> {
  return until('every shard has an owner and every process a shard', async () => {
    const owners = await cluster.owners(kind);
    const shards = names.map((name) => owners.flatMap((owner, shard) => (owner === name ? [shard] : [])));
    return shards.flat().length === cluster.shards && shards.every(({ length }) => length > 0) && shards;
  });
}

describeOnStack('chainers and archivers as processes on Kafka, Redis, a registry and S3', () => {
  let stack: StackSettings;
  beforeAll(async () => {
    stack = await testStack();
  }, STACK_TIMEOUT_MS);

  test(
    `${EVENTS} events, some of them twice, survive the kill of a chainer and of an archiver`,
    () =>
      onCluster(stack, { shards: 4, producers: ['second', 'third'] }, async (cluster) => {
        const twice = Math.ceil(EVENTS * 0.025);
        const loads = [0, 1, 2].map((producer) => loadLines(producer, Math.ceil(EVENTS / 3), 20));
        const [first, second, third] = loads as [string[], string[], string[]];
        const unique = first.length + second.length + third.length;
        const chainers = [cluster.start('chain', 'chainer-a'), cluster.start('chain', 'chainer-b')] as const;
        const archivers = [cluster.start('archive', 'archiver-a'), cluster.start('archive', 'archiver-b')] as const;
        await Promise.all([...chainers, ...archivers].map((service) => service.ready()));
        const [chained] = await ownersOf(cluster, 'chain', ['chainer-a', 'chainer-b']);
        await ownersOf(cluster, 'archive', ['archiver-a', 'archiver-b']);
        const emitting = Promise.all([
          cluster.emit('collector', linesFile(join(cluster.folder, 'first'), first)),
          cluster.emit('second', linesFile(join(cluster.folder, 'second'), second)),
          cluster.emit('third', linesFile(join(cluster.folder, 'third'), weave(third, first.slice(0, twice)))),
          followInput(cluster, unique + twice, twice),
        ]);
        emitting.catch(() => undefined);
        const tail = new ChainTail(cluster.log, cluster.shards);
        await until('a tenth is linked', async () => (await tail.links()) >= unique / 10);
        await Promise.all([chainers[0].end('SIGKILL'), archivers[0].end('SIGKILL')]);
        const killedAt = await tail.links();
        const sizes = tail.sizes();
        await until('the shards of the killed have other owners', async () => {
          const owners = [await cluster.owners('chain'), await cluster.owners('archive')];
          return owners.every((names, i) => names.every((name) => name === ['chainer-b', 'archiver-b'][i]));
        });
        await until('their new owners go on', async () => {
          await tail.links();
          return chained?.every((shard) => (tail.sizes()[shard] as number) > (sizes[shard] as number));
        });
        cluster.start('chain', 'chainer-a');
        cluster.start('archive', 'archiver-a');
        const [, , , input] = await emitting;
        await until('all is linked', async () => (await tail.links()) >= unique);
        await cluster.archived(tail);
        for (const service of [chainers[1], archivers[1]])
          await until('both processes are counted', async () => (await service.metric('kafka_consumergroup_members')) === 2);
        for (const { lag, size, attested, archived } of await cluster.status()) expect([lag, attested, archived]).toEqual([0, size, size]);
        expect(killedAt).toBeGreaterThanOrEqual(0.1 * unique);
        expect(killedAt).toBeLessThan(0.9 * unique);
        await cluster.mustVerify();
        expect(input.events).toBe(unique + twice);
        expect(await cluster.counts()).toEqual({
          links: unique,
          duplicates: twice,
          conflicts: 0,
          rejected: 0,
          repeated: input.repeatedBatches,
        });
        const { ids, unordered } = await unorderedStreams(cluster);
        expect([ids.size, unordered]).toEqual([unique, []]);
      }),
    TIMEOUT_MS,
  );
});
