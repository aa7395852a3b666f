const TREE = ['test/unit/tree', 'test/property/tree'];
const FORMATS = ['test/unit/formats', 'test/property/mutations'];
const KEYS = ['test/unit/keys', 'test/property/keys'];
export const FORGED = [
  'test/embedded/verify-forged',
  'test/embedded/verify-state',
  'test/embedded/verify-trust',
  'test/embedded/verify-hostile',
];
const ALTERED = 'test/embedded/verify-altered.test';
/** The quick ones first. */
export const ALL = ['test/embedded/verify-honest', ...FORGED, ALTERED];

/** What the auditor is made of, and the tests that hold each file. */
export const AUDITED = {
  'auditor/archive-reader.ts': ['test/embedded/verify-hostile', 'test/embedded/verify-state'],
  'auditor/attestation.ts': ['test/embedded/verify-trust', 'test/embedded/verify-hostile'],
  'auditor/block-audit.ts': FORGED,
  'auditor/findings.ts': ['test/unit/auditor/verdict-text'],
  'auditor/key-table.ts': ['test/unit/auditor/key-table'],
  'auditor/lane-audit.ts': FORGED,
  'auditor/manifest-draft.ts': [...FORGED, 'test/embedded/verify-honest'],
  'auditor/policies.ts': ALL,
  'auditor/query.ts': ['test/embedded/query'],
  'auditor/retirement.ts': ['test/embedded/verify-state', ALTERED],
  'auditor/segment-audit.ts': ALL,
  'auditor/shard-audit.ts': ALL,
  'auditor/snapshot-audit.ts': ['test/embedded/verify-state', 'test/embedded/verify-trust', ALTERED],
  'auditor/tree-audit.ts': [...FORGED, 'test/embedded/verify-honest', 'test/unit/auditor/tree-audit', ALTERED],
  'auditor/unique-audit.ts': ['test/unit/auditor/unique-audit', ...FORGED, 'test/embedded/verify-honest'],
  'auditor/verdict-text.ts': ['test/unit/auditor/verdict-text', ...FORGED],
  'auditor/verify.ts': ALL,
  'core/acceptance/segment-rule.ts': ['test/unit/keys', ...FORGED],
  'core/avro/ocf.ts': ['test/unit/formats', 'test/property/mutations'],
  'core/keys/note.ts': KEYS,
  'core/keys/dsse.ts': KEYS,
  'core/policy/policy-history.ts': ['test/unit/policy'],
  'core/tree/growing-tiles.ts': TREE,
  'core/tree/hash.ts': TREE,
  'core/tree/proof.ts': TREE,
  'core/tree/tile.ts': TREE,
  'core/base/json-shape.ts': ['test/unit/keys', 'test/unit/policy'],
  'core/base/jcs.ts': ['test/unit/formats', 'test/unit/keys'],
  'core/keys/checkpoint.ts': KEYS,
  'core/archive/archive-keys.ts': ['test/unit/keys', ...FORGED],
  'core/formats/evidence.ts': FORMATS,
  'core/formats/leaf.ts': FORMATS,
  'core/formats/batch.ts': FORMATS,
  'core/tree/batch-tree.ts': FORMATS,
  'core/formats/archived-event.ts': FORMATS,
  'core/formats/block-evidence.ts': FORMATS,
  'core/archive/snapshot.ts': FORMATS,
};

