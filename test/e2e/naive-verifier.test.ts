import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import type { Verdict } from '../../auditor/verdict.ts';
import { flip } from '../support/alterations.ts';
import { lineproof, makeRepository, ROOT, temporaryFolder } from '../support/command.ts';
import { having, NaiveVerifier, PROPERTIES, testWithPython, writeArchive } from '../support/naive-verifier.ts';
import { required, richArchive, richWorld } from '../support/rich-archive.ts';

const TIMEOUT_MS = 600_000;
const folder = temporaryFolder('naive-verifier');
const verifier = new NaiveVerifier();
const data = join(folder.path, '.lineproof');
const archive = join(data, 'archive');
const rootKey = join(data, 'keys', 'root.pub');

const byNumbers = new Intl.Collator('en', { numeric: true });
/** Names of the objects that fit a pattern, at least one, sorted by the numbers in them. */
function objects(pattern: RegExp): string[] {
  const names = readdirSync(archive, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(archive.length + 1));
  const found = names.filter((name) => pattern.test(name)).toSorted(byNumbers.compare);
  expect([String(pattern), found.length]).not.toEqual([String(pattern), 0]);
  return found;
}

const one = (pattern: RegExp): string => required(objects(pattern).at(-1));
const oldest = (pattern: RegExp): string => required(objects(pattern)[0]);
const read = (copy: string, name: string): Uint8Array => Uint8Array.from(readFileSync(join(copy, name)));
const write = (copy: string, name: string, bytes: Uint8Array | string): void => writeFileSync(join(copy, name), bytes);

type Alteration = (copy: string) => void;
const deleted =
  (pattern: RegExp): Alteration =>
  (copy) =>
    rmSync(join(copy, one(pattern)));
const flipBit = (copy: string, name: string, from = 1 / 3): void => {
  const bytes = read(copy, name);
  write(copy, name, flip(bytes, Math.floor(bytes.length * 8 * from)));
};
/** Flips a bit at a fraction of the object's length. */
const flipped =
  (pattern: RegExp, from?: number): Alteration =>
  (copy) =>
    flipBit(copy, one(pattern), from);
const cut =
  (pattern: RegExp): Alteration =>
  (copy) => {
    const bytes = read(copy, one(pattern));
    write(copy, one(pattern), bytes.slice(0, Math.floor(bytes.length / 2)));
  };
const longer =
  (pattern: RegExp): Alteration =>
  (copy) =>
    write(copy, one(pattern), Uint8Array.from([...read(copy, one(pattern)), 0]));
/** The first object that fits takes the place of the last. */
const setBack =
  (from: RegExp, to: RegExp): Alteration =>
  (copy) =>
    write(copy, one(to), read(copy, oldest(from)));
const swapped =
  (first: string, second: string): Alteration =>
  (copy) => {
    const [here, there] = [join(copy, first), join(copy, second)];
    renameSync(here, `${copy}-aside`);
    renameSync(there, here);
    renameSync(`${copy}-aside`, there);
  };
const added =
  (name: string, bytes: string): Alteration =>
  (copy) => {
    mkdirSync(dirname(join(copy, name)), { recursive: true });
    write(copy, name, bytes);
  };

