/** The largest of the numbers, −1 if there are none. Takes any number of them: arguments of a call lie on the stack. */
export function largest(numbers: Iterable<number>): number {
  let found = -1;
  for (const number of numbers) found = Math.max(found, number);
  return found;
}
