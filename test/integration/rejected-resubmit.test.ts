import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { sha256 } from '#crypto';
import { readKeyFile } from '../../adapters/key-files.ts';
import { prometheusMetrics } from '../../adapters/prometheus-metrics.ts';
import { systemClock } from '../../adapters/system-clock.ts';
import { type PlainEvent, queryArchive } from '../../auditor/query.ts';
import { openCollector } from '../../collector/collector.ts';
import { frame, unframe } from '../../core/avro/framing.ts';
import { SCHEMA_TEXTS } from '../../core/avro/schema-texts.ts';
import { fromBase64, toHex } from '../../core/base/bytes.ts';
import { decodeBatchHeader, encodeSignedBatch } from '../../core/formats/batch.ts';
import { decodeBlock } from '../../core/formats/block.ts';
import { type Event, eventDigest } from '../../core/formats/event.ts';
import { EVENT_SCHEMA } from '../../core/formats/event-schema.ts';
import { decodeEvidence, type EvidenceInput } from '../../core/formats/evidence.ts';
import { decodeLeaf, type Link } from '../../core/formats/leaf.ts';
import { encodeRejected, isTimeProbe } from '../../core/formats/rejected.ts';
import { shardOf } from '../../core/formats/shard.ts';
import { TOPICS } from '../../core/ports/log.ts';
import { batchRoot } from '../../core/tree/batch-tree.ts';
import { connectKafka } from '../../sdk/kafka.ts';
import { ChainTail, onCluster, type TestCluster, until } from '../support/cluster.ts';
import type { CommandResult } from '../support/command.ts';
import { TestLogger } from '../support/memory.ts';
import { memoryRegistry } from '../support/memory-log.ts';
import { type TestLane, type TestMessage, World } from '../support/producer.ts';
import { describeOnStack, STACK_TIMEOUT_MS, type StackSettings, testStack } from '../support/stack.ts';

/** A producer whose machine was copied while it ran, so that two processes go on with one lane. */
interface Twins {
  readonly world: World;
  /** Two lanes that are one: each knows nothing of the other. */
  lanes(word: string): Promise<readonly [TestLane, TestLane]>;
  /** Puts a batch on the input topic. */
  send(message: TestMessage): Promise<void>;
  framed(message: TestMessage): Uint8Array;
}

async function makeTwins(cluster: TestCluster, stack: StackSettings): Promise<Twins> {
  const world = new World({ origin: cluster.origin, shards: cluster.shards });
  const kafka = connectKafka({ brokers: stack.kafka.brokers, topicPrefix: cluster.topicPrefix, registry: stack.registry });
  const id = await kafka.registry.register('lineproof.v1.SignedBatch', SCHEMA_TEXTS.SignedBatch);
  await kafka.close();
  const signer = await readKeyFile(join(cluster.folder, 'keys', 'twin.key'));
  const framed = ({ header, keyId, signature, events }: TestMessage): Uint8Array =>
    frame(id, encodeSignedBatch({ header, keyId, signature, events }));
  return {
    world,
    lanes: async (word) => [world.lane(word, signer), world.lane(word, signer)],
    framed,
    send: async (message) => void (await cluster.log.append(TOPICS.events, 0, [{ key: null, value: framed(message) }])),
  };
}

/** `lineproof rejected resubmit` by an operator with another key and data folder. */
function operatorOf(cluster: TestCluster): (place: string, ...args: string[]) => Promise<CommandResult> {
  const data = join(cluster.folder, 'operator');
  mkdirSync(join(data, 'keys'), { recursive: true });
  copyFileSync(join(cluster.folder, 'keys', 'operator.key'), join(data, 'keys', 'collector.key'));
  copyFileSync(join(cluster.folder, 'keys', 'root.pub'), join(data, 'keys', 'root.pub'));
  return (place, ...args) => {
    const keys = args.includes('--keys') ? [] : ['--keys', join(data, 'keys')];
    return cluster.run(['rejected', 'resubmit', place, '--json', '--data', data, ...keys, ...args]);
  };
}

/** Leaves an event in the operator's spool. */
async function leave(cluster: TestCluster, event: Event): Promise<void> {
  const { origin, shards, folder } = cluster;
  const collector = await openCollector({
    origin,
    shards,
    signer: await readKeyFile(join(folder, 'operator', 'keys', 'collector.key')),
    eventSchema: EVENT_SCHEMA,
    registry: memoryRegistry,
    log: null,
    clock: systemClock,
    logger: new TestLogger(),
    metrics: prometheusMetrics(),
    spool: { folder: join(folder, 'operator', 'spool', 'resubmit') },
  });
  await collector.recordDurably(event);
  await collector.close();
}

