import { describe, expect, test } from '@jest/globals';
import type { Verdict } from '../../auditor/verdict.ts';
import { verdictText } from '../../auditor/verdict-text.ts';
import { verifyArchive } from '../../auditor/verify.ts';
import { utf8Text } from '../../core/base/bytes.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import { type ArchiveObjects, ForgedArchive } from '../support/forged-archive.ts';
import { makeWorld, START_MICROS, type World, type WorldOptions } from '../support/producer.ts';
import { codes } from '../support/scene.ts';

const shortWorld = (options: WorldOptions = {}): Promise<World> =>
  makeWorld({ ...options, policy: (policy) => ({ ...policy, segmentMaxAgeMs: 1000 }) });

/** An archive of two segments, the note of each, and the archive as it was after the first. */
async function grown(world: World, word: string): Promise<{ first: ArchiveObjects; second: ArchiveObjects; notes: readonly string[] }> {
  const archive = new ForgedArchive(world);
  const lane = world.lane(word);
  const notes: string[] = [];
  const segment = async (name: string, seconds: number): Promise<ArchiveObjects> => {
    // A segment ends at an age of a second.
    for (const at of [seconds, seconds + 1]) {
      const messages = [await lane.next(world.events('a', `${word} ${name} ${at}`))];
      await archive.block({ messages, acceptedAt: START_MICROS + at * 1_000_000 });
    }
    await archive.close();
    notes.push(utf8Text(await archive.note()));
    return archive.objects.changed(() => undefined);
  };
  return { first: await segment('one', 0), second: await segment('two', 3600), notes };
}

const verify = (world: World, objects: ArchiveObjects, ...notes: readonly string[]): Promise<Verdict> =>
  verifyArchive(objects, {
    keys: [parseVerifierKey(world.root.verifierKey)],
    since: notes.map((note, i) => ({ name: `kept-${i}`, note })),
  });

describe('a note that a reader kept', () => {
  test('is the beginning of the history that is shown later', async () => {
    const world = await shortWorld();
    const { first, second, notes } = await grown(world, 'honest');
    const verdict = await verify(world, second, ...notes);
    expect([codes(verdict), verdict.properties.LOG.counts['keptNotes']]).toEqual([[], 2]);
    expect(verdictText(verdict)).toContain('2 kept notes');
    expect(codes(await verify(world, first, notes[0] as string))).toEqual([]);
  });

  test('shows that an older copy, which is right in itself, lacks what was attested', async () => {
    const world = await shortWorld();
    const { first, notes } = await grown(world, 'honest');
    expect(codes(await verify(world, first))).toEqual([]);
    expect(codes(await verify(world, first, notes[1] as string))).toEqual(['LOG KEPT_NOTE_AHEAD']);
  });

  test('shows that a history was written anew by whoever holds all keys', async () => {
    const world = await shortWorld();
    const { notes } = await grown(world, 'honest');
    const other = await grown(world, 'anew');
    expect(codes(await verify(world, other.second))).toEqual([]);
    expect(codes(await verify(world, other.second, notes[0] as string))).toEqual(['LOG ROOT_WRONG']);
  });

  test.each([
    ['of another log', async () => (await grown(await shortWorld({ origin: 'example.org/other' }), 'honest')).notes[0] as string],
    ['signed by other keys', async () => (await grown(await shortWorld({ seed: 'evil' }), 'honest')).notes[0] as string],
    ['no note', async () => 'no note'],
    ['altered', async () => ((await grown(await shortWorld(), 'honest')).notes[0] as string).replace('\n4\n', '\n3\n')],
  ])('is a finding where it is %s', async (_, note) => {
    const world = await shortWorld();
    const { second } = await grown(world, 'honest');
    const verdict = await verify(world, second, await note());
    expect([verdict.result, codes(verdict)]).toEqual(['FAILED', ['LOG KEPT_NOTE_FOREIGN']]);
  });

  test('of a shard of which the archive holds nothing is ahead of it', async () => {
    const world = await makeWorld({ shards: 2 });
    const archive = new ForgedArchive(world, 1);
    await archive.block({ messages: [await world.lane('lane', undefined, 1).next(world.events('d', 'one'))], acceptedAt: START_MICROS });
    await archive.close();
    const note = utf8Text(await archive.note());
    const without = archive.objects.changed((map) => {
      for (const key of map.keys()) if (key.startsWith('logs/1/')) map.delete(key);
    });
    expect(codes(await verify(world, without, note))).toContain('LOG KEPT_NOTE_AHEAD');
    expect(codes(await verify(world, archive.objects, note))).not.toContain('LOG KEPT_NOTE_AHEAD');
  });
});
