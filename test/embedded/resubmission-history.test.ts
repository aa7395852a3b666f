import { afterEach, expect, jest, test } from '@jest/globals';
import { sha256 } from '#crypto';
import { archiveAnchor } from '../../core/archive/archive-anchor.ts';
import { logKeysOf } from '../../core/archive/archive-keys.ts';
import { parseManifest } from '../../core/archive/manifest.ts';
import { encodeRetired } from '../../core/archive/retired.ts';
import { unframe } from '../../core/avro/framing.ts';
import { toHex } from '../../core/base/bytes.ts';
import type { LineproofError } from '../../core/base/errors.ts';
import { REASONS } from '../../core/base/reasons.ts';
import { visitChain } from '../../core/chain/chain-history.ts';
import { decodeBlock } from '../../core/formats/block.ts';
import { eventDigests } from '../../core/formats/event.ts';
import { decodeEvidence } from '../../core/formats/evidence.ts';
import { decodeLeaf, type Seal } from '../../core/formats/leaf.ts';
import { decodeEnvelope, encodeEnvelope, signEnvelope } from '../../core/keys/dsse.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import { type Log, TOPICS } from '../../core/ports/log.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { visitArchive } from '../../resubmit/archived-past.ts';
import { checkEvidence, openRejected } from '../../resubmit/resubmission.ts';
import { type ResubmissionSearch, searchFor } from '../../resubmit/resubmission-search.ts';
import { EmbeddedShard } from '../support/embedded-shard.ts';
import { recordsOf } from '../support/log-records.ts';
import { testSources } from '../support/memory.ts';
import { faultyLog } from '../support/memory-log.ts';
import { makeWorld, type TestMessage, type World } from '../support/producer.ts';
import { codes } from '../support/scene.ts';

// Real folders: a busy disk takes its time.
jest.setTimeout(60_000);

let shard: EmbeddedShard | undefined;
afterEach(async () => {
  await shard?.close();
  shard = undefined;
});

interface Look {
  readonly search: ResubmissionSearch;
  /** First leaf that the chain topic showed. */
  readonly from: number;
  /** Leaves that the archive showed. */
  readonly end: number;
  readonly obstacle?: string | undefined;
}

interface Scene {
  readonly world: World;
  readonly shard: EmbeddedShard;
  /** The batch that was accepted. */
  readonly first: TestMessage;
  /** Those after it that were accepted as well, in their order. */
  readonly later: readonly TestMessage[];
  /** Sends the lane's next batch, which no snapshot knows yet. */
  next(word: string): Promise<TestMessage>;
  /** What chain topic and archive tell about what was refused, or about `message` as if it had been. */
  look(options?: {
    readonly chain?: boolean;
    readonly archive?: boolean;
    readonly message?: TestMessage;
    readonly through?: (log: Log) => Log;
    readonly signal?: AbortSignal;
  }): Promise<Look>;
}

/** A shard that accepts a lane's first batch, then many more, and refuses another first batch of that lane; the chain topic has forgotten the beginning. */
async function forked(): Promise<Scene> {
  const world = await makeWorld({
    policy: (policy) => ({
      ...policy,
      segmentMaxAgeMs: 10_000,
      dedupWindowMs: 60_000,
      clockSkewMs: 1000,
      laneRetentionMs: 86_400_000,
      retention: { ...policy.retention, eventsKeepMs: 1 },
    }),
  });
  const opened = await EmbeddedShard.open(world);
  shard = opened;
  const [lane, other] = [world.lane('forked'), world.lane('forked')];
  const first = await lane.next(world.events('s', 'a', 'b'));
  await opened.send(first.value);
  const later: TestMessage[] = [];
  await opened.closeSegment();
  for (let i = 0; i < 6; i++) {
    const message = await lane.next(world.events('s', `later ${i}`));
    later.push(message);
    await opened.send(message.value);
    await opened.closeSegment();
  }
  await opened.send((await other.next(world.events('s', 'fork'))).value);
  await opened.closeSegment();
  // The archiver trims when it has archived.
  while ((await opened.stores.log.bounds(TOPICS.chain, 0)).start === 0) await new Promise((resolve) => void setImmediate(resolve));
  const sources = await testSources(world, opened.stores.log);
  const { log, objects } = opened.stores;
  const anchor = archiveAnchor(objects, sources, world.origin, world.shards);
  const pinned = [parseVerifierKey(world.root.verifierKey)];
  return {
    world,
    shard: opened,
    first,
    later,
    next: async (word) => {
      const message = await lane.next(world.events('s', word));
      await opened.send(message.value);
      return message;
    },
    look: async ({ chain = true, archive = true, message, through, signal = new AbortController().signal } = {}) => {
      const [refused] = await opened.rejected();
      if (refused === undefined) throw new Error('nothing was refused');
      const value = message?.value;
      const record = value === undefined ? refused : { ...refused, digest: sha256(value), size: value.length, bytes: value };
      const rejected = openRejected(record, world.policy);
      const digests = eventDigests(
        world.schema.digest,
        rejected.events.map(({ bytes }) => bytes),
      );
      const search = searchFor(rejected, digests, world.schema, world.shards);
      const visitor = search.visitor(0);
      const snapshot = () => anchor.snapshot(0);
      const from = chain
        ? await visitChain({ log: through?.(log) ?? log, sources, shard: 0, snapshot }, visitor, signal)
        : Number.MAX_SAFE_INTEGER;
      if (!archive) return { search, from, end: 0 };
      return { search, from, ...(await visitArchive({ objects, sources, pinned, shard: 0 }, from, visitor, signal)) };
    },
  };
}

