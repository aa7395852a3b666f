import { afterAll, beforeAll, expect } from '@jest/globals';
import { toHex } from '../../core/base/bytes.ts';
import type { DedupEntry, DedupHit, DedupIndex, Watermark, WindowAnswer, WindowCall } from '../../core/ports/dedup-index.ts';
import { type Clause, codeOf, contract, type Exceptions } from './contract.ts';

/** Where a dedup index of the contract keeps its ids. */
export interface DedupIndexPlace {
  /** Opens the index, empty at first; each time with all that was written before. */
  open(): Promise<DedupIndex>;
  release(): Promise<void>;
}

const ABSENT: Watermark = { kind: 'absent' };
const MANY = 10_000;

/** What every {@link DedupIndex} must do: docs/sequencer.md's one script. */
export function dedupIndexContract(name: string, place: () => Promise<DedupIndexPlace>, exceptions: Exceptions = {}): void {
  contract(`DedupIndex: ${name}`, exceptions, (clause) => {
    const suite = new Suite();
    beforeAll(async () => suite.open(await place()), 60_000);
    afterAll(async () => suite.release());
    comparing(clause, suite);
    lookingUp(clause, suite);
    forgetting(clause, suite);
    rebuilding(clause, suite);
    limits(clause, suite);
    closing(clause, suite);
  });
}

class Suite {
  index!: DedupIndex;
  #place: DedupIndexPlace | undefined;
  #shards = 0;

  async open(place: DedupIndexPlace): Promise<void> {
    this.#place = place;
    this.index = await place.open();
  }

