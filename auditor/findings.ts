import type { Finding, Place, Property } from './verdict.ts';

const KEPT_PER_CODE = 100;

/** Collects findings, at most 100 of each kind; the rest is counted. */
export class Findings {
  readonly list: Finding[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #worst = new Map<Property, 'FAILED' | 'OPEN'>();

  fail(property: Property, code: string, message: string, place: Place): void {
    this.#add({ property, severity: 'FAILED', code, message, place });
  }

  open(property: Property, code: string, message: string, place: Place): void {
    this.#add({ property, severity: 'OPEN', code, message, place });
  }

  note(property: Property, code: string, message: string, place: Place): void {
    this.#add({ property, severity: 'NOTE', code, message, place });
  }

  /** The worst severity of a property beside notes. */
  worst(property: Property): 'FAILED' | 'OPEN' | undefined {
    return this.#worst.get(property);
  }

  /** How many findings of each code were not kept. */
  unlisted(): Record<string, number> {
    return Object.fromEntries(
      [...this.#numbers].filter(([, number]) => number > KEPT_PER_CODE).map(([code, number]) => [code, number - KEPT_PER_CODE]),
    );
  }

  #add(finding: Finding): void {
    const number = (this.#numbers.get(finding.code) ?? 0) + 1;
    this.#numbers.set(finding.code, number);
    if (finding.severity !== 'NOTE' && this.#worst.get(finding.property) !== 'FAILED') this.#worst.set(finding.property, finding.severity);
    if (number <= KEPT_PER_CODE) this.list.push(finding);
  }
}
