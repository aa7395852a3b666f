import { parseLaneKey } from '../core/acceptance/log-state.ts';
import { decodeSnapshot, encodeSnapshot, type Snapshot } from '../core/archive/snapshot.ts';
import { equal, fromHex } from '../core/base/bytes.ts';
import type { Policy } from '../core/policy/policy-document.ts';
import type { PolicyInForce } from '../core/policy/policy-history.ts';
import type { Frontier } from '../core/tree/frontier.ts';
import { attestedPayload, isOutOfUse } from './attestation.ts';
import type { Audit } from './audit.ts';
import type { ReplayedLog } from './replayed-log.ts';

/** The faults of a stored snapshot, compared with the state that the leaves give: one sentence for each fault. */
export function snapshotFaults(
  bytes: Uint8Array,
  { shard, governance }: Audit,
  { log, frontier, policy }: { readonly log: ReplayedLog; readonly frontier: Frontier; readonly policy: PolicyInForce | undefined },
): string[] {
  const { value, faults, signers } = attestedPayload(bytes, 'snapshot', {
    shard,
    keys: governance.logKeys(shard),
    decode: decodeSnapshot,
    end: ({ size }) => size,
  });
  const said = faults.map(({ message }) => message);
  if (isOutOfUse(signers, policy)) said.push('only a log key signed it that the policy in force there calls RETIRED');
  if (value === undefined) return said;
  const { payload, ...snapshot } = value;
  const derived = encodeSnapshot({ ...derive(log, frontier), ...placeOf(snapshot, governance.history.latest.policy, shard) });
  if (equal(derived, payload)) return said;
  const right = decodeSnapshot(derived);
  const fields = (Object.keys(right) as (keyof Snapshot)[]).filter((field) => plain(right[field]) !== plain(snapshot[field]));
  return [...said, `it states another state than the log gives: ${fields.join(', ')}`];
}

type DerivedState = Omit<Snapshot, 'origin' | 'shard' | 'shards' | 'chainOffset'>;

/** The state as the log gives it. */
function derive({ head, streams, lanes }: ReplayedLog, frontier: Frontier): DerivedState {
  return {
    size: frontier.size,
    frontier: frontier.hashes,
    seal: head.seal,
    inputGeneration: head.inputGeneration,
    inputTo: head.inputTo,
    appendedAt: head.appendedAt,
    acceptedAt: head.acceptedAt,
    policy: head.policy === null ? null : fromHex(head.policy),
    final: head.final,
    streams: [...streams].map(([stream, end]) => ({ stream, ...end })),
    lanes: [...lanes].map(([key, lane]) => ({ ...parseLaneKey(key), ...lane })),
  };
}

/** The log that the snapshot must be of. Where its block lies on the chain topic, no archive can tell. */
function placeOf({ chainOffset }: Snapshot, { origin, shards }: Policy, shard: number): Omit<Snapshot, keyof DerivedState> {
  return { origin, shard, shards, chainOffset };
}

function plain(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => (each instanceof Uint8Array ? [...each] : each));
}
