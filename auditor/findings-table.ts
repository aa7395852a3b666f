import { PROVEN_BY_EVIDENCE, type Property } from './property.ts';

/** `FAILED` fails the finding's property, `NOT CHECKED` claims nothing of it, `OPEN` keeps it open, `NOTE` reports something and changes no result. */
export type Severity = 'FAILED' | 'NOT CHECKED' | 'OPEN' | 'NOTE';

export interface FindingTraits {
  /** The property that the finding is about. A list where each place that raises the finding says which one. */
  readonly property: Property | readonly Property[];
  /** A list where each place that raises the finding says which one. */
  readonly severity: Severity | readonly Severity[];
  /** The fact that was found, in one sentence. */
  readonly meaning: string;
  /** The reader's next step. */
  readonly advice: string;
}

/** Meaning and advice, by code. */
type Rows = Readonly<Record<string, readonly [meaning: string, advice: string]>>;
type Group<P, S, R> = { readonly [C in keyof R]: { property: P; severity: S; meaning: string; advice: string } };

/** Rows with the same property and severity. */
function group<const P extends FindingTraits['property'], const S extends FindingTraits['severity'], const R extends Rows>(
  property: P,
  severity: S,
  rows: R,
): Group<P, S, R> {
  const entries = Object.entries(rows).map(([code, [meaning, advice]]) => [code, { property, severity, meaning, advice }] as const);
  return Object.fromEntries(entries) as Group<P, S, R>;
}

const COMPARE = 'Treat the object as altered: get it from another copy of the archive and compare.';
const RESTORE = 'Restore the object from another copy of the archive or from a backup, and verify again.';
const ARCHIVER = 'Compare with another copy of the archive. If both say so, find out which archiver wrote it; else, who changed it.';
const CHAINER =
  'Keep the archive and compare it with another copy. If both say so, a chainer broke a rule of the log, or somebody else used its key.';
const LOG_KEY = 'Find out who signed it. If somebody else has the log key, mark the key COMPROMISED in a new policy.';
const PRODUCER = "Ask the producer's operator; compare with the producer's spool where it still exists.";
const WAIT = 'Nothing while the log grows. Verify again later.';
const NOTHING = 'Nothing.';
const LIMITED =
  'Find out whether somebody added objects. If all are needed, verify with a program that has higher bounds (auditor/audit-limits.ts).';
const PROOF = 'Do not rely on the file: it was altered or put together from others. Ask for a new proof, or for the archive.';
const LOG_KEY_OR_WITNESS =
  'Keep the note. Ask the witness whether it made the cosignature: if it did, it does not keep the rules; if not, somebody altered the note.';
const AUTHORITY = 'Do not rely on the time stamp. Ask the operator which authority made it, and compare with `openssl ts -verify`.';
const STRANGER = 'Find out who put it there. Move it out of the archive.';

