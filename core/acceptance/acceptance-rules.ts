interface RuleTraits {
  /** The paragraph of docs/formats.md §3 that states the rule. */
  readonly paragraph: number;
  /** The fact about a block that breaks the rule. */
  readonly broken: string;
  /** True if a chainer may have followed a later format, so that a reader stops instead of ignoring the block. */
  readonly maybeLaterFormat: boolean;
}

/** A rule that a block of any later format keeps as well. */
function rule(paragraph: number, broken: string): RuleTraits {
  return { paragraph, broken, maybeLaterFormat: false };
}

/** A rule that a block of a later format may break. */
function formatRule(paragraph: number, broken: string): RuleTraits {
  return { paragraph, broken, maybeLaterFormat: true };
}

/** Every rule that a refused block can have broken, by the name that errors and logs state. docs/formats.md §3 shows this table. */
export const ACCEPTANCE_RULES = {
  BLOCK_FORMAT: rule(1, 'the message is not a block'),
  SEAL_FORMAT: formatRule(1, 'the seal cannot be decoded'),
  FINAL: rule(1, 'an earlier seal is final'),
  ORIGIN: rule(1, 'the seal names another log'),
  FIRST_INDEX: rule(2, 'the block does not begin at the size of the log'),
  PREVIOUS_SEAL: rule(2, 'the seal does not name the seal before it'),
  POLICY: rule(3, 'the policy is of another log, or does not descend from the policy before it'),
  POLICY_FORMAT: formatRule(3, 'the policy demands a format level that the reader does not know'),
  CHAINER_KEY: rule(3, 'the key of the seal is not an ACTIVE chainer key of the policy'),
  CHAINER_SIGNATURE: rule(3, 'the signature over the seal is wrong'),
  INPUT_FROM: rule(4, 'the block begins neither where the input before it ended nor where the policy starts its generation'),
  LINK_COUNT: rule(8, 'the block does not hold the number of links that the seal states'),
  ACCEPTED_AT: rule(5, 'the time of the block is before that of the previous block'),
  EVIDENCE_HASH: rule(6, 'the evidence does not have the hash that the seal states'),
  EVIDENCE_FORMAT: formatRule(6, 'the evidence cannot be decoded'),
  EVIDENCE_OFFSETS: rule(6, 'the evidence does not cover the offsets of the block'),
  EVIDENCE_TIME: rule(6, 'the inputs are not in the order of `appendedAt`, or one leads `acceptedAt` by more than the clock skew'),
  BATCH: rule(7, 'an ACCEPTED batch does not verify'),
  LANE: rule(7, 'an ACCEPTED batch does not follow its lane'),
  LINK_FORMAT: formatRule(9, 'a link cannot be decoded'),
  LINK_BATCH: rule(9, 'a link belongs to no ACCEPTED batch of the block'),
  LINK_ORDER: rule(9, 'the links are not in the order of the input'),
  LINK_MARKS: rule(9, 'a link has the wrong marks'),
  LINK_TIME: rule(9, 'a link does not have the time of the seal'),
  LINK_STREAM: rule(9, 'an event is linked under another stream than its own'),
  LINK_INDEX: rule(9, 'a link is not at the next position of its stream'),
  LINK_PREVIOUS: rule(9, 'a link does not name the link before it in its stream'),
  EVENT_DIGEST: rule(9, 'an event does not have the digest or the schema that its link states'),
  EVENT: rule(9, 'an event must not be linked'),
  POSITIONS: rule(10, 'links and receipts do not fill each position of a batch exactly once'),
  BATCH_ROOT: rule(10, 'links and receipts do not give the root of a batch'),
  REFUSED_COUNT: rule(11, 'the block does not carry exactly one event for each REJECTED or CONFLICT receipt'),
  RECEIPT_DIGEST: rule(11, 'a refused event does not have the digest that its receipt states'),
  RECEIPT: rule(11, 'a receipt states another reason or identity than its event gives'),
  ROOT: rule(8, 'the root in the seal is not the root of the leaves before it'),
} as const satisfies Readonly<Record<string, RuleTraits>>;

/** The name of the rule that a refused block broke. Readers ignore a refused block; the refusal has no other effect. */
export type AcceptanceRule = keyof typeof ACCEPTANCE_RULES;
