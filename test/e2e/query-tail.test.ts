import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from '@jest/globals';
import { type CommandResult, lineproof, MAIN, temporaryFolder } from '../support/command.ts';

const TIMEOUT_MS = 120_000;
const folder = temporaryFolder('query-tail');
let data: string;
let number = 0;
afterAll(() => folder.release());
beforeEach(() => {
  data = join(folder.path, `data-${number++}`);
});

interface Row {
  readonly shard: number;
  readonly logIndex: number;
  readonly object: string | null;
  readonly event: { readonly id: string };
}

/** Records this many events; gives their ids. */
async function emit(count: number, stream = 'orders', ...options: readonly string[]): Promise<string[]> {
  const file = join(folder.path, 'lines');
  writeFileSync(file, `${JSON.stringify({ stream, type: 'CREATE', actor: 'shop' })}\n`.repeat(count));
  const { code, stdout, stderr } = await lineproof(['emit', '--data', data, ...options, file]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.any(String) });
  return stdout.trim().split('\n');
}

function query(...args: readonly string[]): Promise<CommandResult> {
  return lineproof(['query', '--data', data, ...args]);
}

async function rows(): Promise<Row[]> {
  const { code, stdout, stderr } = await query('--json');
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.any(String) });
  return stdout === ''
    ? []
    : stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
}

async function until<T>(what: string, find: () => Promise<T | undefined | false>): Promise<T> {
  for (const end = Date.now() + TIMEOUT_MS / 2; Date.now() < end; ) {
    const found = await find();
    if (found !== undefined && found !== false) return found;
  }
  throw new Error(`not in time: ${what}`);
}

test(
  'what was just recorded is shown, marked as not archived; archived, it is shown once and without the mark',
  async () => {
    const ids = await emit(3);
    const fresh = await query();
    expect(fresh.code).toBe(0);
    expect(fresh.stdout.trim().split('\n')).toEqual(
      ids.map((id, i) => expect.stringMatching(`^0/${i} .* orders #${i}  ${id}  \\(not archived yet\\)$`)),
    );
    expect(fresh.stderr).toContain('3 events not archived yet: an open segment is archived when it ends\n');
    expect((await query('--stream', 'orders')).stdout).toBe(fresh.stdout);
    const none = await query('--stream', 'other');
    expect([none.code, none.stdout, none.stderr]).toEqual([0, '', 'no events of stream "other"; there are events of "orders"\n']);
    // The archive alone does not have them, and says so.
    const archive = await lineproof(['query', join(data, 'archive')]);
    expect([archive.code, archive.stdout, archive.stderr]).toEqual([
      0,
      '',
      'no archived events: a segment is archived when it has ended\n',
    ]);
    await lineproof(['start', '--until-idle', '--data', data]);
    expect((await rows()).map(({ object, event }) => [typeof object, event.id])).toEqual(ids.map((id) => ['string', id]));
    const later = await emit(2);
    expect((await rows()).map(({ object, event }) => [object === null, event.id])).toEqual([
      ...ids.map((id) => [false, id]),
      ...later.map((id) => [true, id]),
    ]);
  },
  TIMEOUT_MS,
);

test(
  'beside a running start, each event is shown at most once and no leaf is left out, also while segments close',
  async () => {
    expect((await lineproof(['start', '--until-idle', '--data', data, '--segment-max-age-ms', '1000'])).code).toBe(0);
    const start = spawn(process.execPath, [MAIN, 'start', '--data', data], { stdio: 'ignore' });
    const ended = once(start, 'close');
    try {
      const ids: string[] = [];
      let archived = 0;
      for (let round = 0; round < 40 && (round < 4 || archived === 0); round++) {
        ids.push(...(await emit(2)));
        const shown = await until('all is linked', async () => {
          const found = await rows();
          const places = found.map(({ logIndex }) => logIndex);
          expect(places).toEqual([...new Set(places)].toSorted((a, b) => a - b));
          const known = found.map(({ event }) => event.id);
          expect(known).toEqual(ids.slice(0, known.length));
          return found.length === ids.length && found;
        });
        archived = shown.filter(({ object }) => object !== null).length;
      }
      expect(archived).toBeGreaterThan(0);
    } finally {
      start.kill('SIGTERM');
      await ended;
    }
  },
  TIMEOUT_MS,
);

test(
  'a log that cannot be read is an error, and what is archived is printed nevertheless',
  async () => {
    const ids = await emit(1);
    await lineproof(['start', '--until-idle', '--data', data]);
    truncateSync(join(data, 'log', 'data.mdb'), 5000);
    const { code, stdout, stderr } = await query();
    expect([code, stdout]).toEqual([1, expect.stringContaining(ids[0] as string)]);
    expect(stderr).toMatch(/^lineproof: events that are not archived yet cannot be read: .*damaged.*\[IO_FAILED\]\n$/);
  },
  TIMEOUT_MS,
);

test(
  'a folder that lacks what its blocks need is an error at once, once for all shards',
  async () => {
    // No segment closes by age meanwhile, however slow the machine is.
    await emit(1, 'orders', '--shards', '2', '--segment-max-age-ms', '3600000');
    for (const stream of ['returns', 'parts', 'bills', 'tools']) await emit(1, stream);
    expect(new Set((await rows()).map(({ shard }) => shard)).size).toBe(2);
    rmSync(join(data, 'registry'), { recursive: true });
    const { code, stdout, stderr } = await query();
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(
      /^lineproof: events that are not archived yet cannot be read: the folder lacks the schema [0-9a-f]{64} of a block; .* \[NOT_FOUND\]\nno events\n$/,
    );
  },
  TIMEOUT_MS,
);

test('a folder without a system is not found', async () => {
  const { code, stderr } = await query();
  expect([code, stderr]).toEqual([
    expect.any(Number),
    expect.stringMatching(
      /^lineproof: cannot query .*there is no such folder; name the folder of an archive, or s3:\/\/BUCKET\[\/PREFIX\] \[NOT_FOUND\]\n$/,
    ),
  ]);
  expect(code).not.toBe(0);
});
