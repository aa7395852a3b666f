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

/** A severity that decides a result. The first that a property has is its result. */
const RANKS = ['FAILED', 'NOT CHECKED', 'OPEN'] as const satisfies readonly Severity[];
export type Worst = (typeof RANKS)[number];

/** Collects findings: of each code it keeps at most 100 for each property and severity, so that none pushes out another kind, and counts the others. */
export class Findings {
  readonly list: Finding[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #unlisted = new Map<FindingCode, number>();
  readonly #severities = new Map<Property, Set<Severity>>();

  add<C extends FindingCode>(code: C, message: string, place: Place, ...choice: ChoiceArguments<C>): void {
    this.take(finding(code, message, place, ...choice));
  }

  take(one: Finding): void {
    const kind = `${one.code} ${one.property} ${one.severity}`;
    const number = (this.#numbers.get(kind) ?? 0) + 1;
    this.#numbers.set(kind, number);
    this.#severities.set(one.property, (this.#severities.get(one.property) ?? new Set()).add(one.severity));
    if (number <= KEPT_PER_CODE) this.list.push(one);
    else this.#unlisted.set(one.code, (this.#unlisted.get(one.code) ?? 0) + 1);
  }

  /** The worst severity of a property, notes left aside. */
  worst(property: Property): Worst | undefined {
    return RANKS.find((severity) => this.#severities.get(property)?.has(severity) === true);
  }

  /** Kept findings of what is wrong or could not be checked: whoever reads an archive without a verdict may miss something there. */
  get obstacles(): readonly Finding[] {
    return this.list.filter(({ severity }) => severity === 'FAILED' || severity === 'NOT CHECKED');
  }

  /** How many findings of each code were not kept. */
  unlisted(): Record<string, number> {
    return Object.fromEntries(this.#unlisted);
  }
}
