import type { DataDigests } from '../../core/formats/data-digests.ts';
import type { VerifierKey } from '../../core/keys/key.ts';
import type { Findings } from '../findings.ts';
import { keyLabel } from '../judgement.ts';
import { PROPERTIES, type Property } from '../property.ts';
import type { Finding, Result } from '../verdict.ts';
import type { VerdictWord } from '../verdict-words.ts';
import type { ReaderWitnesses } from '../witness-trust.ts';
import type { ProofParts } from './proof-parts.ts';
import { type ProofSubject, subjectOf } from './proof-subject.ts';
import type { ProofTrust } from './proof-trust.ts';
import type { ProofWitnesses } from './proof-witnesses.ts';

/** What the reader brings: never taken from the proof. */
export interface ProofDemands {
  /** Keys that the reader trusts: root, log or producer keys. */
  readonly keys: readonly VerifierKey[];
  readonly origin?: string;
  /** Hex digest of the first version of the policy. */
  readonly genesis?: string;
  /** Properties that must not be NOT CHECKED. */
  readonly require?: readonly Property[];
  /** Digests of a file in hand, which the event must name. */
  readonly data?: DataDigests;
  /** Witness policies whose quorum the note must have. */
  readonly witnesses?: readonly ReaderWitnesses[];
}

export interface ProofPropertyVerdict {
  readonly result: Result;
  /** The pinned key that the result rests on, or why there is none. */
  readonly trust: string;
}

/** The answer about one proof. */
export interface ProofVerdict {
  readonly result: VerdictWord;
  /** True where `result` is OK. */
  readonly ok: boolean;
  /** Null where the file cannot be read. */
  readonly subject: ProofSubject | null;
  readonly properties: Readonly<Record<Property, ProofPropertyVerdict>>;
  readonly findings: readonly Finding[];
  /** When the witnesses of the quorum cosigned the note, the first and the last, by their clocks: ISO 8601. Null without a quorum. */
  readonly witnessed: { readonly from: string; readonly to: string } | null;
}

interface Checked {
  readonly parts: ProofParts | undefined;
  readonly trust: ProofTrust | undefined;
  readonly witnesses: ProofWitnesses | undefined;
  readonly findings: Findings;
}

/** The properties that a proof of one event can show. */
export const SHOWN = ['LOG', 'SIGNATURES', 'POLICY', 'WITNESSES'] as const satisfies readonly Property[];
type Shown = (typeof SHOWN)[number];
/** Those that rest on one pinned key. */
type ByKey = Exclude<Shown, 'WITNESSES'>;

export function isShown(property: Property): property is Shown {
  return SHOWN.some((shown) => shown === property);
}

/** Why a proof of one event never shows the others. */
const NOT_SHOWN: Readonly<Record<Exclude<Property, Shown>, string>> = {
  ARCHIVE: 'no archive is read',
  STREAMS: 'one link shows its own place; proofs of the other links show the stream',
  ORDER: 'one event has no order; lineproof verify shows it',
  COMPLETE: 'what else was recorded, or left out, is not in the file',
  UNIQUE: 'whether the event is in the log twice is not in the file',
  TIME: 'this version gathers no timestamps: all times are claims of their signers',
};

/** Makes the verdict of what was checked. */
export function judgeProof({ parts, trust, witnesses, findings }: Checked, demands: ProofDemands): ProofVerdict {
  const properties = Object.fromEntries(
    PROPERTIES.map((property) => [property, propertyVerdict(property, { parts, trust, witnesses, findings }, demands.keys)]),
  ) as ProofVerdict['properties'];
  const result = wordOf(properties, demandedOf(trust, demands));
  const subject = parts === undefined || trust === undefined ? null : subjectOf(parts, trust);
  return {
    result,
    ok: result === 'OK',
    subject,
    properties,
    findings: findings.list,
    witnessed: properties.WITNESSES.result === 'OK' ? (witnesses?.times ?? null) : null,
  };
}

/**
 * A root key proves who signed the event and that the policy allowed it, where the file holds the seal. Whoever left the seal out can put another signer's
 * batch around a true event, so that the reader of such a proof is never told OK.
 */
function demandedOf(trust: ProofTrust | undefined, { require = [] }: ProofDemands): readonly Property[] {
  return trust?.root === undefined ? require : [...require, 'SIGNATURES', 'POLICY'];
}

/** The first word that applies; a proof is never OPEN, since nothing more can come. */
function wordOf(properties: ProofVerdict['properties'], require: readonly Property[]): VerdictWord {
  if (PROPERTIES.some((property) => properties[property].result === 'FAILED')) return 'FAILED';
  if (require.some((property) => properties[property].result === 'NOT CHECKED')) return 'NOT CHECKED';
  return properties.LOG.result === 'OK' ? 'OK' : 'UNPROVEN';
}

function propertyVerdict(
  property: Property,
  { parts, trust, witnesses, findings }: Checked,
  pinned: readonly VerifierKey[],
): ProofPropertyVerdict {
  const failed = findings.worst(property) === 'FAILED';
  if (!isShown(property))
    return failed ? { result: 'FAILED', trust: 'the findings say what is wrong' } : { result: 'NOT CHECKED', trust: NOT_SHOWN[property] };
  if (parts === undefined || trust === undefined)
    return { result: failed ? 'FAILED' : 'NOT CHECKED', trust: 'the file cannot be read as a proof' };
  if (property === 'WITNESSES') {
    const { trust: proven, lacks } = witnesses ?? { trust: undefined, lacks: '' };
    return { result: failed ? 'FAILED' : proven === undefined ? 'NOT CHECKED' : 'OK', trust: proven ?? lacks };
  }
  const { key, lacks } = restsOn(property, parts, trust, pinned);
  const named = key === undefined ? lacks : `${key} (pinned)`;
  if (failed) return { result: 'FAILED', trust: named };
  return { result: key === undefined ? 'NOT CHECKED' : 'OK', trust: named };
}

/** The pinned key that proves a property, or what is missing. */
function restsOn(
  property: ByKey,
  parts: ProofParts,
  { root, logs, producer, history }: ProofTrust,
  pinned: readonly VerifierKey[],
): { readonly key: string | undefined; readonly lacks: string } {
  const proves = (kind: string, keys: readonly VerifierKey[]) => ({ key: `${kind} key ${keys.map(keyLabel).join(', ')}`, lacks: '' });
  if (root !== undefined && (property === 'LOG' || parts.seal !== null)) return proves('root', [root]);
  if (property === 'LOG' && logs.length > 0) return proves('log', logs);
  if (property === 'SIGNATURES' && producer !== undefined) return proves('producer', [producer]);
  if (root !== undefined) return { key: undefined, lacks: 'the file does not hold the seal, which names the policy' };
  const why = pinned.length === 0 ? 'no key is pinned' : 'no pinned key proves it';
  return { key: undefined, lacks: `${why}: ${embeddedKey(property, parts, history)}` };
}

/** What the file itself holds for a property. */
function embeddedKey(property: ByKey, { checkpoint, producerKey }: ProofParts, history: ProofTrust['history']): string {
  const came = (key: string): string => `the ${key} came with the file, and proves nothing`;
  if (property === 'LOG') return came(`log key ${checkpoint.origin}`);
  if (property === 'SIGNATURES') return came(`producer key ${keyLabel(producerKey)}`);
  const root = history?.versions[0]?.policy.roots.keys[0];
  return root === undefined ? 'the file holds no policy that can be used' : came(`root key ${root}`);
}
