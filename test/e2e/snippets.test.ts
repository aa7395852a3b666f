import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { transform } from '@swc/core';
import { lineproof, ROOT, runProgram, temporaryFolder } from '../support/command.ts';

const TIMEOUT_MS = 120_000;
const folder = temporaryFolder('snippets');
const data = join(folder.path, '.lineproof');

beforeAll(() => {
  mkdirSync(join(folder.path, 'node_modules'));
  symlinkSync(ROOT, join(folder.path, 'node_modules', 'lineproof'));
  symlinkSync(join(ROOT, 'node_modules', '@types'), join(folder.path, 'node_modules', '@types'));
});
afterAll(() => folder.release());

/** The TypeScript of a document, as a reader copies it. */
function snippet(document: string): string {
  const blocks = [...readFileSync(join(ROOT, document), 'utf8').matchAll(/^```ts\n([\s\S]*?)^```$/gm)];
  expect([document, blocks.length]).toEqual([document, 1]);
  return blocks[0]?.[1] as string;
}

/** Compiles the snippet as strictly as a reader might, and runs it in the folder. */
async function run(document: string): Promise<void> {
  const source = snippet(document);
  writeFileSync(join(folder.path, 'snippet.mts'), source);
  const strict = ['--strict', '--noEmit', '--skipLibCheck', '--module', 'nodenext', '--target', 'es2023', '--types', 'node'];
  const checked = await runProgram(join(ROOT, 'node_modules', '.bin', 'tsc'), [...strict, 'snippet.mts'], { cwd: folder.path });
  expect([document, checked.stdout, checked.code]).toEqual([document, '', 0]);
  const { code } = await transform(source, { jsc: { target: 'es2023', parser: { syntax: 'typescript' } }, module: { type: 'es6' } });
  writeFileSync(join(folder.path, 'snippet.mjs'), code);
  const ran = await runProgram(process.execPath, ['snippet.mjs'], { cwd: folder.path });
  expect([document, ran.stdout, ran.stderr, ran.code]).toEqual([document, '', '', 0]);
}

/** Types of the archived events, once the verdict is OK and nothing was in conflict. */
async function archived(): Promise<string[]> {
  const start = await lineproof(['start', '--until-idle', '--verify', '--json', '--data', data, '--segment-max-age-ms', '1000'], {
    cwd: folder.path,
  });
  expect(JSON.parse(start.stdout)).toMatchObject({
    verdict: { ok: true, properties: { COMPLETE: { result: 'OK' }, UNIQUE: { counts: { conflicts: 0 } } } },
  });
  const { stdout } = await lineproof(['query', join(data, 'archive'), '--json']);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).event.type);
}

test(
  'the snippets of the README and of the first steps compile and run unchanged, twice without a conflict, and the events that they record are archived',
  async () => {
    await run('README.md');
    expect(await archived()).toEqual(['CREATE', 'CREATE']);
    await run('docs/getting-started.md');
    expect(await archived()).toEqual(['CREATE', 'CREATE', 'CREATE', 'TRANSFORM']);
    // What has a key is recorded once; the event without one is another event each time.
    await run('README.md');
    await run('docs/getting-started.md');
    expect(await archived()).toEqual(['CREATE', 'CREATE', 'CREATE', 'TRANSFORM', 'CREATE']);
  },
  TIMEOUT_MS,
);

test(
  'the snippet about attested recording compiles and runs unchanged, twice, and its proof is OK by the root key',
  async () => {
    await run('docs/proofs.md');
    await run('docs/proofs.md');
    const checked = await lineproof(['check', 'order-7.tlog-proof', '--key', '@.lineproof/keys/root.pub'], { cwd: folder.path });
    expect([checked.stdout.trim().split('\n').at(-1), checked.code]).toEqual(['VERDICT: OK', 0]);
  },
  TIMEOUT_MS,
);
