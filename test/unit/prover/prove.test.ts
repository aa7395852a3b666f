import { describe, expect, test } from '@jest/globals';
import { Findings } from '../../../auditor/findings.ts';
import { checkProof } from '../../../auditor/proofs/proof-check.ts';
import { verifyArchive } from '../../../auditor/verify.ts';
import { logKeysOf } from '../../../core/archive/archive-keys.ts';
import { utf8 } from '../../../core/base/bytes.ts';
import { LineproofError } from '../../../core/base/errors.ts';
import type { DataRef } from '../../../core/formats/event.ts';
import { shardOf } from '../../../core/formats/shard.ts';
import { parseVerifierKey } from '../../../core/keys/key.ts';
import { type MadeProof, proveEvents } from '../../../prover/prove.ts';
import { ForgedArchive } from '../../support/forged-archive.ts';
import { provenEvents } from '../../support/forged-proof.ts';
import { makeWorld, START_MICROS, testId } from '../../support/producer.ts';
import { richArchive, richWorld } from '../../support/rich-archive.ts';

describe('an archive with receipts, refusals, two policies and three segments', () => {
  test('gives a proof of each of its events, and each is OK by the root key', async () => {
    const world = await richWorld();
    const { objects } = await richArchive(world);
    const demands = { keys: [parseVerifierKey(world.root.verifierKey)] };
    const streams = ['a', 'b/x', 'c', 's/0', 's/1', 's/2', 't/0', 't/1'];
    const made = (await Promise.all(streams.map((stream) => provenEvents(objects, { kind: 'stream', stream, from: 0, to: 999 })))).flat();
    const { links } = (await verifyArchive(objects, demands)).properties.STREAMS.counts;
    expect(made).toHaveLength(links as number);
    const words = made.map(({ text }) => checkProof(utf8(text), demands).result);
    expect(new Set(words)).toEqual(new Set(['OK']));
  });
});

/** A stream of shard 1 of 2. */
const STREAM = 'd';

