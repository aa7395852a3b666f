import { type Cosigner, cosignersOf, isQuorum } from '../../core/keys/cosigners.ts';
import { readNote } from '../../core/keys/note.ts';
import type { WitnessPolicy } from '../../core/keys/witness-policy.ts';
import type { Findings } from '../findings.ts';
import { keyLabel } from '../judgement.ts';
import { isoOf } from '../witness-audit.ts';
import { type ReaderWitnesses, readersOf, readerTrust, witnessTrust } from '../witness-trust.ts';
import type { ProofParts } from './proof-parts.ts';
import type { ProofTrust } from './proof-trust.ts';

/** What the cosignatures of the note in a proof show. */
export interface ProofWitnesses {
  /** What proves that a quorum cosigned the note; undefined where nothing does. */
  readonly trust: string | undefined;
  /** Why nothing does. */
  readonly lacks: string;
  /** When the first and the last of them cosigned it, by their clocks: ISO 8601. */
  readonly times: { readonly from: string; readonly to: string } | null;
}

/** Judges the cosignatures of the note by the reader's own witness policies, or else by the newest version of the policy in the file, where a pinned root key proves it. */
export function checkWitnesses(
  parts: ProofParts,
  trust: ProofTrust,
  readers: readonly ReaderWitnesses[],
  findings: Findings,
): ProofWitnesses {
  const { checkpoint, shard, index } = parts;
  const { root, history } = trust;
  const keys =
    history === undefined
      ? readers.flatMap(({ policy }) => policy.witnesses.map(({ key }) => key))
      : witnessTrust(history, root !== undefined, readers).keys;
  const { text, signatures } = readNote(parts.note);
  const { good, wrong, unknown } = cosignersOf(text, signatures, keys);
  const place = { shard, leaf: index };
  for (const { key, fact } of wrong) findings.add('COSIGNATURE_WRONG', `${key.name} is a witness, and ${fact}`, place);
  const strangers = unknown.filter(({ name }) => name !== checkpoint.origin);
  if (keys.length > 0 && strangers.length > 0)
    findings.add(
      'COSIGNATURE_UNKNOWN',
      `${strangers.length} signatures of the note are by keys that no policy at hand names, or whose type cannot be verified here`,
      place,
    );
  if (readers.length > 0)
    return byReaders(readersOf(readers, checkpoint.origin), good, (name) => {
      findings.add('QUORUM_MISSING', `the note has no quorum of the witnesses that ${name} names`, place);
    });
  const policy = history?.latest.witnesses ?? null;
  if (policy === null) return nothing('the policy in the file names no witnesses');
  if (root === undefined) return nothing('the policy in the file names witnesses, and no pinned root key proves it');
  const quorum = quorumOf(policy, good);
  if (quorum === undefined) return nothing('the note has no quorum of the witnesses of the policy: a proof over a later note may have one');
  return { trust: `root key ${keyLabel(root)} (pinned)`, lacks: '', times: timesOf(quorum) };
}

function byReaders(own: readonly ReaderWitnesses[], good: readonly Cosigner[], missing: (name: string) => void): ProofWitnesses {
  const demanding = own.filter(({ policy }) => policy.quorum !== 'none');
  if (demanding.length === 0) return nothing('the witness policy that was given demands no witness of this log');
  const quorums = demanding.map(({ name, policy }) => {
    const quorum = quorumOf(policy, good);
    if (quorum === undefined) missing(name);
    return quorum;
  });
  const [first] = quorums;
  if (first === undefined || quorums.includes(undefined)) return nothing('no quorum cosigned the note');
  return { trust: readerTrust(demanding), lacks: '', times: timesOf(first) };
}

function quorumOf(policy: WitnessPolicy, good: readonly Cosigner[]): readonly Cosigner[] | undefined {
  const named = good.filter(({ key }) => policy.witnesses.some((witness) => witness.key.text === key.text));
  return policy.quorum !== 'none' && isQuorum(policy, named) ? named : undefined;
}

function nothing(lacks: string): ProofWitnesses {
  return { trust: undefined, lacks, times: null };
}

function timesOf(quorum: readonly Cosigner[]): ProofWitnesses['times'] {
  const times = quorum.map(({ time }) => time);
  return { from: isoOf(Math.min(...times)), to: isoOf(Math.max(...times)) };
}
