import { expect } from '@jest/globals';
import type { Verdict } from '../../auditor/verdict.ts';
import { seeded } from '../property/mutate.ts';
import { required } from './rich-archive.ts';

/** Seeded places of an object at which a bit is flipped, beside its first and its last. */
export const FLIPS = 16;

/** Bits to flip of `length` bytes: first, last, and {@link FLIPS} seeded ones. */
export function flips(length: number, seed: number): number[] {
  const random = seeded(seed);
  return [0, length * 8 - 1, ...Array.from({ length: FLIPS }, () => random() % (length * 8))];
}

export function flip(bytes: Uint8Array, bit: number): Uint8Array {
  const flipped = bytes.slice();
  const at = Math.floor(bit / 8);
  flipped[at] = required(flipped[at]) ^ (0x80 >> (bit % 8));
  return flipped;
}

/** The verdict fails, and a finding that fails a property names one of the objects. */
export function expectNamed(verdict: Verdict, objects: readonly string[], what: string): void {
  const failed = verdict.findings.filter(({ severity }) => severity === 'FAILED');
  const named = failed.filter(({ place }) => objects.includes(place.object ?? ''));
  const summary = failed.map(({ property, code, place }) => `${property} ${code} ${place.object}`);
  expect({ what, ok: verdict.ok, named: named.length > 0, summary }).toEqual({ what, ok: false, named: true, summary });
  for (const { property } of named) expect(verdict.properties[property].result).toBe('FAILED');
}

export function reordered(text: string): string {
  return JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(text)).toReversed()));
}
