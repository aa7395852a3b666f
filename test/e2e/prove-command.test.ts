import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { logKeysOf } from '../../core/archive/archive-keys.ts';
import { LIMITS } from '../../core/base/limits.ts';
import { formatUuid } from '../../core/formats/identity.ts';
import { type CommandResult, lineproof, temporaryFolder } from '../support/command.ts';
import { ForgedArchive } from '../support/forged-archive.ts';
import { writeArchive } from '../support/naive-verifier.ts';
import { makeWorld, START_MICROS, testId, testSigner } from '../support/producer.ts';
import { retireSegment } from '../support/retired-segment.ts';

const TIMEOUT_MS = 120_000;
const folder = temporaryFolder('prove');
const alone = join(folder.path, 'alone');
const root = (): string => readFileSync(join(folder.path, '.lineproof/keys/root.pub'), 'utf8').trim();
const run = (...args: string[]): Promise<CommandResult> => lineproof(args, { cwd: folder.path });
/** The command in a folder that holds nothing but one proof. */
const elsewhere = (args: string[], input?: string): Promise<CommandResult> =>
  lineproof(args, { cwd: alone, ...(input === undefined ? {} : { input }) });

const ORDERS = ['one', 'two', 'three'].map((word) => ({
  stream: 'shop/orders',
  type: 'CREATE',
  actor: 'shop',
  outputs: word === 'two' ? [{ name: 'order.txt', digest: '2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae' }] : [word],
  idempotencyKey: word,
  occurredAt: '2026-01-31T10:00:00Z',
}));
/** What `emit` printed: the ids of the events, in their order. */
let ids: string[];

beforeAll(async () => {
  mkdirSync(alone);
  writeFileSync(join(folder.path, 'order.txt'), 'foo');
  writeFileSync(join(folder.path, 'events.jsonl'), ORDERS.map((event) => `${JSON.stringify(event)}\n`).join(''));
  ids = (await run('emit', 'events.jsonl')).stdout.trim().split('\n');
  expect(ids).toHaveLength(3);
  expect((await run('start', '--until-idle')).code).toBe(0);
  await run('prove', '--leaf', '0/0', '--out', 'alone/proof.tlog-proof');
}, TIMEOUT_MS);

afterAll(() => folder.release());

