import { compareCodePoints } from './bytes.ts';

/** Items that are sorted, or merged, before others get their turn. */
const RUN = 1024;

/** Called again and again within long work: waits where other work is due. */
export interface TurnGiver {
  next(): Promise<void>;
}

/** The texts in the order of their UTF-8 bytes. A million of them takes seconds, in which other work gets its turns. */
export async function sortTexts(texts: Iterable<string>, turns: TurnGiver): Promise<string[]> {
  let sorted: string[] = [];
  // Without surrogates the order of code units, which the machine compares many at a time, is that of the UTF-8 bytes.
  let compare = compareUnits;
  for (const text of texts) {
    sorted.push(text);
    if (compare === compareUnits && /[\ud800-\udfff]/.test(text)) compare = compareCodePoints;
    if (sorted.length % RUN === 0) await turns.next();
  }
  for (let at = 0; at < sorted.length; at += RUN) {
    const run = sorted.slice(at, at + RUN).toSorted(compare);
    for (const [i, text] of run.entries()) sorted[at + i] = text;
    await turns.next();
  }
  for (let width = RUN; width < sorted.length; width *= 2) sorted = await mergeRuns(sorted, width, compare, turns);
  return sorted;
}

function compareUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Merges each two neighbouring runs of `width` items. */
async function mergeRuns(texts: string[], width: number, compare: typeof compareUnits, turns: TurnGiver): Promise<string[]> {
  const merged: string[] = [];
  for (let first = 0; first < texts.length; first += 2 * width) {
    let [left, right] = [first, first + width];
    const [leftEnd, rightEnd] = [Math.min(right, texts.length), Math.min(right + width, texts.length)];
    while (left < leftEnd || right < rightEnd) {
      const takeLeft = right >= rightEnd || (left < leftEnd && compare(texts[left] as string, texts[right] as string) <= 0);
      merged.push(texts[takeLeft ? left++ : right++] as string);
      if (merged.length % RUN === 0) await turns.next();
    }
  }
  return merged;
}
