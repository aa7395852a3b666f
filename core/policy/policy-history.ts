import { toHex } from '../base/bytes.ts';
import { LineproofError } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import { decodeEnvelope, type Envelope, envelopeSigners } from '../keys/dsse.ts';
import { parseVerifierKey, type VerifierKey } from '../keys/key.ts';
import { type ImportedKey, importKey } from '../keys/signature.ts';
import type { WitnessPolicy } from '../keys/witness-policy.ts';
import { matchesStream, parsePolicy, policyDigest } from './policy.ts';
import { type KeyEntry, type Policy, type ProducerEntry, statusMayGo } from './policy-document.ts';
import { readWitnesses } from './witnessing.ts';

/** Streams remembered for one producer. */
const PERMITS_KEPT = 65_536;

/** A key of a policy, ready to verify with. */
export interface KeyInForce<E extends KeyEntry = KeyEntry> {
  readonly entry: E;
  readonly verifier: VerifierKey;
  readonly id: Uint8Array;
  readonly key: ImportedKey;
  readonly active: boolean;
}

export type ProducerInForce = KeyInForce<ProducerEntry>;

/** One version of the policy, with look-ups that are made once. */
export class PolicyInForce {
  readonly digest: Uint8Array;
  readonly hex: string;
  readonly policy: Policy;
  /** Who must have seen a checkpoint; null where nobody must. */
  readonly witnesses: WitnessPolicy | null;
  readonly #producers: ReadonlyMap<string, ProducerInForce>;
  readonly #chainers: ReadonlyMap<string, KeyInForce>;
  readonly #logs: readonly KeyInForce[];
  readonly #schemas: ReadonlySet<string>;
  /** For each producer, whether it may write the streams that were asked for; at most {@link PERMITS_KEPT} streams. */
  readonly #permits = new Map<ProducerInForce, Map<string, boolean>>();

  constructor(payload: Uint8Array) {
    this.digest = policyDigest(payload);
    this.hex = toHex(this.digest);
    this.policy = parsePolicy(payload);
    const { witnessing } = this.policy;
    this.witnesses = witnessing === null ? null : readWitnesses(witnessing.witnesses);
    this.#producers = byNameAndId(this.policy.producers.map(inForce));
    this.#chainers = byNameAndId(this.policy.chainers.map(inForce));
    this.#logs = this.policy.logs.map(inForce);
    this.#schemas = new Set(this.policy.schemas);
  }

  /** The producer key with this name and 4-byte id, whatever its status. */
  producer(name: string, id: Uint8Array): ProducerInForce | undefined {
    return this.#producers.get(label(name, id));
  }

  chainer(name: string, id: Uint8Array): KeyInForce | undefined {
    return this.#chainers.get(label(name, id));
  }

  chainers(): readonly KeyInForce[] {
    return [...this.#chainers.values()];
  }

  /** Log keys of a shard whose signatures may count: ACTIVE and RETIRED keys, and COMPROMISED keys, which are believed up to a size. */
  logs(shard: number): readonly KeyInForce[] {
    return this.#logs.filter(({ verifier }) => verifier.name === `${this.policy.origin}/${shard}`);
  }

  logKeys(shard: number): VerifierKey[] {
    return this.logs(shard).map(({ verifier }) => verifier);
  }

  schemaInForce(hex: string): boolean {
    return this.#schemas.has(hex);
  }

  /** Whether the producer may publish an event of this type on this stream, and if not, whether stream or type is not permitted. */
  permits(producer: ProducerInForce, stream: string, type: string): 'ok' | 'stream' | 'type' {
    let streams = this.#permits.get(producer);
    if (streams === undefined) {
      streams = new Map();
      this.#permits.set(producer, streams);
    }
    const { entry } = producer;
    let permitted = streams.get(stream);
    if (permitted === undefined) {
      permitted = matchesStream(entry.streams, stream);
      if (streams.size >= PERMITS_KEPT) streams.clear();
      streams.set(stream, permitted);
    }
    if (!permitted) return 'stream';
    return entry.types.length === 0 || entry.types.includes(type) ? 'ok' : 'type';
  }
}

function inForce<E extends KeyEntry>(entry: E): KeyInForce<E> {
  const verifier = parseVerifierKey(entry.key);
  let imported: ImportedKey | undefined;
  return {
    entry,
    verifier,
    id: verifier.id,
    // A policy can list thousands of keys, of which a reader needs a few: importing one costs 30 µs.
    get key() {
      imported ??= importKey(verifier);
      return imported;
    },
    active: entry.status === 'ACTIVE',
  };
}

function label(name: string, id: Uint8Array): string {
  return `${name}+${toHex(id)}`;
}

function byNameAndId<K extends KeyInForce>(keys: readonly K[]): Map<string, K> {
  return new Map(keys.map((key) => [label(key.verifier.name, key.id), key]));
}

/** All versions of an origin's policy, in order, each signed as docs/formats.md §6 demands. */
export class PolicyHistory {
  readonly versions: readonly PolicyInForce[];
  readonly #byDigest: ReadonlyMap<string, PolicyInForce>;

  constructor(versions: readonly PolicyInForce[]) {
    this.versions = versions;
    this.#byDigest = new Map(versions.map((version) => [version.hex, version]));
  }