  /** Closes the index, opens it again and gives the closed one. */
  async reopen(): Promise<DedupIndex> {
    const closed = this.index;
    await closed.close();
    this.index = await (this.#place as DedupIndexPlace).open();
    return closed;
  }

  /** A shard that nobody used. */
  shard(): number {
    return this.#shards++;
  }

  call(shard: number, expected: Watermark, next: Watermark, rest: Partial<WindowCall> = {}): Promise<WindowAnswer> {
    return this.index.window({ shard, expect: expected, next, add: [], wipe: false, lookup: [], ...rest });
  }

  /** A shard whose index holds `entries` at watermark `at(1)`. */
  async filled(...entries: readonly DedupEntry[]): Promise<number> {
    const shard = this.shard();
    expect(await this.call(shard, ABSENT, at(1), { add: entries })).toEqual({ ok: true, hits: [] });
    return shard;
  }

  /** The entries of the keys at `watermark`. */
  async hits(shard: number, watermark: Watermark, ...keys: readonly Uint8Array[]): Promise<unknown> {
    const answer = await this.call(shard, watermark, watermark, { lookup: keys });
    return answer.ok ? answer.hits.map(plain) : answer;
  }

  async release(): Promise<void> {
    await this.index.close();
    await this.#place?.release();
  }
}

function at(size: number): Watermark {
  return { kind: 'at', size, seal: size.toString(16).padStart(64, '0'), chainOffset: size * 2 };
}

function building(token: string, step: number): Watermark {
  return { kind: 'building', token, step };
}

/** 16 bytes that differ for each number. */
function key(n: number): Uint8Array {
  const bytes = Buffer.alloc(16, 0xa5);
  bytes.writeUInt32BE(n, 0);
  return new Uint8Array(bytes);
}

function entry(n: number, slot = 7, logIndex = n): DedupEntry {
  return { key: key(n), logIndex, digest: key(logIndex + 0x1000_0000), slot };
}

function plain(hit: Pick<DedupHit, 'logIndex' | 'digest'> | undefined): unknown {
  return hit === undefined ? undefined : [hit.logIndex, toHex(hit.digest)];
}

function comparing(clause: Clause, suite: Suite): void {
  clause('an index that nobody wrote to is absent', async () => {
    const shard = suite.shard();
    expect(await suite.index.watermark(shard)).toEqual(ABSENT);
    expect(await suite.hits(shard, ABSENT, key(1))).toEqual([undefined]);
  });

  clause('the expected watermark: adds, stores the next one, and looks up what it added itself', async () => {
    const shard = suite.shard();
    const answer = await suite.call(shard, ABSENT, at(1), { add: [entry(1), entry(2)], lookup: [key(2), key(3), key(1)] });
    expect(answer.ok && answer.hits.map(plain)).toEqual([plain(entry(2)), undefined, plain(entry(1))]);
    expect(await suite.index.watermark(shard)).toEqual(at(1));
  });

  clause('the expected watermark and no next one: looks up and writes nothing', async () => {
    const shard = await suite.filled(entry(1));
    const answer = await suite.call(shard, at(1), at(1), { add: [entry(2)], dropBelowSlot: 100, lookup: [key(1), key(2)] });
    expect(answer.ok && answer.hits.map(plain)).toEqual([plain(entry(1)), undefined]);
    expect(await suite.hits(shard, at(1), key(1), key(2))).toEqual([plain(entry(1)), undefined]);
  });

  clause('the expected watermark, no next one, and wipe: empties and adds', async () => {
    const shard = await suite.filled(entry(1));
    const answer = await suite.call(shard, at(1), at(1), { wipe: true, add: [entry(2)], lookup: [key(1), key(2)] });
    expect(answer.ok && answer.hits.map(plain)).toEqual([undefined, plain(entry(2))]);
    expect(await suite.index.watermark(shard)).toEqual(at(1));
  });

  clause('the next watermark: the same call delivered twice answers the same and writes nothing', async () => {
    const shard = await suite.filled(entry(1));
    const call = { add: [entry(2)], wipe: true, dropBelowSlot: 3, lookup: [key(1), key(2)] };
    const first = await suite.call(shard, at(1), at(2), call);
    expect(await suite.call(shard, at(1), at(2), call)).toEqual(first);
    expect(await suite.call(shard, at(1), at(2), { ...call, add: [entry(3)], lookup: [key(2), key(3)] })).toEqual({
      ok: true,
      hits: [expect.anything(), undefined],
    });
    expect(await suite.hits(shard, at(2), key(2), key(3))).toEqual([plain(entry(2)), undefined]);
  });

  clause('another watermark: answers the stored one, and neither writes nor looks up', async () => {
    const shard = await suite.filled(entry(1));
    const others: Watermark[] = [ABSENT, at(2), building('t', 1)];
    for (const expected of others) {
      const answer = await suite.call(shard, expected, at(9), { add: [entry(9)], wipe: true, dropBelowSlot: 100, lookup: [key(1)] });
      expect(answer).toEqual({ ok: false, watermark: at(1) });
    }
    expect(await suite.hits(shard, at(1), key(1), key(9))).toEqual([plain(entry(1)), undefined]);
    expect(await suite.index.watermark(shard)).toEqual(at(1));
    const unused = suite.shard();
    expect(await suite.call(unused, at(1), at(2), { add: [entry(1)] })).toEqual({ ok: false, watermark: ABSENT });
  });

  clause('every part of a watermark counts', async () => {
    const shard = await suite.filled(entry(1));
    const { size, seal, chainOffset } = at(1) as Extract<Watermark, { kind: 'at' }>;
    const near: Watermark[] = [
      { kind: 'at', size: size + 1, seal, chainOffset },
      { kind: 'at', size, seal: 'f'.repeat(64), chainOffset },
      { kind: 'at', size, seal, chainOffset: chainOffset + 1 },
    ];
    for (const watermark of near) expect(await suite.call(shard, watermark, watermark)).toEqual({ ok: false, watermark: at(1) });
    expect(await suite.call(shard, at(1), building('token', 3))).toEqual({ ok: true, hits: [] });
    for (const watermark of [building('token', 4), building('other', 3), at(3)])
      expect(await suite.call(shard, watermark, watermark)).toEqual({ ok: false, watermark: building('token', 3) });
  });

  clause(
    'of calls at the same time that expect the same and want different next ones, exactly one gets the answer that it wrote',
    async () => {
      const shard = suite.shard();
      const calls = Array.from({ length: 8 }, (_, i) => suite.call(shard, ABSENT, at(i + 1), { add: [entry(i + 1)] }));
      const answers = await Promise.all(calls);
      const winners = answers.flatMap(({ ok }, i) => (ok ? [i + 1] : []));
      expect(winners.length).toBe(1);
      const [winner] = winners as [number];
      for (const answer of answers) if (!answer.ok) expect(answer.watermark).toEqual(at(winner));
      const keys = answers.map((_, i) => key(i + 1));
      expect(await suite.hits(shard, at(winner), ...keys)).toEqual(answers.map(({ ok }, i) => (ok ? plain(entry(i + 1)) : undefined)));
    },
  );

  clause('a call back to an absent watermark leaves the index as if nobody had ever written to it', async () => {
    const shard = await suite.filled(entry(1));
    expect(await suite.call(shard, at(1), ABSENT, { wipe: true })).toEqual({ ok: true, hits: [] });
    expect(await suite.index.watermark(shard)).toEqual(ABSENT);
    expect(await suite.hits(shard, ABSENT, key(1))).toEqual([undefined]);
  });
}

function lookingUp(clause: Clause, suite: Suite): void {
  clause('the newest entry of a key wins, within one call and over calls', async () => {
    const shard = await suite.filled(entry(1, 7, 10), entry(2, 7, 20), entry(1, 7, 11));
    expect(await suite.hits(shard, at(1), key(1), key(2))).toEqual([plain(entry(1, 7, 11)), plain(entry(2, 7, 20))]);
    await suite.call(shard, at(1), at(2), { add: [entry(1, 8, 12), entry(2, 7, 21)] });
    expect(await suite.hits(shard, at(2), key(1), key(2))).toEqual([plain(entry(1, 8, 12)), plain(entry(2, 7, 21))]);
  });

  clause(
    'of two entries of a key the newer in the log stays, also where it is added first, as a rebuild does, and outlives the slot of the older',
    async () => {
      const shard = await suite.filled(entry(1, 9, 90));
      await suite.call(shard, at(1), at(2), { add: [entry(1, 5, 50)] });
      expect(await suite.hits(shard, at(2), key(1))).toEqual([plain(entry(1, 9, 90))]);
      await suite.call(shard, at(2), at(3), { dropBelowSlot: 6 });
      expect(await suite.hits(shard, at(3), key(1))).toEqual([plain(entry(1, 9, 90))]);
      await suite.call(shard, at(3), at(4), { dropBelowSlot: 10 });
      expect(await suite.hits(shard, at(4), key(1))).toEqual([undefined]);
    },
  );

  clause('a key that is asked for twice is answered twice', async () => {
    const shard = await suite.filled(entry(1));
    expect(await suite.hits(shard, at(1), key(1), key(2), key(1))).toEqual([plain(entry(1)), undefined, plain(entry(1))]);
  });

  clause('keys and digests are bytes, whatever they are', async () => {
    const bytes = ['00', 'ff', '0a', '0d', '20', '22', 'c3', '80'].map((hex) => new Uint8Array(16).fill(Number.parseInt(hex, 16)));
    const mixed = Uint8Array.from({ length: 16 }, (_, i) => [0x00, 0x0a, 0x22, 0xff][i % 4] as number);
    const entries = [...bytes, mixed].map((each, i) => ({ key: each, logIndex: i, digest: each, slot: 1 }));
    const shard = await suite.filled(...entries);
    expect(await suite.hits(shard, at(1), ...entries.map((each) => each.key))).toEqual(entries.map(plain));
  });

  clause('indices and slots may be as large as a safe integer', async () => {
    const large = { key: key(1), logIndex: Number.MAX_SAFE_INTEGER, digest: key(2), slot: 2 ** 40 };
    const shard = await suite.filled(large, { ...large, key: key(3), logIndex: 2 ** 32 + 1, slot: 2 ** 40 - 1 });
    expect(await suite.hits(shard, at(1), key(1), key(3))).toEqual([
      [Number.MAX_SAFE_INTEGER, toHex(key(2))],
      [2 ** 32 + 1, toHex(key(2))],
    ]);
    const huge: Watermark = { kind: 'at', size: Number.MAX_SAFE_INTEGER, seal: 'a'.repeat(64), chainOffset: Number.MAX_SAFE_INTEGER - 1 };
    await suite.call(shard, at(1), huge, { dropBelowSlot: 2 ** 40 });
    expect(await suite.index.watermark(shard)).toEqual(huge);
    expect(await suite.hits(shard, huge, key(1), key(3))).toEqual([[Number.MAX_SAFE_INTEGER, toHex(key(2))], undefined]);
  });

  clause('shards do not know of each other', async () => {
    const one = await suite.filled(entry(1));
    const two = await suite.filled(entry(1, 7, 99));
    await suite.call(one, at(1), at(2), { wipe: true });
    expect(await suite.hits(one, at(2), key(1))).toEqual([undefined]);
    expect(await suite.hits(two, at(1), key(1))).toEqual([plain(entry(1, 7, 99))]);
    expect(await suite.index.watermark(suite.shard())).toEqual(ABSENT);
  });
}

function forgetting(clause: Clause, suite: Suite): void {
  clause('slots below dropBelowSlot are dropped as a whole, the others stay', async () => {
    const shard = await suite.filled(entry(1, 5), entry(2, 6), entry(3, 7), entry(4, 300));
    await suite.call(shard, at(1), at(2), { dropBelowSlot: 7 });
    expect(await suite.hits(shard, at(2), key(1), key(2), key(3), key(4))).toEqual([
      undefined,
      undefined,
      plain(entry(3)),
      plain(entry(4)),
    ]);
    await suite.call(shard, at(2), at(3), { dropBelowSlot: 256 });
    expect(await suite.hits(shard, at(3), key(3), key(4))).toEqual([undefined, plain(entry(4))]);
  });

  clause('old slots are dropped after adding: what the call itself adds to them is gone too', async () => {
    const shard = suite.shard();
    const answer = await suite.call(shard, ABSENT, at(1), { add: [entry(1, 5), entry(2, 6)], dropBelowSlot: 6, lookup: [key(1), key(2)] });
    expect(answer.ok && answer.hits.map(plain)).toEqual([undefined, plain(entry(2))]);
  });

  clause('a key that was added again in a later slot outlives its first slot', async () => {
    const shard = await suite.filled(entry(1, 5, 10));
    await suite.call(shard, at(1), at(2), { add: [entry(1, 6, 11)] });
    await suite.call(shard, at(2), at(3), { dropBelowSlot: 6 });
    expect(await suite.hits(shard, at(3), key(1))).toEqual([plain(entry(1, 6, 11))]);
    await suite.call(shard, at(3), at(4), { dropBelowSlot: 7 });
    expect(await suite.hits(shard, at(4), key(1))).toEqual([undefined]);
  });

  clause('without dropBelowSlot nothing is dropped, and dropping again does no harm', async () => {
    const shard = await suite.filled(entry(1, 0), entry(2, 1));
    await suite.call(shard, at(1), at(2));
    expect(await suite.hits(shard, at(2), key(1), key(2))).toEqual([plain(entry(1)), plain(entry(2))]);
    await suite.call(shard, at(2), at(3), { dropBelowSlot: 0 });
    await suite.call(shard, at(3), at(4), { dropBelowSlot: 1 });
    await suite.call(shard, at(4), at(5), { dropBelowSlot: 1 });
    expect(await suite.hits(shard, at(5), key(1), key(2))).toEqual([undefined, plain(entry(2))]);
  });

  clause('wipe empties the shard before it adds', async () => {
    const shard = await suite.filled(entry(1, 5), entry(2, 6));
    const answer = await suite.call(shard, at(1), at(2), { wipe: true, add: [entry(2, 6, 99)], lookup: [key(1), key(2)] });
    expect(answer.ok && answer.hits.map(plain)).toEqual([undefined, plain(entry(2, 6, 99))]);
    await suite.call(shard, at(2), at(3), { dropBelowSlot: 7 });
    expect(await suite.hits(shard, at(3), key(2))).toEqual([undefined]);
  });
}

function rebuilding(clause: Clause, suite: Suite): void {
  clause('a rebuild goes in steps; each step is taken once, by the builder whose token it is', async () => {
    const shard = await suite.filled(entry(1));
    expect(await suite.call(shard, at(1), building('mine', 0), { wipe: true })).toEqual({ ok: true, hits: [] });
    for (const step of [0, 1, 2]) {
      const chunk = { add: [entry(10 + step)] };
      expect(await suite.call(shard, building('mine', step), building('mine', step + 1), chunk)).toEqual({ ok: true, hits: [] });
      expect(await suite.call(shard, building('mine', step), building('mine', step + 1), chunk)).toEqual({ ok: true, hits: [] });
      expect(await suite.call(shard, building('other', step), building('other', step + 1))).toEqual({
        ok: false,
        watermark: building('mine', step + 1),
      });
    }
    expect(await suite.call(shard, at(1), at(2))).toEqual({ ok: false, watermark: building('mine', 3) });
    expect(await suite.call(shard, building('mine', 3), at(5))).toEqual({ ok: true, hits: [] });
    expect(await suite.hits(shard, at(5), key(1), key(10), key(11), key(12))).toEqual([
      undefined,
      plain(entry(10)),
      plain(entry(11)),
      plain(entry(12)),
    ]);
  });

  clause('another builder takes over with another token, and the first learns of it at its next step', async () => {
    const shard = suite.shard();
    await suite.call(shard, ABSENT, building('first', 0), { wipe: true });
    await suite.call(shard, building('first', 0), building('first', 1), { add: [entry(1)] });
    await suite.call(shard, building('first', 1), building('second', 0), { wipe: true });
    expect(await suite.call(shard, building('first', 1), building('first', 2), { add: [entry(2)] })).toEqual({
      ok: false,
      watermark: building('second', 0),
    });
    expect(await suite.hits(shard, building('second', 0), key(1), key(2))).toEqual([undefined, undefined]);
  });
}

function limits(clause: Clause, suite: Suite): void {
  clause(`one call may add, look up and drop ${MANY} ids`, async () => {
    const shard = suite.shard();
    const entries = Array.from({ length: MANY }, (_, i) => entry(i, i % 3));
    const lookup = [...entries.map((each) => each.key), key(MANY), key(MANY + 1)];
    const added = await suite.call(shard, ABSENT, at(1), { add: entries, lookup });
    expect(added.ok && added.hits.map(plain)).toEqual([...entries.map(plain), undefined, undefined]);
    const dropped = await suite.call(shard, at(1), at(2), { dropBelowSlot: 2, lookup });
    expect(dropped.ok && dropped.hits.filter((hit) => hit !== undefined).length).toBe(Math.floor(MANY / 3));
    const wiped = await suite.call(shard, at(2), at(3), { wipe: true, lookup });
    expect(wiped.ok && wiped.hits.every((hit) => hit === undefined)).toBe(true);
  });

  clause('its clock, if it has one, gives microseconds since 1970', async () => {
    const now = await suite.index.nowMicros();
    if (now === undefined) return;
    expect([Number.isSafeInteger(now), now > 1.57e15, now < 4.1e15]).toEqual([true, true, true]);
    expect(((await suite.index.nowMicros()) as number) >= now).toBe(true);
  });
}

function closing(clause: Clause, suite: Suite): void {
  clause('written entries are there after closing and opening again', async () => {
    const shard = await suite.filled(entry(1, 5), entry(2, 6));
    const half = suite.shard();
    await suite.call(half, ABSENT, building('token', 0), { add: [entry(3)] });
    await suite.reopen();
    expect(await suite.hits(shard, at(1), key(1), key(2))).toEqual([plain(entry(1)), plain(entry(2))]);
    expect(await suite.index.watermark(half)).toEqual(building('token', 0));
    await suite.call(shard, at(1), at(2), { dropBelowSlot: 6 });
    expect(await suite.hits(shard, at(2), key(1), key(2))).toEqual([undefined, plain(entry(2))]);
  });

  clause('after closing its methods are UNAVAILABLE, and closing again does nothing', async () => {
    const shard = await suite.filled(entry(1));
    const closed = await suite.reopen();
    await closed.close();
    const call = { shard, add: [], lookup: [key(1)] };
    expect(await codeOf(() => closed.window({ ...call, expect: at(1), next: at(1), wipe: false }))).toBe('UNAVAILABLE');
    expect(await codeOf(() => closed.window({ ...call, expect: at(1), next: at(2), wipe: true }))).toBe('UNAVAILABLE');
    expect(await codeOf(() => closed.watermark(shard))).toBe('UNAVAILABLE');
  });
}