describe('lineproof prove', () => {
  test('names the event as emit and query print it, and says how to check the file', async () => {
    const made = await run('prove', '--event', `shop/orders/${ids[1]}`, '--out', 'made');
    expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^made\/leaf-0-1-of-\d+\.tlog-proof\n$/) });
    expect(made.stderr).toContain(`lineproof check ${made.stdout.trim()} --key KEY`);
    const again = await run('prove', '--event', `shop/orders/${ids[1]}`, '--out', 'made');
    expect([again.code, again.stdout]).toEqual([0, made.stdout]);
  });

  test('finds the events that speak of a file, by its content', async () => {
    const made = await run('prove', '--file', 'order.txt', '--json', '--out', 'by-file');
    expect(JSON.parse(made.stdout)).toMatchObject({ shard: 0, leaf: 1, stream: 'shop/orders', streamIndex: 1, id: ids[1], type: 'CREATE' });
    const other = await run('prove', '--file', 'events.jsonl');
    expect([other.code, other.stdout]).toEqual([1, '']);
    expect(other.stderr).toContain('no event in a closed segment of the archive names the content of "events.jsonl"');
  });

  test('writes to standard output, and nothing else there', async () => {
    const { stdout } = await run('prove', '--leaf', '0/0', '--out', '-');
    expect(stdout).toBe(readFileSync(join(alone, 'proof.tlog-proof'), 'utf8'));
  });

  test.each(['several.tlog-proof', '-'])('writes nothing to %s where more than one event was found', async (place) => {
    const refused = await run('prove', '--stream', 'shop/orders', '--out', place);
    expect([refused.code, refused.stdout, existsSync(join(folder.path, place))]).toEqual([2, '', false]);
  });

  test.each([
    [['--leaf', '0/99'], 'no closed segment of the archive holds leaf 0/99'],
    [['--leaf', '7/0'], 'no closed segment of the archive holds leaf 7/0'],
    [['--event', 'shop/orders/00000000-0000-7000-8000-000000000000'], 'no event in a closed segment of the archive is "shop/orders/0000'],
    [['--stream', 'shop'], 'no event in a closed segment of the archive is of stream "shop"\n'],
    [['--stream', 'shop/orders', '--from', '7'], 'is of stream "shop/orders" with a number from 7 on\n'],
    [['--stream', 'shop/orders', '--from', '7', '--to', '9'], 'is of stream "shop/orders" with a number from 7 to 9\n'],
  ])('says what %j did not find', async (wanted, words) => {
    const { code, stdout, stderr } = await run('prove', ...wanted);
    expect([code, stdout, stderr]).toEqual([1, '', expect.stringContaining(words)]);
  });

  test('says before the first start where no archive is, and what closes an open segment after it', async () => {
    const data = join(folder.path, 'fresh');
    const before = await run('prove', '--leaf', '0/0', '--data', data);
    expect([before.code, before.stderr]).toEqual([74, expect.stringContaining('there is no such folder; name the folder of an archive')]);
    await lineproof(['emit', '--data', data], { cwd: folder.path, input: `${JSON.stringify(ORDERS[0])}\n` });
    const open = await run('prove', '--leaf', '0/0', '--data', data);
    expect([open.code, open.stderr]).toEqual([1, expect.stringContaining('lineproof start')]);
  });

  test('never writes over a file that is there', async () => {
    writeFileSync(join(folder.path, 'mine.tlog-proof'), 'mine');
    const refused = await run('prove', '--leaf', '0/0', '--out', 'mine.tlog-proof');
    expect([refused.code, readFileSync(join(folder.path, 'mine.tlog-proof'), 'utf8')]).toEqual([74, 'mine']);
    expect(refused.stderr).toContain('it is there with other content');
  });

  test('waits until the event is archived, also where there is no archive yet', async () => {
    const data = join(folder.path, 'later');
    const line = `${JSON.stringify({ stream: 'late', type: 'CREATE', actor: 'shop' })}\n`;
    const { stdout } = await lineproof(['emit', '--data', data], { cwd: folder.path, input: line });
    const waiting = run('prove', '--event', `late/${stdout.trim()}`, '--data', data, '--wait', '100', '--out', 'waited');
    expect((await run('start', '--until-idle', '--data', data)).code).toBe(0);
    expect(await waiting).toMatchObject({ code: 0, stdout: expect.stringMatching(/^waited\/leaf-0-0-of-\d+\.tlog-proof\n$/) });
    expect((await run('prove', '--leaf', '0/99', '--data', data, '--wait', '1')).code).toBe(1);
  });

  test('says also after it waited that retention removed events', async () => {
    const world = await makeWorld({ policy: (policy) => ({ ...policy, retention: { eventsKeepMs: 1, refusedKeepMs: null } }) });
    const archive = new ForgedArchive(world);
    const lane = world.lane('lane');
    for (const [i, word] of ['one', 'two'].entries()) {
      await archive.block({ messages: [await lane.next(world.events('a', word))], acceptedAt: START_MICROS + i * 1_000_000 });
      await archive.close();
    }
    await retireSegment(archive.objects.map, logKeysOf(0).manifest(0, 2), { signer: archive.signer, policy: world.policy.hex });
    const path = join(folder.path, 'retired');
    writeArchive(archive, path);
    const refused = await run('prove', path, '--event', `a/${formatUuid(testId('a one'))}`, '--wait', '1');
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('retention removed the events of 1 segment')]);
  });

  test.each([
    [['prove'], 'prove takes one of --event, --leaf, --file and --stream'],
    [['prove', '--leaf', '0/0', '--file', 'order.txt'], 'prove takes one of'],
    [['prove', '--leaf', '0'], 'it must be SHARD/LEAF'],
    [['prove', '--leaf', '0/9007199254740993'], 'it must be SHARD/LEAF'],
    [['prove', '--event', 'shop/orders'], 'it must be STREAM/ID'],
    [['prove', '--leaf', '0/0', '--wait', '1s'], 'it must be seconds'],
    [['prove', '--leaf', '0/0', '--from', '1'], '--from and --to belong to --stream'],
    [['prove', '--stream', 'shop/orders', '--from', '2', '--to', '1'], '--from 2 is after --to 1'],
    [['prove', '--stream', 'shop/orders', '--out', 'one.tlog-proof'], 'takes one proof, and more events were found'],
    [['check'], 'check takes one proof or more'],
    [['check', '-', '-'], 'check takes - once'],
  ])('refuses %j and says what fits', async (args, words) => {
    const refused = await run(...args);
    expect([refused.code, refused.stderr.includes(words), refused.stderr]).toEqual([2, true, refused.stderr]);
  });

  test('says that a leaf is no event, that an event is not there, that a file is not', async () => {
    const seal = await run('prove', '--leaf', '0/3');
    expect([seal.code, seal.stderr]).toEqual([74, expect.stringContaining('it is the seal of a block, not an event [NOT_FOUND]')]);
    expect((await run('prove', '--leaf', '0/99')).code).toBe(1);
    expect((await run('prove', '--leaf', '7/0')).code).toBe(1);
    expect(await run('prove', '--file', 'nothing')).toMatchObject({ code: 74, stderr: expect.stringContaining('[IO_FAILED]') });
  });
});

