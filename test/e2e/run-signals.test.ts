import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { MAIN, temporaryFolder } from '../support/command.ts';

const TIMEOUT_MS = 120_000;
const folder = temporaryFolder('run-signals');
const work = join(folder.path, 'work');
const data = join(folder.path, 'data');
mkdirSync(work);
afterAll(() => folder.release());

/** Whether a process has a file open. */
function hasOpen(pid: number, file: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`).endsWith(file));
  } catch {
    return false;
  }
}

async function output(child: ChildProcess): Promise<{ readonly code: number | null; readonly text: string }> {
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
  const [code] = await once(child, 'close');
  return { code, text };
}

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)(
  '%s while inputs are read means that the command does not start',
  async (signal, code) => {
    // Without content on disk, and larger than what can be read in the time of the test.
    const large = join(work, 'large');
    writeFileSync(large, '');
    truncateSync(large, 2 ** 40);
    const child = spawn(process.execPath, [MAIN, 'run', '--data', data, '--in', 'large', '--', 'touch', 'started'], { cwd: work });
    const ended = output(child);
    while (!hasOpen(child.pid as number, '/large')) await new Promise((resolve) => void setImmediate(resolve));
    child.kill(signal);
    expect(await ended).toEqual({ code, text: `lineproof: cannot run "touch": ${signal} came before it was started\n` });
    expect([existsSync(join(work, 'started')), existsSync(data)]).toEqual([false, false]);
  },
  TIMEOUT_MS,
);

const SCRIPT = ['/usr/bin/script', '/bin/script'].find((path) => existsSync(path));
const onTerminal = SCRIPT === undefined ? test.skip : test;

onTerminal(
  'one Ctrl-C on a terminal is one signal for the command, also if its input is not the terminal (needs script)',
  async () => {
    const count = `n=0; trap 'n=$((n+1))' INT; echo ready; i=0; while [ $i -lt 20 ]; do sleep 0.1; i=$((i+1)); done; echo got $n signals`;
    const file = join(work, 'count.sh');
    writeFileSync(file, count);
    // Without a shell between: dash would end with 130 itself, whatever the command says.
    const command = `exec ${process.execPath} ${MAIN} run --data ${data} -- sh ${file} < /dev/null`;
    const child = spawn(SCRIPT as string, ['-qec', command, '/dev/null'], { cwd: work });
    const ended = output(child);
    child.stdout.on('data', (chunk: Buffer) => {
      if (chunk.toString().includes('ready')) child.stdin.write('\x03');
    });
    const { code, text } = await ended;
    expect([code, text]).toEqual([0, expect.stringContaining('got 1 signals')]);
  },
  TIMEOUT_MS,
);
