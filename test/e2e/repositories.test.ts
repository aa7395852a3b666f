import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { compare } from '../repositories/compare.js';
import { makeHistory } from '../repositories/made-history.js';
import { commitsIn } from '../repositories/recorded.js';
import { lineproof, MAIN, runProgram, temporaryFolder } from '../support/command.ts';

const TIMEOUT_MS = 240_000;
const folder = temporaryFolder('repositories');
const history = join(folder.path, 'history');
const data = join(folder.path, 'data');
afterAll(() => folder.release());

type Recorded = Awaited<ReturnType<typeof commitsIn>>;

beforeAll(async () => {
  mkdirSync(history);
  await makeHistory(history, 60);
  const args = ['collect', 'git', history, '--data', data, '--stream', 'history', '--actors', 'plain', '--segment-max-age-ms', '1000'];
  expect(await lineproof(args)).toMatchObject({ code: 0 });
}, TIMEOUT_MS);

function recorded(): Promise<Recorded> {
  return commitsIn(spawn(process.execPath, [MAIN, 'query', '--data', data, '--json'], { stdio: ['ignore', 'pipe', 'inherit'] }).stdout);
}

/** Number of differences after a change of what was recorded of one commit. What cannot even be compared counts as one. */
async function differences(change: (commits: Recorded, hash: string) => void): Promise<number> {
  const commits = await recorded();
  const [hash = ''] = [...commits].find(([, [event]]) => event?.attributes['git.changes'].includes('A 160000')) ?? [];
  change(commits, hash);
  return compare(history, 'history', commits).then(
    (compared) => compared.differences.count,
    () => 1,
  );
}

test(
  'what is recorded of a history is what git says of it, and every alteration shows',
  async () => {
    expect(await differences(() => undefined)).toBe(0);
    const first = (commits: Recorded, hash: string) => commits.get(hash)?.[0];
    const alterations: ((commits: Recorded, hash: string) => void)[] = [
      (commits, hash) => commits.delete(hash),
      (commits, hash) => commits.set('0'.repeat(40), commits.get(hash)),
      (commits, hash) => first(commits, hash).outputs.pop(),
      (commits, hash) => Object.assign(first(commits, hash).attributes, { 'git.more': 'than git says' }),
      (commits, hash) => Object.assign(first(commits, hash).attributes, { 'git.messageSha256': '0'.repeat(64) }),
      (commits, hash) => Object.assign(first(commits, hash).outputs[0], { name: 'elsewhere' }),
      (commits, hash) => Object.assign(first(commits, hash).outputs[0].digest, { value: '0'.repeat(64) }),
      (commits, hash) => Object.assign(first(commits, hash), { occurredAt: 1 }),
      (commits, hash) => Object.assign(first(commits, hash), { logIndex: 1_000 }),
      (commits, hash) => Object.assign(first(commits, hash).actor, { id: 'somebody else' }),
    ];
    for (const alter of alterations) {
      const found = await differences(alter);
      expect([alter.toString(), found > 0]).toEqual([alter.toString(), true]);
    }
  },
  TIMEOUT_MS,
);

test(
  'the script judges a history whole, from a shallow clone and from a partial clone',
  async () => {
    const { code, stdout } = await runProgram(process.execPath, ['test/repositories/main.js', '--made', '300']);
    const told = stdout.split('\n').filter((line) => !line.startsWith(' ') && line !== '');
    const line = (form: string): unknown => expect.stringMatching(new RegExp(`made ${form}: 0 differences, verdict OK; `));
    expect([code, told]).toEqual([0, ['whole', 'shallow', 'partial'].map(line)]);
    expect(stdout).toMatch(/shallow: .*\n {2}compared: .* 1 cut, 0 missing/);
    expect(stdout).toMatch(/partial: .*\n {2}compared: .* 0 files, .* [1-9]\d* missing/);
  },
  TIMEOUT_MS,
);
