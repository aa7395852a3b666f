import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type CommandResult, lineproof, MAIN, makeRepository, temporaryFolder } from '../support/command.ts';

const TIMEOUT_MS = 120_000;
let folder: ReturnType<typeof temporaryFolder>;
let work: string;
let data: string;
beforeEach(() => {
  folder = temporaryFolder('run');
  work = join(folder.path, 'work');
  data = join(work, 'evidence');
  mkdirSync(work);
});
afterEach(() => folder.release());

interface Archived {
  readonly stream: string;
  readonly type: string;
  readonly inputs: readonly { readonly name: string }[];
  readonly outputs: readonly { readonly name: string }[];
  readonly attributes: readonly { readonly key: string; readonly value: string }[];
}

/** Everything archived, once the auditor found nothing wrong with it. */
async function archived(): Promise<Archived[]> {
  const start = await lineproof(['start', '--until-idle', '--verify', '--json', '--data', data, '--segment-max-age-ms', '1000'], {
    cwd: work,
  });
  expect(JSON.parse(start.stdout)).toMatchObject({ verdict: { ok: true, properties: { COMPLETE: { result: 'OK' } } } });
  const { stdout } = await lineproof(['query', join(data, 'archive'), '--json']);
  return stdout
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line).event);
}

const run = (args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CommandResult> =>
  lineproof(['run', ...args], { cwd: work, env });

describe('lineproof run', () => {
  test(
    'passes on the output of the command, and archives its inputs and outputs, with names of variables but no values',
    async () => {
      writeFileSync(join(work, 'in.csv'), 'a');
      const script = 'cat in.csv > out.csv; echo said; echo complained >&2; exit 7';
      const { code, stdout, stderr } = await run(['--data', data, '--in', '*.csv', '--', 'sh', '-c', script], { API_TOKEN: 'hunter2' });
      expect([code, stdout]).toEqual([7, 'said\n']);
      expect(stderr).toMatch(
        /^complained\nlineproof: first start: made keys and a policy in .*\nlineproof: recorded run\/sh [0-9a-f-]{36}\n$/,
      );
      const [event] = await archived();
      expect(event).toMatchObject({ stream: 'run/sh', type: 'TRANSFORM' });
      expect(event?.inputs.map(({ name }) => name)).toEqual(['in.csv']);
      // The system's own folder is below this one and is not an output.
      expect(event?.outputs.map(({ name }) => name)).toEqual(['out.csv']);
      const recorded = JSON.stringify(event);
      expect([recorded.includes('API_TOKEN'), recorded.includes('hunter2'), recorded.includes('said')]).toEqual([true, false, false]);
    },
    TIMEOUT_MS,
  );

  test.each<[string, (path: string) => readonly string[], NodeJS.ProcessEnv]>([
    ['its data folder cannot be made', () => ['--data', '/dev/null/nowhere'], {}],
    ['its configuration is wrong', () => [], { LINEPROOF_SHARDS: 'many' }],
    [
      'its keys are gone',
      (path) => {
        mkdirSync(join(path, 'keys'), { recursive: true });
        writeFileSync(join(path, 'keys', 'root.key'), 'not a key', { mode: 0o600 });
        return ['--data', path];
      },
      {},
    ],
  ])(
    'runs the command nevertheless when %s, with its exit code and one line of warning',
    async (_, options, env) => {
      const { code, stdout, stderr } = await run([...options(data), '--', 'sh', '-c', 'echo done; exit 9'], env);
      expect([code, stdout]).toEqual([9, 'done\n']);
      expect(stderr).toMatch(/^lineproof: the run was not recorded: cannot /);
    },
    TIMEOUT_MS,
  );

  test(
    'passes signals on and gives the command’s own exit code, also after the second one',
    async () => {
      const script = 'trap "echo got one" INT; trap "echo got term; exit 4" TERM; echo ready; while :; do sleep 0.05; done';
      const result = await lineproof(['run', '--data', data, '--', 'sh', '-c', script], {
        cwd: work,
        onStart: (child) => {
          let said = '';
          child.stdout?.on('data', (chunk: Buffer) => {
            const before = said;
            said += chunk.toString();
            const now = (word: string): boolean => said.includes(word) && !before.includes(word);
            if (now('ready')) child.kill('SIGINT');
            else if (now('got one')) child.kill('SIGINT');
            if (said.split('got one').length > 2 && before.split('got one').length <= 2) child.kill('SIGTERM');
          });
        },
      });
      expect([result.code, result.signal, result.stdout]).toEqual([4, null, 'ready\ngot one\ngot one\ngot term\n']);
      expect(await archived()).toHaveLength(1);
    },
    TIMEOUT_MS,
  );

  test(
    'says that there is no such program with 127, that it may not be run with 126, and records both',
    async () => {
      const said = (why: RegExp): unknown =>
        expect.stringMatching(new RegExp(`^lineproof: cannot run ${why.source}\n[^]*lineproof: recorded run/\\S+ [0-9a-f-]{36}\n$`));
      const missing = await run(['--data', data, '--', 'no-such-program']);
      expect([missing.code, missing.stderr]).toEqual([127, said(/"no-such-program": there is no such program/)]);
      writeFileSync(join(work, 'locked'), '#!/bin/sh\n');
      chmodSync(join(work, 'locked'), 0o644);
      const locked = await run(['--data', data, '--', './locked']);
      expect([locked.code, locked.stderr]).toEqual([126, said(/".\/locked": .*EACCES/)]);
      const told = (await archived()).map(({ attributes }) =>
        attributes.filter(({ key }) => /exitCode|started/.test(key)).map(({ value }) => value),
      );
      expect(told).toEqual([
        ['127', 'false'],
        ['126', 'false'],
      ]);
    },
    TIMEOUT_MS,
  );

  test(
    'takes the list that a shell makes of a pattern, warns of patterns that name nothing, and tells who ran it where',
    async () => {
      for (const name of ['a.csv', 'b.csv']) writeFileSync(join(work, name), name);
      const args = ['--data', data, '--in', 'a.csv', 'b.csv', '--out', 'no-*', 'out', '--with-arguments', '--', 'sh', '-c', 'echo 1 > out'];
      const { code, stderr } = await run(args);
      expect([code, stderr]).toEqual([0, expect.stringContaining('lineproof: "no-*" names no file\n')]);
      expect(await run(['--data', data, 'a.csv', '--', 'true'])).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('does not take "a.csv"'),
      });
      const [event] = await archived();
      expect([event?.inputs, event?.outputs].map((refs) => refs?.map(({ name }) => name))).toEqual([['a.csv', 'b.csv'], ['out']]);
      const { value: where } = event?.attributes.find(({ key }) => key === 'run.folder') ?? {};
      expect([where, JSON.stringify(event).includes(`"onBehalfOf":"hmac:`)]).toEqual([work, true]);
    },
    TIMEOUT_MS,
  );
});