/** Input offsets of the accepted batches that the chain topic still holds. */
async function acceptedOffsets({ stores }: EmbeddedShard): Promise<number[]> {
  const records = await stores.log.read(TOPICS.chain, 0, 0, { maxBytes: 1e7, waitMs: 0 });
  return recordsOf(records).flatMap(({ value }) => {
    const block = decodeBlock(unframe(value).payload);
    const { inputFrom } = decodeLeaf(block.seal) as Seal;
    return decodeEvidence(block.evidence).flatMap(({ outcome }, i) => (outcome === 'ACCEPTED' ? [inputFrom + i] : []));
  });
}

test('a header that was accepted is found in the archive, where the chain topic no longer has it', async () => {
  const { world, first, later, next, look, shard: opened } = await forked();
  expect((await opened.rejected()).map(({ reason }) => reason)).toEqual([REASONS.LANE_FORK]);
  const chain = await look({ archive: false, message: first });
  expect(chain.from).toBeGreaterThan(0);
  expect([chain.search.accepted, chain.search.evidence?.outcome]).toEqual([undefined, 'REJECTED']);
  const whole = await look({ message: first });
  expect(whole).toMatchObject({ obstacle: undefined, search: { accepted: { shard: 0, offset: 0 } } });
  expect(whole.end).toBeGreaterThanOrEqual(whole.from);
  const digests = eventDigests(world.schema.digest, world.events('s', 'a', 'b', 'never'));
  expect(digests.map(whole.search.isLinked)).toEqual([true, true, false]);
  expect((await look()).search.accepted).toBeUndefined();
  const seen: (number | undefined)[] = [];
  for (const message of later) seen.push((await look({ archive: false, message })).search.accepted?.offset);
  // Afterwards: the archiver may trim at any time.
  const held = await acceptedOffsets(opened);
  expect(held.length).toBeGreaterThan(1);
  expect(seen).toEqual(expect.arrayContaining(held));
  const newest = await next('newest');
  const recent = await look({ archive: false, message: newest });
  expect(recent.search.accepted).toEqual({ shard: 0, offset: 8 });
  expect(eventDigests(world.schema.digest, newest.events).map(recent.search.isLinked)).toEqual([true]);
  await opened.closeSegment();
  expect(codes(await opened.verify())).toEqual([]);
});

test('a message that was refused long ago is found in the archive', async () => {
  const { world, look, shard: opened } = await forked();
  const lane = world.lane('others');
  for (let i = 0; i < 6; i++) {
    await opened.send((await lane.next(world.events('s', `even later ${i}`))).value);
    await opened.closeSegment();
  }
  const [record] = await opened.rejected();
  if (record === undefined) throw new Error('nothing was refused');
  const { search } = await look({ chain: false });
  expect(checkEvidence(openRejected(record, world.policy), search.evidence, world.policy).header.producer).toBe(world.producer.name);
});

