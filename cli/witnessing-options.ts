import { utf8 } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { parseWitnessPolicy } from '../core/keys/witness-policy.ts';
import type { Policy } from '../core/policy/policy-document.ts';
import { readWitnesses, type Witnessing, witnessingOf } from '../core/policy/witnessing.ts';
import { type Command, type Invocation, stringOption } from './command.ts';
import { readWitnessFile } from './witness-policy-file.ts';

/** Options of `policy init` and `policy publish` that set who must have seen a checkpoint. */
export const WITNESSING_OPTIONS: Command['options'] = [
  {
    name: 'witness-policy',
    type: 'string',
    value: 'FILE',
    help: 'a tlog-policy file: its witnesses, groups and quorum become those of the policy; its log lines are left out. none: nobody has to witness',
  },
  {
    name: 'witness-required',
    type: 'string',
    value: 'yes|no',
    help: 'yes: a checkpoint is published only with its quorum; no: after the deadline without (no)',
  },
  { name: 'witness-deadline-ms', type: 'string', value: 'MS', help: 'longest time that a checkpoint waits for its quorum (10000)' },
];

const DEADLINE_MS = 10_000;

/** What the options make of a policy's `witnessing`; nothing where they name none of it. Throws USAGE. */
export function witnessingOption(invocation: Invocation, before: Witnessing | null): { readonly witnessing?: Witnessing | null } {
  const path = stringOption(invocation, 'witness-policy');
  const required = requiredOption(invocation);
  const deadline = stringOption(invocation, 'witness-deadline-ms');
  if (path === undefined && required === undefined && deadline === undefined) return {};
  if (deadline !== undefined && !/^\d{1,6}$/.test(deadline))
    throw new LineproofError('USAGE', `--witness-deadline-ms is ${JSON.stringify(deadline)}: it must be a whole number of milliseconds`);
  if (path === 'none') {
    if (required !== undefined || deadline !== undefined)
      throw new LineproofError('USAGE', '--witness-policy none takes all witnesses away: it goes with no other option about witnesses');
    return { witnessing: null };
  }
  if (path === undefined && before === null) throw new LineproofError('USAGE', 'the policy names no witnesses: give --witness-policy FILE');
  const terms = {
    required: required ?? before?.required ?? false,
    deadlineMs: deadline === undefined ? (before?.deadlineMs ?? DEADLINE_MS) : Number(deadline),
  };
  if (path === undefined) return { witnessing: { ...(before as Witnessing), ...terms } };
  return { witnessing: readWitnessFile('--witness-policy', path, (bytes) => witnessingOf(bytes, terms)) };
}

function requiredOption(invocation: Invocation): boolean | undefined {
  const given = stringOption(invocation, 'witness-required');
  if (given === undefined) return undefined;
  if (given !== 'yes' && given !== 'no')
    throw new LineproofError('USAGE', `--witness-required is ${JSON.stringify(given)}: it must be yes or no`);
  return given === 'yes';
}

/**
 * The log keys in use and the witnesses of a policy, as a tlog-policy file: for a witness of these logs, and for their readers.
 * Throws FORMAT_INVALID where logs share a key, which such a file must not.
 */
export function tlogPolicyOf({ logs, witnessing }: Policy): string {
  const active = logs.filter(({ status }) => status === 'ACTIVE').map(({ key }) => key);
  const text = `${active.map((key) => `log ${key}\n`).join('')}${witnessing?.witnesses ?? 'quorum none\n'}`;
  try {
    parseWitnessPolicy(utf8(text));
  } catch (error) {
    const keys = active.map((key) => `--log ${key}`).join(' ');
    const way = `name the logs to lineproof witness by ${keys}`;
    throw new LineproofError(
      'FORMAT_INVALID',
      `cannot write the log keys as a tlog-policy file, which holds a key once; ${way}`,
      {},
      error,
    );
  }
  return text;
}

/** The line of `policy show` about witnesses. */
export function describeWitnessing(witnessing: Witnessing | null): string {
  if (witnessing === null) return 'none';
  const { witnesses, quorum } = readWitnesses(witnessing.witnesses);
  const otherwise = witnessing.required
    ? 'nothing is published without it'
    : `published without it after ${witnessing.deadlineMs / 1000} s`;
  return `${witnesses.length}, quorum ${quorum}; ${otherwise}`;
}
