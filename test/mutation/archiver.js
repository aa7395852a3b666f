/** The tests that hold the archiver and what it verifies again, the quick ones first. */
export const ARCHIVER_TESTS = ['test/unit/archiver', 'test/embedded/archiver-', 'test/embedded/archiver.test', 'test/fault/archiver'];

/** What the archiver's second look at chain and store is made of. */
export const ARCHIVED = [
  'archiver/segment-counts.ts',
  'archiver/segment-writer.ts',
  'archiver/shard-archiver.ts',
  'archiver/stored-tree.ts',
  'archiver/write-once.ts',
  'core/archive/archive-anchor.ts',
  'core/chain/chain-reader.ts',
];

/** Changes that no test can notice, since nothing changes: file, change, what stands in its line (of a statement that goes: in the line before), why. */
export const ARCHIVER_EQUIVALENTS = [
  [
    'core/archive/archive-anchor.ts',
    "!hasCode(error, 'FORMAT_INVALID') -> false",
    'throw error;',
    'a key that cannot be read is FORMAT_INVALID, and nothing else fails there',
  ],
  [
    'core/archive/archive-anchor.ts',
    'without if (stored === undefined || note === undefined) return undefined;',
    'const [stored, note] =',
    'what is not there has no bytes, and what does not read is passed over',
  ],
  ...[
    'stored === undefined || note === undefined -> false',
    'stored === undefined || -> (nothing)',
    '|| note === undefined -> (nothing)',
  ].map((change) => [
    'core/archive/archive-anchor.ts',
    change,
    'if (stored === undefined || note',
    'what is not there has no bytes, and what does not read is passed over',
  ]),
  [
    'archiver/shard-archiver.ts',
    'without this.#state = new LogState(genesis(options.origin, options.shard, options.shards));',
    'this.#keys = logKeysOf',
    'a start sets it before anything reads it',
  ],
  [
    'archiver/shard-archiver.ts',
    'without this.#segment = new SegmentWriter(this.#name, options.shard, 0);',
    'this.#state = new LogState',
    'a start sets it before anything reads it',
  ],
  [
    'archiver/shard-archiver.ts',
    'without this.#places = [];',
    'this.#hashes = [];',
    'a block that a second try lists again leaves the list with its first mention',
  ],
  [
    'archiver/shard-archiver.ts',
    'without this.#roots.clear();',
    'this.#oldestUnpublishedMs = undefined;',
    'a second try finds the same roots at the same sizes of the same chain',
  ],
  ['archiver/segment-writer.ts', '!equal(stored, bytes) && -> (nothing)', 'if (!equal(stored', 'the same bytes have the same content'],
  ['archiver/segment-writer.ts', 'header === undefined -> false', 'if (header', 'an accepted block has the batch of each of its links'],
  [
    'archiver/segment-writer.ts',
    'this.#latest !== undefined && equal(this.#latest.schema, schema) -> false',
    'return this.#latest.file',
    'it saves looking the same file up',
  ],
  ['archiver/shard-archiver.ts', '> -> >=', 'if (this.#leaves.length > 0) await', 'publishing nothing does nothing'],
  [
    'archiver/shard-archiver.ts',
    'this.#leaves.length === 0 -> false',
    'if (this.#leaves.length === 0) return;',
    'nobody publishes nothing',
  ],
  [
    'archiver/shard-archiver.ts',
    '>= -> >',
    'if (this.#chainOffset >= 0)',
    'one block makes no segment, so no snapshot lies at the first offset',
  ],
  ['archiver/shard-archiver.ts', '> -> >=', 'if (record.offset > this.#readPos)', 'where the awaited record is there, none was trimmed'],
  ['archiver/shard-archiver.ts', 'policy !== undefined && -> (nothing)', 'segmentEnds', 'the policy of an accepted block is known'],
  [
    'archiver/shard-archiver.ts',
    '> -> >=',
    'if (this.#bytesSinceSnapshot',
    'differs only where a snapshot is as large as the segments to the byte, and may be written or not',
  ],
  [
    'archiver/shard-archiver.ts',
    'this.#oldestUnpublishedMs === undefined -> false',
    'return false;',
    'no time is later than one that is not there',
  ],
  ['archiver/stored-tree.ts', 'level === 0 && -> (nothing)', 'if (!tiles.some', 'no other tile has the hashes of these leaves'],
  [
    'archiver/write-once.ts',
    'there !== undefined && -> (nothing)',
    'equal(there, payload)',
    'comparing what is not there throws, which is not the same',
  ],
];
