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
  /** An encoded BatchHeader; bounds the bytes that one refused message can add to the evidence. */
  headerBytes: 64 * 1024,
  /** Lanes that one heartbeat can state. */
  heartbeatLanes: 1024,
  /** A signature in a SignedBatch or Block, before its key is known. */
  signatureBytes: 8 * 1024,
  /** A Kafka value on provenance.events. */
  messageBytes: 1_000_000,
  /** A Kafka value on provenance.chain. */
  blockBytes: 1_000_000,
  /** A leaf, as the tile bundle's u16 length prefix allows. */
  leafBytes: 65_535,
  /** Bytes of a rejected message that are kept. */
  rejectedBytes: 1024 * 1024,
  /** Leaves after which a segment ends at the next seal. */
  segmentLeaves: 65_536,
  /** Event bytes after which a segment ends at the next seal. */
  segmentEventBytes: 64 * 1024 * 1024,
  /** Signatures that a note may carry. */
  noteSignatures: 100,
  /** A note, text and signatures: room for 16 post-quantum signatures of 5 kB. */
  noteBytes: 256 * 1024,
  /** A policy document. */
  policyBytes: 1024 * 1024,
  /** Items of one list of a policy, and shards of an origin. */
  policyItems: 4096,
} as const;