describe('lineproof collect git', () => {
  test(
    'adds only new commits, each once, and keeps names to itself unless told otherwise',
    async () => {
      await makeRepository(work, 3);
      const collect = (...options: string[]): Promise<CommandResult> =>
        lineproof(['collect', 'git', work, '--json', '--verify', '--data', data, '--segment-max-age-ms', '1000', ...options], {
          cwd: folder.path,
        });
      const collected = async (...options: string[]): Promise<number> => {
        const { code, stdout, stderr } = await collect(...options);
        expect({ code, stderr }).toEqual({ code: 0, stderr: expect.any(String) });
        return JSON.parse(stdout).collected.commits;
      };
      expect(await collected()).toBe(3);
      expect(await collected()).toBe(0);
      expect(JSON.stringify(await archived())).not.toContain('Ada');
      await makeRepository(work, 1, 3);
      expect(await collected('--actors', 'plain')).toBe(1);
      const events = await archived();
      expect(events).toHaveLength(4);
      expect(JSON.stringify(events[3])).toContain('Ada Author <ada@example.org>');
      const ids = events.flatMap(({ attributes }) => attributes.filter(({ key }) => key === 'git.commit').map(({ value }) => value));
      const log = execFileSync('git', ['-C', work, 'log', '--format=%H', '--reverse'], { encoding: 'utf8' }).trim().split('\n');
      expect(ids).toEqual(log);
    },
    TIMEOUT_MS,
  );

  test(
    'collects beside a running start, which archives the events, and goes on where that collection ended',
    async () => {
      await makeRepository(work, 3);
      const collect = (): Promise<CommandResult> => lineproof(['collect', 'git', work, '--data', data], { cwd: folder.path });
      const running = spawn(process.execPath, [MAIN, 'start', '--data', data, '--segment-max-age-ms', '1000'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const ended = once(running, 'close');
      try {
        for await (const chunk of running.stdout) if (String(chunk).includes('Running')) break;
        const first = await collect();
        expect([first.code, first.stdout]).toEqual([0, expect.stringMatching(/^Collected 3 commits of the git history into stream git\//)]);
        expect(first.stderr).toMatch(
          /^lineproof: .* is in use: the events go to .*collect-[^ ]+, which its process or the next start takes over\n$/,
        );
        const again = await collect();
        expect([again.code, again.stdout, again.stderr]).toEqual([0, expect.stringContaining('Collected 0 commits'), '']);
        const verify = await lineproof(['collect', 'git', work, '--verify', '--data', data], { cwd: folder.path });
        expect([verify.code, verify.stdout, verify.stderr]).toEqual([74, '', expect.stringContaining('[DATA_IN_USE]')]);
      } finally {
        running.kill('SIGTERM');
        await ended;
      }
      const alone = await collect();
      expect([alone.code, alone.stdout]).toEqual([0, expect.stringContaining('Collected 0 commits')]);
      expect(await archived()).toHaveLength(3);
    },
    TIMEOUT_MS,
  );

  test(
    'takes the files of a folder without git or history, except its own data, and says so',
    async () => {
      writeFileSync(join(work, 'a.csv'), 'a');
      const { code, stdout } = await lineproof(['collect', 'git', work, '--data', data, '--segment-max-age-ms', '1000'], {
        cwd: folder.path,
      });
      expect([code, stdout]).toEqual([0, expect.stringContaining('the folder is not a git repository')]);
      const [event, ...more] = await archived();
      expect([event?.outputs.map(({ name }) => name), more]).toEqual([['a.csv'], []]);
      const nowhere = join(folder.path, 'bin');
      mkdirSync(nowhere);
      const without = await lineproof(['collect', 'git', work, '--data', data], { cwd: folder.path, env: { PATH: nowhere } });
      expect([without.code, without.stdout]).toEqual([0, expect.stringContaining('git is not installed')]);
      expect(readFileSync(join(work, 'a.csv'), 'utf8')).toBe('a');
    },
    TIMEOUT_MS,
  );

  test(
    'says what a shallow clone lacks: without a name for its stream it records nothing, with one the stream goes on when the clone is deepened',
    async () => {
      const origin = join(folder.path, 'origin');
      mkdirSync(origin);
      await makeRepository(origin, 4);
      const shallow = join(folder.path, 'shallow');
      execFileSync('git', ['clone', '-q', '--depth', '2', `file://${origin}`, shallow]);
      const collect = (...options: string[]): Promise<CommandResult> =>
        lineproof(['collect', 'git', shallow, '--verify', '--data', data, '--segment-max-age-ms', '1000', ...options], { cwd: work });
      const refused = await collect();
      expect([refused.code, refused.stderr]).toEqual([2, expect.stringMatching(/shallow clone.*--unshallow.*--stream.*\[USAGE\]/)]);
      const cut = await collect('--stream', 'ci/work', '--with-messages');
      expect([cut.code, cut.stdout]).toEqual([
        0,
        expect.stringMatching(/2 commits .*stream ci\/work\n1 of them without changes.*--unshallow/),
      ]);
      execFileSync('git', ['-C', shallow, 'fetch', '-q', '--unshallow']);
      const whole = await collect();
      expect([whole.code, whole.stdout]).toEqual([0, expect.stringMatching(/3 commits .*stream ci\/work\n/)]);
      const events = await archived();
      expect(events.map(({ stream, type }) => `${stream} ${type}`).toSorted()).toEqual([
        'ci/work OTHER',
        ...Array.from({ length: 4 }, () => 'ci/work TRANSFORM'),
      ]);
      const messages = events.flatMap(({ attributes }) => attributes.filter(({ key }) => key === 'git.message').map(({ value }) => value));
      expect(messages.toSorted()).toEqual(['change 2\n', 'change 3\n']);
    },
    TIMEOUT_MS,
  );

  test(
    'says how far it came when it is interrupted, and goes on there',
    async () => {
      const count = 3000;
      execFileSync('git', ['init', '-q', '-b', 'main', work]);
      const commits = Array.from(
        { length: count },
        (_, i) =>
          `commit refs/heads/main\ncommitter C <c@x> ${1_600_000_000 + i} +0000\ndata 0\nM 100644 inline f\ndata ${String(i).length}\n${i}\n`,
      );
      execFileSync('git', ['-C', work, 'fast-import', '--quiet'], { input: commits.join('') });
      const args = ['collect', 'git', work, '--json', '--verify', '--data', data, '--segment-max-age-ms', '1000'];
      const first = await lineproof(args, {
        cwd: folder.path,
        onStart: (child) => {
          const watch = setInterval(() => {
            if (!existsSync(join(data, 'spool', 'own')) || readdirSync(join(data, 'spool', 'own')).length < 2) return;
            clearInterval(watch);
            child.kill('SIGINT');
          }, 5);
          child.on('exit', () => clearInterval(watch));
        },
      });
      expect(first.code).toBe(74);
      const { collected } = JSON.parse(first.stdout);
      expect(collected).toMatchObject({ total: count, interrupted: true });
      expect(first.stderr).toContain(`Interrupted: collected ${collected.commits} of ${count} commits`);
      const second = await lineproof(args, { cwd: folder.path });
      expect(JSON.parse(second.stdout)).toMatchObject({
        collected: { commits: count - collected.commits, interrupted: false },
        verdict: { ok: true },
      });
      expect(second.stdout).toContain('"duplicates": 0');
      const { stdout } = await lineproof(['query', join(data, 'archive'), '--json']);
      const ids = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).event.activity.version);
      const listed = execFileSync('git', ['-C', work, 'rev-list', '--reverse', 'HEAD'], { encoding: 'utf8' });
      expect(ids).toEqual(listed.trim().split('\n'));
    },
    TIMEOUT_MS,
  );

  test(
    'records nothing of a damaged repository',
    async () => {
      await makeRepository(work, 1);
      writeFileSync(join(work, '.git', 'HEAD'), '');
      const { code, stderr } = await lineproof(['collect', 'git', work, '--data', data], { cwd: folder.path });
      expect([code, stderr]).toEqual([74, expect.stringMatching(/^lineproof: cannot collect .*git says .*\[REPOSITORY_UNREADABLE\]\n$/)]);
      const none = await lineproof(['start', '--stream', 'x', '--data', data], { cwd: folder.path });
      expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('--stream needs --collect git')]);
    },
    TIMEOUT_MS,
  );
});
