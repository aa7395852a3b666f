import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, afterEach, expect, test } from '@jest/globals';
import { openLmdbLog } from '../../adapters/lmdb-log.ts';
import { systemClock } from '../../adapters/system-clock.ts';
import type { Log } from '../../core/ports/log.ts';
import { temporaryFolder } from '../support/command.ts';

const CHILD = ['--conditions=lineproof-source', '--import', './test/support/typescript.js', 'test/fault/log-child.ts'];
const ROUNDS = 8;
const folder = temporaryFolder('log-processes');
const running: ChildProcess[] = [];
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL');
});
afterAll(() => folder.release());

/** A process that appends; `told` fills with the records that it said were durable. */
function appending(
  name: string,
  count: number,
  onTold: (told: readonly string[], child: ChildProcess) => void,
): Promise<readonly string[]> {
  const child = spawn(process.execPath, [...CHILD, folder.path, name, String(count)], { stdio: ['ignore', 'pipe', 'inherit'] });
  running.push(child);
  let said = '';
  const told = (): string[] =>
    said
      .split('\n')
      .slice(0, -1)
      .map((line) => line.slice('durable '.length));
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
    onTold(told(), child);
  });
  return once(child, 'close').then(told);
}

async function allOf(log: Log): Promise<readonly string[]> {
  const records = await log.read('shared', 0, 0, { maxBytes: 2 ** 30, waitMs: 0 });
  expect(records.map(({ offset }) => offset)).toEqual(records.map((_, i) => i));
  return records.map((record) => (record.kind === 'record' ? Buffer.from(record.value).toString() : 'unreadable'));
}

test('processes that append to one log at once, some killed in between, lose, double and tear nothing', async () => {
  const log = await openLmdbLog(folder.path, { clock: systemClock });
  try {
    await log.ensureTopic('shared', { partitions: 1 });
    const over = new AbortController();
    let own = 0;
    const ownWork = (async (): Promise<void> => {
      while (!over.signal.aborted) await log.append('shared', 0, [{ key: null, value: Buffer.from(`own ${own++}`) }]);
    })();
    const durable: string[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const killed = appending(`killed${round}`, 1_000_000, (told, child) => void (told.length > 20 + round && child.kill('SIGKILL')));
      const whole = appending(`whole${round}`, 30, () => undefined);
      durable.push(...(await killed), ...(await whole));
    }
    over.abort();
    await ownWork;
    const found = await allOf(log);
    const counts = new Set(found);
    expect(counts.size).toBe(found.length);
    expect(durable.filter((text) => !counts.has(text))).toEqual([]);
    expect(durable.length).toBeGreaterThanOrEqual(ROUNDS * 50);
    expect(found.filter((text) => text.startsWith('own '))).toEqual(Array.from({ length: own }, (_, i) => `own ${i}`));
  } finally {
    await log.close();
  }
}, 120_000);
