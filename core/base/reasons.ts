interface ReasonTraits {
  /** Its number in evidence. Numbers never change their meaning. */
  readonly number: number;
  /**
   * The thing that the reason rejects. `records`: offsets of which no reader can tell the messages. `message`: a whole message of which no header can be read.
   * `batch`: a whole message whose header goes into the evidence. `event`: one event of a batch whose root is proven. `nothing`: the reason of everything
   * that was not rejected.
   */
  readonly rejects: 'nothing' | 'records' | 'message' | 'batch' | 'event';
  /** Its place in the order in which input is judged, whatever its number is. The exact size of a batch alone is judged after its root. */
  readonly judged: number;
  /** The property of a verdict that is broken if a block accepted the thing nevertheless: who signed, the content of a stream, or the demands of the policy. */
  readonly breaks: 'SIGNATURES' | 'STREAMS' | 'POLICY';
  /**
   * Where a batch shows the reason. `header`: in its header alone. `events`: in its events alone. `header or events`: in either; in the events only once
   * all else holds. `lane`: in its header together with its lane. `nowhere`: not a batch's reason.
   */
  readonly shows: 'header' | 'events' | 'header or events' | 'lane' | 'nowhere';
  /** False if the reason alone forbids that another producer sends the rejected events again. */
  readonly resubmittable: boolean;
}

/** Why a message or an event was not linked, by number. A reason without its traits does not compile. docs/formats.md §3 says when each applies. */
export const REASON_TRAITS = {
  NONE: { number: 0, rejects: 'nothing', judged: 0, breaks: 'POLICY', shows: 'nowhere', resubmittable: false },
  MESSAGE_TOO_LARGE: { number: 1, rejects: 'message', judged: 2, breaks: 'POLICY', shows: 'nowhere', resubmittable: false },
  FRAMING_INVALID: { number: 2, rejects: 'message', judged: 3, breaks: 'POLICY', shows: 'nowhere', resubmittable: false },
  SCHEMA_ID_UNKNOWN: { number: 3, rejects: 'message', judged: 4, breaks: 'POLICY', shows: 'nowhere', resubmittable: true },
  BATCH_MALFORMED: { number: 4, rejects: 'message', judged: 5, breaks: 'POLICY', shows: 'nowhere', resubmittable: false },
  HEADER_MALFORMED: { number: 5, rejects: 'batch', judged: 6, breaks: 'POLICY', shows: 'header', resubmittable: false },
  ORIGIN_WRONG: { number: 6, rejects: 'batch', judged: 7, breaks: 'POLICY', shows: 'header', resubmittable: false },
  SHARD_WRONG: { number: 7, rejects: 'batch', judged: 8, breaks: 'POLICY', shows: 'header', resubmittable: true },
  BATCH_TOO_LARGE: { number: 8, rejects: 'batch', judged: 9, breaks: 'POLICY', shows: 'header or events', resubmittable: false },
  COUNT_WRONG: { number: 9, rejects: 'batch', judged: 10, breaks: 'POLICY', shows: 'events', resubmittable: false },
  LANES_WRONG: { number: 10, rejects: 'batch', judged: 11, breaks: 'POLICY', shows: 'header', resubmittable: false },
  KEY_UNKNOWN: { number: 11, rejects: 'batch', judged: 12, breaks: 'SIGNATURES', shows: 'header', resubmittable: true },
  KEY_NOT_ACTIVE: { number: 12, rejects: 'batch', judged: 13, breaks: 'SIGNATURES', shows: 'header', resubmittable: true },
  SIGNATURE_WRONG: { number: 13, rejects: 'batch', judged: 14, breaks: 'SIGNATURES', shows: 'header', resubmittable: false },
  SCHEMA_NOT_IN_FORCE: { number: 14, rejects: 'batch', judged: 15, breaks: 'POLICY', shows: 'header', resubmittable: true },
  ROOT_WRONG: { number: 15, rejects: 'batch', judged: 16, breaks: 'POLICY', shows: 'events', resubmittable: false },
  LANE_FORK: { number: 16, rejects: 'batch', judged: 17, breaks: 'POLICY', shows: 'lane', resubmittable: true },
  RECORDS_UNREADABLE: { number: 17, rejects: 'records', judged: 1, breaks: 'POLICY', shows: 'nowhere', resubmittable: false },
  LANE_CAP: { number: 18, rejects: 'batch', judged: 18, breaks: 'POLICY', shows: 'lane', resubmittable: true },
  EVENT_TOO_LARGE: { number: 32, rejects: 'event', judged: 33, breaks: 'STREAMS', shows: 'nowhere', resubmittable: false },
  EVENT_MALFORMED: { number: 33, rejects: 'event', judged: 34, breaks: 'STREAMS', shows: 'nowhere', resubmittable: false },
  EVENT_INVALID: { number: 34, rejects: 'event', judged: 35, breaks: 'STREAMS', shows: 'nowhere', resubmittable: false },
  STREAM_WRONG_SHARD: { number: 35, rejects: 'event', judged: 36, breaks: 'STREAMS', shows: 'nowhere', resubmittable: true },
  STREAM_NOT_PERMITTED: { number: 36, rejects: 'event', judged: 37, breaks: 'SIGNATURES', shows: 'nowhere', resubmittable: true },
  TYPE_NOT_PERMITTED: { number: 37, rejects: 'event', judged: 38, breaks: 'SIGNATURES', shows: 'nowhere', resubmittable: true },
  FIELD_MISSING: { number: 38, rejects: 'event', judged: 39, breaks: 'POLICY', shows: 'nowhere', resubmittable: true },
  STREAM_CAP: { number: 39, rejects: 'event', judged: 40, breaks: 'POLICY', shows: 'nowhere', resubmittable: true },
} as const satisfies Readonly<Record<string, ReasonTraits>>;

/** The closed list of reasons. */
export type ReasonName = keyof typeof REASON_TRAITS;

/** The number of each reason. */
export const REASONS = Object.fromEntries(Object.entries(REASON_TRAITS).map(([name, { number }]) => [name, number])) as {
  readonly [N in ReasonName]: (typeof REASON_TRAITS)[N]['number'];
};

/** One of the numbers of {@link REASONS}. */
export type Reason = (typeof REASONS)[ReasonName];

const NAMES = new Map<number, ReasonName>(Object.entries(REASONS).map(([name, number]) => [number, name as ReasonName]));

/** The reason's name, or undefined for a number that this version does not know. */
export function reasonName(reason: number): ReasonName | undefined {
  return NAMES.get(reason);
}

/** The reason's traits, or undefined for a number that this version does not know. */
export function reasonTraits(reason: number): ReasonTraits | undefined {
  const name = NAMES.get(reason);
  return name === undefined ? undefined : REASON_TRAITS[name];
}

/** Whether input is judged by `first` before it is judged by `second`. */
export function isJudgedBefore(first: ReasonName, second: ReasonName): boolean {
  return REASON_TRAITS[first].judged < REASON_TRAITS[second].judged;
}