test.each<[string, (key: string) => boolean, RegExp]>([
  ['events', (key) => key.endsWith('.events.avro'), /the object is missing, and the manifest lists it/],
  ['evidence', (key) => key.endsWith('.evidence.avro'), /the object is missing, and the manifest lists it/],
  ['a manifest', (key) => key.endsWith('.manifest.json'), /no manifest covers leaves 0/],
  ['policies', (key) => key.startsWith('policies/'), /no policy/],
])('an archive that lacks %s does not count as seen', async (_, isGone, said) => {
  const { look, shard: opened } = await forked();
  const { objects } = opened.stores;
  const keys: string[] = [];
  for await (const { key } of objects.list('')) if (isGone(key)) keys.push(key);
  await objects.delete(keys[0] as string);
  const { end, from, obstacle } = await look();
  expect(obstacle).toMatch(said);
  expect(end).toBeLessThan(from);
});

test('an archive that was altered does not count as seen', async () => {
  const { first, look, shard: opened } = await forked();
  const { objects } = opened.stores;
  const keys: string[] = [];
  for await (const { key } of objects.list(logKeysOf(0).segments)) if (key.endsWith('.events.avro')) keys.push(key);
  const [key = ''] = keys;
  const bytes = (await objects.get(key))?.bytes.slice() as Uint8Array;
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
  await objects.delete(key);
  await objects.create(key, bytes);
  const { end, obstacle, search } = await look({ message: first });
  expect([end, obstacle]).toEqual([0, expect.stringMatching(/the archive does not verify/)]);
  // Nor is the evidence beside it believed, which was not altered.
  expect(search.accepted).toBeUndefined();
});

test('an event that retention removed does not count as seen', async () => {
  const { world, look, shard: opened } = await forked();
  const { objects } = opened.stores;
  const keys = logKeysOf(0);
  const names: string[] = [];
  for await (const { key } of objects.list(keys.segments)) if (key.endsWith('.manifest.json')) names.push(key);
  const { payload } = decodeEnvelope((await objects.get(names[0] as string))?.bytes as Uint8Array, 'manifest');
  const { origin, first, end, objects: listed } = parseManifest(payload);
  const removed = listed.filter(({ name }) => name.endsWith('.events.avro'));
  const record = encodeRetired({ origin, first, end, manifest: toHex(sha256(payload)), policy: world.policy.hex, objects: removed });
  await objects.create(keys.retired(first, end), encodeEnvelope(await signEnvelope('retired', record, [world.logs[0] as Signer])));
  for (const { name } of removed) await objects.delete(`${keys.segments}${name}`);
  expect(await look()).toMatchObject({
    end: 0,
    obstacle: `retention removed events of leaves 0 to ${end - 1}`,
    search: { accepted: undefined },
  });
  expect(codes(await opened.verify())).toEqual([]);
});

test('an object that nothing accounts for does not stand in the way: anybody may have put it there', async () => {
  const { look, shard: opened } = await forked();
  const { objects } = opened.stores;
  const list = objects.list.bind(objects);
  // Other writers of a bucket are free in what they call things.
  objects.list = async function* (prefix) {
    yield* list(prefix);
    yield { key: 'logs/0/\u009B2J', size: 1 };
  };
  const { end, obstacle } = await look();
  expect([end > 0, obstacle]).toEqual([true, undefined]);
});

test('a chain that is trimmed while it is read does not count as seen', async () => {
  const { look } = await forked();
  // As it stood when the walk began.
  let before: { start: number } | undefined = { start: 0 };
  const through = (log: Log): Log => ({
    ...faultyLog(log, () => 'none'),
    bounds: async (topic, partition) => {
      const bounds = { ...(await log.bounds(topic, partition)), ...before };
      before = undefined;
      return bounds;
    },
  });
  await expect(look({ through })).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringMatching(/trimmed .* while it was read/),
  });
});

test('a signal stops it at any point', async () => {
  const { look } = await forked();
  let reads = 0;
  const lookAndStop = (last: number): Promise<Look> => {
    const stop = new AbortController();
    reads = 0;
    const through = (log: Log): Log => ({
      ...faultyLog(log, () => 'none'),
      read: async (...args) => {
        const records = await log.read(...args);
        if (++reads === last) stop.abort();
        return records;
      },
    });
    return look({ through, signal: stop.signal });
  };
  let stopped = 0;
  // Until one comes to its end before it is told to stop: the archiver may trim, so that not each reads as often.
  for (let last = 1; ; last++) {
    const outcome = await lookAndStop(last).then(
      () => 'came to its end',
      (error: unknown) => (error as LineproofError).code,
    );
    if (reads < last) break;
    expect(outcome).toBe('CLOSED');
    stopped++;
  }
  expect(stopped).toBeGreaterThan(1);
});
