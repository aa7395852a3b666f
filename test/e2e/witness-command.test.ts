import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { httpWitness } from '../../adapters/http-witness.ts';
import { systemClock } from '../../adapters/system-clock.ts';
import type { Verdict } from '../../auditor/verdict.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { EMPTY_ROOT } from '../../core/tree/hash.ts';
import { archiveChain, makeChain, noteOf } from '../support/archive.ts';
import { lineproof, MAIN, temporaryFolder } from '../support/command.ts';
import { MemoryObjectStore } from '../support/memory.ts';
import { makeWorld, testSigner } from '../support/producer.ts';

const TIMEOUT_MS = 120_000;
const folder = temporaryFolder('witness');
const running: ChildProcess[] = [];
let world: Awaited<ReturnType<typeof makeWorld>>;

beforeAll(async () => {
  world = await makeWorld();
});
afterEach(async () => {
  for (const child of running.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGTERM');
    await once(child, 'close');
  }
});
afterAll(() => folder.release());

const logKey = (): string => (world.logs[0] as Signer).verifierKey;

/** Starts the command and gives its line for a tlog-policy file. */
async function started(...args: readonly string[]): Promise<{ readonly line: string; readonly url: string; readonly child: ChildProcess }> {
  const fixed = ['witness', '--listen', '127.0.0.1:0', '--http-port', '0'];
  const child = spawn(process.execPath, [MAIN, ...fixed, ...args], { stdio: ['ignore', 'pipe', 'inherit'], cwd: folder.path });
  running.push(child);
  let said = '';
  for await (const chunk of child.stdout) {
    said += String(chunk);
    if (said.includes('\n')) break;
  }
  return { line: said, url: said.trim().split(' ').at(-1) ?? '', child };
}

test(
  'two commands witness an archive, which verify and check then hold to a witness policy of the reader',
  async () => {
    const [a, b] = [
      await started('--log', logKey(), '--name', 'a.example/w', '--state', 'a'),
      await started('--log', logKey(), '--name', 'b.example/w', '--state', 'b'),
    ];
    const named = [a.line.replace('witness a.example/w', 'witness a'), b.line.replace('witness b.example/w', 'witness b')].join('');
    const witnesses = `${named}group both 2 a b\nquorum both\n`;
    const own = await makeWorld({
      policy: (policy) => ({ ...policy, segmentMaxAgeMs: 60_000, witnessing: { witnesses, required: true, deadlineMs: 60_000 } }),
    });
    expect(own.logs[0]?.verifierKey).toBe(logKey());
    const objects = new MemoryObjectStore();
    await archiveChain(await makeChain(7, own), objects, { openWitness: httpWitness, clock: systemClock });
    for (const [name, bytes] of objects.objects) {
      mkdirSync(dirname(join(folder.path, 'archive', name)), { recursive: true });
      writeFileSync(join(folder.path, 'archive', name), bytes);
    }
    const at = { cwd: folder.path };
    writeFileSync(join(folder.path, 'mine.policy'), `log ${logKey()}\n${witnesses}`);
    const key = ['--key', own.root.verifierKey];
    const verified = await lineproof(['verify', 'archive', ...key, '--witness-policy', 'mine.policy', '--json'], at);
    const verdict = JSON.parse(verified.stdout) as Verdict;
    expect(verdict.properties.WITNESSES).toMatchObject({ result: 'OK', trust: 'witness policy mine.policy (pinned)' });
    expect(verdict.shards[0]?.witnessed?.size).toBe(verdict.shards[0]?.size);
    expect((await lineproof(['prove', 'archive', '--leaf', '0/0', '--out', 'x.tlog-proof'], at)).code).toBe(0);
    const checked = await lineproof(['check', 'x.tlog-proof', ...key, '--witness-policy', 'mine.policy', '--require', 'WITNESSES'], at);
    expect([checked.code, checked.stdout]).toEqual([0, expect.stringMatching(/WITNESSES {3}OK/)]);
    const stranger = await started('--log', logKey(), '--name', 'c.example/w', '--state', 'c');
    writeFileSync(join(folder.path, 'other.policy'), `${stranger.line.replace('witness c.example/w', 'witness c')}quorum c\n`);
    expect((await lineproof(['verify', 'archive', ...key, '--witness-policy', 'other.policy'], at)).stdout).toContain(
      'VERDICT: FAILED: WITNESSES',
    );
    expect((await lineproof(['check', 'x.tlog-proof', ...key, '--witness-policy', 'other.policy'], at)).code).toBe(1);
  },
  TIMEOUT_MS,
);

