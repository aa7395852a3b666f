import { FINDINGS, type FindingCode, type FindingTraits, type Severity } from './findings-table.ts';
import type { Property } from './property.ts';
import type { Finding, Place } from './verdict.ts';

const KEPT_PER_CODE = 100;

type Row<C extends FindingCode> = (typeof FINDINGS)[C];
type Chosen<Name extends string, T> = T extends readonly (infer One)[] ? { readonly [N in Name]: One } : unknown;
/** The traits that the table leaves open for a code: none for most codes. */
type Choice<C extends FindingCode> = Chosen<'property', Row<C>['property']> & Chosen<'severity', Row<C>['severity']>;
type ChoiceArguments<C extends FindingCode> = unknown extends Choice<C> ? [] : [choice: Choice<C>];

/** The finding of a code of {@link FINDINGS}. `choice` names property or severity where the table has a list of them. */
export function finding<C extends FindingCode>(code: C, message: string, place: Place, ...[choice]: ChoiceArguments<C>): Finding {
  const { property, severity }: FindingTraits = FINDINGS[code];
  const named = { property, severity, ...(choice as object | undefined) } as { readonly property: Property; readonly severity: Severity };
  return { ...named, code, message, place };
}

/** Collects findings: it keeps at most 100 of each code and counts the others. */
export class Findings {
  readonly list: Finding[] = [];
  readonly #numbers = new Map<FindingCode, number>();
  readonly #worst = new Map<Property, 'FAILED' | 'OPEN'>();

  add<C extends FindingCode>(code: C, message: string, place: Place, ...choice: ChoiceArguments<C>): void {
    this.take(finding(code, message, place, ...choice));
  }

  take(one: Finding): void {
    const number = (this.#numbers.get(one.code) ?? 0) + 1;
    this.#numbers.set(one.code, number);
    if (one.severity !== 'NOTE' && this.#worst.get(one.property) !== 'FAILED') this.#worst.set(one.property, one.severity);
    if (number <= KEPT_PER_CODE) this.list.push(one);
  }

  /** The worst severity of a property, notes left aside. */
  worst(property: Property): 'FAILED' | 'OPEN' | undefined {
    return this.#worst.get(property);
  }

  /** How many findings of each code were not kept. */
  unlisted(): Record<string, number> {
    return Object.fromEntries(
      [...this.#numbers].filter(([, number]) => number > KEPT_PER_CODE).map(([code, number]) => [code, number - KEPT_PER_CODE]),
    );
  }
}
