/**
 * Why a message or an event was not linked: the closed list of evidence `reason` numbers. Numbers never change their meaning.
 * 1–31 stand on a REJECTED input (a whole message), 32–63 on a REJECTED receipt (one event of a proven batch), 0 on everything else.
 */
export const REASONS = {
  NONE: 0,
  MESSAGE_TOO_LARGE: 1,
  FRAMING_INVALID: 2,
  SCHEMA_ID_UNKNOWN: 3,
  BATCH_MALFORMED: 4,
  HEADER_MALFORMED: 5,
  ORIGIN_WRONG: 6,
  SHARD_WRONG: 7,
  BATCH_TOO_LARGE: 8,
  COUNT_WRONG: 9,
  LANES_WRONG: 10,
  KEY_UNKNOWN: 11,
  KEY_NOT_ACTIVE: 12,
  SIGNATURE_WRONG: 13,
  SCHEMA_NOT_IN_FORCE: 14,
  ROOT_WRONG: 15,
  LANE_FORK: 16,
  EVENT_TOO_LARGE: 32,
  EVENT_MALFORMED: 33,
  EVENT_INVALID: 34,
  STREAM_WRONG_SHARD: 35,
  STREAM_NOT_PERMITTED: 36,
  TYPE_NOT_PERMITTED: 37,
  FIELD_MISSING: 38,
} as const;

export type ReasonName = keyof typeof REASONS;
/** One of the numbers of {@link REASONS}. */
export type Reason = (typeof REASONS)[ReasonName];

const NAMES = new Map<number, ReasonName>(Object.entries(REASONS).map(([name, number]) => [number, name as ReasonName]));

/** The reason's name, or undefined for a number that this version does not know. */
export function reasonName(reason: number): ReasonName | undefined {
  return NAMES.get(reason);
}
