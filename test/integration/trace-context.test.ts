import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { context, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { unframe } from '../../core/avro/framing.ts';
import { toHex, utf8 } from '../../core/base/bytes.ts';
import { decodeBlock } from '../../core/formats/block.ts';
import { decodeLeaf, type Seal } from '../../core/formats/leaf.ts';
import { TOPICS } from '../../core/ports/log.ts';
import { connectKafka } from '../../sdk/kafka.ts';
import { createCollector, readKeyFile } from '../../sdk/lineproof.ts';
import { ChainTail, onCluster, type TestCluster, until } from '../support/cluster.ts';
import { LocalContexts } from '../support/local-contexts.ts';
import { describeOnStack, STACK_TIMEOUT_MS, type StackSettings, testStack } from '../support/stack.ts';

const SPAN = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', traceFlags: 1 };
const TRACEPARENT = toHex(utf8(`00-${SPAN.traceId}-${SPAN.spanId}-01`));

/** Records three events in a span and three outside of any, as a service does, in separate batches. */
async function runService(cluster: TestCluster, stack: StackSettings): Promise<void> {
  const kafka = connectKafka({ brokers: stack.kafka.brokers, topicPrefix: cluster.topicPrefix, registry: stack.registry });
  try {
    const collector = await createCollector({
      origin: cluster.origin,
      shards: cluster.shards,
      signer: await readKeyFile(join(cluster.folder, 'keys', 'collector.key')),
      log: kafka.log,
      registry: kafka.registry,
      spool: { folder: join(cluster.folder, 'spool') },
    });
    const record = (): void => {
      for (let i = 0; i < 3; i++) collector.record({ stream: 'orders', type: 'CREATE', actor: 'shop' });
    };
    context.with(trace.setSpanContext(ROOT_CONTEXT, SPAN), record);
    await collector.flush();
    record();
    expect(await collector.close()).toBe(true);
  } finally {
    await kafka.close();
  }
}

describeOnStack('a trace that a service is in', () => {
  let stack: StackSettings;
  beforeAll(async () => {
    context.setGlobalContextManager(new LocalContexts());
    stack = await testStack();
  }, STACK_TIMEOUT_MS);
  afterAll(() => context.disable());

  test(
    'is found on the batch, on its block and in the log of the chainer, by its id',
    () =>
      onCluster(stack, { shards: 1 }, async (cluster) => {
        await runService(cluster, stack);
        const services = [cluster.start('chain', 'chainer', '--log-level', 'debug'), cluster.start('archive', 'archiver')] as const;
        await Promise.all(services.map((service) => service.ready()));
        const tail = new ChainTail(cluster.log, cluster.shards);
        await until('all is linked', async () => (await tail.links()) >= 6);
        const traced = (await cluster.records(TOPICS.events, 0)).map(({ headers }) => headers['traceparent'] ?? new Uint8Array(0));
        expect(traced.map(toHex)).toEqual([TRACEPARENT, '', '']);
        const blocks = await cluster.records(TOPICS.chain, 0);
        const found = blocks.filter(({ headers }) => toHex(headers['traceparent'] ?? new Uint8Array(0)) === TRACEPARENT);
        const seals = found.map(({ value }) => decodeLeaf(decodeBlock(unframe(value).payload).seal) as Seal);
        expect(seals.map(({ inputFrom }) => inputFrom)).toEqual([0]);
        await until('the log names the block', () => services[0].logged('block accepted').length > 0);
        const named = services[0].logged('block accepted').filter((line) => line['trace_id'] === SPAN.traceId);
        expect(named).toEqual([expect.objectContaining({ shard: 0, offset: found[0]?.offset, inputFrom: 0, inputTo: seals[0]?.inputTo })]);
        await cluster.archived(tail);
        await cluster.mustVerify();
      }),
    5 * 60_000,
  );
});
