import { equal } from '../base/bytes.ts';
import type { DataRef, Event } from './event.ts';

/** Digests of data in hand, by the name of the algorithm. */
export type DataDigests = ReadonlyMap<string, Uint8Array>;

/** The inputs and outputs of an event that name data with one of these digests. */
export function dataOf({ inputs, outputs }: Pick<Event, 'inputs' | 'outputs'>, digests: DataDigests): DataRef[] {
  return [...inputs, ...outputs].filter(({ digest }) => {
    const own = digest === null ? undefined : digests.get(digest.algorithm);
    return digest !== null && own !== undefined && equal(digest.value, own);
  });
}
