/** The largest of the numbers, or `least` if none is larger. A list from an archive can be longer than the arguments that a call of Math.max takes. */
export function largest(numbers: Iterable<number>, least: number): number {
  let found = least;
  for (const number of numbers) if (number > found) found = number;
  return found;
}
