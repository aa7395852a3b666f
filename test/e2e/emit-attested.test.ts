import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { type CommandResult, lineproof, MAIN, temporaryFolder } from '../support/command.ts';

const TIMEOUT_MS = 120_000;
const folder = temporaryFolder('emit-attested');
const run = (...args: string[]): Promise<CommandResult> => lineproof(args, { cwd: folder.path });
const line = (word: string, more: object = {}): string =>
  `${JSON.stringify({ stream: 'orders', type: 'CREATE', actor: 'shop', idempotencyKey: word, occurredAt: '2026-01-31T10:00:00Z', ...more })}\n`;
afterAll(() => folder.release());

test(
  'emit --attested writes a proof of each line, which is OK by the root key, and names the line that the log refuses',
  async () => {
    writeFileSync(join(folder.path, 'events.jsonl'), line('one') + line('one', { actor: 'another' }) + line('two'));
    const made = await run('emit', 'events.jsonl', '--attested', '--out', 'proofs', '--json');
    const outcomes = made.stdout
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text));
    expect(made.code).toBe(1);
    expect(outcomes).toMatchObject([{ line: 1, proof: expect.any(String) }, { line: 2, error: { code: 'EVENT_REFUSED' } }, { line: 3 }]);
    expect(made.stderr).toMatch(/line 2 was refused by the log: .*leaf \d+ is another event with this stream and id \[EVENT_REFUSED\]/);
    const files = readdirSync(join(folder.path, 'proofs')).map((name) => join('proofs', name));
    expect(new Set(files)).toEqual(new Set([outcomes[0].proof, outcomes[2].proof]));
    const checked = await run('check', ...files, '--key', '@.lineproof/keys/root.pub');
    expect([checked.code, checked.stdout.trim().split('\n').at(-1)]).toEqual([0, 'VERDICT: OK (2 proofs)']);
  },
  TIMEOUT_MS,
);

test('emit takes --out and --wait with --attested only', async () => {
  expect(await run('emit', 'events.jsonl', '--out', 'x')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('belong to --attested'),
  });
});

test.each([
  ['afile', 74, 'what has that name is not a folder [IO_FAILED]'],
  ['-', 2, 'so name a folder [USAGE]'],
  ['one.tlog-proof', 2, 'so name a folder [USAGE]'],
])('emit --attested --out %s, which takes no proofs, records nothing', async (out, code, said) => {
  const fresh = join(folder.path, `data-${code}-${out.length}`);
  writeFileSync(join(folder.path, 'afile'), '');
  const made = await run('emit', 'events.jsonl', '--attested', '--out', out, '--data', fresh);
  expect([made.code, made.stdout, existsSync(fresh)]).toEqual([code, '', false]);
  expect(made.stderr).toContain(said);
});

test('emit --attested --wait 0 is refused before anything is recorded', async () => {
  const made = await run('emit', 'events.jsonl', '--attested', '--wait', '0', '--data', 'data-wait');
  expect([made.code, made.stderr.includes('--wait is 0'), existsSync(join(folder.path, 'data-wait'))]).toEqual([2, true, false]);
});

test(
  'a proof that cannot be written leaves its event recorded, and the message says so',
  async () => {
    writeFileSync(join(folder.path, 'three.jsonl'), line('three'));
    // A folder that is there, and takes no files of anybody.
    const made = await run('emit', 'three.jsonl', '--attested', '--out', '/proc', '--json');
    const { error } = JSON.parse(made.stdout) as { error: { code: string; id: string } };
    expect([made.code, error.code]).toEqual([74, 'IO_FAILED']);
    expect(made.stderr).toContain(`line 1 is recorded as ${error.id}, and has no proof yet: cannot write /proc/`);
    expect(made.stderr).toContain(`lineproof prove --event STREAM/${error.id} writes it`);
    expect(made.stderr).toMatch(/line 1 has no proof; lines after line 1 were not read; 1 of its events recorded\n$/);
    expect((await run('start', '--until-idle', '--segment-max-age-ms', '1000')).code).toBe(0);
    expect((await run('prove', '--event', `orders/${error.id}`, '--out', 'later')).code).toBe(0);
  },
  TIMEOUT_MS,
);

/** Starts the embedded system, and resolves when it works. */
async function started(): Promise<ChildProcess> {
  const child = spawn(process.execPath, [MAIN, 'start'], { cwd: folder.path, stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise<void>((resolve) => child.stdout.on('data', (chunk: Buffer) => chunk.includes('Running') && resolve()));
  return child;
}

test(
  'emit --attested beside a running start says what to do instead, and records nothing',
  async () => {
    const child = await started();
    const beside = await run('emit', 'events.jsonl', '--attested');
    child.kill('SIGTERM');
    await once(child, 'close');
    expect([beside.code, beside.stdout]).toEqual([74, '']);
    expect(beside.stderr).toMatch(/^lineproof: cannot wait .*lineproof prove --event STREAM\/ID --wait 60 \[DATA_IN_USE\]\n$/);
  },
  TIMEOUT_MS,
);

test(
  'prove --wait that a signal ends says so, with the code of an interrupted command',
  async () => {
    const wanted = ['prove', '--event', 'orders/01890a5d-ac96-774b-bcce-b302099a8057', '--wait', '600'];
    const ended = await lineproof(wanted, {
      cwd: folder.path,
      onStart: (child) => void child.stderr?.once('data', () => child.kill('SIGTERM')),
    });
    expect([ended.code, ended.stdout]).toEqual([74, '']);
    expect(ended.stderr).toContain('interrupted before the event was in a closed segment');
  },
  TIMEOUT_MS,
);
