import { utf8 } from '../core/base/bytes.ts';
import { messageOf } from '../core/base/errors.ts';
import { parseCheckpoint } from '../core/keys/checkpoint.ts';
import type { VerifierKey } from '../core/keys/key.ts';
import { readNote } from '../core/keys/note.ts';
import { attestedNote } from './attestation.ts';
import type { Findings } from './findings.ts';
import type { Governance } from './governance.ts';

/** A note that the reader kept from an earlier time: what the log looked like then. */
export interface KeptNote {
  /** Where the reader has it, for messages. */
  readonly name: string;
  /** The signed note, verbatim. */
  readonly note: string;
}

/** A kept note that is of the archive's origin, and was signed by one of its log keys. */
export interface KeptRoot {
  readonly name: string;
  readonly shard: number;
  readonly size: number;
  readonly root: Uint8Array;
  readonly signers: readonly VerifierKey[];
}

/** Opens the notes that a reader kept. One that the archive's log keys did not sign is a finding: what it attests is another history than this one. */
export function openKeptNotes(notes: readonly KeptNote[], governance: Governance, findings: Findings): KeptRoot[] {
  return notes.flatMap((kept) => openKept(kept, governance, findings) ?? []);
}

function openKept({ name, note }: KeptNote, governance: Governance, findings: Findings): KeptRoot | undefined {
  const { origin, shards } = governance.history.latest.policy;
  const refuse = (fact: string): undefined => {
    findings.add('KEPT_NOTE_FOREIGN', `the kept note ${name} ${fact}`, {});
    return undefined;
  };
  let log: string;
  try {
    log = parseCheckpoint(readNote(note).text).origin;
  } catch (error) {
    return refuse(`cannot be read: ${messageOf(error)}`);
  }
  const shard = Array.from({ length: shards }, (_, each) => each).find((each) => log === `${origin}/${each}`);
  if (shard === undefined) return refuse(`is of ${log}, and the archive is of ${origin}`);
  // A key that was stolen later signed rightly what the reader kept before.
  const { value, faults, signers } = attestedNote(utf8(note), log, shard, governance.logKeys(shard));
  if (value === undefined) return refuse(`is not signed by a log key of the archive: ${faults[0]?.message ?? ''}`);
  return { name, shard, size: value.size, root: value.root, signers };
}

/** Reports each note that covers more leaves than the archive shows of its shard. */
export function checkKeptSizes(kept: readonly KeptRoot[], sizes: ReadonlyMap<number, number>, findings: Findings): void {
  for (const { name, shard, size } of kept) {
    const shown = sizes.get(shard) ?? 0;
    if (size <= shown) continue;
    const message = `the kept note ${name} covers ${size} leaves, and the archive shows ${shown}: it was set back, or is an older copy`;
    findings.add('KEPT_NOTE_AHEAD', message, { shard, leaf: shown });
  }
}
