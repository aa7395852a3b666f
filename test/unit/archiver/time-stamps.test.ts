import { beforeEach, describe, expect, test } from '@jest/globals';
import { sha256 } from '#crypto';
import { TimeStamps } from '../../../archiver/time-stamps.ts';
import { logKeysOf } from '../../../core/archive/archive-keys.ts';
import { utf8, utf8Text } from '../../../core/base/bytes.ts';
import { DER_TAG, DerReader, readDer } from '../../../core/base/der.ts';
import { LineproofError } from '../../../core/base/errors.ts';
import { parseCertificate } from '../../../core/keys/certificate.ts';
import { parseCertificates } from '../../../core/keys/certificate-text.ts';
import { checkStamp } from '../../../core/keys/time-stamp-check.ts';
import type { StampAuthority } from '../../../core/policy/policy-document.ts';
import type { Clock } from '../../../core/ports/clock.ts';
import type { TimestampAuthority } from '../../../core/ports/timestamp-authority.ts';
import { archiveChain, makeChain, type TestChain } from '../../support/archive.ts';
import { makeStamp, STAMP_EPOCH, type StampChanges, stampChain } from '../../support/forged-stamp.ts';
import { MemoryObjectStore, TestLogger, TestMetrics } from '../../support/memory.ts';
import { makeWorld } from '../../support/producer.ts';
import { authorityOf, stamping } from '../../support/stamp-policy.ts';

const KEYS = logKeysOf(0);
const CHAIN = stampChain();
const MINUTE = 60_000;

/** A clock that only its sleepers move; it stops the run at its end. */
class SteppedClock implements Clock {
  ms = 0;
  #end: number;
  readonly #stop: AbortController;

  constructor(stop: AbortController, minutes: number) {
    this.#stop = stop;
    this.#end = minutes * MINUTE;
  }

  nowMicros(): number {
    return STAMP_EPOCH + this.ms * 1000;
  }

  monotonicMs(): number {
    return this.ms;
  }

