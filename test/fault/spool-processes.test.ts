import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { runProgram } from '../support/command.ts';
import { openPipeline } from '../support/pipeline.ts';

const CHILD = ['--conditions=lineproof-source', '--import', './test/support/typescript.js', 'test/fault/spool-child.ts'];
let folder: string;
let child: ChildProcess | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lineproof-processes-'));
});
afterEach(() => {
  child?.kill('SIGKILL');
  child = undefined;
  rmSync(folder, { recursive: true, force: true });
});

/** Ids that the child said were durable; a torn last line was said to nobody. */
function durable(stdout: string): string[] {
  const lines = stdout.split('\n').slice(0, -1);
  return lines.filter((line) => line.startsWith('durable ')).map((line) => line.slice(8));
}

/** Opens the spool on a pipeline, lets everything be sent, and holds the archive against what was said to be durable. */
async function mustArrive(spool: string, acknowledged: readonly string[]): Promise<void> {
  const { collect, end } = await openPipeline(join(folder, 'data'));
  const collector = await collect({ spool: { folder: spool } });
  await collector.flush();
  expect(await collector.close()).toBe(true);
  const { verdict, links } = await end();
  expect([verdict.ok, verdict.properties.COMPLETE.result]).toEqual([true, 'OK']);
  expect(acknowledged.filter((id) => links.get(id) !== 1)).toEqual([]);
}

test('a second process is refused while the first one lives, and takes over at once what a kill −9 left', async () => {
  const spool = join(folder, 'spool');
  child = spawn(process.execPath, [...CHILD, 'until-killed', spool], { stdio: ['ignore', 'pipe', 'inherit'] });
  let stdout = '';
  const busy = new Promise<void>((resolve) => {
    child?.stdout?.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
      if (durable(stdout).length > 20) resolve();
    });
  });
  await busy;
  const { collect, pipeline } = await openPipeline(join(folder, 'other'));
  await expect(collect({ spool: { folder: spool } })).rejects.toMatchObject({
    code: 'DATA_IN_USE',
    message: expect.stringContaining(spool),
  });
  await pipeline.close();
  child.kill('SIGKILL');
  await once(child, 'close');
  await mustArrive(spool, durable(stdout));
}, 60_000);

test('a full disk is a clear error, to those who wait and in the log; with room again everything goes on and nothing is lost', async () => {
  const [disk, copy] = [join(folder, 'disk'), join(folder, 'copy')];
  mkdirSync(disk);
  const onSmallDisk = `mount -t tmpfs -o size=1m tmpfs '${disk}' && exec "$0" "$@"`;
  const { code, stdout, stderr } = await runProgram(
    'unshare',
    ['--mount', '--map-root-user', 'sh', '-c', onSmallDisk, process.execPath, ...CHILD, 'full', join(disk, 'spool'), copy],
    {},
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const lines = stdout.trim().split('\n');
  expect(lines[0]).toBe('open DISK_FULL');
  const failed = lines.filter((line) => line.startsWith('failed '));
  expect(failed.length).toBeGreaterThanOrEqual(2);
  expect(new Set(failed)).toEqual(new Set(['failed DISK_FULL']));
  expect(lines).toContain('logged true');
  expect(lines.at(-1)).toMatch(/^durable /);
  expect(durable(stdout).length).toBeGreaterThan(50);
  await mustArrive(copy, durable(stdout));
}, 60_000);
