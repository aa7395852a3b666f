import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type CommandResult, lineproof, temporaryFolder } from '../support/command.ts';
import { ForgedArchive } from '../support/forged-archive.ts';
import { provenEvents } from '../support/forged-proof.ts';
import { makeWorld, START_MICROS, type World } from '../support/producer.ts';

const folder = temporaryFolder('forked-proofs');
let world: World;
const check = (...args: string[]): Promise<CommandResult> =>
  lineproof(['check', ...args, '--key', world.root.verifierKey], { cwd: folder.path });

/** Writes the proofs of a log of the world as `<name>-<leaf>.tlog-proof`: the same keys sign each of the logs. */
async function writeLog(name: string, ...words: readonly string[]): Promise<void> {
  const archive = new ForgedArchive(world);
  const lane = world.lane(`lane ${name}`);
  for (const [i, word] of words.entries())
    await archive.block({ messages: [await lane.next(world.events('a', word))], acceptedAt: START_MICROS + i });
  await archive.close();
  for (const { leaf, text } of await provenEvents(archive.objects, { kind: 'stream', stream: 'a', from: 0, to: 9 }))
    writeFileSync(join(folder.path, `${name}-${leaf}.tlog-proof`), text);
}

beforeAll(async () => {
  world = await makeWorld();
  await writeLog('one', 'x', 'y');
  await writeLog('other', 'x', 'z');
  await writeLog('longer', 'x', 'z', 'z');
});

afterAll(() => folder.release());

describe('proofs of two histories that one log key attested', () => {
  test('are OK one by one', async () => {
    for (const name of ['one-0', 'one-2', 'other-2', 'longer-2']) expect((await check(`${name}.tlog-proof`)).code).toBe(0);
    expect((await check('one-0.tlog-proof', 'one-2.tlog-proof')).code).toBe(0);
  });

  test.each([
    ['of one size', 'one-0.tlog-proof', 'other-2.tlog-proof', 'the root of 4 leaves of example.org/log/0 is '],
    ['of two sizes', 'one-2.tlog-proof', 'longer-2.tlog-proof', 'leaf 2 of example.org/log/0 is '],
  ])('are FAILED together (%s)', async (_, first, second, sentence) => {
    const { code, stdout } = await check(first, second);
    expect(stdout.replaceAll(/\s+/g, ' ')).toContain(sentence);
    expect(stdout).toMatch(/\nVERDICT: FAILED \(2 proofs\)\n$/);
    expect(code).toBe(1);
    const json = JSON.parse((await check(first, second, '--json')).stdout);
    expect(json).toMatchObject({ result: 'FAILED', contradictions: expect.arrayContaining([expect.stringContaining(sentence)]) });
  });
});
