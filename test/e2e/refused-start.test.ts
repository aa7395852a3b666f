import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { lineproof, temporaryFolder } from '../support/command.ts';

const folder = temporaryFolder('refused-start');
afterAll(() => folder.release());

test.each([
  ['a file that is not there', join(folder.path, 'nosuch.jsonl'), 'ENOENT'],
  ['a folder', folder.path, 'it is a folder'],
])('emit of %s is one coded line, and nothing is made', async (_, path, fact) => {
  const data = join(folder.path, 'none');
  const { code, stdout, stderr } = await lineproof(['emit', path, '--data', data]);
  expect({ code, stdout, stderr }).toEqual({ code: 74, stdout: '', stderr: `lineproof: cannot read ${path}: ${fact} [IO_FAILED]\n` });
});

test('a start that is interrupted before everything is archived says so, and prints no verdict', async () => {
  const data = join(folder.path, 'data');
  expect(await lineproof(['emit', '--data', data], { input: '{"stream":"s","type":"CREATE","actor":"a"}\n' })).toMatchObject({ code: 0 });
  const { code, stdout, stderr } = await lineproof(
    ['start', '--until-idle', '--verify', '--data', data, '--segment-max-age-ms', '3600000'],
    {
      onStart: (child) => child.stdout?.once('data', () => child.kill('SIGTERM')),
    },
  );
  expect([code, stdout.includes('VERDICT'), stdout.includes('Archived')]).toEqual([74, false, false]);
  expect(stderr).toContain('interrupted: not everything is archived, and nothing was verified');
}, 60_000);