describe('what is wanted', () => {
  const archiveOf = async (): Promise<ForgedArchive> => {
    const world = await makeWorld({ shards: 2 });
    const data: DataRef = {
      namespace: 'n',
      name: 'f',
      version: null,
      digest: { algorithm: 'sha256', value: testId('data') },
      size: null,
      mediaType: null,
    };
    const archive = new ForgedArchive(world, shardOf(STREAM, world.shards));
    const events = [...world.events(STREAM, 'one', 'two'), world.schema.encode(world.event(STREAM, 'three', { outputs: [data] }))];
    await archive.block({ messages: [await world.lane('lane', undefined, 1).next(events)], acceptedAt: START_MICROS });
    await archive.close();
    return archive;
  };
  const leaves = (made: readonly MadeProof[]): string[] => made.map(({ shard, leaf, streamIndex }) => `${shard}/${leaf} #${streamIndex}`);

  test('is found by leaf, by identity, by stretch of a stream and by the digest of data', async () => {
    const { objects } = await archiveOf();
    expect(leaves(await provenEvents(objects, { kind: 'leaf', shard: 1, leaf: 1 }))).toEqual(['1/1 #1']);
    expect(leaves(await provenEvents(objects, { kind: 'event', stream: STREAM, id: testId(`${STREAM} two`) }))).toEqual(['1/1 #1']);
    expect(leaves(await provenEvents(objects, { kind: 'stream', stream: STREAM, from: 1, to: 2 }))).toEqual(['1/1 #1', '1/2 #2']);
    expect(leaves(await provenEvents(objects, { kind: 'data', digests: new Map([['sha256', testId('data')]]) }))).toEqual(['1/2 #2']);
  });

  test('is not found under another digest, algorithm, stream, identity, leaf or shard', async () => {
    const { objects } = await archiveOf();
    expect(await provenEvents(objects, { kind: 'data', digests: new Map([['sha256', testId('other')]]) })).toEqual([]);
    expect(await provenEvents(objects, { kind: 'data', digests: new Map([['sha512', testId('data')]]) })).toEqual([]);
    expect(await provenEvents(objects, { kind: 'event', stream: 'other', id: testId(`${STREAM} two`) })).toEqual([]);
    expect(await provenEvents(objects, { kind: 'event', stream: STREAM, id: testId(`${STREAM} four`) })).toEqual([]);
    expect(await provenEvents(objects, { kind: 'leaf', shard: 1, leaf: 9 })).toEqual([]);
    expect(await provenEvents(objects, { kind: 'leaf', shard: 7, leaf: 0 })).toEqual([]);
  });

  test('cannot be a seal', async () => {
    const { objects } = await archiveOf();
    await expect(provenEvents(objects, { kind: 'leaf', shard: 1, leaf: 3 })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('leaves that cannot be proven', () => {
  test('are told where their segment is open', async () => {
    const world = await makeWorld();
    const archive = new ForgedArchive(world);
    const lane = world.lane('lane');
    await archive.block({ messages: [await lane.next(world.events('a', 'one'))], acceptedAt: START_MICROS });
    await archive.close();
    await archive.block({ messages: [await lane.next(world.events('a', 'two'))], acceptedAt: START_MICROS });
    await archive.publish();
    const open: number[][] = [];
    const made: MadeProof[] = [];
    const wanted = { kind: 'stream', stream: 'a', from: 0, to: 9 } as const;
    for await (const proof of proveEvents(archive.objects, wanted, new Findings(), { onOpen: (...leaves) => open.push(leaves) }))
      made.push(proof);
    // What is archived is proven over the newest note, which covers the open leaves too.
    expect(made.map(({ leaf, size }) => [leaf, size])).toEqual([[0, 4]]);
    expect(open).toEqual([[0, 2, 4]]);
    expect(checkProof(utf8(made[0]?.text ?? ''), { keys: [parseVerifierKey(world.root.verifierKey)] }).result).toBe('OK');
  });

  test('are not searched again in a segment that was searched before', async () => {
    const world = await makeWorld();
    const archive = new ForgedArchive(world);
    const lane = world.lane('lane');
    const searched = new Map<number, number>();
    const look = async (word: string): Promise<number[]> => {
      await archive.block({ messages: [await lane.next(world.events('a', word))], acceptedAt: START_MICROS });
      await archive.close();
      const found: number[] = [];
      const wanted = { kind: 'stream', stream: 'a', from: 0, to: 9 } as const;
      for await (const { leaf } of proveEvents(archive.objects, wanted, new Findings(), { searched })) found.push(leaf);
      return found;
    };
    expect([await look('one'), await look('two'), [...searched]]).toEqual([[0], [2], [[0, 4]]]);
  });

  test('are findings where the checkpoint is missing or was set back: the archive does not say then what is in its log', async () => {
    const world = await makeWorld();
    const archive = new ForgedArchive(world);
    const lane = world.lane('lane');
    await archive.block({ messages: [await lane.next(world.events('a', 'one'))], acceptedAt: START_MICROS });
    await archive.publish();
    const { checkpoint } = logKeysOf(0);
    const old = (await archive.objects.get(checkpoint))?.bytes as Uint8Array;
    await archive.block({ messages: [await lane.next(world.events('a', 'two'))], acceptedAt: START_MICROS });
    await archive.close();
    const codesWith = async (change: (map: Map<string, Uint8Array>) => unknown): Promise<string[]> => {
      const findings = new Findings();
      await provenEvents(
        archive.objects.changed((map) => void change(map)),
        { kind: 'stream', stream: 'a', from: 0, to: 9 },
        findings,
      );
      return findings.obstacles.map(({ code, place }) => `${code} ${place.object}`);
    };
    expect(await codesWith(() => undefined)).toEqual([]);
    expect(await codesWith((map) => map.delete(checkpoint))).toEqual([`MISSING ${checkpoint}`]);
    expect(await codesWith((map) => map.set(checkpoint, old))).toEqual([`CHECKPOINT_OLD ${checkpoint}`]);
    expect(await codesWith((map) => map.set(checkpoint, utf8('broken')))).toEqual([`NOTE_MALFORMED ${checkpoint}`]);
  });

  test('are a finding where the bundle of the wanted leaf is missing', async () => {
    const world = await makeWorld();
    const archive = new ForgedArchive(world);
    await archive.block({ messages: [await world.lane('lane').next(world.events('a', 'one'))], acceptedAt: START_MICROS });
    await archive.close();
    const objects = archive.objects.changed((map) => map.delete(`${logKeysOf(0).folder}/tile/entries/000.p/${archive.size}`));
    for (const leaf of [0, 1]) {
      const findings = new Findings();
      expect(await provenEvents(objects, { kind: 'leaf', shard: 0, leaf }, findings)).toEqual([]);
      expect(findings.obstacles.map(({ code }) => code)).toEqual(['UNSHOWN']);
    }
  });

  test.each([
    ['a bundle', (size: number) => `${logKeysOf(0).folder}/tile/entries/000.p/${size}`, 'UNSHOWN'],
    ['a tile', (size: number) => `${logKeysOf(0).folder}/tile/0/000.p/${size}`, 'UNSHOWN'],
    ['the evidence', (size: number) => logKeysOf(0).evidence(0, size), 'MISSING'],
    ['the events', (size: number) => `${logKeysOf(0).segments}00000000000000000000-0000000000000000000${size}`, 'MISSING'],
  ] as const)('are findings where %s is missing', async (_, named, code) => {
    const world = await makeWorld();
    const archive = new ForgedArchive(world);
    await archive.block({ messages: [await world.lane('lane').next(world.events('a', 'one'))], acceptedAt: START_MICROS });
    await archive.close();
    const objects = archive.objects.changed((map) => {
      for (const key of map.keys())
        if (key.startsWith(named(archive.size)) && (code !== 'MISSING' || key.endsWith('.avro'))) map.delete(key);
    });
    const findings = new Findings();
    expect(await provenEvents(objects, { kind: 'stream', stream: 'a', from: 0, to: 9 }, findings)).toEqual([]);
    expect(findings.obstacles.map((found) => found.code)).toContain(code);
  });
});

test('a store that does not answer is an error, and no finding about the archive', async () => {
  const world = await makeWorld();
  const archive = new ForgedArchive(world);
  await archive.block({ messages: [await world.lane('lane').next(world.events('a', 'one'))], acceptedAt: START_MICROS });
  await archive.close();
  const silent = archive.objects.changed(() => undefined);
  const get = silent.get.bind(silent);
  silent.get = (key) =>
    key.includes('/tile/entries/') ? Promise.reject(new LineproofError('UNAVAILABLE', 'the store does not answer')) : get(key);
  const findings = new Findings();
  await expect(provenEvents(silent, { kind: 'stream', stream: 'a', from: 0, to: 9 }, findings)).rejects.toMatchObject({
    code: 'UNAVAILABLE',
  });
  expect(findings.list).toEqual([]);
});
