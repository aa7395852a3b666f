/** Numbers by name; a name that was not added has 0. */
export class Tally {
  readonly #numbers = new Map<string, number>();

  of(name: string): number {
    return this.#numbers.get(name) ?? 0;
  }

  add(name: string, number: number): void {
    const sum = this.of(name) + number;
    if (sum === 0) this.#numbers.delete(name);
    else this.#numbers.set(name, sum);
  }
}
