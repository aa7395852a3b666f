/** Sizes that docs/formats.md fixes for version 1; a test compares them with the document. */
export const LIMITS = {
  /** An encoded event. */
  eventBytes: 256 * 1024,
  /** Stream name, UTF-8. */
  streamBytes: 256,
  /** Origin and key names, UTF-8. */
  nameBytes: 255,
  /** Events of one batch. */
  batchEvents: 1024,
  /** Sum over a batch's events of event bytes + stream bytes + {@link LIMITS.batchEventOverheadBytes}. */
  batchBytes: 768 * 1024,
  batchEventOverheadBytes: 160,
  /** An encoded BatchHeader: a key service that signs no more than 4,096 bytes can sign it, and a refused message adds little evidence. */
  headerBytes: 3_900,
  /** Numbers of headers and events in a lane, and counts of dropped events: below 2^48, so that sums of what is admitted can be written. */
  laneNumber: 2 ** 48 - 1,
  /** Lanes that one heartbeat can state. */
  heartbeatLanes: 80,
  /** A signature in a SignedBatch or Block, before its key is known; those of Ed25519 have 64 bytes. */
  signatureBytes: 128,
  /** A Kafka value on provenance.events. */
  messageBytes: 1_000_000,
  /** A Kafka value on provenance.chain. */
  blockBytes: 1_000_000,
  /** A leaf, as the tile bundle's u16 length prefix allows. */
  leafBytes: 65_535,
  /** Bytes of a rejected message that are kept. */
  rejectedBytes: 1024 * 1024,
  /** The records of one record batch of Kafka, as stored and unpacked. */
  recordBatchBytes: 8 * 1024 * 1024,
  /** Records of one record batch: as many as librdkafka puts into one unless told otherwise. */
  recordBatchRecords: 10_000,
  /** Headers of all records of one record batch. */
  recordBatchHeaders: 20_000,
  /** Compressed blocks and skippable frames of one record batch in snappy, LZ4 or zstd: a writer may end one with each record. */
  recordBatchBlocks: 10_000,
  /** Sum over the messages of a run that shares one entry of evidence: 4 + bytes of the value. So a run has at most 16,384 messages. */
  runBytes: 64 * 1024,
  /** Leaves after which a segment ends at the next seal. */
  segmentLeaves: 65_536,
  /** Event bytes after which a segment ends at the next seal. */
  segmentEventBytes: 64 * 1024 * 1024,
  /** Bytes of refused events after which a segment ends at the next seal. */
  segmentRefusedBytes: 64 * 1024 * 1024,
  /** Bytes of evidence after which a segment ends at the next seal. */
  segmentEvidenceBytes: 64 * 1024 * 1024,
  /** The largest caps that a policy can give a producer in one shard: each stream and lane is a record of the state. */
  producerStreams: 4_000_000,
  producerLanes: 4_000_000,
  /** A record of a snapshot's state. */
  stateRecordBytes: 4096,
  /** Signatures that a note may carry. */
  noteSignatures: 100,
  /** A note, text and signatures: room for 16 post-quantum signatures of 5 kB. */
  noteBytes: 256 * 1024,
  /** Witnesses of a policy: a note with the cosignatures of all of them stays within {@link LIMITS.noteBytes}. */
  witnesses: 32,
  /** A policy document. */
  policyBytes: 1024 * 1024,
  /** A file that proves one event: most of it are the versions of the policy. */
  proofBytes: 16 * 1024 * 1024,
  /** Items of one list of a policy, and shards of an origin. */
  policyItems: 4096,
} as const;
