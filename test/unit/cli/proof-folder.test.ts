import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { openProofFolder, TLOG_PROOF_ENDING } from '../../../cli/proof-folder.ts';
import { utf8 } from '../../../core/base/bytes.ts';
import { temporaryFolder } from '../../support/command.ts';

const folder = temporaryFolder('proof-folder');
const PROOF = { shard: 0, leaf: 0, size: 1 };
const FILES = [{ ending: TLOG_PROOF_ENDING, content: utf8('a proof\n') }];

afterAll(() => folder.release());

test('a pipe with the name of a proof is not taken for it, and not read', async () => {
  const path = join(folder.path, 'leaf-0-0-of-1.tlog-proof');
  execFileSync('mkfifo', [path]);
  const writer = spawn('sh', ['-c', 'printf "a proof\\n" > "$1"', 'sh', path], { stdio: 'ignore' });
  try {
    expect(() => openProofFolder(folder.path).write(PROOF, FILES, 0)).toThrow(expect.objectContaining({ code: 'IO_FAILED' }));
  } finally {
    writer.kill();
    await once(writer, 'exit');
  }
});

test('a proof that is there already is left as it is', () => {
  const path = openProofFolder(join(folder.path, 'made')).write(PROOF, FILES, 0);
  expect(openProofFolder(join(folder.path, 'made')).write(PROOF, FILES, 0)).toBe(path);
});
