import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { prometheusMetrics } from '../../adapters/prometheus-metrics.ts';
import { systemClock } from '../../adapters/system-clock.ts';
import { logKeysOf, parseArchiveKey } from '../../core/archive/archive-keys.ts';
import { utf8, utf8Text } from '../../core/base/bytes.ts';
import { cosign } from '../../core/keys/cosignature.ts';
import { cosignersOf } from '../../core/keys/cosigners.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import { formatSignature, readNote } from '../../core/keys/note.ts';
import type { Witnessing } from '../../core/policy/witnessing.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { WitnessCore } from '../../witness/witness.ts';
import { type ArchiveRun, archiveChain, makeChain, type TestChain } from '../support/archive.ts';
import { MemoryObjectStore, TestMetrics } from '../support/memory.ts';
import { makeWorld, testSigner } from '../support/producer.ts';
import { type RunningWitness, startWitness, witnessingOf, witnessKeyOf } from '../support/witnesses.ts';

const KEYS = logKeysOf(0);
const SOON = { required: false, deadlineMs: 150 };
const PATIENT = { required: false, deadlineMs: 60_000 };

/** A server that a policy takes for a witness. */
interface Party {
  readonly name: string;
  readonly key: string;
  readonly url: string;
}

let objects: MemoryObjectStore;
const closing: (() => unknown)[] = [];

beforeEach(() => {
  objects = new MemoryObjectStore();
});
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** The log key of the only shard: the world makes it from its name. */
async function logKey(): Promise<ReturnType<typeof parseVerifierKey>> {
  return parseVerifierKey(((await makeWorld()).logs[0] as Signer).verifierKey);
}

async function honest(name: string, ...more: [store?: MemoryObjectStore, port?: number]): Promise<RunningWitness> {
  const witness = await startWitness(name, [await logKey()], ...more);
  closing.push(() => witness.close());
  return witness;
}

/** A witness whose answers are not those of a witness. */
async function strange(name: string, listener: RequestListener): Promise<Party> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return {
    name,
    key: witnessKeyOf(testSigner(`witness.example/${name}`, name)),
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  };
}

/** A port on which nobody listens. */
async function dead(name: string): Promise<Party> {
  const party = await strange(name, () => undefined);
  await closing.pop()?.();
  return party;
}

/** A chain under a policy with these witnesses, with several segments. */
function chainOf(witnessing: Witnessing, blocks = 9): Promise<TestChain> {
  return makeWorld({
    policy: (policy) => ({
      ...policy,
      segmentMaxAgeMs: 60_000,
      dedupWindowMs: 120_000,
      clockSkewMs: 1000,
      laneRetentionMs: 3_600_000,
      witnessing,
    }),
  }).then((world) => makeChain(blocks, world));
}

const archive = (chain: TestChain): Promise<ArchiveRun> => archiveChain(chain, objects, { clock: systemClock });

function noteAt(key: string): ReturnType<typeof readNote> {
  return readNote(utf8Text(objects.objects.get(key) as Uint8Array));
}

/** Names of those whose cosignatures of the note in this object hold. */
function cosigners(key: string, ...witnesses: readonly Party[]): string[] {
  const { text, signatures } = noteAt(key);
  const { good, wrong } = cosignersOf(
    text,
    signatures,
    witnesses.map((each) => parseVerifierKey(each.key)),
  );
  expect(wrong).toEqual([]);
  return good.map((each) => witnesses.find(({ key: own }) => own === each.key.text)?.name ?? '');
}

const sizeOf = (key: string): number => Number(noteAt(key).text.split('\n')[1]);

function placesOf(kind: 'manifest' | 'checkpointAt' | 'cosignature'): string[] {
  return [...objects.objects.keys()].filter((key) => parseArchiveKey(key).kind === kind);
}

describe('witnesses that answer', () => {
  test('cosign the checkpoint and each kept note, of which the quorum is in the note', async () => {
    const witnesses = [await honest('A'), await honest('B')];
    const chain = await chainOf(witnessingOf(witnesses, 2, { required: true, deadlineMs: 60_000 }));
    const { metrics, logger } = await archive(chain);
    const kept = placesOf('checkpointAt');
    expect(kept.length).toBeGreaterThan(1);
    for (const key of [KEYS.checkpoint, ...kept]) expect(cosigners(key, ...witnesses).toSorted()).toEqual(['A', 'B']);
    expect([sizeOf(KEYS.checkpoint), metrics.last.get('lineproof_archiver_quorum_size')]).toEqual(Array(2).fill(chain.state.head.size));
    expect([noteAt(KEYS.signed).signatures.length, logger.lines]).toEqual([1, []]);
  });

  test('prove to a witness that knows an earlier size, after a restart of either', async () => {
    const store = new MemoryObjectStore();
    const witness = await honest('A', store);
    const chain = await chainOf(witnessingOf([witness], 1, PATIENT), 4);
    await archive(chain);
    for (let i = 0; i < 5; i++) await chain.grow([`later ${i}`]);
    await witness.close();
    const again = await honest('A', store, Number(new URL(witness.url).port));
    await archive(chain);
    expect([cosigners(KEYS.checkpoint, again), sizeOf(KEYS.checkpoint)]).toEqual([['A'], chain.state.head.size]);
    expect(again.replies).toContain(409);
  });

  test('are not asked where the policy names none', async () => {
    const chain = await makeChain(4);
    await archive(chain);
    expect([sizeOf(KEYS.checkpoint), noteAt(KEYS.checkpoint).signatures.length]).toEqual([chain.state.head.size, 1]);
  });
});