test('an event whose producer key is not believed so far gives no proof, but the reason', async () => {
  const world = await makeWorld();
  const archive = new ForgedArchive(world);
  await archive.block({ messages: [await world.lane('lane').next(world.events('a', 'one', 'two'))], acceptedAt: START_MICROS });
  const spare = testSigner(world.producer.name, 'spare').verifierKey;
  await world.nextPolicy((policy) => ({
    ...policy,
    producers: policy.producers.flatMap((entry) => [
      { ...entry, status: 'COMPROMISED', believed: [1] },
      { ...entry, key: spare },
    ]),
  }));
  await archive.close();
  const path = join(folder.path, 'stolen');
  writeArchive(archive, path);
  const proven = await run('prove', path, '--stream', 'a', '--out', 'stolen-proofs');
  expect([proven.code, proven.stdout]).toEqual([1, 'stolen-proofs/leaf-0-0-of-3.tlog-proof\n']);
  expect(proven.stderr).toContain('[SUSPECT]');
});

describe('lineproof check', () => {
  test('needs nothing but the file and the key, and tells what is proven and what is not, in 80 columns', async () => {
    const checked = await elsewhere(['check', 'proof.tlog-proof', '--key', root()]);
    expect(checked).toMatchObject({ code: 0, stderr: '' });
    expect(checked.stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
    for (const words of [
      'VERDICT: OK',
      'number 0 of stream "shop/orders"',
      ids[0] as string,
      'COMPLETE    what else was recorded',
      'NOT CHECKED',
    ])
      expect(checked.stdout).toContain(words);
  });

  test('reads standard input', async () => {
    const text = readFileSync(join(alone, 'proof.tlog-proof'), 'utf8');
    expect((await elsewhere(['check', '-', '--key', root()], text)).stdout).toContain('VERDICT: OK');
    expect((await elsewhere(['check', '-', '--key', root()], text.replace('index 0', 'index 1'))).code).toBe(1);
  });

  test('says of a file with changed line ends and of a folder what they are', async () => {
    const text = readFileSync(join(alone, 'proof.tlog-proof'), 'utf8');
    const mailed = await elsewhere(['check', '-', '--key', root()], text.replaceAll('\n', '\r\n'));
    expect([mailed.code, mailed.stdout.replaceAll(/\s+/g, ' ')]).toEqual([1, expect.stringContaining('its lines end in CR LF')]);
    expect(await elsewhere(['check', '.', '--key', root()])).toMatchObject({
      code: 74,
      stderr: expect.stringContaining('cannot read proof .: it is a folder; name the proofs in it'),
    });
  });

  test('takes a key with the spaces that it was pasted with, and says that a named key file is not there', async () => {
    expect((await elsewhere(['check', 'proof.tlog-proof', '--key', ` ${root()} \n`])).code).toBe(0);
    const missing = await elsewhere(['check', 'proof.tlog-proof', '--key', '@root.pub']);
    expect([missing.code, missing.stderr]).toEqual([2, 'lineproof: --key @root.pub: there is no such file [USAGE]\n']);
  });

  test('is UNPROVEN without a key, and names the key in the file as one that proves nothing', async () => {
    const checked = await elsewhere(['check', 'proof.tlog-proof']);
    expect([checked.code, checked.stdout.replaceAll(/\s+/g, ' ')]).toEqual([
      4,
      expect.stringContaining('came with the file, and proves nothing'),
    ]);
  });

  test('takes the key of the log or of the producer, and a demand that it cannot meet gives 3', async () => {
    const key = (name: string): string => `@${join(folder.path, '.lineproof/keys', name)}`;
    expect((await elsewhere(['check', 'proof.tlog-proof', '--key', key('log-0.pub')])).code).toBe(0);
    expect((await elsewhere(['check', 'proof.tlog-proof', '--key', key('log-0.pub'), '--require', 'SIGNATURES'])).code).toBe(3);
    expect((await elsewhere(['check', 'proof.tlog-proof', '--key', key('collector.pub')])).code).toBe(4);
    expect((await elsewhere(['check', 'proof.tlog-proof', '--key', key('chainer.pub')])).code).toBe(1);
  });

  test('shows with several proofs that none is missing between them, and with a gap that it does not know', async () => {
    const { stdout } = await run('prove', '--stream', 'shop/orders', '--out', 'stream');
    const files = stdout.trim().split('\n');
    const all = await run('check', ...files, '--key', root());
    expect(all.stdout.replaceAll(/\s+/g, ' ')).toContain(
      'numbers 0 to 2, 3 events; each names the one before it: no event between them is missing',
    );
    const gap = await run('check', files[0] as string, files[2] as string, '--key', root(), '--json');
    expect(JSON.parse(gap.stdout)).toMatchObject({
      result: 'OK',
      streams: [
        { from: 0, to: 0 },
        { from: 2, to: 2 },
      ],
    });
  });

  test('compares the event with a file in hand', async () => {
    const { stdout } = await run('prove', '--leaf', '0/1', '--out', 'compared');
    const compare = (file: string): Promise<CommandResult> => run('check', stdout.trim(), '--key', root(), '--file', file);
    expect((await compare('order.txt')).code).toBe(0);
    const other = await compare('events.jsonl');
    expect([other.code, other.stdout]).toEqual([1, expect.stringContaining('FILE_FOREIGN')]);
  });

  test('of several files the worst decides, and a file that cannot be read is an error', async () => {
    writeFileSync(join(alone, 'broken.tlog-proof'), 'broken');
    const both = await elsewhere(['check', 'proof.tlog-proof', 'broken.tlog-proof', '--key', root()]);
    expect([both.code, both.stdout]).toEqual([1, expect.stringContaining('VERDICT: FAILED (2 proofs)')]);
    writeFileSync(join(alone, 'endless.tlog-proof'), new Uint8Array(LIMITS.proofBytes + 100));
    const endless = await elsewhere(['check', 'proof.tlog-proof', 'endless.tlog-proof', '--key', root()]);
    expect([endless.code, endless.stdout]).toEqual([1, expect.stringContaining('PROOF_MALFORMED')]);
    expect(await elsewhere(['check', 'nothing', '--key', root()])).toMatchObject({
      code: 74,
      stderr: expect.stringContaining('read proof nothing'),
    });
  });
});

describe('lineproof verify --since', () => {
  const verify = (...args: string[]): Promise<CommandResult> => run('verify', '.lineproof/archive', '--key', root(), ...args);
  const CHECKPOINT = '.lineproof/archive/logs/0/checkpoint';

  test('takes notes and proofs that were kept, and counts them', async () => {
    const verified = await verify('--since', CHECKPOINT, '--since', 'alone/proof.tlog-proof');
    expect([verified.code, verified.stdout]).toEqual([0, expect.stringContaining('2 kept notes')]);
  });

  test('fails where none of the log keys signed what was kept', async () => {
    const altered = join(folder.path, 'altered.note');
    const more = readFileSync(join(folder.path, CHECKPOINT), 'utf8').replace(/^\d+$/m, '999');
    writeFileSync(altered, more);
    expect(await verify('--since', altered)).toMatchObject({ code: 1, stdout: expect.stringContaining('KEPT_NOTE_FOREIGN') });
  });

  test('refuses a file that holds no note, and one that cannot be read', async () => {
    writeFileSync(join(folder.path, 'cut.tlog-proof'), 'c2sp.org/tlog-proof@v1\n');
    expect(await verify('--since', 'cut.tlog-proof')).toMatchObject({ code: 2, stderr: expect.stringContaining('nor a proof') });
    expect(await verify('--since', 'nothing')).toMatchObject({ code: 74, stderr: expect.stringContaining('read --since nothing') });
  });
});

test('an archive that is wrong at the event gives no proof', async () => {
  const copy = join(folder.path, 'altered');
  cpSync(join(folder.path, '.lineproof/archive'), copy, { recursive: true });
  const bundle = join(copy, 'logs/0/tile/entries/000.p');
  rmSync(bundle, { recursive: true });
  const refused = await run('prove', copy, '--leaf', '0/1');
  expect([refused.code, refused.stdout]).toEqual([1, '']);
  expect(refused.stderr).toContain('the bundle is missing [UNSHOWN]');
});