/** Every finding of the auditor. docs/findings.md shows this table to its reader, and a test compares the two. */
export const FINDINGS = {
  ...group(['ARCHIVE', 'POLICY'], 'FAILED', { MISSING: ['An object that the archive needs is missing or cannot be read.', RESTORE] }),
  ...group('ARCHIVE', 'FAILED', {
    TOO_LARGE: ['The object is larger than any object of its kind can be, so it was not read.', COMPARE],
    ARCHIVE_JSON: ['The table of contents differs from the policy or is not in canonical form.', COMPARE],
    SCHEMA_DIGEST: ['The schema does not have the digest that its name states.', COMPARE],
    SCHEMA_INVALID: ['The schema cannot be compiled or is not in canonical form.', COMPARE],
    MANIFEST_MALFORMED: ['The manifest cannot be read.', COMPARE],
    MANIFEST_SIGNATURE: ['No log key signed the manifest, or a signature is wrong.', COMPARE],
    MANIFEST_SUSPECT: ['Only a compromised log key signed the manifest, after the size up to which that key is believed.', LOG_KEY],
    MANIFEST_PLACE: ['The manifest describes another segment than its name states.', ARCHIVER],
    MANIFEST_PREVIOUS: ['The manifest does not name the manifest before it.', ARCHIVER],
    MANIFEST_OBJECTS: ['The manifest lists other files than its segment has, or lists them in another order.', ARCHIVER],
    MANIFEST_FIELD: ['A field of the manifest differs from what the log gives.', ARCHIVER],
    SEGMENT_OVERLAP: ['Two manifests cover the same leaves.', ARCHIVER],
    SEGMENT_END: ['A segment ends where the rule of the log does not end it, or goes on where the rule ends it.', ARCHIVER],
    SIZE: ['The file does not have the size that its manifest states.', COMPARE],
    SHA256: ['The file does not have the SHA-256 that its manifest states.', COMPARE],
    CONTENT: ['The records of the file do not have the digest that its manifest states.', COMPARE],
    CONTAINER: ['The file cannot be read as an Avro container.', COMPARE],
    RECORD_ORDER: ['The records of the file are not in the order of their leaves.', ARCHIVER],
    RECORD_EXTRA: ['The file has a record that belongs to no leaf of its segment.', ARCHIVER],
    EVENT_MISSING: ['The events file has no record of a linked event.', ARCHIVER],
    COLUMN_WRONG: ['A column of an archived event differs from what the log gives.', ARCHIVER],
    EVIDENCE_MISSING: ['The evidence file has no record of a block.', ARCHIVER],
    EVIDENCE_DIGEST: ['The evidence of a block does not have the digest that its seal states.', ARCHIVER],
    EVIDENCE_FORMAT: ['The evidence of a block cannot be read.', CHAINER],
    REFUSED_COUNT: ['The archive has another number of refused events of a block than its evidence states.', ARCHIVER],
    REFUSED_DIGEST: ['A refused event in the archive is not the event that its receipt names.', ARCHIVER],
    RETIRED_WRONG: ['The record of removed events cannot be used, so that these events count as missing.', ARCHIVER],
    SNAPSHOT_WRONG: ['The snapshot is wrongly signed, differs from the state that the log gives, or no segment ends at its size.', COMPARE],
    CHECKPOINT_PLACE: ['The checkpoint covers another number of leaves than its name states.', COMPARE],
    CHECKPOINT_OLD: ['The published checkpoint is older than the segments or than another checkpoint: it was set back.', RESTORE],
    SIGNED_OLD: ['The newest signed note is older than the published checkpoint: it was set back.', RESTORE],
  }),
  ...group('WITNESSES', 'FAILED', {
    COSIGNATURE_WRONG: ['A cosignature by the key of a witness is wrong, states no time, or is there twice.', LOG_KEY_OR_WITNESS],
    QUORUM_MISSING: [
      'No note has a quorum of the witnesses that the reader demands, or the published one has none although the policy wants none published without.',
      'Do not rely on what is shown until the witnesses have seen it: it may be a history that is shown to you alone. Ask the operator for a copy with their cosignatures.',
    ],
  }),
  ...group('WITNESSES', 'OPEN', {
    QUORUM_OPEN: ['The newest leaves, or all of them, are covered by no note with a quorum of witnesses.', WAIT],
  }),
  ...group('WITNESSES', 'NOT CHECKED', {
    WITNESS_POLICY_FOREIGN: [
      'The witness policies that the reader gave name other logs.',
      'Give a witness policy that names this log, or none.',
    ],
  }),
  ...group('WITNESSES', 'NOTE', {
    COSIGNATURE_UNKNOWN: [
      'A note has signatures by keys that neither the policy nor a witness policy of the reader names, or whose type this version cannot verify.',
      NOTHING,
    ],
  }),
  ...group('ARCHIVE', 'NOTE', {
    UNKNOWN_OBJECT: ['Nothing in the archive accounts for the object. It was not checked, and no result rests on it.', STRANGER],
    UNLISTED: [
      'The object is named like a file of a segment, and no manifest lists it. It was not checked, and no result rests on it.',
      STRANGER,
    ],
    ABSENT: ['The table of contents is missing. Nothing depends on it.', NOTHING],
    SNAPSHOT_HALF: [
      'Of a snapshot, only the state or only its statement is there: an archiver died between the two, or one was removed.',
      NOTHING,
    ],
    BEYOND_CHECKPOINT: ['The object covers leaves that no checkpoint or manifest covers yet, so it was not checked.', WAIT],
    CHECKPOINT_BEHIND: ['A note is signed that is not published yet; or the published checkpoint was set back.', WAIT],
  }),
  ...group(['ARCHIVE', ...PROVEN_BY_EVIDENCE], 'NOT CHECKED', {
    BEYOND_LIMIT: ['The archive holds more than this program reads into memory. What lies beyond was not checked.', LIMITED],
  }),
  ...group([...PROVEN_BY_EVIDENCE, 'TIME'], 'NOT CHECKED', {
    UNSHOWN: ['Something that the property rests on is missing or cannot be used; another finding names it.', RESTORE],
  }),
  ...group('LOG', 'FAILED', {
    PROOF_MALFORMED: [
      'The file cannot be read as a proof of an event.',
      'Get the file again, unchanged: as an attachment or in a zip, not as the text of a mail. If it stays so, whoever gave it to you did not give you a proof.',
    ],
    PROOF_CONTRADICTS: ['Two parts of the proof contradict each other.', PROOF],
    FILE_FOREIGN: [
      'The event of the proof does not speak of the file in hand.',
      'Compare the file with the one that the event names: it was changed, or the proof is of another file.',
    ],
    PROOF_PATH: ['The hashes of the proof do not lead from the leaf to the root that the note states.', PROOF],
    LEAVES_MISSING: ['Leaves cannot be read, so that nothing is shown from there on.', RESTORE],
    NOTE_MALFORMED: ['The signed note cannot be read or is of another log.', COMPARE],
    NOTE_SIGNATURE: ['No log key signed the note, or a signature is wrong.', COMPARE],
    NOTE_SUSPECT: ['Only a compromised log key signed the note, after the size up to which that key is believed.', LOG_KEY],
    TREE_HEAD_WRONG: ['No log key made the COSE signature beside a note, or it is of another root or size than the note.', COMPARE],
    KEY_RETIRED: ['Only a log key signed the note or manifest that the policy in force at its leaves calls RETIRED.', LOG_KEY],
    ROOT_WRONG: [
      'The leaves give another root than a signed note or manifest states, or a note that the reader kept.',
      'Keep the archive and compare it with another copy: leaves were altered, or two histories of one log were signed.',
    ],
    KEPT_NOTE_FOREIGN: [
      'A note that the reader kept cannot be read, is of another log, or was signed by none of the log keys of this archive.',
      'Keep note and archive: either the note is not of this log, or the archive is another history than the one that was attested then.',
    ],
    KEPT_NOTE_AHEAD: [
      'A note that the reader kept covers more leaves than the archive shows.',
      'Ask for a newer copy of the archive. If there is none, what was attested was taken away.',
    ],
    TILE_WRONG: ['A stored tile or bundle differs from what the leaves give.', COMPARE],
    BUNDLE_WRONG: ['A leaf does not have the hash that the tree has for it.', COMPARE],
    BUNDLE_INVALID: ['A bundle of leaves cannot be read.', COMPARE],
    LEAF_INVALID: ['A leaf is neither a link nor a seal.', CHAINER],
    BLOCK_TOO_LARGE: ['More links follow each other without a seal than a block can hold.', CHAINER],
    UNSEALED: ['The last leaves are links without a seal.', CHAINER],
    SEAL_ORIGIN: ['The seal belongs to another log.', CHAINER],
    SEAL_INDEX: ['The seal covers other leaves than the block has.', CHAINER],
    SEAL_PREVIOUS: ['The seal does not name the seal before it.', CHAINER],
    SEAL_ROOT: ['The seal states another root than the leaves before it give.', CHAINER],
    AFTER_FINAL: ['A block follows the final block.', CHAINER],
  }),
  ...group('STREAMS', 'FAILED', {
    STREAM_SHARD: ['The stream of the link belongs to another shard.', CHAINER],
    STREAM_INDEX: ['The position of the link in its stream is not the next one.', CHAINER],
    STREAM_PREVIOUS: ['The link does not name the link before it in its stream.', CHAINER],
    LINK_SCHEMA: ['The link names another schema than its batch.', CHAINER],
    EVENT_DIGEST: ['The archived event is not the event that was linked.', COMPARE],
    EVENT_REMOVED: ['The content of the event was removed, and no record in the archive allows that.', RESTORE],
    EVENT_STREAM: ['The event belongs to another stream than its link.', CHAINER],
  }),
  ...group('SIGNATURES', 'FAILED', {
    CHAINER_UNKNOWN: ['The policy does not list the key that signed the seal.', CHAINER],
    CHAINER_NOT_ACTIVE: ['The key that signed the seal is not active in the policy of the block.', CHAINER],
    SEAL_SIGNATURE: ['The signature over the seal is wrong.', CHAINER],
    SUSPECT: [
      'A compromised key signed the seal or the batch, and is not believed so far: a seal takes its whole block along, a batch its header and the links named.',
      'Do not rely on what was logged under that key from there on.',
    ],
    LINK_WITHOUT_BATCH: ['The link names an input offset at which no batch was accepted.', CHAINER],
    BATCH_ROOT: ['The links and receipts of a batch do not give the root that its producer signed.', CHAINER],
  }),
  ...group(['SIGNATURES', 'POLICY'], 'FAILED', {
    BATCH_UNACCEPTABLE: ['A batch was accepted or repeated that had to be rejected. The message names the reason.', CHAINER],
  }),
  ...group(['SIGNATURES', 'STREAMS', 'POLICY'], 'FAILED', {
    EVENT_UNACCEPTABLE: ['An event was linked that had to be rejected. The message names the reason.', CHAINER],
  }),
  ...group('ORDER', 'FAILED', {
    ACCEPTED_BACK: ['A block was accepted before the block that it follows.', CHAINER],
    APPENDED_BACK: ['An input was appended before the input that it follows.', CHAINER],
    APPENDED_AHEAD: ["An input was appended later than its block was made, by more than the policy's clock skew.", CHAINER],
    LINK_TIME: ['A link has another time than the seal of its block.', CHAINER],
    LINK_ORDER: ['The links of a block are not in the order of the input.', CHAINER],
    LANE_WRONG: ['An accepted batch repeats or forks its lane.', CHAINER],
  }),
  ...group('ORDER', 'NOTE', {
    CLOCK_SKEW: ["The producer's clock ran ahead of the log's by more than the policy allows for.", "Set the producer's clock."],
    CLOCK_OR_DELAY: [
      'The batch is dated long before the log took it: it waited, or its producer has a slow clock.',
      "Nothing if the producer was offline; else set the producer's clock.",
    ],
  }),
  ...group('COMPLETE', 'FAILED', {
    GAP: ['Batches or events of a lane are missing. The producer signed numbers that show which.', PRODUCER],
    LANE_BACK: ['A batch of a lane comes after a batch with a higher number.', PRODUCER],
    LANE_PREVIOUS: ['A batch does not name the header before it in its lane.', PRODUCER],
    SEQUENCE: ['A batch uses sequence numbers of its lane again.', PRODUCER],
    INPUT_HOLE: ['A block does not begin at the input offset where the block before it ended.', CHAINER],
    INPUT_GENERATION: ['A block goes on in another generation of the input than its policy names.', CHAINER],
    OFFSETS: ['The evidence accounts for other input offsets than the seal states.', CHAINER],
    POSITION: ['Two links or receipts have the same position in their batch, or one has a position that the batch does not have.', CHAINER],
    EVENTS_MISSING: ['Events of an accepted batch have neither a link nor a receipt.', CHAINER],
    RECEIPT_REASON: ['An event was refused for a reason, or under an identity, that the event itself does not give.', CHAINER],
  }),
  ...group('COMPLETE', 'OPEN', {
    SHARD_EMPTY: [
      'The archive holds nothing of a shard. Either nothing was logged there yet, or all of it is gone.',
      'Ask the operator whether the shard was ever used.',
    ],
    LANE_OPEN: ['The producer has not stated the end of a lane yet.', 'Nothing while the producer runs. Verify again after it has closed.'],
    LANE_SHORT: ['The producer states more batches or events than the lane has. They are missing, or still on their way.', WAIT],
    HEADER_UNSETTLED: [
      'A header that its producer signed was refused for its events, which this signature does not cover: whoever carried it may have swapped them.',
      PRODUCER,
    ],
    SILENCE: [
      'No heartbeat of a producer was signed for longer than the policy allows, so that a whole epoch may have been dropped.',
      PRODUCER,
    ],
  }),
  ...group('COMPLETE', 'NOTE', {
    REFUSED_RETIRED: ['Retention removed the refused events of a segment, so why they were refused is not shown again.', NOTHING],
    STATEMENT_BACK: [
      'A producer states less of a lane than it stated before. The larger statement counts. An honest producer says so after its spool was set back.',
      'Keep spools out of backups that are restored; ask the operator of the producer when that happened.',
    ],
    COPIED_SPOOL: [
      'A lane went on after its stated end: the spool was copied or set back.',
      'Let one process use one spool, and keep spools out of backups that are restored.',
    ],
  }),
  ...group(PROVEN_BY_EVIDENCE, 'OPEN', {
    SEGMENT_OPEN: [
      'The newest leaves are in no closed segment yet, so that they have no evidence, and nothing is claimed about them.',
      WAIT,
    ],
  }),
  ...group('UNIQUE', 'FAILED', {
    LINKED_TWICE: ['An event was linked twice within the dedup window.', CHAINER],
    ORIGINAL_MISSING: ['A receipt points to a leaf that is not a link before it.', CHAINER],
    ORIGINAL_OTHER: ['A receipt points to a link of another identity.', CHAINER],
    RECEIPT_WRONG: ['A receipt says duplicate or conflict, and its original shows the opposite.', CHAINER],
    REPEATED_WRONG: ['A batch is logged as repeated that was never accepted.', CHAINER],
  }),
  ...group('UNIQUE', 'NOTE', {
    REPEATED_AFTER_WINDOW: [
      'An event was linked again after the dedup window.',
      'Nothing. A reader that counts events counts this one twice.',
    ],
    CONFLICT: ['The same identity came again with other content. The first content stays.', PRODUCER],
    REPLAY: ['A batch was accepted that had been accepted before.', 'Find out who sent the batch again.'],
  }),
  ...group('POLICY', 'FAILED', {
    KEY_FOREIGN: [
      'None of the pinned keys is a root key or log key of the archive, or has a part in the proof.',
      'Compare the key with the one that the operator publishes.',
    ],
    ORIGIN_FOREIGN: [
      'The archive or proof is of another origin than the caller demanded.',
      'Compare the origin with the one that the operator publishes.',
    ],
    GENESIS_FOREIGN: [
      'The first version of the policy is not the one that the caller demanded.',
      'Compare its digest with the one that you kept: the root key signed two histories, or this archive is of another system.',
    ],
    POLICY_INVALID: ['A version of the policy cannot be used.', COMPARE],
    POLICY_CHAIN: [
      'A version of the policy does not follow from the version before it.',
      'Find out who added it; compare with another copy.',
    ],
    POLICY_MISSING: ['A seal names a policy that the archive or proof does not hold.', RESTORE],
    POLICY_BACK: ['A seal names an earlier policy than the seal before it.', CHAINER],
    FORMAT_LEVEL: ['The policy demands a later version of this program.', 'Verify with the newest version.'],
    REASON_WRONG: ['A batch was rejected for a reason that its header or its lane contradicts.', CHAINER],
    MARKS_WRONG: ['The marks of a link are not those that its lane gives.', CHAINER],
  }),
  ...group('TIME', 'FAILED', {
    STAMP_MALFORMED: ['A time stamp cannot be read as RFC 3161 wants it.', COMPARE],
    STAMP_REFUSED: ['What is kept as a time stamp is the refusal of an authority.', ARCHIVER],
    STAMP_IMPRINT: ['The time stamp covers another text than the note that it is named for: it was taken from elsewhere.', ARCHIVER],
    STAMP_POLICY: ["The time stamp is under none of the authority's policies that count.", AUTHORITY],
    STAMP_ACCURACY: ['The time stamp is exact to more than an hour only, so that its time could not contradict anything.', AUTHORITY],
    STAMP_CERTIFICATE: ['The time stamp does not name its certificate, or that certificate may not sign time stamps.', AUTHORITY],
    STAMP_SIGNATURE: ['The signature of the time stamp is wrong.', COMPARE],
    STAMP_CONTRADICTS: [
      'A block is dated after a time stamp that covers it, by more than the clock skew: it cannot have been made then.',
      CHAINER,
    ],
    STAMP_FUTURE: ['The time stamp is of a time that has not come yet, by the clock of this machine.', AUTHORITY],
    STAMPED_NOTE: ['The note that is kept beside a time stamp has another text than the one that is covered.', COMPARE],
  }),
  ...group('TIME', ['FAILED', 'NOTE'], {
    STAMP_ROOT: [
      'No way leads from the certificate of the time stamp to a root that counts, valid at the time that it states. FAILED where the policy names the roots; where the reader brought them, the time stamp may be of somebody else.',
      AUTHORITY,
    ],
  }),
  ...group('TIME', 'NOT CHECKED', {
    STAMP_ALGORITHM: [
      'The time stamp, or a certificate on its way to the root, is signed by an algorithm that this version does not know.',
      AUTHORITY,
    ],
  }),
  ...group('TIME', 'OPEN', {
    UNSTAMPED: ['No time stamp covers the newest leaves.', WAIT],
  }),
  ...group('TIME', 'NOTE', {
    STAMP_BEFORE: [
      'A block is dated before a time stamp that does not cover it, by more than the clock skew: it waited for the archiver, or was dated back.',
      'Compare with the logs of the archiver. What the block says of its time rests on the chainer alone.',
    ],
  }),
} as const satisfies Readonly<Record<string, FindingTraits>>;

/** The closed list of codes. */
export type FindingCode = keyof typeof FINDINGS;
