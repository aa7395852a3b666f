import { beforeEach, describe, expect, test } from '@jest/globals';
import { concat, toBase64, utf8, utf8Text } from '../../../core/base/bytes.ts';
import { cosignersOf } from '../../../core/keys/cosigners.ts';
import { parseVerifierKey } from '../../../core/keys/key.ts';
import { formatNote, readNote, signNote } from '../../../core/keys/note.ts';
import type { Signer } from '../../../core/ports/signer.ts';
import { proveConsistency } from '../../../core/tree/build/proof.ts';
import { EMPTY_FRONTIER, extendFrontier, frontierRoot } from '../../../core/tree/frontier.ts';
import { EMPTY_ROOT, leafHash, subtreeRoot } from '../../../core/tree/hash.ts';
import { monitoringPath, WitnessCore, type WitnessReply } from '../../../witness/witness.ts';
import { MemoryObjectStore, testClock } from '../../support/memory.ts';
import { testSigner } from '../../support/producer.ts';
import { witnessKeyOf } from '../../support/witnesses.ts';

const ORIGIN = 'log.example/0';
const log = testSigner(ORIGIN, 'log');
const other = testSigner('other.example/0', 'other log');
const signer = testSigner('witness.example', 'witness');
const key = parseVerifierKey(witnessKeyOf(signer));
const leaves = Array.from({ length: 40 }, (_, i) => leafHash(utf8(`leaf ${i}`)));

let store: MemoryObjectStore;
let witness: WitnessCore;

beforeEach(() => {
  store = new MemoryObjectStore();
  witness = open();
});

function open(): WitnessCore {
  const logs = [log, other].map(({ verifierKey }) => parseVerifierKey(verifierKey));
  return new WitnessCore({ logs, store, signer, clock: testClock() });
}

const rootAt = (size: number): Uint8Array => frontierRoot(extendFrontier(EMPTY_FRONTIER, leaves.slice(0, size)));
const textOf = (size: number, root = rootAt(size), origin = ORIGIN): string => `${origin}\n${size}\n${toBase64(root)}\n`;
const noteOf = (size: number, root = rootAt(size), by: Signer = log): Promise<string> => signNote(textOf(size, root, by.name), by);
const body = (old: number | string, proof: readonly Uint8Array[], note: string): string =>
  `old ${old}\n${proof.map((hash) => `${toBase64(hash)}\n`).join('')}\n${note}`;
const prove = (old: number, size: number): Promise<Uint8Array[]> =>
  proveConsistency(old, size, async (level, i) => subtreeRoot(concat(...leaves.slice(i * 2 ** level, (i + 1) * 2 ** level))));

async function grow(old: number, size: number): Promise<WitnessReply> {
  return witness.add(body(old, await prove(old, size), await noteOf(size)));
}

/** Whether a reply holds a cosignature of this note that holds. */
function cosigns({ status, body: lines }: WitnessReply, note: string): boolean {
  const { text } = readNote(note);
  return status === 200 && cosignersOf(text, readNote(`${text}\n${lines}`).signatures, [key]).good.length === 1;
}

describe('a witness cosigns', () => {
  test('the first checkpoint that it sees, and each that extends the one before', async () => {
    for (const [old, size] of [
      [0, 3],
      [3, 4],
      [4, 4],
      [4, 33],
      [33, 40],
    ] as const)
      expect(cosigns(await grow(old, size), await noteOf(size))).toBe(true);
  });

  test('the empty log, and again what it cosigned', async () => {
    expect(cosigns(await grow(0, 0), await noteOf(0))).toBe(true);
    expect(cosigns(await grow(0, 5), await noteOf(5))).toBe(true);
    expect(cosigns(await grow(5, 5), await noteOf(5))).toBe(true);
  });

  test('a checkpoint with lines that only its log understands', async () => {
    const note = await signNote(`${textOf(3)}extension 1\n`, log);
    expect(cosigns(await witness.add(body(0, [], note)), note)).toBe(true);
  });

  test('each log by itself', async () => {
    await grow(0, 9);
    const note = await noteOf(3, rootAt(3), other);
    expect(cosigns(await witness.add(body(0, [], note)), note)).toBe(true);
  });
});

test('what was cosigned is stored before the answer, with the signatures of the log and the witness only', async () => {
  const { text, signatures } = readNote(await noteOf(3));
  const stranger = readNote(await signNote(text, testSigner('stranger', 'stranger'))).signatures;
  const { body: line } = await witness.add(body(0, [], formatNote(text, [...stranger, ...signatures])));
  const kept = utf8Text(store.objects.get(monitoringPath(ORIGIN)) as Uint8Array);
  expect(kept).toBe(`${formatNote(text, signatures)}${line}`);
  expect(await witness.newest(monitoringPath(ORIGIN))).toBe(kept);
});

test('a witness that starts again knows what it cosigned', async () => {
  await grow(0, 7);
  witness = open();
  expect(await witness.add(body(0, [], await noteOf(7)))).toMatchObject({ status: 409, body: '7\n' });
});

test('where the store does not take the note, nothing is cosigned', async () => {
  store.replace = async () => {
    throw new Error('the disk is away');
  };
  await expect(grow(0, 3)).rejects.toThrow('the disk is away');
});

