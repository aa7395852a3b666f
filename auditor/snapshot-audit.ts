import { parseLaneKey } from '../core/acceptance/log-state.ts';
import { decodeSnapshot, encodeSnapshot, type Snapshot } from '../core/archive/snapshot.ts';
import { equal, fromHex } from '../core/base/bytes.ts';
import type { Frontier } from '../core/tree/frontier.ts';
import { attestedPayload } from './attestation.ts';
import type { BlockAudit } from './block-audit.ts';
import type { Governance } from './policies.ts';

/** What is wrong with a stored snapshot, held against the state that the leaves give: a list of sentences, empty where nothing is. */
export function snapshotFaults(bytes: Uint8Array, shard: number, audit: BlockAudit, frontier: Frontier, governance: Governance): string[] {
  const { value, faults } = attestedPayload(bytes, 'snapshot', {
    shard,
    keys: governance.logKeys(shard),
    decode: decodeSnapshot,
    end: ({ size }) => size,
  });
  const said = faults.map(({ message }) => message);
  if (value === undefined) return said;
  const { payload, ...snapshot } = value;
  const derived = encodeSnapshot(derive(snapshot, shard, audit, frontier, governance));
  if (equal(derived, payload)) return said;
  const right = decodeSnapshot(derived);
  const fields = (Object.keys(right) as (keyof Snapshot)[]).filter((field) => plain(right[field]) !== plain(snapshot[field]));
  return [...said, `it states another state than the log gives: ${fields.join(', ')}`];
}

/** The snapshot as the log gives it. Where its block lies on the chain topic no archive can tell. */
function derive(snapshot: Snapshot, shard: number, audit: BlockAudit, frontier: Frontier, { history }: Governance): Snapshot {
  const { origin, shards } = history.latest.policy;
  return {
    origin,
    shard,
    shards,
    size: frontier.size,
    frontier: frontier.hashes,
    seal: audit.seal,
    inputGeneration: audit.inputGeneration,
    inputTo: audit.inputTo,
    appendedAt: audit.appendedAt,
    acceptedAt: audit.acceptedAt,
    chainOffset: snapshot.chainOffset,
    policy: audit.policy === null ? null : fromHex(audit.policy),
    final: audit.final,
    streams: [...audit.streams].map(([stream, head]) => ({ stream, ...head })),
    lanes: [...audit.lanes].map(([key, lane]) => ({ ...parseLaneKey(key), ...lane })),
  };
}

function plain(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => (each instanceof Uint8Array ? [...each] : each));
}