async function refusedCount(cluster: TestCluster): Promise<number> {
  return (await cluster.records(TOPICS.rejected, 0)).filter((record) => !isTimeProbe(record)).length;
}

/** Where the refused records are, as `rejected list` names them: each chainer that started left a record of another kind. */
async function places(cluster: TestCluster): Promise<string[]> {
  return (await cluster.must(['rejected', 'list'])).stdout
    .trim()
    .split('\n')
    .map((line) => line.slice(0, line.indexOf(' ')));
}

/** Links and evidence of all blocks of shard 0, as they follow each other. */
async function chainOf(cluster: TestCluster): Promise<{ readonly links: readonly Link[]; readonly inputs: readonly EvidenceInput[] }> {
  const blocks = (await cluster.records(TOPICS.chain, 0)).map(({ value }) => decodeBlock(unframe(value).payload));
  return {
    links: blocks.flatMap((block) => block.links.map((bytes) => decodeLeaf(bytes) as Link)),
    inputs: blocks.flatMap(({ evidence }) => decodeEvidence(evidence)),
  };
}

describeOnStack('a batch that was refused, sent again', () => {
  let stack: StackSettings;
  beforeAll(async () => {
    stack = await testStack();
  }, STACK_TIMEOUT_MS);

  test(
    "is linked once under the operator's key, and the first producer's signature is still found to cover it",
    () =>
      onCluster(stack, { shards: 1, producers: ['twin', 'operator'] }, async (cluster) => {
        const { world, lanes, send } = await makeTwins(cluster, stack);
        const resubmit = operatorOf(cluster);
        const chainer = cluster.start('chain', 'chainer');
        const archiver = cluster.start('archive', 'archiver');
        await Promise.all([chainer.ready(), archiver.ready()]);
        const tail = new ChainTail(cluster.log, cluster.shards);
        const [first, second] = await lanes('copied');
        await send(await first.next(world.events('orders', 'a', 'both')));
        const forked = world.events('orders', 'b', 'both', 'c');
        await send(await second.next(forked));
        await until('the fork is refused', async () => (await refusedCount(cluster)) === 1);
        await until('both are judged', async () => (await tail.links()) === 2 && (await cluster.status()).every(({ lag }) => lag === 0));
        const sentTo = async (): Promise<number> => (await cluster.log.bounds(TOPICS.events, 0)).end;

        const before = await sentTo();
        const [place = ''] = await places(cluster);
        const dry = await resubmit(place, '--dry-run');
        expect([dry.code, JSON.parse(dry.stdout)]).toEqual([
          0,
          {
            place,
            inputOffset: 1,
            reason: 'LANE_FORK',
            producer: `${cluster.origin}/twin`,
            dryRun: true,
            sent: 2,
            linked: 1,
            withheld: [],
            history: [{ shard: 0 }],
          },
        ]);
        expect(await sentTo()).toBe(before);

        const done = await resubmit(place);
        expect([done.code, JSON.parse(done.stdout)]).toEqual([0, expect.objectContaining({ sent: 2, linked: 1, dryRun: false })]);
        await until('the events that were sent again are linked', async () => (await tail.links()) === 5);
        const after = await sentTo();
        const again = await resubmit(place);
        expect([again.code, JSON.parse(again.stdout)]).toEqual([0, expect.objectContaining({ sent: 0, linked: 3 })]);
        expect(await sentTo()).toBe(after);

        // Twice before a chainer sees either: what was meant once is linked once.
        expect(await chainer.end('SIGTERM')).toBe(0);
        await send(await second.next(world.events('orders', 'd', 'e')));
        const next = cluster.start('chain', 'chainer');
        await until('the next is refused', async () => (await refusedCount(cluster)) === 2);
        await until('it is judged', async () => (await cluster.status()).every(({ lag }) => lag === 0));
        expect(await next.end('SIGTERM')).toBe(0);
        for (const _ of [1, 2]) expect((await resubmit((await places(cluster))[1] ?? '')).code).toBe(0);
        cluster.start('chain', 'chainer');
        await until('all is linked', async () => (await tail.links()) === 9);

        await cluster.archived(tail);
        await cluster.mustVerify();
        expect(await cluster.counts()).toEqual({ links: 9, duplicates: 2, conflicts: 0, repeated: 0, rejected: 2 });

        const views = [];
        for await (const { producer, event } of queryArchive(cluster.objects, {})) views.push({ producer, event });
        const attributes = (event: PlainEvent | null): { key: string; value: string }[] => event?.['attributes'] as never;
        const words = views.filter(({ event }) => event?.stream === 'orders').map(({ event }) => attributes(event)[0]?.value);
        expect(words).toEqual(['a', 'both', 'b', 'c', 'd', 'e']);
        const references = views.filter(({ event }) => event?.stream === 'lineproof/resubmit/0');
        expect(new Set(references.map(({ producer }) => producer))).toEqual(new Set([`${cluster.origin}/operator`]));
        // What an auditor does: the digests that the reference names are linked, and give the root that the first producer signed.
        const { links, inputs } = await chainOf(cluster);
        const refused = inputs.find(({ outcome }) => outcome === 'REJECTED');
        const facts = Object.fromEntries(attributes(references[0]?.event ?? null).map(({ key, value }) => [key, value]));
        const named = fromBase64(facts['lineproof.resubmitted.events'] as string);
        const digests = forked.map((_, i) => named.subarray(32 * i, 32 * i + 32));
        expect(digests.map(toHex)).toEqual(forked.map((bytes) => toHex(eventDigest(EVENT_SCHEMA.digest, bytes))));
        expect(links.map(({ event }) => toHex(event))).toEqual(expect.arrayContaining(digests.map(toHex)));
        expect(toHex(batchRoot(digests))).toBe(toHex(decodeBatchHeader(refused?.batch?.header as Uint8Array).root));
        expect(references[0]?.event?.['inputs']).toEqual([
          expect.objectContaining({
            namespace: `${cluster.origin}/0`,
            name: 'provenance.events/0/1',
            digest: { algorithm: 'sha256', value: toHex(refused?.message as Uint8Array) },
          }),
        ]);
      }),
    5 * 60_000,
  );

  test(
    'is refused if no block says that it was refused, if nothing is there, and if the key may not send',
    () =>
      onCluster(stack, { shards: 1, producers: ['twin', 'operator'] }, async (cluster) => {
        const { world, lanes, framed } = await makeTwins(cluster, stack);
        const resubmit = operatorOf(cluster);
        const [lane] = await lanes('never sent');
        const bytes = framed(await lane.next(world.events('orders', 'a')));
        const planted = encodeRejected({
          origin: cluster.origin,
          shard: 0,
          inputGeneration: 0,
          inputOffset: 0,
          span: 1,
          position: -1,
          outcome: 'REJECTED',
          reason: 16,
          digest: sha256(bytes),
          size: bytes.length,
          bytes,
        });
        await cluster.log.append(TOPICS.rejected, 0, [
          { key: null, value: planted },
          { key: null, value: new Uint8Array(3) },
        ]);
        const said: [string, number | null, string][] = [];
        for (const [place, ...args] of [['0/0'], ['0/1'], ['0/2'], ['zero'], ['0/0', '--keys', join(cluster.folder, 'none')]] as [
          string,
        ][]) {
          const { code, stderr, stdout } = await resubmit(place, ...args);
          expect(stdout).toBe('');
          said.push([place, code, /\[([A-Z_]+)\]/.exec(stderr)?.[1] ?? stderr]);
          if (place === '0/0' && args.length === 0) expect(stderr).toMatch(/no block confirms the refusal/);
        }
        expect(said).toEqual([
          ['0/0', 1, 'NOT_RESUBMITTABLE'],
          ['0/1', 1, 'NOT_RESUBMITTABLE'],
          ['0/2', 74, 'NOT_FOUND'],
          ['zero', 2, 'USAGE'],
          ['0/0', 78, 'KEY_UNREADABLE'],
        ]);
        expect(await cluster.log.bounds(TOPICS.events, 0)).toEqual({ start: 0, end: 0 });
      }),
    5 * 60_000,
  );

  test(
    'goes message by message where several were refused in one entry, and says which cannot be sent',
    () =>
      onCluster(stack, { shards: 1, producers: ['twin', 'operator'] }, async (cluster) => {
        const { world, lanes } = await makeTwins(cluster, stack);
        const resubmit = operatorOf(cluster);
        const [lane, other] = await lanes('a registry that was set back');
        const [one, two] = [await lane.next(world.events('orders', 'a')), await other.next(world.events('orders', 'b', 'c'))];
        const unknown = 999_999;
        const garbage = frame(unknown, new Uint8Array(1));
        const values = [garbage, ...[one, two].map((message) => frame(unknown, encodeSignedBatch(message))), garbage];
        await cluster.log.append(
          TOPICS.events,
          0,
          values.map((value) => ({ key: null, value })),
        );
        for (const command of ['chain', 'archive'] as const) cluster.start(command, command);
        const tail = new ChainTail(cluster.log, cluster.shards);
        await until('all is refused', async () => (await refusedCount(cluster)) === 2);
        await until('all is judged', async () => (await cluster.status()).every(({ lag }) => lag === 0));
        expect((await cluster.must(['rejected', 'list'])).stdout).toMatch(
          /^0\/\d+ +0-2 +REJECTED +SCHEMA_ID_UNKNOWN .*\n0\/\d+ +3 +REJECTED +SCHEMA_ID_UNKNOWN .*\n$/,
        );
        const [place = ''] = await places(cluster);
        const rows = ({ stdout }: CommandResult): unknown[] =>
          stdout
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line) as unknown);
        const refusal = { place, inputOffset: 0, refused: expect.stringMatching(/cannot be read as a batch/) };
        const done = await resubmit(place);
        expect([done.code, rows(done)]).toEqual([
          1,
          [
            expect.objectContaining({ place, inputOffset: 1, sent: 1, linked: 0 }),
            expect.objectContaining({ place, inputOffset: 2, sent: 2, linked: 0 }),
            refusal,
          ],
        ]);
        await until('they are linked, each behind its reference', async () => (await tail.links()) === 5);
        const again = await resubmit(place);
        expect([again.code, rows(again)]).toEqual([
          1,
          [expect.objectContaining({ sent: 0, linked: 1 }), expect.objectContaining({ sent: 0, linked: 2 }), refusal],
        ]);
        await cluster.archived(tail);
        await cluster.mustVerify();
        expect(await cluster.counts()).toMatchObject({ links: 5, duplicates: 0, rejected: 4 });
      }),
    5 * 60_000,
  );

  test(
    'goes event by event where single ones were refused, to the shard that is theirs',
    () =>
      onCluster(stack, { shards: 2, producers: ['twin', 'operator'] }, async (cluster) => {
        const { world, lanes, send } = await makeTwins(cluster, stack);
        const resubmit = operatorOf(cluster);
        const [here = '', there = ''] = [0, 1].map((shard) =>
          Array.from({ length: 99 }, (_, i) => `s${i}`).find((name) => shardOf(name, 2) === shard),
        );
        const [lane] = await lanes('one shard in mind');
        await send(await lane.next([...world.events(here, 'a'), ...world.events(there, 'b'), ...world.events(here, 'c')]));
        for (const command of ['chain', 'archive'] as const) cluster.start(command, command);
        const tail = new ChainTail(cluster.log, cluster.shards);
        await until('the rest is linked', async () => (await tail.links()) === 2);
        expect((await cluster.must(['rejected', 'list'])).stdout).toMatch(/^0\/\d+ +0#1 +REJECTED +STREAM_WRONG_SHARD/);
        const [place = ''] = await places(cluster);
        const done = await resubmit(place);
        expect([done.code, JSON.parse(done.stdout)]).toEqual([
          0,
          expect.objectContaining({ reason: 'STREAM_WRONG_SHARD', sent: 1, linked: 0, history: [{ shard: 0 }, { shard: 1 }] }),
        ]);
        await until('it is linked', async () => (await tail.links()) === 4);
        const sentTo = async (): Promise<number> => (await cluster.log.bounds(TOPICS.events, 1)).end;
        const before = await sentTo();
        expect(JSON.parse((await resubmit(place)).stdout)).toMatchObject({ sent: 0, linked: 1 });
        expect(await sentTo()).toBe(before);

        // A call that could not send all of it before its time was over, and whose batches arrived nevertheless.
        await leave(cluster, EVENT_SCHEMA.decode(world.events(there, 'left')[0] as Uint8Array));
        const dry = await resubmit(place, '--dry-run');
        expect([dry.code, await sentTo()]).toEqual([0, before]);
        expect(JSON.parse((await resubmit(place)).stdout)).toMatchObject({ sent: 0, linked: 1 });
        await until('what was left is linked', async () => (await tail.links()) === 5);
        await cluster.archived(tail);
        await cluster.mustVerify();
        const found = [];
        for await (const { shard, event } of queryArchive(cluster.objects, {})) if (shard === 1) found.push(event?.stream);
        expect(found).toEqual(['lineproof/resubmit/1', there, there]);
      }),
    5 * 60_000,
  );
});