test('a note is shown to monitors only once it survives a power cut', async () => {
  const order: string[] = [];
  const replace = store.replace.bind(store);
  let durable = (): void => undefined;
  const visible = new Promise<void>((resolve) => {
    store.replace = async (...given) => {
      const tag = await replace(...given);
      const waits = new Promise<void>((done) => (durable = done));
      resolve();
      await waits;
      return tag;
    };
  });
  const growing = grow(0, 3);
  await visible;
  const shown = witness.newest(monitoringPath(ORIGIN)).then((note) => order.push(`shown ${note?.split('\n')[1]}`));
  await new Promise(setImmediate);
  order.push('durable');
  durable();
  await Promise.all([growing, shown]);
  expect(order).toEqual(['durable', 'shown 3']);
});

test.each<[string, Uint8Array]>([
  ['is cut', utf8('log.example')],
  ['is not of a checkpoint', utf8('log.example/0\n\nno signature\n')],
  ['is not text', new Uint8Array([0xff, 0xfe])],
])('a stored note that %s ends the witness of that log: an older one is no way out', async (_, bytes) => {
  store.objects.set(monitoringPath(ORIGIN), bytes);
  const error = await grow(0, 3).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'ARCHIVE_DIVERGED', message: expect.stringContaining('with another key in another folder') });
});

test('of two that extend one note differently at the same time, one is cosigned', async () => {
  await grow(0, 3);
  const two = [open(), open()];
  const fork = new Uint8Array(32).fill(7);
  const answers = await Promise.all([
    two[0]?.add(body(3, await prove(3, 8), await noteOf(8))),
    two[1]?.add(body(3, [], await noteOf(3, fork))),
    two[1]?.add(body(3, await prove(3, 5), await noteOf(5))),
  ]);
  expect(answers.filter((each) => each?.status === 200)).toHaveLength(1);
});

describe('a witness refuses, in this order', () => {
  const wrongSignature = async (note: string): Promise<string> => {
    const { text, signatures } = readNote(note);
    return formatNote(
      text,
      signatures.map((line) => ({ ...line, signature: line.signature.map((byte, i) => (i === 9 ? byte ^ 1 : byte)) })),
    );
  };
  beforeEach(async () => {
    await grow(0, 10);
  });

  test.each<[string, number, () => Promise<string>]>([
    ['what is not a question', 400, async () => 'hello'],
    ['another first line', 400, async () => body('10 ', [], await noteOf(10))],
    ['a size with a leading zero', 400, async () => body('010', [], await noteOf(10))],
    ['a size beyond 2^53', 400, async () => body('9007199254740993', [], await noteOf(10))],
    ['a proof line that is not a hash', 400, async () => body(10, [new Uint8Array(31)], await noteOf(10))],
    ['64 lines of proof', 400, async () => body(10, Array(64).fill(new Uint8Array(32)), await noteOf(10))],
    ['a note that is not a checkpoint', 400, async () => body(10, [], await signNote('hello\n', log))],
    ['a log that it does not know', 404, async () => body(99, [], await noteOf(3, rootAt(3), testSigner('foreign/0', 'x')))],
    ['a note that no key of the log signed', 403, async () => body(99, [], await noteOf(3, rootAt(3), testSigner(ORIGIN, 'y')))],
    ['a wrong signature of the log', 403, async () => body(99, [], await wrongSignature(await noteOf(3)))],
    ['an old size above the new one', 400, async () => body(11, [], await noteOf(10))],
    ['another old size than it knows', 409, async () => body(9, await prove(9, 12), await noteOf(12))],
    ['no old size where it knows one', 409, async () => body(0, [], await noteOf(12))],
    ['a smaller checkpoint, whatever its proof', 409, async () => body(5, [], await noteOf(5))],
    ['the same size with another root', 409, async () => body(10, [], await noteOf(10, new Uint8Array(32)))],
    ['growth without proof', 422, async () => body(10, [], await noteOf(12))],
    ['growth with the proof of other sizes', 422, async () => body(10, await prove(9, 12), await noteOf(12))],
    ['a proof where none is needed', 422, async () => body(10, await prove(9, 12), await noteOf(10))],
  ])('%s: %i', async (_, status, question) => {
    const before = store.objects.get(monitoringPath(ORIGIN));
    const reply = await witness.add(await question());
    expect([reply.status, store.objects.get(monitoringPath(ORIGIN))]).toEqual([status, before]);
    if (status === 409) expect([reply.type, reply.body]).toEqual(['text/x.tlog.size', '10\n']);
  });

  test('an empty log with another root than that of no leaves', async () => {
    const note = await noteOf(0, new Uint8Array(32), other);
    expect(await witness.add(body(0, [], note))).toMatchObject({ status: 409, body: '0\n' });
    expect(await witness.add(body(0, [], await noteOf(0, EMPTY_ROOT, other)))).toMatchObject({ status: 200 });
    expect(await witness.add(body(0, await prove(1, 3), await noteOf(3, rootAt(3), other)))).toMatchObject({ status: 422 });
  });
});

test('what can be neither read nor replaced where the note belongs is an error, not an endless search', async () => {
  store.replace = async () => undefined;
  await expect(grow(0, 3)).rejects.toMatchObject({ code: 'IO_FAILED' });
});
