import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { linesFile, loadLines } from '../support/cluster-load.ts';
import { lineproof, MAIN, runProgram, temporaryFolder } from '../support/command.ts';

const EVENTS = 1000;
const folder = temporaryFolder('slow-reader');

afterAll(() => folder.release());

test('a reader that is slower than the command gets everything', async () => {
  const data = join(folder.path, 'data');
  const file = linesFile(join(folder.path, 'lines'), loadLines(0, EVENTS, 4));
  expect(await lineproof(['emit', '--quiet', '--data', data, '--segment-max-age-ms', '1000', file])).toMatchObject({ code: 0 });
  expect(await lineproof(['start', '--until-idle', '--data', data])).toMatchObject({ code: 0 });
  // The shell reads a byte at a time, so that the pipe is full when the command ends.
  const slowly = '"$0" "$1" query "$2" --json | while read -r line; do echo; done';
  const { stdout } = await runProgram('bash', ['-c', slowly, process.execPath, MAIN, join(data, 'archive')]);
  expect(stdout.length).toBe(EVENTS);
}, 120_000);