  get latest(): PolicyInForce {
    return this.versions.at(-1) as PolicyInForce;
  }

  byDigest(hex: string): PolicyInForce | undefined {
    return this.#byDigest.get(hex);
  }

  /** Whether the version `later` comes after `earlier`. The versions form one line, so each descends from all before it. */
  descends(later: string, earlier: string): boolean {
    const [a, b] = [this.#byDigest.get(later), this.#byDigest.get(earlier)];
    return a !== undefined && b !== undefined && a.policy.version > b.policy.version;
  }
}

/** Opens all versions from their envelopes, version 1 first; throws POLICY_INVALID if a version does not follow from the one before. */
export function openPolicies(envelopes: readonly Uint8Array[]): PolicyHistory {
  let history: PolicyHistory | undefined;
  for (const bytes of envelopes) history = extendPolicies(history, bytes);
  if (history === undefined) throw new LineproofError('POLICY_INVALID', 'cannot open policies: there is none');
  return history;
}

/** The history with one version more. */
export function extendPolicies(history: PolicyHistory | undefined, bytes: Uint8Array): PolicyHistory {
  let envelope: Envelope;
  // With base64 and signatures, the envelope of the largest payload is still less than twice as large.
  if (bytes.length > 2 * LIMITS.policyBytes) throw new LineproofError('POLICY_INVALID', 'cannot use policy: its envelope is too large');
  try {
    envelope = decodeEnvelope(bytes, 'policy');
  } catch (cause) {
    throw new LineproofError('POLICY_INVALID', 'cannot use policy: its envelope cannot be read', {}, cause);
  }
  checkSignatures(history?.latest.policy, parsePolicy(envelope.payload), envelope);
  // Only now, because it takes longer for each key that is named: anybody may write what nobody signed.
  const version = new PolicyInForce(envelope.payload);
  if (history === undefined) {
    if (version.policy.version !== 1) throw refused(version.policy, 'the first version must be 1');
  } else checkSuccession(history.latest, version);
  return new PolicyHistory([...(history?.versions ?? []), version]);
}

function refused(policy: Policy, reason: string): LineproofError {
  return new LineproofError('POLICY_INVALID', `cannot use policy version ${policy.version} of ${policy.origin}: ${reason}`, {
    version: policy.version,
  });
}

/** Signed by enough root keys of the previous version, and by enough of this version's root keys if these differ. */
function checkSignatures(before: Policy | undefined, policy: Policy, envelope: Envelope): void {
  for (const { keys, threshold } of new Set([before?.roots ?? policy.roots, policy.roots])) {
    let signed: VerifierKey[];
    try {
      signed = envelopeSigners(envelope, keys.map(parseVerifierKey));
    } catch (cause) {
      throw new LineproofError(
        'POLICY_INVALID',
        `cannot use policy version ${policy.version} of ${policy.origin}: a root signature is wrong`,
        {},
        cause,
      );
    }
    const publicKeys = new Set(signed.map(({ publicKey }) => toHex(publicKey)));
    if (publicKeys.size < threshold) throw refused(policy, `${publicKeys.size} of ${threshold} needed root keys signed it`);
  }
}

function checkSuccession(before: PolicyInForce, after: PolicyInForce): void {
  const [old, next] = [before.policy, after.policy];
  if (next.version !== old.version + 1) throw refused(next, `it does not follow version ${old.version}`);
  if (next.previous !== before.hex) throw refused(next, 'it names another version as the one before');
  if (next.origin !== old.origin || next.shards !== old.shards) throw refused(next, 'origin and shards never change');
  if (next.formatLevel < old.formatLevel) throw refused(next, 'the format level never falls');
  checkGeneration(next, old.inputGeneration);
  for (const role of ['producers', 'chainers', 'logs'] as const) checkKeys(next, old[role], next[role]);
}

/** The generation of the input topic stays or rises by one; its first offsets change with it only. */
function checkGeneration(policy: Policy, old: Policy['inputGeneration']): void {
  const { generation, firstOffsets } = policy.inputGeneration;
  const rise = generation - old.generation;
  if (rise !== 0 && rise !== 1)
    throw refused(policy, `the input generation goes from ${old.generation} to ${generation}: it rises by one or stays`);
  if (rise === 0 && firstOffsets.some((offset, i) => offset !== old.firstOffsets[i]))
    throw refused(policy, 'first offsets change only with the input generation');
}

/** Keys are never removed; their status only moves forward; the sizes up to which a COMPROMISED key is believed are set once. */
function checkKeys(policy: Policy, old: readonly KeyEntry[], next: readonly KeyEntry[]): void {
  const kept = new Map(next.map((entry) => [entry.key, entry]));
  for (const { key, status, believed } of old) {
    const now = kept.get(key);
    if (now === undefined) throw refused(policy, `${key} was removed or changed its role`);
    if (!statusMayGo(status, now.status)) throw refused(policy, `${key} cannot go from ${status} to ${now.status}`);
    if (believed?.some((size, i) => size !== now.believed?.[i]))
      throw refused(policy, `the sizes up to which ${key} is believed were changed`);
  }
}
