import { ARCHIVED, ARCHIVER_TESTS } from './archiver.js';
import { ALL, AUDITED, FORGED } from './auditor.js';

const ACCEPT = ['test/unit/accept'];
const FORMATS = ['test/unit/formats', 'test/property/mutations'];

/** Every file whose functions take part in accepting, in archiving what was accepted, or in verifying; and the tests that hold it. */
export const FUNCTIONS = {
  'core/accept.ts': ACCEPT,
  'core/batch-check.ts': ACCEPT,
  'core/lane.ts': ACCEPT,
  'core/state.ts': ACCEPT,
  'core/block-body.ts': ['test/fault/sequencer-stops'],
  'core/chain-walk.ts': ['test/embedded/archiver.test', 'test/fault/sequencer-stops'],
  ...Object.fromEntries(ARCHIVED.map((file) => [file, ARCHIVER_TESTS])),
  ...AUDITED,
  'auditor/lane-audit.ts': [...FORGED, 'test/embedded/verify-honest'],
  'core/archive-keys.ts': ['test/unit/keys', 'test/embedded/archiver.test', ...FORGED],
  'core/archived-event.ts': [...FORMATS, ...FORGED],
  'core/batch.ts': [...FORMATS, ...ACCEPT],
  'core/block-evidence.ts': [...FORMATS, ...FORGED],
  'core/evidence.ts': [...FORMATS, ...ACCEPT, ...FORGED],
  'core/leaf.ts': [...FORMATS, ...ACCEPT, ...FORGED],
  'core/ocf.ts': [...FORMATS, 'test/embedded/archiver-', 'test/embedded/archiver.test', ...FORGED],
  'core/avro/cursor.ts': FORMATS,
  'core/avro/schema.ts': [...FORMATS, 'test/unit/schemas'],
  'core/bytes.ts': ['test/unit/bytes', ...FORMATS],
  'core/ed25519.ts': ['test/unit/crypto'],
  'core/event.ts': [...FORMATS, ...ACCEPT],
  'core/event-schema.ts': ['test/unit/schemas', ...FORMATS],
  'core/framing.ts': FORMATS,
  'core/identity.ts': [...FORMATS, ...FORGED, 'test/unit/sdk', 'test/unit/collector/collector'],
  'core/key.ts': ['test/unit/keys', 'test/property/keys'],
  'core/manifest.ts': ['test/unit/keys', ...FORGED],
  'core/policy.ts': ['test/unit/policy'],
  'core/policy-check.ts': ['test/unit/policy'],
  'core/retired.ts': ['test/embedded/verify-state'],
  'core/rules.ts': ['test/unit/accept', ...FORMATS, ...FORGED, 'test/unit/sdk'],
  'core/segment.ts': ['test/unit/keys', ...FORGED],
  'core/shard.ts': FORMATS,
  'core/snapshot.ts': [...FORMATS, ...FORGED],
  'core/tree/frontier.ts': ['test/unit/tree', 'test/property/tree'],
  'core/verdict.ts': ALL,
};

/** Functions without which a run says the same: file, change, name, why. */
export const FUNCTION_EQUIVALENTS = [
  ['auditor/tree-audit.ts', '#askAhead does nothing', '#askAhead', 'what is asked for early is asked for later: it saves time'],
  ['auditor/tree-audit.ts', '#forget does nothing', '#forget', 'it saves memory'],
  ['archiver/shard-archiver.ts', '#labels does nothing', '#labels', 'labels of metrics, on which no judgement rests'],
  ['core/avro/cursor.ts', 'function isAscii does nothing', 'isAscii', 'a shortcut to what the longer way gives'],
];
