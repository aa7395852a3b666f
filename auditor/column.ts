/** A number for each entry of a table, 8 bytes each. */
export class Column {
  #numbers = new Float64Array(1024);

  set(entry: number, value: number): void {
    if (entry >= this.#numbers.length) {
      const longer = new Float64Array(2 * this.#numbers.length);
      longer.set(this.#numbers);
      this.#numbers = longer;
    }
    this.#numbers[entry] = value;
  }

  get(entry: number): number {
    return this.#numbers[entry] as number;
  }

  /** The entry among the first `size` that has this number, by bisection: they must rise. Undefined where none has it. */
  indexOf(number: number, size: number): number | undefined {
    let low = 0;
    let high = size;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.get(middle) < number) low = middle + 1;
      else high = middle;
    }
    return low < size && this.get(low) === number ? low : undefined;
  }
}
