import type { Attack } from './attack.ts';
import { BATCH_ATTACKS } from './batches.ts';
import { CAP_ATTACKS } from './caps.ts';
import { HEARTBEAT_ATTACKS } from './heartbeats.ts';
import { LINK_ATTACKS } from './links.ts';
import { NAME_ATTACKS } from './names.ts';
import { NOTE_ATTACKS } from './notes.ts';
import { OBJECTS } from './objects.ts';
import { POLICY_ATTACKS } from './policies.ts';
import { RECEIPT_ATTACKS } from './receipts.ts';
import { SEGMENT_ATTACKS } from './segments.ts';
import { TIME_ATTACKS } from './times.ts';
import { TOGETHER } from './together.ts';
import { TREE_ATTACKS } from './trees.ts';
import { WITNESS_ATTACKS } from './witnesses.ts';

/** All attacks of all families. */
export const CORPUS: readonly Attack[] = [
  OBJECTS,
  NOTE_ATTACKS,
  TREE_ATTACKS,
  LINK_ATTACKS,
  BATCH_ATTACKS,
  RECEIPT_ATTACKS,
  CAP_ATTACKS,
  POLICY_ATTACKS,
  TIME_ATTACKS,
  HEARTBEAT_ATTACKS,
  SEGMENT_ATTACKS,
  NAME_ATTACKS,
  TOGETHER,
  WITNESS_ATTACKS,
].flat();