const ROWS: readonly (readonly [string, Alteration, readonly string[]])[] = [
  ['the published note is missing', deleted(/^logs\/0\/checkpoint$/), ['ARCHIVE']],
  ['the published note is altered', flipped(/^logs\/0\/checkpoint$/), ['LOG']],
  ['the published note is set back', setBack(/^logs\/0\/checkpoints\//, /^logs\/0\/checkpoint$/), ['ARCHIVE']],
  ['the signed note is set back', setBack(/^logs\/0\/checkpoints\//, /^logs\/0\/signed$/), ['ARCHIVE']],
  ['the notes of two shards are swapped', swapped('logs/0/checkpoint', 'logs/1/checkpoint'), ['LOG']],
  ['a note at the end of a segment has one more line', longer(/^logs\/1\/checkpoints\//), ['LOG']],
  ['the newest tile is altered', flipped(/^logs\/1\/tile\/0\/000\.p\/\d+$/), ['LOG']],
  ['the newest tile is missing', deleted(/^logs\/1\/tile\/0\/000\.p\/\d+$/), ['ARCHIVE']],
  ['the newest bundle is cut', cut(/^logs\/1\/tile\/entries\/000\.p\/\d+$/), ['LOG']],
  ['an older bundle is altered', (copy) => flipBit(copy, oldest(/^logs\/1\/tile\/entries\/000\.p\/\d+$/)), ['LOG']],
  ['an events file is missing', deleted(/^logs\/1\/.*\.events\.avro$/), ['ARCHIVE']],
  ['an events file is altered', flipped(/^logs\/1\/.*\.events\.avro$/, 0.9), ['ARCHIVE']],
  ['an events file is cut', cut(/^logs\/1\/.*\.events\.avro$/), ['ARCHIVE']],
  ['evidence is missing', deleted(/^logs\/0\/.*\.evidence\.avro$/), ['ARCHIVE']],
  ['evidence is altered', flipped(/^logs\/1\/.*\.evidence\.avro$/, 0.8), ['ARCHIVE']],
  ['evidence has one more byte', longer(/^logs\/1\/.*\.evidence\.avro$/), ['ARCHIVE']],
  ['refused events are missing', deleted(/\.refused\.avro$/), ['ARCHIVE']],
  ['refused events are altered', flipped(/\.refused\.avro$/, 0.9), ['ARCHIVE']],
  ['a manifest is missing', deleted(/^logs\/1\/.*\.manifest\.json$/), ['ARCHIVE']],
  ['the signature of a manifest is altered', flipped(/^logs\/1\/.*\.manifest\.json$/, 0.98), ['ARCHIVE']],
  ['a manifest is altered', flipped(/^logs\/0\/.*\.manifest\.json$/, 0.4), ['ARCHIVE']],
  ['a manifest takes the place of another', setBack(/^logs\/1\/.*\.manifest\.json$/, /^logs\/1\/.*\.manifest\.json$/), ['ARCHIVE']],
  ['a snapshot is altered', flipped(/^logs\/1\/snapshots\//), ['ARCHIVE']],
  ['the only policy is missing', deleted(/^policies\//), ['POLICY']],
  ['the only policy is altered', flipped(/^policies\//), ['POLICY']],
  ['the event schema is missing', deleted(/^schemas\//), ['ARCHIVE']],
  ['the event schema is altered', flipped(/^schemas\//), ['ARCHIVE']],
  ['the table of contents is not canonical', longer(/^archive\.json$/), ['ARCHIVE']],
  ['the logs of two shards are swapped', swapped('logs/0', 'logs/1'), ['LOG']],
];

/** What nothing requires. */
const HARMLESS: readonly (readonly [string, Alteration])[] = [
  ['the table of contents is missing', deleted(/^archive\.json$/)],
  ['a snapshot is missing', deleted(/^logs\/1\/snapshots\//)],
  ['an older partial tile is missing', (copy) => rmSync(join(copy, oldest(/^logs\/1\/tile\/0\/000\.p\/\d+$/)))],
  ['a strange object lies beside the archive', added('notes.txt', 'mine')],
  ['there is a strange object in a log', added('logs/0/tile/0/000.p/300', 'x')],
  [
    'there is an events file that no manifest lists',
    (copy) =>
      cpSync(
        join(copy, one(/^logs\/1\/.*\.events\.avro$/)),
        join(copy, `logs/1/segments/${'0'.repeat(20)}-${'1'.padStart(20, '0')}.${'0'.repeat(16)}.events.avro`),
      ),
  ],
  ['there is a shard that the policy does not know', added('logs/7/checkpoint', 'x')],
  ['a whole shard is missing', (copy) => rmSync(join(copy, 'logs/1'), { recursive: true })],
];

beforeAll(async () => {
  await verifier.install();
  await makeRepository(folder.path, 4);
  const settings = ['--shards', '2', '--segment-max-age-ms', '1000'];
  const start = ['start', ...settings, '--until-idle'];
  expect(await lineproof([...start, '--collect', 'git', '.'], { cwd: folder.path })).toMatchObject({ code: 0 });
  const line = (stream: string, more: object): string =>
    JSON.stringify({ stream, type: 'CREATE', actor: 'shop', occurredAt: '2026-01-01T00:00:00Z', ...more });
  for (const round of [0, 1, 2]) {
    const streams = ['a', 'b', 'c', 'd'];
    const same = streams.map((stream) => line(stream, { idempotencyKey: 'same' }));
    const other = streams.map((stream) => line(stream, { idempotencyKey: 'other', attributes: { round: `${round}` } }));
    const input = [...same, ...other, ...streams.map((stream) => line(stream, {}))].join('\n');
    expect(await lineproof(['emit', '-q', ...settings], { cwd: folder.path, input })).toMatchObject({ code: 0 });
    expect(await lineproof(start, { cwd: folder.path })).toMatchObject({ code: 0 });
  }
}, TIMEOUT_MS);

afterAll(() => folder.release());

describe('a verifier written from docs/formats.md alone', () => {
  testWithPython(
    'agrees on an archive of two shards with duplicates, conflicts and several segments, by any key',
    async () => {
      expect(having(await verifier.agreed(archive, rootKey), 'OK')).toEqual(PROPERTIES.filter((name) => name !== 'WITNESSES'));
      const { counts } = await verifier.verify(archive, rootKey);
      for (const name of ['duplicates', 'conflicts', 'heartbeats']) expect([name, counts[name]]).not.toEqual([name, undefined]);
      expect(counts['segments']).toBeGreaterThanOrEqual(6);
      const log = (shard: number): string => join(data, 'keys', `log-${shard}.pub`);
      for (const keys of [[], [log(0)], [log(0), log(1)], [join(data, 'keys', 'chainer.pub')]]) await verifier.agreed(archive, ...keys);
    },
    TIMEOUT_MS,
  );

  testWithPython.each(ROWS)(
    'agrees where %s',
    async (_, alter, failed) => {
      const copy = join(folder.path, 'copy');
      rmSync(copy, { recursive: true, force: true });
      cpSync(archive, copy, { recursive: true });
      alter(copy);
      expect(having(await verifier.agreed(copy, rootKey), 'FAILED')).toEqual(expect.arrayContaining([...failed]));
    },
    TIMEOUT_MS,
  );

  testWithPython.each(HARMLESS)(
    'agrees that nothing fails where %s',
    async (_, alter) => {
      const copy = join(folder.path, 'copy');
      rmSync(copy, { recursive: true, force: true });
      cpSync(archive, copy, { recursive: true });
      alter(copy);
      expect(having(await verifier.agreed(copy, rootKey), 'FAILED')).toEqual([]);
    },
    TIMEOUT_MS,
  );

  testWithPython(
    'agrees on the golden archive with the verdict that is kept with it',
    async () => {
      const golden = join(ROOT, 'test/golden');
      const kept = JSON.parse(readFileSync(join(golden, 'verdict.json'), 'utf8')) as Pick<Verdict, 'properties'>;
      const results = PROPERTIES.map((property) => [property, kept.properties[property].result]);
      expect(await verifier.agreed(join(golden, 'archive'), join(golden, 'root.pub'))).toEqual(Object.fromEntries(results));
    },
    TIMEOUT_MS,
  );

  testWithPython(
    'agrees on an archive with refused messages and events, a repeated batch, empty offsets and two policies',
    async () => {
      const world = await richWorld();
      const rich = await richArchive(world);
      const path = join(folder.path, 'rich');
      writeArchive(rich, path);
      expect(having(await verifier.agreed(path, world.root.verifierKey), 'OK')).toEqual(PROPERTIES.filter((name) => name !== 'WITNESSES'));
      const { counts } = await verifier.verify(path, world.root.verifierKey);
      for (const name of ['duplicates', 'conflicts', 'repeated']) expect([name, counts[name]]).not.toEqual([name, undefined]);
    },
    TIMEOUT_MS,
  );
});
