import { appendFileSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { lineproof, makeRepository, temporaryFolder } from '../support/command.ts';

const folder = temporaryFolder('first-run');
const repository = folder.path;
const data = join(repository, '.lineproof');
const archive = join(data, 'archive');
const START = ['start', '--collect', 'git', '.', '--until-idle', '--verify', '--segment-max-age-ms', '1000'];
const TIMEOUT_MS = 120_000;

/** The verifier key that the first run printed. */
function pinnedKey(): string {
  return readFileSync(join(data, 'keys', 'root.pub'), 'utf8').trim();
}

function filesBelow(path: string): string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

beforeAll(async () => makeRepository(repository, 12), TIMEOUT_MS);
afterAll(() => folder.release());

describe('the first run, as a user types it', () => {
  test(
    'collects a git history, archives it and ends in a verdict by the key it pinned',
    async () => {
      const { code, stdout, stderr } = await lineproof(START, { cwd: repository });
      expect({ code, stderr }).toEqual({ code: 0, stderr: expect.any(String) });
      expect(stdout).toContain(pinnedKey());
      expect(stdout).toContain('12 commits');
      expect(stdout).toMatch(/VERDICT: .*OK/);
    },
    TIMEOUT_MS,
  );

  test(
    'a second run adds only what is new and verifies again',
    async () => {
      await makeRepository(repository, 2, 12);
      const { code, stdout } = await lineproof([...START, '--json'], { cwd: repository });
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ collected: { commits: 2 }, verdict: { ok: true } });
    },
    TIMEOUT_MS,
  );

  test(
    'private keys are readable by their owner only and are outside the archive',
    () => {
      for (const file of filesBelow(join(data, 'keys')).filter((path) => path.endsWith('.key')))
        expect(statSync(file).mode & 0o077).toBe(0);
      for (const file of filesBelow(archive)) expect(readFileSync(file, 'latin1')).not.toContain('PRIVATE+KEY');
    },
    TIMEOUT_MS,
  );

  test(
    'verify is green with the root key, and only with it',
    async () => {
      const green = await lineproof(['verify', archive, '--key', pinnedKey()]);
      expect([green.code, green.stdout]).toEqual([0, expect.stringContaining('VERDICT')]);
      const unpinned = await lineproof(['verify', archive]);
      expect([unpinned.code, unpinned.stdout]).toEqual([4, expect.stringContaining('NOT CHECKED')]);
      const other = temporaryFolder('other');
      await makeRepository(other.path, 1);
      expect((await lineproof(START, { cwd: other.path })).code).toBe(0);
      const foreign = readFileSync(join(other.path, '.lineproof', 'keys', 'root.pub'), 'utf8').trim();
      other.release();
      expect((await lineproof(['verify', archive, '--key', foreign])).code).toBe(1);
    },
    TIMEOUT_MS,
  );

  test(
    'query prints the events of a stream with their place in the log',
    async () => {
      const all = await lineproof(['query', archive, '--json']);
      const events = all.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(events.length).toBeGreaterThanOrEqual(14);
      const { stream } = events[0].event;
      const one = await lineproof(['query', archive, '--stream', stream, '--json']);
      const lines = one.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(lines.map(({ streamIndex }) => streamIndex)).toEqual(lines.map((_, i) => i));
    },
    TIMEOUT_MS,
  );

  test(
    'a byte added to an archived object turns the verdict and the exit code',
    async () => {
      const events = filesBelow(archive).find((path) => path.endsWith('.events.avro'));
      appendFileSync(events as string, 'x');
      const { code, stdout } = await lineproof(['verify', archive, '--key', pinnedKey(), '--json']);
      expect(code).toBe(1);
      expect(JSON.parse(stdout).ok).toBe(false);
    },
    TIMEOUT_MS,
  );
});

describe('mistakes of a user', () => {
  test.each([
    [['frobnicate'], 2, /no command "frobnicate"/],
    [['verify', '--frob'], 2, /--frob/],
    [['verify'], 2, /verify/],
    [['start', '--shards', 'many', '--actors', 'maybe'], 78, /--shards is "many"[\s\S]*--actors is "maybe"/],
    [['run'], 2, /--/],
  ])('lineproof %j exits %d and says what to do', async (args, code, message) => {
    const result = await lineproof(args, { cwd: repository });
    expect([result.code, result.stdout]).toEqual([code, '']);
    expect(result.stderr).toMatch(message);
  });

  test('a folder that is not an archive is named', async () => {
    const { code, stderr } = await lineproof(['verify', join(repository, 'nowhere')]);
    expect([code, stderr]).toEqual([74, expect.stringContaining('nowhere')]);
  });
});