test(
  'a witness that was killed knows what it cosigned, and keeps its key',
  async () => {
    const log = testSigner('log.example/0', 'log');
    const note = await noteOf(log, 0, EMPTY_ROOT);
    const ask = (url: string, root = note): ReturnType<ReturnType<typeof httpWitness>['addCheckpoint']> =>
      httpWitness(url).addCheckpoint(root, 0, [], new AbortController().signal);
    const first = await started('--log', log.verifierKey, '--name', 'k.example/w', '--state', 'k');
    expect((await ask(first.url)).kind).toBe('cosigned');
    first.child.kill('SIGKILL');
    await once(first.child, 'close');
    const again = await started('--log', log.verifierKey, '--state', 'k');
    expect(again.line.split(' ').slice(0, 3)).toEqual(first.line.split(' ').slice(0, 3));
    expect((await ask(again.url)).kind).toBe('cosigned');
    expect(await ask(again.url, await noteOf(log, 0, new Uint8Array(32)))).toEqual({ kind: 'conflict', size: 0 });
    expect(statSync(join(folder.path, 'k', 'witness.key')).mode & 0o777).toBe(0o600);
  },
  TIMEOUT_MS,
);

test('a witness without what it needs says so', async () => {
  const at = { cwd: folder.path };
  const said = async (...args: readonly string[]): Promise<unknown> => {
    const { code, stderr } = await lineproof(['witness', '--http-port', '0', ...args], at);
    return [code, stderr];
  };
  const log = ['--log', logKey()];
  expect(await said()).toEqual([2, expect.stringContaining('give --log KEY')]);
  expect(await said('--log', 'nothing')).toEqual([2, expect.stringContaining('neither a verifier key nor a file')]);
  expect(await said(...log, '--state', 'new')).toEqual([2, expect.stringContaining('give --name')]);
  expect(await said(...log, '--state', 'new', '--name', 'a b')).toEqual([2, expect.stringContaining('--name "a b"')]);
  expect(await said(...log, '--listen', 'here')).toEqual([2, expect.stringContaining('HOST:PORT')]);
  expect(await said(...log, 'x')).toEqual([2, expect.stringContaining('no arguments')]);
  writeFileSync(join(folder.path, 'bad.policy'), 'log x\nquorum none\n');
  expect(await said('--logs', 'bad.policy')).toEqual([2, expect.stringContaining('line 1 has no usable key')]);
  const { child } = await started(...log, '--name', 'n.example/w', '--state', 'n');
  expect(await said(...log, '--state', 'n')).toEqual([74, expect.stringMatching(/another witness with --state \[DATA_IN_USE\]/)]);
  child.kill('SIGTERM');
  expect(await once(child, 'close')).toEqual([0, null]);
  expect(await said(...log, '--state', 'n', '--name', 'o.example/w')).toEqual([2, expect.stringContaining('keeps its name')]);
  rmSync(join(folder.path, 'n', 'notes'), { recursive: true });
  expect(await said(...log, '--state', 'n')).toEqual([78, expect.stringContaining('could cosign a second history')]);
  mkdirSync(join(folder.path, 'n', 'notes'));
  rmSync(join(folder.path, 'n', 'witness.key'));
  expect(await said(...log, '--state', 'n')).toEqual([78, expect.stringContaining('restore it from its backup')]);
  expect([existsSync(join(folder.path, 'n', 'witness.key')), readFileSync(join(folder.path, 'n', 'witness.pub'), 'utf8')]).toEqual([
    false,
    expect.stringMatching(/^n\.example/),
  ]);
}, 60_000);
