import { logKeysOf } from '../core/archive/archive-keys.ts';
import type { Checkpoint } from '../core/keys/checkpoint.ts';
import type { VerifierKey } from '../core/keys/key.ts';
import { attestedTreeHead } from './attestation.ts';
import type { Audit } from './audit.ts';

/**
 * Judges the COSE signature beside a kept note: it must be by a log key over the root that the note states. Gives its signers. It holds no root, so nothing is
 * known of one that has no usable note beside it; the note has a finding then.
 */
export async function checkTreeHead(audit: Audit, size: number, note: Checkpoint | undefined): Promise<readonly VerifierKey[]> {
  const { objects, shard, governance, findings } = audit;
  const object = logKeysOf(shard).coseAt(size);
  const place = { shard, object };
  if (note === undefined || note.size !== size) {
    findings.add('UNKNOWN_OBJECT', 'no usable note of this size is beside it, so it was not checked', place);
    return [];
  }
  const stored = await objects.get(object);
  if (stored === undefined) return [];
  const { faults, signers } = attestedTreeHead(stored.bytes, note, shard, governance.logKeys(shard));
  for (const { code, message } of faults) {
    if (code === 'SUSPECT') findings.add('NOTE_SUSPECT', `the COSE signature cannot be used: ${message}`, place);
    else findings.add('TREE_HEAD_WRONG', 'no log key made this COSE signature over the root that the note beside it states', place);
  }
  return signers;
}
