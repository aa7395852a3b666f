import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { lineproof, ROOT, temporaryFolder } from '../support/command.ts';

const KILLS = Number(process.env['LINEPROOF_KILLS'] ?? 200);
const MAX_DELAY_MS = 400;
const folder = temporaryFolder('kill');
const data = join(folder.path, 'data');

afterAll(() => folder.release());

/** A small generator, so that a failure can be repeated with the seed that it prints. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Runs the load until `delayMs` after it opened, kills it with −9, and gives the ids whose promise had resolved. */
function runAndKill(run: number, delayMs: number): Promise<{ ids: string[]; stderr: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(ROOT, 'test/fault/load-child.js'), data, String(run)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.stdout.on('data', (chunk) => {
      if (stdout === '') setTimeout(() => child.kill('SIGKILL'), delayMs);
      stdout += chunk;
    });
    child.on('close', () => {
      // The last line may be torn: an id that was not said in full was not acknowledged to anybody.
      const lines = stdout.split('\n').slice(0, -1);
      resolve({ ids: lines.filter((line) => line !== 'open'), stderr });
    });
  });
}

test(
  `after ${KILLS} kills at random instants every acknowledged event is linked exactly once`,
  async () => {
    const seed = Date.now() % 2 ** 31;
    const next = random(seed);
    const acknowledged = new Set<string>();
    for (let run = 0; run < KILLS; run++) {
      const { ids, stderr } = await runAndKill(run, Math.floor(next() * MAX_DELAY_MS));
      expect({ seed, run, stderr }).toEqual({ seed, run, stderr: '' });
      for (const id of ids) acknowledged.add(id);
    }
    expect(acknowledged.size).toBeGreaterThan(KILLS);
    const start = await lineproof(['start', '--until-idle', '--verify', '--json', '--data', data]);
    expect({ seed, code: start.code, stderr: start.stderr }).toEqual({ seed, code: 0, stderr: expect.any(String) });
    const { verdict } = JSON.parse(start.stdout);
    expect(verdict.properties.COMPLETE.result).toBe('OK');
    const queried = await lineproof(['query', join(data, 'archive'), '--json']);
    const linked = new Map<string, number>();
    for (const line of queried.stdout.trim().split('\n')) {
      const { event } = JSON.parse(line);
      linked.set(event.id, (linked.get(event.id) ?? 0) + 1);
    }
    expect([...acknowledged].filter((id) => linked.get(id) !== 1)).toEqual([]);
    expect([...linked.values()].filter((times) => times !== 1)).toEqual([]);
  },
  40 * 60_000,
);
