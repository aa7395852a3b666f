import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { checkProof } from '../../auditor/proofs/proof-check.ts';
import { emitLines, type LineOutcome } from '../../cli/emit-lines.ts';
import { takeApart, type WalkedBlock } from '../../core/chain/chain-walk.ts';
import { EVENT_SCHEMA } from '../../core/formats/event-schema.ts';
import { encodeEvidence } from '../../core/formats/evidence.ts';
import { decodeLeaf, encodeSeal, type Link } from '../../core/formats/leaf.ts';
import { encodeEnvelope, signEnvelope } from '../../core/keys/dsse.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import { encodePolicy } from '../../core/policy/policy.ts';
import type { ProducerEntry } from '../../core/policy/policy-document.ts';
import { isRecord, offsetAfter, TOPICS } from '../../core/ports/log.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { attestedRecording, objectReader } from '../../embedded/pipeline-attested.ts';
import { type AttestedEvent, AwaitedEvent } from '../../prover/attested/awaited-event.ts';
import { NotedArchive } from '../../prover/attested/noted-archive.ts';
import type { EventInput } from '../../sdk/event-input.ts';
import { type Collector, friendlyCollector } from '../../sdk/friendly-collector.ts';
import { createCollector, type ObjectReader, webArchive } from '../../sdk/lineproof.ts';
import { temporaryFolder } from '../support/command.ts';
import { openPipeline, type TestPipeline } from '../support/pipeline.ts';
import { testSigner } from '../support/producer.ts';

const folder = temporaryFolder('attested');
let system: TestPipeline;
let collector: Collector;
const opened: Collector[] = [];

const order = (word: string, more: { readonly stream?: string; readonly actor?: string } = {}): EventInput => ({
  stream: 'orders',
  type: 'CREATE',
  actor: 'shop',
  outputs: [word],
  idempotencyKey: word,
  occurredAt: '2026-01-31T10:00:00Z',
  ...more,
});

beforeAll(async () => {
  const first = await openPipeline(join(folder.path, 'data'));
  await addLimited(first);
  await first.end();
  system = await openPipeline(join(folder.path, 'data'));
  const own = await system.collect({ spool: { folder: null }, lingerMs: 0 });
  collector = friendlyCollector(own, attestedRecording(system.pipeline));
}, 60_000);

afterAll(async () => {
  for (const each of [collector, ...opened]) await each.close();
  const { verdict } = await system.end();
  folder.release();
  expect(verdict.ok).toBe(true);
}, 60_000);

const limitedSigner = (): Signer => testSigner(`${system.pipeline.keys.origin}/limited`);

/** Publishes a policy that admits a producer to one stream only. */
async function addLimited({ pipeline }: TestPipeline): Promise<void> {
  const { policy, hex } = pipeline.sources.policies.latest;
  const [producer] = policy.producers as [ProducerEntry];
  const limited = { ...producer, key: testSigner(`${policy.origin}/limited`).verifierKey, streams: ['allowed'] };
  const next = encodePolicy({ ...policy, version: 2, previous: hex, producers: [...policy.producers, limited] });
  const value = encodeEnvelope(await signEnvelope('policy', next, [pipeline.keys.root]));
  await pipeline.stores.log.append(TOPICS.control, 0, [{ key: null, value }]);
}

/** A collector of the SDK on the pipeline's log. */
async function service(archive: ObjectReader, more: Partial<Parameters<typeof createCollector>[0]> = {}): Promise<Collector> {
  const { keys, shards, stores } = system.pipeline;
  const { log, registry } = stores;
  const made = await createCollector({
    origin: keys.origin,
    shards,
    signer: keys.collector,
    log,
    registry,
    spool: { folder: null },
    archive,
    lingerMs: 0,
    ...more,
  });
  opened.push(made);
  return made;
}

const own = (): ObjectReader => objectReader(system.pipeline.stores.objects);
const rootKey = (): string => system.pipeline.keys.root.verifierKey;

/** The first block with links from `offset` of the chain on. */
async function blockFrom(offset: number): Promise<WalkedBlock> {
  const { log } = system.pipeline.stores;
  for (let next = offset; ; ) {
    for (const record of await log.read(TOPICS.chain, 0, next, { maxBytes: 1e7, waitMs: 1000 })) {
      next = offsetAfter(record);
      const walked = isRecord(record) ? takeApart(record) : undefined;
      if (walked !== undefined && walked.seal.links > 0) return walked;
    }
  }
}

