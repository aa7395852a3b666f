import { utf8 } from '../base/bytes.ts';
import { LineproofError } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import { KEY_TYPE } from '../keys/signature.ts';
import { formatWitnessPolicy, parseWitnessPolicy, type WitnessPolicy } from '../keys/witness-policy.ts';

/** A policy's field `witnessing`: who must have seen a checkpoint, and how long the archiver waits for them. */
export interface Witnessing {
  /** Witnesses, groups and the quorum as a tlog-policy file without `log` lines, exactly as {@link formatWitnessPolicy} writes it. */
  readonly witnesses: string;
  /** Whether a checkpoint is published only with a quorum; else the deadline publishes it without. */
  readonly required: boolean;
  /** Longest time that a signed note waits for its quorum. */
  readonly deadlineMs: number;
}

/** Longest deadline: five minutes. */
export const MAX_DEADLINE_MS = 300_000;

/** Reads the text of a policy's `witnesses`; throws FORMAT_INVALID unless it is spelled in the one way, names no log, and asks only usable addresses. */
export function readWitnesses(text: string): WitnessPolicy {
  const policy = parseWitnessPolicy(utf8(text));
  const refuse = (reason: string): LineproofError => new LineproofError('FORMAT_INVALID', `cannot read witnesses: ${reason}`);
  if (formatWitnessPolicy(policy) !== text)
    throw refuse('they are not spelled in the one way: witness lines, group lines, quorum line, without comments');
  if (policy.logs.length > 0) throw refuse('they hold log lines, and the policy names its logs itself');
  if (Math.max(policy.witnesses.length, policy.groups.length) > LIMITS.witnesses)
    throw refuse(`there are more than ${LIMITS.witnesses} witnesses or groups`);
  const unverified = policy.witnesses.find(({ key }) => key.type !== KEY_TYPE.cosignature);
  if (unverified !== undefined)
    throw refuse(`the key of ${unverified.name} is of type ${unverified.key.type}, whose cosignatures this version cannot verify`);
  const bad = policy.witnesses.find(({ url }) => url !== null && !WITNESS_URL.test(url));
  if (bad !== undefined) throw refuse(`the address of ${bad.name} is not http:// or https:// without user, query and fragment`);
  return policy;
}

/** Scheme, host with perhaps a port, and perhaps a path: no user, no query, no fragment. */
const WITNESS_URL = /^https?:\/\/(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?(?:\/[A-Za-z0-9._~%!$&'()*+,;=:/-]*)?$/;

/** A policy's `witnessing` from the bytes of a tlog-policy file, whose `log` lines are left out: the policy names its logs itself. Throws FORMAT_INVALID. */
export function witnessingOf(file: Uint8Array, { required, deadlineMs }: Omit<Witnessing, 'witnesses'>): Witnessing {
  const witnesses = formatWitnessPolicy({ ...parseWitnessPolicy(file), logs: [] });
  readWitnesses(witnesses);
  return { witnesses, required, deadlineMs };
}
