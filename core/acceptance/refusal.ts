import type { AcceptanceRule } from './acceptance-rules.ts';

/** A rule that the block breaks. Thrown by the steps of acceptance and caught in `accept`: never leaves this floor. */
export class Refusal {
  readonly rule: AcceptanceRule;
  constructor(rule: AcceptanceRule) {
    this.rule = rule;
  }
}

/** What the reader does not know yet. Thrown and caught likewise. */
export class Wait {
  readonly missing: 'policy' | 'schema';
  readonly digest: string;
  constructor(missing: 'policy' | 'schema', digest: string) {
    this.missing = missing;
    this.digest = digest;
  }
}

/** Throws {@link Refusal} unless the rule holds. */
export function must(rule: AcceptanceRule, holds: boolean): void {
  if (!holds) throw new Refusal(rule);
}

/** What `decode` makes; throws {@link Refusal} where it throws. */
export function decoded<T>(rule: AcceptanceRule, decode: () => T): T {
  try {
    return decode();
  } catch {
    throw new Refusal(rule);
  }
}