describe('attested recording', () => {
  test('gives a proof that a stranger with the root key takes, before the segment of the event is closed', async () => {
    const made = await collector.recordAttested(order('one'));
    const verdict = checkProof(made.proof, { keys: [parseVerifierKey(rootKey())], require: ['LOG', 'SIGNATURES', 'POLICY'] });
    expect([verdict.result, verdict.subject?.id, verdict.subject?.leaf, verdict.subject?.size]).toEqual([
      'OK',
      made.id,
      made.leaf,
      made.size,
    ]);
    expect(verdict.subject?.data).toMatchObject([{ role: 'output', name: 'one' }]);
  });

  test('gives each of many concurrent calls its own event', async () => {
    const words = Array.from({ length: 50 }, (_, i) => `many ${i}`);
    const made = await Promise.all(words.map((word) => collector.recordAttested(order(word, { stream: `orders/${word}` }))));
    const says = made.map(({ proof }) => checkProof(proof, { keys: [parseVerifierKey(rootKey())] }));
    expect(says.map(({ result, subject }) => [result, subject?.data[0]?.name])).toEqual(words.map((word) => ['OK', word]));
  });

  test('of an event that is in the log already gives the proof of the first one', async () => {
    const first = await collector.recordAttested(order('twice'));
    const again = await collector.recordAttested(order('twice'));
    expect([again.id, again.leaf]).toEqual([first.id, first.leaf]);
    expect(checkProof(again.proof, { keys: [parseVerifierKey(rootKey())] }).result).toBe('OK');
  });

  test('of an event whose block is no longer in the topic says at which leaf the event is', async () => {
    const { log } = system.pipeline.stores;
    const first = await collector.recordAttested(order('trimmed'));
    await log.trim(TOPICS.chain, 0, (await log.bounds(TOPICS.chain, 0)).end);
    await expect(collector.recordAttested(order('trimmed'))).rejects.toMatchObject({
      code: 'EVENT_REFUSED',
      message: expect.stringContaining(`lineproof prove --leaf 0/${first.leaf}`),
      details: { reason: 'DUPLICATE', original: first.leaf },
    });
  });

  test('says at which leaf another event with its identity is', async () => {
    const first = await collector.recordAttested(order('conflict'));
    const other = collector.recordAttested(order('conflict', { actor: 'somebody else' }));
    await expect(other).rejects.toMatchObject({ code: 'EVENT_REFUSED', details: { reason: 'CONFLICT', original: first.leaf } });
  });

  test('says for which reason the log refuses the event', async () => {
    const limited = await service(own(), { signer: limitedSigner() });
    await expect(limited.recordAttested(order('elsewhere'))).rejects.toMatchObject({
      code: 'EVENT_REFUSED',
      details: { reason: 'STREAM_NOT_PERMITTED' },
    });
  });

  test('says for which reason the log refuses the whole batch', async () => {
    const { keys } = system.pipeline;
    const stranger = await service(own(), { signer: testSigner(`${keys.origin}/stranger`) });
    await expect(stranger.recordAttested(order('stranger'))).rejects.toMatchObject({
      code: 'EVENT_REFUSED',
      details: { reason: 'KEY_UNKNOWN' },
    });
  });

  test('ends at its deadline, when it is aborted, and when the collector is closed, and says how far the event came', async () => {
    const slow = await service({ get: async () => undefined });
    const late = slow.recordAttested(order('late'), { timeoutMs: 1500 });
    await expect(late).rejects.toMatchObject({
      code: 'NOT_ATTESTED',
      message: expect.stringMatching(/not attested after 1500 ms \(it is recorded\): .*no note of \d+ leaves is published yet/),
    });
    const stop = new AbortController();
    const aborted = slow.recordAttested(order('aborted'), { signal: stop.signal });
    stop.abort();
    await expect(aborted).rejects.toMatchObject({ code: 'NOT_ATTESTED' });
    const waiting = slow.recordAttested(order('closed'));
    const closed = expect(waiting).rejects.toMatchObject({ code: 'CLOSED' });
    await slow.flush();
    await slow.close();
    await closed;
  });

  test('is not taken in by a block that a stranger puts before that of the log', async () => {
    await collector.recordAttested(order('before'));
    const { end } = await system.pipeline.stores.log.bounds(TOPICS.chain, 0);
    const { leaf } = await collector.recordAttested(order('forged'));
    const walked = await blockFrom(end);
    const seal = { ...walked.seal, firstIndex: 0 };
    const forged = { ...walked, seal, block: { ...walked.block, seal: encodeSeal(seal) } };
    const { event: digest } = decodeLeaf(walked.block.links[0] as Uint8Array) as Link;
    const awaited = new AwaitedEvent(
      { digest, producer: parseVerifierKey(system.pipeline.keys.collector.verifierKey), place: undefined },
      EVENT_SCHEMA.text,
    );
    const archive = new NotedArchive(own(), 0);
    const tree = await archive.tree((await archive.note()) ?? { note: '', checkpoint: { origin: '', size: 0, root: digest } });
    const settle = (): Promise<AttestedEvent | undefined> => awaited.settle(tree, system.pipeline.stores.log, 0);
    awaited.see(forged);
    expect([awaited.needs, await settle()]).toEqual([seal.links + 1, undefined]);
    awaited.see(walked);
    expect(await settle()).toMatchObject({ leaf });
  });

  test('takes no block whose body is not the one that its seal covers', async () => {
    const { end } = await system.pipeline.stores.log.bounds(TOPICS.chain, 0);
    await collector.recordAttested(order('body'));
    const walked = await blockFrom(end);
    const { event: digest } = decodeLeaf(walked.block.links[0] as Uint8Array) as Link;
    const awaited = new AwaitedEvent(
      { digest, producer: parseVerifierKey(system.pipeline.keys.collector.verifierKey), place: undefined },
      EVENT_SCHEMA.text,
    );
    awaited.see({ ...walked, block: { ...walked.block, evidence: encodeEvidence([]) } });
    awaited.see({ ...walked, block: { ...walked.block, evidence: new Uint8Array(3) } });
    expect(awaited.needs).toBeUndefined();
  });

  test('that ends without proof is told by emit as recorded, with the id by which it can be proven later', async () => {
    const slow = await service({ get: async () => undefined });
    const said: string[] = [];
    const told: LineOutcome[] = [];
    const code = await emitLines(Readable.from([`${JSON.stringify(order('told'))}\n`]), slow, {
      name: 'in',
      signal: new AbortController().signal,
      told: (outcome) => void told.push(outcome),
      warn: (text) => void said.push(text),
      attested: { timeoutMs: 1500, write: () => 'never' },
    });
    const id = await slow.recordDurably(order('told'));
    expect([code, told]).toEqual([74, [{ line: 1, error: expect.objectContaining({ code: 'NOT_ATTESTED', id }) }]]);
    expect(said).toEqual([
      expect.stringContaining(
        `in: line 1 is recorded as ${id}, and has no proof yet: the event is not attested after 1500 ms (it is recorded): `,
      ),
      'in: line 1 has no proof; lines after line 1 were not read; 1 of its events recorded',
    ]);
  });

  test('refuses a proof that the pinned keys do not prove', async () => {
    const other = await service(own(), { trustedKeys: [testSigner(`${system.pipeline.keys.origin}/root`).verifierKey] });
    const call = other.recordAttested(order('foreign'), { timeoutMs: 1500 });
    await expect(call).rejects.toMatchObject({
      code: 'NOT_ATTESTED',
      message: expect.stringContaining('the archive gives no proof of the event that holds: FAILED: none of the pinned keys has a part'),
    });
  });

  test('without a log or an archive says what is missing', async () => {
    const bare = await createCollector({ origin: 'o', shards: 1, signer: testSigner('o/p'), log: null, spool: { folder: null } });
    opened.push(bare);
    await expect(bare.recordAttested(order('bare'))).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

describe('an archive behind a web server', () => {
  let server: Server;
  let answer: (key: string) => Promise<{ status: number; body?: Uint8Array }>;
  let url: string;

  beforeAll(async () => {
    server = createServer((request, response) => {
      void answer((request.url ?? '').slice('/bucket/'.length)).then(({ status, body }) => {
        response.writeHead(status);
        response.end(body);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/bucket`;
  });
  afterAll(() => void server.close());

  test('gives the proof', async () => {
    answer = async (key) => {
      const body = await own().get(key);
      return body === undefined ? { status: 404 } : { status: 200, body };
    };
    const made = await (await service(webArchive(url), { trustedKeys: [rootKey()] })).recordAttested(order('web'));
    expect(checkProof(made.proof, { keys: [parseVerifierKey(rootKey())] }).result).toBe('OK');
  });

  test('that fails is named at the deadline', async () => {
    answer = async () => ({ status: 503 });
    const call = (await service(webArchive(url))).recordAttested(order('down'), { timeoutMs: 1500 });
    await expect(call).rejects.toMatchObject({ code: 'NOT_ATTESTED', message: expect.stringContaining('the server answers 503') });
  });

  test('has an address of the web', () => {
    expect(() => webArchive('s3://bucket')).toThrow(/must be an http or https URL/);
  });
});
