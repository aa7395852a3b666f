import type { VerifierKey } from '../core/keys/key.ts';
import type { WitnessPolicy } from '../core/keys/witness-policy.ts';
import type { PolicyHistory } from '../core/policy/policy-history.ts';

/** A witness policy that the reader brings. */
export interface ReaderWitnesses {
  /** Where the reader has it, for messages. */
  readonly name: string;
  readonly policy: WitnessPolicy;
}

/** Whose cosignatures are looked at: witnesses of the policy where a pinned root key proves it, and those of the reader. */
export interface WitnessTrust {
  /** Every such key, once. */
  readonly keys: readonly VerifierKey[];
  readonly readers: readonly ReaderWitnesses[];
  /** Whether the policy's own witnesses are proven. */
  readonly isProven: boolean;
}

/** For readers of an archive who do not judge witnesses. */
export const NO_WITNESSES: WitnessTrust = { keys: [], readers: [], isProven: false };

export function witnessTrust(history: PolicyHistory, isProven: boolean, readers: readonly ReaderWitnesses[]): WitnessTrust {
  const policies = [
    ...(isProven ? history.versions.flatMap(({ witnesses }) => witnesses ?? []) : []),
    ...readers.map(({ policy }) => policy),
  ];
  const keys = new Map(policies.flatMap(({ witnesses }) => witnesses.map(({ key }) => [key.text, key] as const)));
  return { keys: [...keys.values()], readers, isProven };
}

/** The reader's policies for one log: those that name it in a `log` line, and those without such lines. */
export function readersOf(readers: readonly ReaderWitnesses[], log: string): readonly ReaderWitnesses[] {
  return readers.filter(({ policy: { logs } }) => logs.length === 0 || logs.some(({ key }) => key.name === log));
}

/** The text of a result that rests on the reader's own policies. */
export function readerTrust(readers: readonly ReaderWitnesses[]): string {
  return `witness policy ${readers.map(({ name }) => name).join(', ')} (pinned)`;
}
