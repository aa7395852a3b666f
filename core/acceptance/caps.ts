import type { EvidenceInput } from '../formats/evidence.ts';
import type { Link } from '../formats/leaf.ts';
import type { ProducerInForce } from '../policy/policy-history.ts';
import { type BatchRules, checkHeader } from './batch-check.ts';
import { type Lane, type LogView, laneKey } from './log-state.ts';
import type { Openings } from './openings.ts';
import { must, Refusal, Wait } from './refusal.ts';

/** The state before a block, and what the block opens of it. */
export interface OpenState {
  readonly view: LogView;
  readonly openings: Openings;
}

/** An event whose receipt says that its stream would be one too many. */
export interface CappedEvent {
  readonly inputOffset: number;
  readonly position: number;
  readonly stream: string;
  readonly producer: ProducerInForce;
}

/**
 * Goes through links and capped events in the order of the input: a link begins a stream only below the cap of its producer, and an event is refused for the
 * cap only where it would have begun a stream and the cap was reached.
 */
export function checkStreamCaps(
  { view, openings }: OpenState,
  links: readonly Link[],
  batches: ReadonlyMap<number, { readonly producer: ProducerInForce }>,
  capped: readonly CappedEvent[],
): void {
  const opened = new Set<string>();
  let next = 0;
  const judgeUpTo = (link: Link | undefined): void => {
    while (isDue(capped[next], link)) {
      const { stream, producer } = capped[next++] as CappedEvent;
      must('RECEIPT', view.stream(stream) === undefined && !opened.has(stream) && !openings.mayOpenStream(producer));
    }
  };
  for (const link of links) {
    if (link.index > 0) continue;
    judgeUpTo(link);
    const batch = batches.get(link.inputOffset);
    if (batch === undefined) throw new Refusal('LINK_BATCH');
    must('EVENT', openings.openStream(batch.producer));
    opened.add(link.stream);
  }
  judgeUpTo(undefined);
}

/** Checks an input that was refused for the cap of lanes: its batch would be accepted, but it would open a lane, and the cap was reached. */
export function checkCappedLane(
  { view, openings }: OpenState,
  lanes: ReadonlyMap<string, Lane>,
  { batch }: EvidenceInput,
  rules: BatchRules,
): void {
  if (batch === null) throw new Refusal('LANE');
  const check = checkHeader(batch, rules);
  if (check.kind === 'hold') throw new Wait('schema', check.schema);
  if (check.kind === 'rejected') throw new Refusal('LANE');
  const { header, producer } = check.proven;
  const key = laneKey(header.producer, header.epoch);
  must('LANE', !lanes.has(key) && view.lane(key) === undefined && !openings.mayOpenLane(producer));
}

/** Whether there is an event that comes before the link; with no link, any event does. */
function isDue(event: CappedEvent | undefined, link: Link | undefined): boolean {
  if (event === undefined || link === undefined) return event !== undefined;
  return event.inputOffset < link.inputOffset || (event.inputOffset === link.inputOffset && event.position < link.position);
}