/** Changes that no test can notice, since nothing changes: file, change, what stands in its line, why. */
export const EQUIVALENTS = [
  ['auditor/block-audit.ts', '< -> <=', 'seal.inputGeneration < this.inputGeneration', 'the same generation has returned before'],
  [
    'auditor/block-audit.ts',
    'input.batch === null -> false',
    'if (input.batch === null) return;',
    'evidence without a batch is not REPEATED',
  ],
  [
    'auditor/block-audit.ts',
    'input.batch === null -> false',
    'if (input.batch === null) return undefined;',
    'evidence without a batch is not ACCEPTED',
  ],
  ['auditor/block-audit.ts', 'head !== undefined -> false', 'heads.set(leaf, head)', 'it saves reading the event again'],
  [
    'auditor/block-audit.ts',
    '> -> >=',
    'if (stated === REASONS.COUNT_WRONG)',
    'how many events came a header does not show, so COUNT_WRONG is never derived from it',
  ],
  ['auditor/manifest-draft.ts', 'head !== undefined -> false', 'this.#occurredAt(head', 'it saves reading the event again'],
  ...['event === null || schema === undefined -> false', 'event === null || -> (nothing)', '|| schema === undefined -> (nothing)'].map(
    (change) => [
      'auditor/manifest-draft.ts',
      change,
      'if (event === null',
      'what is not there cannot be read, and what cannot is passed over',
    ],
  ),
  [
    'auditor/manifest-draft.ts',
    'this.#latestSchema !== undefined && equal(this.#latestSchema.digest, schema) -> false',
    'return this.#latestSchema.hex',
    'it saves noting the same schema again',
  ],
  [
    'auditor/shard-audit.ts',
    'published !== undefined && -> (nothing)',
    'archived > published',
    'no segment goes further than a checkpoint that is not there',
  ],
  [
    'auditor/shard-audit.ts',
    'seal === undefined && !this.#roots.has(leaf + 1) -> false',
    'continue;',
    'it saves taking the leaves one by one',
  ],
  [
    'auditor/shard-audit.ts',
    'leaves === undefined || -> (nothing)',
    'return undefined;',
    'where leaves are missing the audit is blind already',
  ],
  ['auditor/shard-audit.ts', 'object === undefined || -> (nothing)', 'stored === undefined', 'what has no name is not read'],
  ['auditor/retirement.ts', 'value !== undefined && -> (nothing)', 'fault === undefined', 'a record that cannot be read has a fault'],
  [
    'auditor/segment-audit.ts',
    '< -> <=',
    'container.left.bytes',
    'the bound lies above what any segment holds, and so what is just as large is none either',
  ],
  [
    'auditor/segment-audit.ts',
    '!key.startsWith(keys.segments) || -> (nothing)',
    'known.has(key)',
    'no other object is of these kinds; it saves reading its key',
  ],
  [
    'auditor/policies.ts',
    "!key.endsWith('.manifest.json') -> false",
    'continue;',
    'what is no manifest does not read as one and is passed over',
  ],
  ...['width <= 0 -> false', '<= -> <'].map((change) => [
    'auditor/tree-audit.ts',
    change,
    'if (width <= 0) return;',
    'it saves asking for what cannot be there',
  ]),
  [
    'auditor/tree-audit.ts',
    '> -> >=',
    'this.#beyond(other)',
    'the bundle of just these leaves is the one that was read, and not looked at again',
  ],
  [
    'core/base/json-shape.ts',
    '|| Array.isArray(value) -> (nothing)',
    "if (typeof value !== 'object'",
    'a list has none of the fields of an object',
  ],
  ['core/keys/dsse.ts', "|| typeof payload !== 'string' -> (nothing)", 'if (type', 'what is no text is no base64'],
  ['core/keys/dsse.ts', "|| typeof sig !== 'string' -> (nothing)", 'if (typeof keyid', 'what is no text is no base64'],
  ['core/keys/dsse.ts', "typeof json !== 'object' || -> (nothing)", 'if (typeof json', 'what is no object has no members'],
  ...['streams.size >= PERMITS_KEPT -> false', '>= -> >'].map((change) => [
    'core/policy/policy-history.ts',
    change,
    'streams.clear();',
    'it bounds the memory, and what is forgotten is found again',
  ]),
  [
    'core/policy/policy-history.ts',
    'this.#permits.set(producer, streams); -> (nothing)',
    'this.#permits.set(',
    'it saves matching the same stream again',
  ],
  ...['low < this.#identities.size && -> (nothing)', '< -> <='].map((change) => [
    'auditor/unique-audit.ts',
    change,
    'return low < this.#identities.size',
    'behind the last entry stands no leaf, or leaf 0, which does not come after others',
  ]),
  [
    'auditor/unique-audit.ts',
    'this.#streamNumbers.set(stream, number); -> (nothing)',
    'this.#streamNumbers.set(',
    'a name that is kept again and again is the same name',
  ],
  ['auditor/query.ts', 'schema.hex === EVENT_SCHEMA.hex -> false', 'return (bytes)', 'a schema is resolved to itself without a change'],
  ['auditor/key-table.ts', '> -> >=', 'this.#grow();', 'the table grows one entry sooner'],
];
