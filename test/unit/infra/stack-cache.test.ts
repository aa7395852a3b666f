import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { cachedPath, fetchArtefact } from '../../../infra/stack/cache.js';
import { withFileLock } from '../../../infra/stack/file-lock.js';
import { reservePorts } from '../../../infra/stack/ports.js';
import { ROOT, runProgram, temporaryFolder } from '../../support/command.ts';

let folder: ReturnType<typeof temporaryFolder>;
const cacheBefore = process.env['XDG_CACHE_HOME'];
beforeEach(() => {
  folder = temporaryFolder('cache');
  process.env['XDG_CACHE_HOME'] = folder.path;
});
afterEach(() => {
  if (cacheBefore === undefined) delete process.env['XDG_CACHE_HOME'];
  else process.env['XDG_CACHE_HOME'] = cacheBefore;
  folder.release();
});

const silent = (): void => undefined;

function artefact(make: (path: string) => Promise<void>): Parameters<typeof fetchArtefact>[0] {
  return { name: 'thing', version: '1', about: 'making a thing', recipe: ['versions.js'], missing: async () => [], make };
}

test('an artefact that several ask for at once is made once, and all get it whole', async () => {
  let made = 0;
  const thing = artefact(async (path) => {
    made++;
    writeFileSync(join(path, 'first'), '1');
    await new Promise((resolve) => setImmediate(resolve));
    writeFileSync(join(path, 'second'), '2');
  });
  const paths = await Promise.all([1, 2, 3].map(() => fetchArtefact(thing, silent)));
  expect([made, new Set(paths).size]).toEqual([1, 1]);
  expect(readdirSync(paths[0] as string)).toEqual(['first', 'second']);
});

test('an artefact that could not be made leaves nothing behind, and is tried again', async () => {
  const broken = artefact(async (path) => {
    writeFileSync(join(path, 'half'), '');
    throw new Error('the line is dead');
  });
  await expect(fetchArtefact(broken, silent)).rejects.toThrow('the line is dead');
  expect(existsSync(cachedPath(broken))).toBe(false);
  expect(readdirSync(join(folder.path, 'lineproof-stack'))).toEqual(['locks']);
  const whole = await fetchArtefact(
    artefact(async (path) => writeFileSync(join(path, 'whole'), '')),
    silent,
  );
  expect(readdirSync(whole)).toEqual(['whole']);
});

test('an artefact that a killed process left half made is removed', async () => {
  mkdirSync(join(folder.path, 'lineproof-stack', '.thing-abcdef', 'made'), { recursive: true });
  await fetchArtefact(
    artefact(async () => undefined),
    silent,
  );
  expect(readdirSync(join(folder.path, 'lineproof-stack')).filter((name) => name.startsWith('.'))).toEqual([]);
});

test('a lock is free again when its holder is killed with −9', async () => {
  const file = join(folder.path, 'lock');
  const source = `
    import { withFileLock } from ${JSON.stringify(join(ROOT, 'infra/stack/file-lock.js'))};
    await withFileLock(process.argv[1], () => {}, async () => process.kill(process.pid, 'SIGKILL'));`;
  const killed = await runProgram(process.execPath, ['--input-type=module', '-e', source, file]);
  expect(killed.signal).toBe('SIGKILL');
  expect(await withFileLock(file, silent, async () => 'mine')).toBe('mine');
});

test('a lock keeps the second out until the first is done', async () => {
  const file = join(folder.path, 'lock');
  const order: string[] = [];
  let second: Promise<void> | undefined;
  await withFileLock(file, silent, async () => {
    // The wait shows that the second process has come to the lock.
    await new Promise<void>((waits) => {
      second = withFileLock(file, waits, async () => {
        order.push('second');
      });
    });
    order.push('first');
  });
  await second;
  expect(order).toEqual(['first', 'second']);
});

test('two stacks never get the same port, and one gets its own again', async () => {
  const ports = async (name: string, wanted: Readonly<Record<string, number>> = {}): Promise<Readonly<Record<string, number>>> => {
    const path = join(folder.path, name);
    let given = {};
    await reservePorts(path, ['a', 'b', 'c'], wanted, (chosen) => {
      given = chosen;
      mkdirSync(path, { recursive: true });
      writeFileSync(join(path, 'stack.json'), '{}');
    });
    return given;
  };
  const [one, other] = await Promise.all([ports('one'), ports('other')]);
  expect(new Set([...Object.values(one), ...Object.values(other)]).size).toBe(6);
  expect(await ports('one', one)).toEqual(one);
  const third = await ports('third', one);
  expect(new Set([...Object.values(one), ...Object.values(third)]).size).toBe(6);
  const kept = JSON.parse(readFileSync(join(folder.path, 'lineproof-stack', 'ports.json'), 'utf8'));
  expect(Object.keys(kept).toSorted((a, b) => a.localeCompare(b))).toEqual([
    join(folder.path, 'one'),
    join(folder.path, 'other'),
    join(folder.path, 'third'),
  ]);
});