  async sleep(ms: number): Promise<void> {
    this.ms += ms;
    await new Promise((resolve) => setImmediate(resolve));
    if (this.ms >= this.#end) this.#stop.abort();
  }
}

/** The text whose digest a request holds is the published note's: gives the nonce of the request. */
function nonceOf(request: Uint8Array, text: string): Uint8Array {
  const outer = readDer(request, DER_TAG.sequence);
  outer.next();
  const imprint = outer.into(DER_TAG.sequence);
  imprint.next();
  expect(imprint.next(DER_TAG.octetString).content).toEqual(sha256(utf8(text)));
  return outer.next(DER_TAG.integer).content;
}

/** Keeps the reasons of warnings. */
class Reasons extends TestLogger {
  override warn(_message: string, fields?: { readonly reason?: unknown }): void {
    this.lines.push(String(fields?.reason));
  }
}

let objects: MemoryObjectStore;
let logger: Reasons;
let metrics: TestMetrics;

/** A chain of so many blocks that is archived under a policy with these authorities. */
async function archived(blocks: number, authorities: readonly StampAuthority[]): Promise<TestChain> {
  const world = await makeWorld({ policy: (policy) => stamping({ ...policy, clockSkewMs: 1000 }, ...authorities) });
  const chain = await makeChain(blocks, world);
  await archiveChain(chain, objects);
  return chain;
}

function noteText(): string {
  const note = utf8Text(objects.objects.get(KEYS.checkpoint) as Uint8Array);
  return note.slice(0, note.indexOf('\n\n') + 1);
}

function attested(): number {
  return Number(noteText().split('\n')[1]);
}

type Answer = (clock: Clock, request: Uint8Array, url: string) => Promise<Uint8Array> | Uint8Array;
const honest: Answer = (clock, request) => answer(clock, request, {});

function answer(clock: Clock, request: Uint8Array, changes: StampChanges): Uint8Array {
  const text = noteText();
  return makeStamp(text, CHAIN, { genTime: Math.floor(clock.nowMicros() / 1e6) * 1e6, nonce: nonceOf(request, text), ...changes });
}

/** Runs the schedule for so many minutes and gives the minutes at which an authority was asked. */
async function run(chain: TestChain, minutes: number, reply: Answer, attestedSize = attested): Promise<number[]> {
  const stop = new AbortController();
  const clock = new SteppedClock(stop, minutes);
  const asked: number[] = [];
  const authority: TimestampAuthority = {
    ask: async (url, request) => {
      asked.push(Math.floor(clock.ms / MINUTE));
      return reply(clock, request, url);
    },
  };
  const { world, sources } = chain;
  const stamps = new TimeStamps({ origin: world.origin, shard: 0, objects, sources, authority, clock, logger, metrics, attestedSize });
  await stamps.run(stop.signal);
  return asked;
}

const kept = (): string[] => [...objects.objects.keys()].filter((key) => key.startsWith(KEYS.timestamps)).toSorted();

beforeEach(() => {
  objects = new MemoryObjectStore();
  logger = new Reasons();
  metrics = new TestMetrics();
});

describe('the schedule', () => {
  test('asks once for a note, keeps what counts, and is silent from then on', async () => {
    const chain = await archived(3, [authorityOf(CHAIN)]);
    expect(await run(chain, 600, honest)).toEqual([0]);
    const size = attested();
    expect(kept()).toEqual([KEYS.stampedNote(size), KEYS.stampCertificates(size, 'tsa'), KEYS.timestamp(size, 'tsa')].toSorted());
    const beside = parseCertificates(utf8Text(objects.objects.get(KEYS.stampCertificates(size, 'tsa')) as Uint8Array));
    expect(beside.map(({ der }) => der)).toEqual([CHAIN.middle.der]);
    const reply = objects.objects.get(KEYS.timestamp(size, 'tsa')) as Uint8Array;
    const demands = { text: noteText(), roots: [parseCertificate(CHAIN.root.der)], others: [], policies: [] };
    expect(checkStamp(reply, demands)).toMatchObject({ genTime: STAMP_EPOCH });
    expect(objects.objects.get(KEYS.stampedNote(size))).toEqual(objects.objects.get(KEYS.checkpoint));
  });

  test('asks again for a larger note, but not before the interval is over', async () => {
    const chain = await archived(3, [authorityOf(CHAIN)]);
    await run(chain, 1, honest);
    await chain.grow(['more']);
    await archiveChain(chain, objects);
    expect(await run(chain, 60, honest)).toEqual([10]);
    expect(kept().filter((key) => key.endsWith('.tsr'))).toHaveLength(2);
  });

  test('is not silenced by a time stamp that somebody planted for a size that the log has not', async () => {
    const chain = await archived(3, [authorityOf(CHAIN)]);
    objects.objects.set(KEYS.timestamp(2 ** 40, 'tsa'), utf8('planted'));
    expect(await run(chain, 60, honest)).toEqual([0]);
    expect(objects.objects.has(KEYS.timestamp(attested(), 'tsa'))).toBe(true);
  });

  test('asks once in the interval while the log grows', async () => {
    const chain = await archived(3, [authorityOf(CHAIN)]);
    const asked = await run(chain, 35, async (clock, request) => {
      const reply = await honest(clock, request, '');
      await chain.grow(['more']);
      await archiveChain(chain, objects);
      return reply;
    });
    expect(asked).toEqual([0, 10, 20, 30]);
  });

  test('asks nothing about leaves whose note is signed and not published', async () => {
    const chain = await archived(3, [authorityOf(CHAIN)]);
    expect(await run(chain, 60, honest, () => attested() + 1)).toEqual([0]);
  });

  test('asks nobody for an empty log, before a note is published, and where the authority has no root any more', async () => {
    const chain = await archived(3, [authorityOf(CHAIN, { roots: [] })]);
    expect(await run(chain, 60, honest)).toEqual([]);
    objects = new MemoryObjectStore();
    const listed = await archived(3, [authorityOf(CHAIN)]);
    expect(await run(listed, 60, honest, () => 0)).toEqual([]);
    objects.objects.delete(KEYS.checkpoint);
    expect(await run(listed, 60, honest, () => 9)).toEqual([]);
    expect(kept()).toEqual([]);
  });

  test('keeps the time stamps of each authority apart', async () => {
    const chain = await archived(3, [authorityOf(CHAIN), authorityOf(CHAIN, { name: 'other', url: 'http://other/' })]);
    expect(await run(chain, 60, honest)).toEqual([0, 0]);
    expect(kept().filter((key) => key.endsWith('.tsr'))).toHaveLength(2);
  });
});

describe('an authority', () => {
  const WRONG: readonly (readonly [string, StampChanges, RegExp])[] = [
    ['answers another request', { nonce: Uint8Array.of(1) }, /nonce/],
    ['stamps another text', { imprint: new Uint8Array(32) }, /another text/],
    ['dates its time stamp back', { genTime: STAMP_EPOCH - 3600e6 }, /differs from this clock by -3600 s/],
    ['dates its time stamp ahead', { genTime: STAMP_EPOCH + 86_400e6 }, /differs from this clock by 86400 s/],
    ['refuses', { status: 2 }, /refused/],
  ];
  test.each(WRONG)('that %s is not believed: nothing is kept, and it is asked again ever less often', async (_, changes, reason) => {
    const chain = await archived(3, [authorityOf(CHAIN)]);
    const asked = await run(chain, 60, (clock, request) => answer(clock, request, changes));
    expect(asked.length).toBeGreaterThan(3);
    expect(asked.length).toBeLessThan(20);
    expect(kept()).toEqual([]);
    expect(logger.lines[0]).toMatch(reason);
    expect(metrics.values.get('lineproof_stamp_errors_total')).toBe(asked.length);
  });

  test('that fails does not keep the others from being asked, and is asked when it is back', async () => {
    const chain = await archived(3, [authorityOf(CHAIN), authorityOf(CHAIN, { name: 'dead', url: 'http://dead/' })]);
    let failures = 3;
    const asked = await run(chain, 60, (clock, request, url) => {
      if (url === 'http://dead/' && failures-- > 0) throw new LineproofError('UNAVAILABLE', 'cannot reach it');
      return honest(clock, request, url);
    });
    expect(asked).toHaveLength(5);
    expect(kept().filter((key) => key.endsWith('.tsr'))).toHaveLength(2);
  });

  test('whose newest time stamp cannot be read is asked for the next note at once', async () => {
    const chain = await archived(3, [authorityOf(CHAIN)]);
    objects.objects.set(KEYS.timestamp(1, 'tsa'), utf8('junk'));
    objects.objects.set(`${KEYS.timestamps}junk`, utf8('junk'));
    expect(await run(chain, 5, honest)).toEqual([0]);
  });
});

test('a request asks for the certificates, and its nonce is a positive number', async () => {
  const chain = await archived(3, [authorityOf(CHAIN)]);
  const requests: Uint8Array[] = [];
  await run(chain, 1, (clock, request) => {
    requests.push(request);
    return honest(clock, request, '');
  });
  const parts = readDer(requests[0] as Uint8Array, DER_TAG.sequence).rest();
  expect(parts.map(({ tag }) => tag)).toEqual([DER_TAG.integer, DER_TAG.sequence, DER_TAG.integer, DER_TAG.boolean]);
  expect(new DerReader((parts[2] as { content: Uint8Array }).content).tag).toBeLessThan(0x80);
});
