import { beforeAll, describe, expect, test } from '@jest/globals';
import type { Verdict } from '../../auditor/verdict.ts';
import { VERDICTS } from '../../auditor/verdict-words.ts';
import { contradictions, type GivenArchive, type NaiveVerdict, NaiveVerifier, testWithPython } from '../support/naive-verifier.ts';
import { required } from '../support/rich-archive.ts';
import { type Attack, type Attacked, attacked, expectedResults, expectedWord, judged, resultsOf } from './attack.ts';

const TIMEOUT_MS = 300_000;

interface Played {
  readonly attack: Attack;
  readonly archive: Attacked;
  readonly verdict: Verdict;
}

/** Plays each attack and holds both verifiers to what the attack expects. */
export function holdAttacks(family: string, attacks: readonly Attack[]): void {
  const played = new Map<string, Promise<Played>>();
  const playOnce = (attack: Attack): Promise<Played> => {
    const made = played.get(attack.name) ?? playOne(attack);
    played.set(attack.name, made);
    return made;
  };
  const verifier = new NaiveVerifier();
  beforeAll(() => verifier.install(), TIMEOUT_MS);

  describe(family, () => {
    test.each(attacks.map((attack) => [attack.name, attack] as const))('%s', async (_, attack) => {
      const { archive, verdict } = await playOnce(attack);
      const { seen, stopped = [], refused } = attack;
      const codes = codesOf(verdict);
      const reasons = verdict.refused.byReason.map(({ reason }) => reason);
      const got = { word: verdict.result, results: resultsOf(verdict), time: verdict.properties.TIME.result, stopped: archive.stopped };
      expect({ ...got, seen: seen === null || codes.includes(seen) ? seen : codes, reasons }).toEqual({
        word: expectedWord(attack),
        results: expectedResults(attack),
        time: attack.time ?? 'NOT CHECKED',
        stopped,
        seen,
        reasons: refused === undefined ? reasons : expect.arrayContaining([refused]),
      });
      if (process.env['ATTACKS'] === 'print') process.stdout.write(`${rowOf(attack)}\n`);
    });

    testWithPython(
      'the other verifier agrees on each',
      async () => {
        const all = await Promise.all(attacks.map(playOnce));
        const others = await verifier.verifyMany(all.map(({ archive: { objects, reader } }) => givenTo(reader, objects.map)));
        const differences = all.flatMap((each, i) => differencesOf(each, required(others[i])));
        expect(differences).toEqual([]);
      },
      TIMEOUT_MS,
    );
  });
}

async function playOne(attack: Attack): Promise<Played> {
  const archive = await attacked(attack);
  return { attack, archive, verdict: await judged(archive) };
}

/** What the other verifier takes: it has no use for roots of authorities, and no clock. */
function givenTo({ keys, origin, genesis, since, witnesses }: Attacked['reader'], objects: ReadonlyMap<string, Uint8Array>): GivenArchive {
  const demands = {
    ...(origin === undefined ? {} : { origin }),
    ...(genesis === undefined ? {} : { genesis }),
    ...(since === undefined ? {} : { since }),
    ...(witnesses === undefined ? {} : { witnesses }),
  };
  return { keys, objects, ...demands };
}

/** What the two verifiers say differently. */
function differencesOf({ attack, verdict }: Played, other: NaiveVerdict): unknown[] {
  // The other verifier says nothing of TIME, which may decide the word.
  const words = attack.time !== undefined || verdict.result === other.word ? [] : [`${verdict.result} is ${other.word} there`];
  const found = [
    ...words,
    ...contradictions(other.properties, resultsOf(verdict)).filter((pair) => attack.differs?.includes(pair) !== true),
  ];
  if (found.length === 0) return [];
  const told = other.findings.filter(({ severity }) => severity !== 'NOTE');
  return [
    {
      attack: attack.name,
      found,
      product: toldBy(verdict),
      other: told.map(({ property, words: text, place }) => `${property} ${text} ${place}`),
    },
  ];
}

/** `PROPERTY CODE` of each finding, once. */
function codesOf({ findings }: Verdict): string[] {
  return [...new Set(findings.map(({ property, code }) => `${property} ${code}`))];
}

/** All that lowers the verdict, for the message of a test that fails. */
function toldBy({ findings }: Verdict): string[] {
  return findings
    .filter(({ severity }) => severity !== 'NOTE')
    .map(({ property, severity, code, message }) => `${property} ${severity} ${code} ${message}`);
}

function rowOf(attack: Attack): string {
  const { name, keys, stopped = [], seen, refused } = attack;
  const word = expectedWord(attack);
  const results = Object.entries({ ...expectedResults(attack), TIME: attack.time ?? 'OK' }).flatMap(([property, result]) =>
    result === 'OK' ? [] : [`${property} ${result}`],
  );
  const stop = stopped.length > 0 ? `acceptance: ${stopped.join(', ')}` : undefined;
  const by = stop ?? seen ?? (refused === undefined ? 'nothing' : `the count of refusals: ${refused}`);
  return [name, keys.join('+') || 'nobody', `${word} (${VERDICTS[word].exitCode})`, results.join(', '), `seen by ${by}`].join(' | ');
}
