import { toHex } from '../base/bytes.ts';
import { parseVerifierKey } from '../keys/key.ts';
import type { Policy } from './policy-document.ts';
import { readWitnesses } from './witnessing.ts';

/** Adds a line to `problems` for each contradiction between fields of a policy. */
export function checkMeaning(policy: Policy, problems: string[]): void {
  const { shards, roots } = policy;
  const keys = [...policy.producers, ...policy.chainers, ...policy.logs];
  if ((policy.version === 1) !== (policy.previous === null)) problems.push('policy.previous must be null in version 1, and only there');
  const signers = new Set(roots.keys.map((key) => toHex(parseVerifierKey(key).publicKey)));
  if (roots.threshold > signers.size) problems.push('policy.roots.threshold must not exceed the number of public keys of the roots');
  if (policy.inputGeneration.firstOffsets.length !== shards)
    problems.push('policy.inputGeneration.firstOffsets must have one offset per shard');
  if (policy.laneRetentionMs < 2 * (policy.dedupWindowMs + policy.clockSkewMs))
    problems.push('policy.laneRetentionMs must be at least twice dedupWindowMs + clockSkewMs');
  for (const { key, status: state, believed } of keys) {
    if ((state === 'COMPROMISED') !== (believed !== null))
      problems.push(`${key}: believed must be given for COMPROMISED keys, and only for them`);
    if (believed !== null && believed.length !== shards) problems.push(`${key}: believed must have one size per shard`);
  }
  checkLogNames(policy, problems);
  checkRoles(policy, problems);
}

function checkLogNames({ origin, shards, logs }: Policy, problems: string[]): void {
  const names = new Set(Array.from({ length: shards }, (_, shard) => `${origin}/${shard}`));
  const served = new Set<string>();
  for (const { key } of logs) {
    const owner = parseVerifierKey(key).name;
    if (!names.has(owner)) problems.push(`${key}: a log key is named <origin>/<shard>`);
    served.add(owner);
  }
  if (served.size < shards) problems.push('policy.logs must have a key for every shard');
}

/** No public key in two roles; no two keys with the same name and id. */
function checkRoles(policy: Policy, problems: string[]): void {
  const roles = new Map<string, string>();
  const names = new Set<string>();
  const groups: [string, readonly string[]][] = [
    ['roots', policy.roots.keys],
    ['producers', policy.producers.map(({ key }) => key)],
    ['chainers', policy.chainers.map(({ key }) => key)],
    ['logs', policy.logs.map(({ key }) => key)],
    ['witnesses', policy.witnessing === null ? [] : readWitnesses(policy.witnessing.witnesses).witnesses.map(({ key }) => key.text)],
  ];
  for (const [role, keys] of groups) {
    for (const key of keys) {
      const { name: owner, id, publicKey } = parseVerifierKey(key);
      const material = toHex(publicKey);
      const label = `${owner}+${toHex(id)}`;
      if ((roles.get(material) ?? role) !== role)
        problems.push(`${label}: one public key has two roles, ${roles.get(material)} and ${role}`);
      // Two names for one root key would count it twice against the threshold.
      if (role === 'roots' && roles.has(material)) problems.push(`${label}: this public key is among the roots already`);
      if (names.has(label)) problems.push(`${label}: two keys have this name and id`);
      roles.set(material, role);
      names.add(label);
    }
  }
}