/** Everything of the archive but cosignatures is as it would be without witnesses. */
function expectWhole(chain: TestChain): void {
  expect(sizeOf(KEYS.signed)).toBe(chain.state.head.size);
  expect(placesOf('manifest').length).toBeGreaterThan(1);
  expect(placesOf('checkpointAt')).toHaveLength(placesOf('manifest').length);
}

describe('a witness that gives nothing usable', () => {
  const lines = async (text: string, by: string, word: string): Promise<string> =>
    formatSignature(await cosign(text, 1_700_000_000, testSigner(`witness.example/${by}`, word)));
  const answer =
    (status: number, type: string, body: string): RequestListener =>
    (_, response) =>
      void response.writeHead(status, { 'content-type': type }).end(body);
  const cosigning =
    (make: (text: string) => Promise<string>): RequestListener =>
    (request, response) =>
      void (async () => {
        let body = '';
        for await (const piece of request) body += String(piece);
        const { text } = readNote(body.slice(body.indexOf('\n\n') + 2));
        response.end(await make(text));
      })();

  test.each<[string, string, RequestListener]>([
    ['hangs', '', () => undefined],
    ['breaks off', 'unavailable', (request) => void request.socket.destroy()],
    ['answers 500', 'unavailable', answer(500, 'text/plain', 'no')],
    ['answers 429', 'unavailable', answer(429, 'text/plain', 'later')],
    ['answers without end', 'unavailable', (_, response) => void response.writeHead(200).write('x'.repeat(300_000))],
    ['answers 404', 'refused', answer(404, 'text/plain', 'no such log')],
    ['answers 403', 'refused', answer(403, 'text/plain', 'no')],
    ['answers 400', 'refused', answer(400, 'text/plain', 'no')],
    ['answers 422', 'refused', answer(422, 'text/plain', 'no')],
    ['sends elsewhere', 'refused', (_, response) => void response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()],
    ['answers 409 without a size', 'refused', answer(409, 'text/plain', '3\n')],
    ['answers 409 with no number', 'refused', answer(409, 'text/x.tlog.size', '03\n')],
    ['says that it knows the size it was asked from', 'conflict', answer(409, 'text/x.tlog.size', '0\n')],
    ['says that it knows more than there is', 'conflict', answer(409, 'text/x.tlog.size', '9007199254740991\n')],
    ['answers with text', 'unusable', answer(200, 'text/plain', 'hello\n')],
    ['answers with nothing', 'unusable', answer(200, 'text/plain', '')],
    ['cosigns by another key', 'unusable', cosigning((text) => lines(text, 'A', 'another'))],
    ['cosigns under another name', 'unusable', cosigning((text) => lines(text, 'B', 'A'))],
    ['cosigns another checkpoint', 'unusable', cosigning((text) => lines(text.replace(/\n\d+\n/, '\n1\n'), 'A', 'A'))],
    ['puts another note behind the note', 'unusable', cosigning(async (text) => `\n\n${await lines(text, 'A', 'A')}`)],
    ['cosigns twice', 'unusable', cosigning(async (text) => (await lines(text, 'A', 'A')).repeat(2))],
    ['states no time', 'unusable', cosigning(async (text) => formatSignature(await cosign(text, 0, testSigner('witness.example/A', 'A'))))],
  ])('because it %s delays publishing until the deadline, and nothing else: %s', async (_, fault, listener) => {
    const witness = await strange('A', listener);
    const chain = await chainOf(witnessingOf([witness], 1, SOON));
    const metrics = prometheusMetrics();
    const { logger } = await archiveChain(chain, objects, { clock: systemClock, metrics });
    expectWhole(chain);
    expect([sizeOf(KEYS.checkpoint), noteAt(KEYS.checkpoint).signatures.length]).toEqual([chain.state.head.size, 1]);
    const told = await metrics.text();
    expect(told).not.toMatch(/^lineproof_archiver_quorum_size\{/m);
    if (fault === '') return;
    expect(told).toContain(`lineproof_archiver_witness_errors_total{shard="0",witness="A",error="${fault}"}`);
    expect(logger.lines).toEqual(['warn a witness gives no cosignature; asking again']);
  });

  test('does not keep the archiver from reading on while the end of a segment waits for it', async () => {
    const witness = await strange('A', () => undefined);
    const chain = await chainOf(witnessingOf([witness], 1, SOON));
    const { create } = objects;
    const readTo: [end: number, verified: number][] = [];
    objects.create = async (key, bytes) => {
      const place = parseArchiveKey(key);
      if (place.kind === 'manifest') readTo.push([place.end, metrics.last.get('lineproof_archiver_verified_size') ?? 0]);
      return create.call(objects, key, bytes);
    };
    const metrics = new TestMetrics();
    await archiveChain(chain, objects, { clock: systemClock, metrics });
    expect(readTo.length).toBeGreaterThan(1);
    for (const [end, verified] of readTo) expect(verified).toBeGreaterThan(end);
  });

  test('and is required, publishes nothing; segments close all the same', async () => {
    const [good, away] = [await honest('A'), await dead('B')];
    const chain = await chainOf(witnessingOf([good, away], 2, { required: true, deadlineMs: 150 }));
    await archive(chain);
    expectWhole(chain);
    expect(objects.objects.has(KEYS.checkpoint)).toBe(false);
    for (const key of placesOf('checkpointAt')) expect(cosigners(key, good, away)).toEqual(['A']);
  });

  test('does not keep others from a quorum', async () => {
    const [a, b, away] = [await honest('A'), await honest('B'), await strange('C', () => undefined)];
    const chain = await chainOf(witnessingOf([away, a, b], 2, { required: true, deadlineMs: 60_000 }));
    await archive(chain);
    expectWhole(chain);
    for (const key of [KEYS.checkpoint, ...placesOf('checkpointAt')]) expect(cosigners(key, a, b, away).toSorted()).toEqual(['A', 'B']);
  });
});

test('a checkpoint that waited for a witness is published when the witness is back', async () => {
  const away = await dead('A');
  const chain = await chainOf(witnessingOf([away], 1, { required: true, deadlineMs: 100 }), 3);
  await archive(chain);
  expect(objects.objects.has(KEYS.checkpoint)).toBe(false);
  const back = await honest('A', new MemoryObjectStore(), Number(new URL(away.url).port));
  await archive(chain);
  expect([cosigners(KEYS.checkpoint, back), sizeOf(KEYS.checkpoint)]).toEqual([['A'], chain.state.head.size]);
});

test('a cosignature that comes after its segment was closed is kept beside the note', async () => {
  const late = testSigner('witness.example/A', 'A');
  const core = new WitnessCore({ logs: [await logKey()], store: new MemoryObjectStore(), signer: late, clock: systemClock });
  const isKept = async (size: number): Promise<void> => {
    while (!objects.objects.has(KEYS.checkpointAt(size))) await systemClock.sleep(5);
  };
  const slow = await strange('A', (request, response) => {
    void (async () => {
      let body = '';
      for await (const piece of request) body += String(piece);
      const size = Number(body.slice(body.indexOf('\n\n') + 2).split('\n')[1]);
      if (ends.includes(size)) await isKept(size);
      const reply = await core.add(body);
      response.writeHead(reply.status, { 'content-type': reply.type }).end(reply.body);
    })();
  });
  const chain = await chainOf(witnessingOf([slow], 1, SOON));
  const ends: number[] = [];
  {
    // Where the segments of this chain end, from an archive of it without witnesses.
    const other = new MemoryObjectStore();
    await archiveChain(await makeChain(9), other);
    for (const key of other.objects.keys()) {
      const place = parseArchiveKey(key);
      if (place.kind === 'manifest') ends.push(place.end);
    }
  }
  await archive(chain);
  expectWhole(chain);
  const beside = placesOf('cosignature');
  expect(beside.length).toBeGreaterThan(0);
  for (const key of beside) {
    const place = parseArchiveKey(key) as { readonly size: number };
    expect(key).toBe(KEYS.cosignature(place.size, slow.key));
    expect([cosigners(key, slow), noteAt(key).text]).toEqual([['A'], noteAt(KEYS.checkpointAt(place.size)).text]);
    expect(noteAt(KEYS.checkpointAt(place.size)).signatures).toHaveLength(1);
  }
});

test('a published checkpoint keeps the cosignatures that it has', async () => {
  const witness = await honest('A');
  const chain = await chainOf(witnessingOf([witness], 1, PATIENT), 3);
  await archive(chain);
  const before = objects.objects.get(KEYS.checkpoint);
  await witness.close();
  await archive(chain);
  expect(objects.objects.get(KEYS.checkpoint)).toEqual(before ?? utf8(''));
});
