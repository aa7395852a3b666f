import { ARCHIVED, ARCHIVER_TESTS } from './archiver.js';
import { ALL, AUDITED, FORGED } from './auditor.js';

const ACCEPT = ['test/unit/accept'];
const FORMATS = ['test/unit/formats', 'test/property/mutations'];

/** Every file whose functions take part in accepting, in archiving what was accepted, or in verifying; and the tests that hold it. */
export const FUNCTIONS = {
  'core/acceptance/accept.ts': ACCEPT,
  'core/acceptance/batch-check.ts': ACCEPT,
  'core/acceptance/lane.ts': ACCEPT,
  'core/acceptance/log-state.ts': ACCEPT,
  'core/acceptance/block-body.ts': ['test/fault/sequencer-stops'],
  'core/chain/chain-walk.ts': ['test/embedded/archiver.test', 'test/fault/sequencer-stops'],
  ...Object.fromEntries(ARCHIVED.map((file) => [file, ARCHIVER_TESTS])),
  ...AUDITED,
  'auditor/lane-audit.ts': [...FORGED, 'test/embedded/verify-honest'],
  'core/archive/archive-keys.ts': ['test/unit/keys', 'test/embedded/archiver.test', ...FORGED],
  'core/formats/archived-event.ts': [...FORMATS, ...FORGED],
  'core/formats/batch.ts': [...FORMATS, ...ACCEPT],
  'core/formats/block-evidence.ts': [...FORMATS, ...FORGED],
  'core/formats/evidence.ts': [...FORMATS, ...ACCEPT, ...FORGED],
  'core/formats/leaf.ts': [...FORMATS, ...ACCEPT, ...FORGED],
  'core/avro/ocf.ts': [...FORMATS, 'test/embedded/archiver-', 'test/embedded/archiver.test', ...FORGED],
  'core/avro/cursor.ts': FORMATS,
  'core/avro/schema.ts': [...FORMATS, 'test/unit/schemas'],
  'core/base/bytes.ts': ['test/unit/bytes', ...FORMATS],
  'core/keys/ed25519.ts': ['test/unit/crypto'],
  'core/formats/event.ts': [...FORMATS, ...ACCEPT],
  'core/formats/event-schema.ts': ['test/unit/schemas', ...FORMATS],
  'core/avro/framing.ts': FORMATS,
  'core/formats/identity.ts': [...FORMATS, ...FORGED, 'test/unit/sdk', 'test/unit/collector/collector'],
  'core/keys/key.ts': ['test/unit/keys', 'test/property/keys'],
  'core/archive/manifest.ts': ['test/unit/keys', ...FORGED],
  'core/policy/policy.ts': ['test/unit/policy'],
  'core/policy/policy-check.ts': ['test/unit/policy'],
  'core/archive/retired.ts': ['test/embedded/verify-state'],
  'core/base/format-checks.ts': ['test/unit/accept', ...FORMATS, ...FORGED, 'test/unit/sdk'],
  'core/acceptance/segment-rule.ts': ['test/unit/keys', ...FORGED],
  'core/formats/shard.ts': FORMATS,
  'core/archive/snapshot.ts': [...FORMATS, ...FORGED],
  'core/tree/frontier.ts': ['test/unit/tree', 'test/property/tree'],
  'auditor/verdict.ts': ALL,
};

/** Functions without which a run says the same: file, change, name, why. */
export const FUNCTION_EQUIVALENTS = [
  ['auditor/tree-audit.ts', '#askAhead does nothing', '#askAhead', 'what is asked for early is asked for later: it saves time'],
  ['auditor/tree-audit.ts', '#forget does nothing', '#forget', 'it saves memory'],
  ['archiver/shard-archiver.ts', '#labels does nothing', '#labels', 'labels of metrics, on which no judgement rests'],
  ['core/avro/cursor.ts', 'function isAscii does nothing', 'isAscii', 'a shortcut to what the longer way gives'],
];
