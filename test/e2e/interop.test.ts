import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { lineproof, makeRepository, ROOT, runProgram, temporaryFolder } from '../support/command.ts';

const TIMEOUT_MS = 300_000;
const folder = temporaryFolder('interop');
const log = join(folder.path, '.lineproof', 'archive', 'logs', '0');
const venv = join(folder.path, 'venv');

/** A test that needs a program which this machine may not have: then it is skipped under its name, which fails where CI=true. */
function testWith(program: string, ...args: readonly string[]): typeof test {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0 ? test : (test.skip as typeof test);
}

beforeAll(async () => {
  await makeRepository(folder.path, 20);
  const started = await lineproof(['start', '--collect', 'git', '.', '--until-idle', '--segment-max-age-ms', '1000'], { cwd: folder.path });
  expect(started).toMatchObject({ code: 0 });
}, TIMEOUT_MS);

afterAll(() => folder.release());

describe('programs that share no code with Lineproof', () => {
  testWith('go', 'version')(
    'a tlog client of the Go project finds the checkpoint in the tiles and every leaf in the tree',
    async () => {
      const { code, stdout, stderr } = await runProgram('go', ['run', '.', 'check', log], { cwd: join(ROOT, 'test/interop/go') });
      expect({ code, stdout, stderr: code === 0 ? '' : stderr }).toEqual({
        code: 0,
        stdout: expect.stringMatching(/^ok \d+ /),
        stderr: '',
      });
    },
    TIMEOUT_MS,
  );

  testWith('go', 'version')(
    'packages of the Go project check every proof by the log key, and refuse an altered one',
    async () => {
      const out = join(folder.path, 'proofs');
      const stream = JSON.parse((await lineproof(['query', '--json'], { cwd: folder.path })).stdout.split('\n')[0] as string).event.stream;
      const { stdout } = await lineproof(['prove', '--stream', stream, '--out', out], { cwd: folder.path });
      const files = stdout.trim().split('\n');
      expect(files).toHaveLength(20);
      const key = readFileSync(join(folder.path, '.lineproof', 'keys', 'log-0.pub'), 'utf8').trim();
      const checked = await runProgram('go', ['run', '.', 'proof', key, ...files], { cwd: join(ROOT, 'test/interop/go') });
      expect({ ...checked, stderr: '' }).toMatchObject({ code: 0, stdout: expect.stringMatching(/^(ok \d+ \d+\n){20}$/) });
      const altered = join(out, 'altered.tlog-proof');
      writeFileSync(altered, readFileSync(files[0] as string, 'utf8').replace('index 0\n', 'index 1\n'));
      expect((await runProgram('go', ['run', '.', 'proof', key, altered], { cwd: join(ROOT, 'test/interop/go') })).code).toBe(1);
    },
    TIMEOUT_MS,
  );

  testWith('python3', '-c', 'import venv, ensurepip')(
    'fastavro reads every record of events.avro with all its fields',
    async () => {
      expect(await runProgram('python3', ['-m', 'venv', venv])).toMatchObject({ code: 0 });
      const pip = await runProgram(join(venv, 'bin', 'pip'), [
        'install',
        '-q',
        '--disable-pip-version-check',
        '-r',
        join(ROOT, 'test/interop/requirements.txt'),
      ]);
      expect(pip).toMatchObject({ code: 0 });
      const files = readdirSync(join(log, 'segments')).filter((name) => name.endsWith('.events.avro'));
      expect(files.length).toBeGreaterThan(0);
      const read: string[] = [];
      for (const name of files) {
        const path = join(log, 'segments', name);
        const { code, stdout, stderr } = await runProgram(join(venv, 'bin', 'python'), [join(ROOT, 'test/interop/read_events.py'), path]);
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
        read.push(...stdout.trim().split('\n'));
      }
      const ours = (await lineproof(['query', join(folder.path, '.lineproof', 'archive'), '--json'])).stdout.trim().split('\n');
      expect(read).toHaveLength(ours.length);
      for (const [i, line] of read.entries()) {
        const record = JSON.parse(line);
        const { logIndex, streamIndex, producer, leafHash, event } = JSON.parse(ours[i] as string);
        expect(record).toMatchObject({ logIndex, streamIndex, producer, leafHash });
        expect(Object.keys(record.event).toSorted()).toEqual(Object.keys(event).toSorted());
        expect(record.event).toMatchObject({ stream: event.stream, type: event.type, attributes: event.attributes });
        expect(record.event.outputs.map(({ name }: { name: string }) => name)).toEqual(
          event.outputs.map(({ name }: { name: string }) => name),
        );
      }
    },
    TIMEOUT_MS,
  );

  test('the tree is where a tlog client looks for it', () => {
    for (const path of ['checkpoint', 'tile/0', 'tile/entries']) expect(existsSync(join(log, path))).toBe(true);
  });
});
