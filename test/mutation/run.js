// Breaks each rule of acceptance, archiver, chainer and auditor, one at a time, in a copy of the sources, and expects a test to go red:
// `node test/mutation/run.js [acceptance|archiver|chainer|functions|auditor [FILE]...]`.
// Exit code 1 names the mutations that no test noticed.
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ARCHIVED, ARCHIVER_EQUIVALENTS, ARCHIVER_TESTS } from './archiver.js';
import { AUDITED, EQUIVALENTS } from './auditor.js';
import { FUNCTION_EQUIVALENTS, FUNCTIONS } from './functions.js';
import { changesOf, emptied } from './generated.js';

/** Statements that are one check: taken out whole. */
const ACCEPTANCE_CHECKS = {
  'core/acceptance/accept.ts':
    /^ *(?:return )?must\((?:.|\n)*?\);\n|^ *if \(.*\) throw new (?:Refusal|Wait)\(.*\);\n|^ *for \(const .*\) (?:place|checkBatchRoot)\(.*\);\n|^ *check(?:Place|Chainer|InputStart|Event)\(.*\);\n/gm,
  'core/acceptance/batch-check.ts': /^ *if \(.*\)\s+return .*;\n/gm,
  'core/acceptance/lane.ts': /^ *if \(.*\) return .*;\n/gm,
};

/** Other changes: file, what stands there, what stands there then. */
const ACCEPTANCE_CHANGES = [
  ['core/acceptance/accept.ts', 'seal.acceptedAt >= head.acceptedAt ||', ''],
  ['core/acceptance/accept.ts', '|| policy.hex !== head.policy)', ')'],
  ['core/acceptance/accept.ts', 'head.policy === hex || context.policies.descends(hex, head.policy)', 'true'],
  ['core/acceptance/accept.ts', 'policy.policy.origin === head.origin && ', ''],
  ['core/acceptance/accept.ts', ' && policy.policy.shards === head.shards', ''],
  ['core/acceptance/accept.ts', 'chainer?.active === true', 'chainer !== undefined'],
  ['core/acceptance/accept.ts', "verifyEd25519(chainer.key, preAuthentication('block', block.seal), block.signature)", 'true'],
  ['core/acceptance/accept.ts', "if (input.outcome === 'ACCEPTED' && input.batch !== null)", 'if (input.batch !== null)'],
  ['core/acceptance/accept.ts', 'lanes.get(key) ?? view.lane(key)', 'view.lane(key)'],
  ['core/acceptance/accept.ts', 'lanes.get(key) ?? view.lane(key)', 'lanes.get(key)'],
  ['core/acceptance/accept.ts', "outcome === 'NEXT' || outcome === 'GAP'", 'true'],
  ['core/acceptance/accept.ts', '  lanes.delete(key);\n', ''],
  ['core/acceptance/accept.ts', 'number: header.number + 1', 'number: header.number'],
  ['core/acceptance/accept.ts', "outcome === 'GAP' ? MARKS.gapBefore : 0, linked", '0, linked'],
  ['core/acceptance/accept.ts', 'position < batch.digests.length && ', ''],
  ['core/acceptance/accept.ts', ' && batch.digests[position] === undefined', ''],
  ['core/acceptance/accept.ts', 'before.inputOffset < link.inputOffset', 'true'],
  ['core/acceptance/accept.ts', 'before.position < link.position', 'true'],
  ['core/acceptance/accept.ts', 'before.position < link.position', 'before.position <= link.position'],
  ['core/acceptance/accept.ts', '    batch.linked = true;\n', ''],
  ['core/acceptance/accept.ts', '    before = link;\n', ''],
  ['core/acceptance/accept.ts', 'equal(link.schema, batch.header.schema) && ', ''],
  ['core/acceptance/accept.ts', ' && isEventDigest(link.event, link.schema, bytes)', ''],
  ['core/acceptance/accept.ts', 'streams.get(link.stream) ?? view.stream(link.stream)', 'view.stream(link.stream)'],
  ['core/acceptance/accept.ts', '  streams.set(link.stream, next);\n', ''],
  ['core/acceptance/accept.ts', 'logIndex: seal.firstIndex + i', 'logIndex: i'],
  ['core/acceptance/accept.ts', 'if (error instanceof Wait) return', 'if (error instanceof Wait && error.missing === "policy") return'],
  ['core/acceptance/accept.ts', "if (leaf.kind !== 'seal') throw new Refusal('SEAL_FORMAT');", ''],
  ['core/acceptance/accept.ts', "if (leaf.kind !== 'link') throw new Refusal('LINK_FORMAT');", ''],
  [
    'core/acceptance/accept.ts',
    "if (rule !== 'SEAL_FORMAT') return rule.endsWith('_FORMAT');",
    "if (rule !== 'SEAL_FORMAT') return false;",
  ],
  ['core/acceptance/accept.ts', "if (rule !== 'SEAL_FORMAT') return rule.endsWith('_FORMAT');", "if (rule !== 'SEAL_FORMAT') return true;"],
  ['core/acceptance/accept.ts', '|| hex === before || policies.descends(hex, before)', '|| hex === before'],
  ['core/acceptance/accept.ts', '|| hex === before || policies.descends(hex, before)', '|| true'],
  [
    'core/acceptance/accept.ts',
    'active && equal(id, block.keyId) && verifyEd25519(key, message, block.signature)',
    'equal(id, block.keyId) && verifyEd25519(key, message, block.signature)',
  ],
  [
    'core/acceptance/accept.ts',
    'active && equal(id, block.keyId) && verifyEd25519(key, message, block.signature)',
    'active && equal(id, block.keyId)',
  ],
  ['core/acceptance/accept.ts', 'size: head.size + hashes.length + 1', 'size: head.size + hashes.length'],
  ['core/acceptance/accept.ts', 'frontier: extendFrontier(linked, [sealHash])', 'frontier: linked'],
  ['core/acceptance/accept.ts', '    seal: sealHash,\n', ''],
  ['core/acceptance/accept.ts', '    inputGeneration: seal.inputGeneration,\n', ''],
  ['core/acceptance/accept.ts', '    inputTo: seal.inputTo,\n', ''],
  ['core/acceptance/accept.ts', '    appendedAt,\n', ''],
  ['core/acceptance/accept.ts', '    acceptedAt: seal.acceptedAt,\n', ''],
  ['core/acceptance/accept.ts', '    policy: policy.hex,\n', ''],
  ['core/acceptance/accept.ts', '    final: seal.final,\n', ''],
  ['core/acceptance/accept.ts', 'appendedAt - policy.policy.laneRetentionMs * 1000', '0'],
  ['core/acceptance/accept.ts', 'rules.policy.policy.laneRetentionMs * 1000', '0'],
  ['core/acceptance/lane.ts', ' || step.appendedAt - lane.appendedAt > retentionMicros', ''],
  ['core/acceptance/lane.ts', '> retentionMicros', '>= retentionMicros'],
  ['core/acceptance/lane.ts', "step.number === 0 ? 'NEXT' : 'GAP'", "'NEXT'"],
  ['core/acceptance/lane.ts', 'step.number > lane.number', 'step.number >= lane.number'],
  ['core/acceptance/lane.ts', 'step.number === lane.number && ', ''],
  ['core/acceptance/lane.ts', ' && equal(lane.hash, step.previous)', ''],
  ['core/acceptance/batch-check.ts', 'value.length > LIMITS.messageBytes', 'value.length >= LIMITS.messageBytes'],
  ['core/acceptance/batch-check.ts', 'header.count > LIMITS.batchEvents', 'header.count >= LIMITS.batchEvents'],
  ['core/acceptance/batch-check.ts', 'cost > LIMITS.batchBytes', 'cost >= LIMITS.batchBytes'],
  ['core/acceptance/batch-check.ts', 'cost > LIMITS.batchBytes', 'false'],
  ['core/acceptance/batch-check.ts', 'bytes.length > LIMITS.eventBytes', 'bytes.length >= LIMITS.eventBytes'],
  ['core/acceptance/batch-check.ts', 'cost += batchCost(bytes.length, event.head?.streamBytes ?? 0);', 'cost += bytes.length;'],
  [
    'core/acceptance/batch-check.ts',
    "hasCode(error, 'EVENT_INVALID') ? REASONS.EVENT_INVALID : REASONS.EVENT_MALFORMED",
    'REASONS.EVENT_MALFORMED',
  ],
  ['core/acceptance/batch-check.ts', 'header.count === 0 && shardOf', 'shardOf'],
  ['core/acceptance/batch-check.ts', 'return rejected(checked.reason, proof)', 'return rejected(checked.reason)'],
  ['core/acceptance/batch-check.ts', 'rejected(REASONS.ROOT_WRONG, proof)', 'rejected(REASONS.ROOT_WRONG)'],
  ['core/acceptance/log-state.ts', 'lane === undefined || lane.appendedAt < delta.lanesFrom ? undefined : lane', 'lane'],
  ['core/acceptance/log-state.ts', 'delta.streams.get(name) ?? base.stream(name)', 'base.stream(name)'],
  ['core/acceptance/log-state.ts', 'delta.lanes.get(key) ?? base.lane(key)', 'base.lane(key)'],
  ['core/acceptance/log-state.ts', '.toSorted(([, a], [, b]) => a.appendedAt - b.appendedAt)', ''],
  ['core/acceptance/log-state.ts', '      this.#lanes.delete(key);\n      this.#lanes.set', '      this.#lanes.set'],
  ['core/acceptance/log-state.ts', 'if (lane.appendedAt >= delta.lanesFrom) break;', 'break;'],
  ['core/acceptance/log-state.ts', 'if (lane.appendedAt >= delta.lanesFrom) break;', 'if (lane.appendedAt > delta.lanesFrom) break;'],
  ['core/acceptance/log-state.ts', '      forgotten.push(key);\n', ''],
  ['core/acceptance/log-state.ts', '    this.#head = delta.head;\n', ''],
];

const ARCHIVER_CHECKS = {
  'core/archive/archive-anchor.ts': /^ *if \(.*\) return undefined;\n/gm,
  'core/chain/chain-reader.ts': /^ *if \(verdict.*;\n/gm,
  'archiver/write-once.ts': /^ *if \(.*\) return .*;\n/gm,
  'archiver/stored-tree.ts': /^ *(?:await )?checkBundle\(.*\);\n|^ *if \(.*\) throw .*;\n|^ *if \(.*\)\n.*throw .*;\n/gm,
  'archiver/shard-archiver.ts':
    /^ *(?:if \(.*\) )?(?:await )?(?:this\.#check[A-Z]\w*|readBack|putOnce|putNote|putEnvelope|checkAnchor)\(.*\);\n|^ *if \(.*\) await this\.#(?:checkNotTrimmed|writeSnapshot).*\n|^ *this\.#\w+(?:\.\w+)? ?(?:\+?=|\().*;\n/gm,
  'archiver/segment-counts.ts': /^ *(?:if \((?!receipt).*\) |for \(.*\) )?this\.#.*;\n/gm,
};

const ARCHIVER_CHANGES = [
  ['core/archive/archive-anchor.ts', 'verified.length > 0 && ', ''],
  ['core/archive/archive-anchor.ts', ' && checkpoint.origin === origin', ''],
  ['core/archive/archive-anchor.ts', 'b - a', 'a - b'],
  ['core/archive/archive-anchor.ts', 'checkpoint.size === size && ', ''],
  ['core/archive/archive-anchor.ts', ' && equal(frontierRoot(point.head.frontier), checkpoint.root)', ''],
  ['core/archive/archive-anchor.ts', 'snapshot.origin === place.origin && ', ''],
  ['core/archive/archive-anchor.ts', 'snapshot.shard === place.shard && ', ''],
  ['core/archive/archive-anchor.ts', ' && snapshot.size === size', ''],
  ['core/chain/chain-reader.ts', 'chainOffset >= end', 'false'],
  ['core/chain/chain-reader.ts', 'record === undefined || !carriesSeal(record, seal)', 'record === undefined'],
  ['core/chain/chain-reader.ts', 'record === undefined || !carriesSeal(record, seal)', 'false'],
  ['archiver/write-once.ts', 'equal(stored.bytes, bytes) || ', ''],
  ['archiver/write-once.ts', 'equal(there, payload)', 'true'],
  ['archiver/write-once.ts', 'verifyEnvelope(envelope, keys).length > 0', 'true'],
  ['archiver/write-once.ts', ' && equal(there.root, checkpoint.root)', ''],
  ['archiver/segment-writer.ts', '!equal(stored, bytes) && ', ''],
  ['archiver/segment-writer.ts', ' && !equal(await contentOf(stored, schema, sync, key), digest)', ' && false'],
  ['archiver/segment-writer.ts', 'toHex(sha256(stored))', 'toHex(sha256(bytes))'],
  ['archiver/segment-writer.ts', 'size: stored.length', 'size: bytes.length'],
  ['archiver/segment-writer.ts', 'header.firstSeq + position', 'position'],
  ['archiver/shard-archiver.ts', '=> void (await putOnce(this.#o.objects, ', '=> void ((void '],
  ['archiver/shard-archiver.ts', 'if (start <= this.#readPos) return;', 'return;'],
  ['archiver/shard-archiver.ts', 'if (this.#state.head.size < attested && !signal.aborted) {', 'if (false) {'],
  ['archiver/shard-archiver.ts', 'ours !== undefined && equal(ours, root)', 'ours !== undefined'],
  ['archiver/shard-archiver.ts', 'ours !== undefined && equal(ours, root)', 'ours === undefined || equal(ours, root)'],
  ['archiver/shard-archiver.ts', 'there.size > size', 'there.size >= size'],
  ['archiver/shard-archiver.ts', 'there !== undefined && there.size > size', 'false'],
  ['archiver/shard-archiver.ts', 'active && entry.key === verifierKey', 'active'],
  ['archiver/shard-archiver.ts', '.size >= note.size) return;', '.size > note.size) return;'],
  ['archiver/shard-archiver.ts', '(this.#places[1] as Place).appendedAt < cutoff', '(this.#places[0] as Place).appendedAt < cutoff'],
  ['archiver/shard-archiver.ts', 'head.appendedAt - (dedupWindowMs + clockSkewMs) * 1000', 'head.appendedAt'],
  ['archiver/shard-archiver.ts', 'head.inputTo - 1)', 'head.inputTo)'],
  ['archiver/shard-archiver.ts', 'if (accepted.inputs.length > 0) this.#places', 'this.#places'],
  ['archiver/shard-archiver.ts', "sources.policies.byDigest(head.policy ?? '') ?? ", ''],
  ['archiver/shard-archiver.ts', 'if (inputGeneration.generation === head.inputGeneration) ', ''],
  ['archiver/shard-archiver.ts', 'if (point === undefined || point.head.size < head.size)', 'if (false)'],
  ['archiver/shard-archiver.ts', 'point === undefined || point.head.size < head.size', 'point === undefined'],
];

/** The rules of docs/sequencer.md, one by one taken away. */
const CHAINER_CHANGES = [
  // The index names its watermark in every call.
  ['test/support/memory-dedup-index.ts', 'return { ok: false, watermark: shelf.watermark };', '{}'],
  ['test/support/memory-dedup-index.ts', 'if (same(shelf.watermark, call.expect)) {', 'if (true) {'],
  ['chainer/sequencer.ts', 'const token = toHex(randomBytes(16));', "const token = '';"],
  ['chainer/sequencer.ts', 'step: ++blocks }', 'step: (blocks++, 0) }'],
  ['chainer/sequencer.ts', 'step: 0 }, [], true)', 'step: 0 }, [], false)'],
  // Identities are written after acceptance, looked up while they are in flight, and forgotten with a lost race.
  [
    'chainer/sequencer.ts',
    'const identities = acceptedIdentities(accepted, -1, this.#window(), keys);',
    'const identities = acceptedIdentities(accepted, -1, this.#window(), keys); this.#pending.push(identities);',
  ],
  ['chainer/sequencer.ts', '...this.#inflight.map(({ identities }) => identities.hits), ', ''],
  ['chainer/sequencer.ts', ', ...this.#pending.map(({ hits }) => hits)', ''],
  ['chainer/sequencer.ts', ' && hit.slot >= dropBelowSlot', ''],
  ['chainer/sequencer.ts', '    this.#inflight = [];\n', ''],
  ['chainer/sequencer.ts', '    this.#inflight = [];\n    this.#input = [];\n', '    this.#inflight = [];\n'],
  ['chainer/sequencer.ts', '    else this.#forgetFlights();\n', ''],
  ['chainer/sequencer.ts', 'else this.#forgetFlights();', 'else if (flight !== undefined) this.#forgetFlights();'],
  // An acknowledged append is not an accepted one.
  ['chainer/sequencer.ts', 'answer.offset === this.#readPos', 'true'],
  // Reading starts at the last accepted block, and goes to the end without a hole.
  ['chainer/sequencer.ts', 'if (this.#chainOffset >= 0) await checkAnchor(log, shard, this.#chainOffset, this.#state.head.seal);', ''],
  ['chainer/sequencer.ts', 'if (bounds.start <= this.#readPos) return bounds;', 'return bounds;'],
  ['chainer/sequencer.ts', 'if (record.offset > this.#readPos) await this.#chainBounds();', ''],
  ['chainer/sequencer.ts', 'if (!isTrimmed(error) || this.#recoveredAt === this.#state.head.size) throw error;', 'throw error;'],
  ['chainer/sequencer.ts', ' || this.#recoveredAt === this.#state.head.size', ''],
  // RESYNC and REBUILD.
  ['chainer/sequencer.ts', "if (stored.kind === 'at' && stored.size > this.#state.head.size) await this.#tail(signal);", ''],
  ['chainer/sequencer.ts', 'if (stored.size > head.size) {', 'if (false) {'],
  ['chainer/sequencer.ts', 'await this.#checkForeignWatermark(stored);', ''],
  [
    'chainer/sequencer.ts',
    'if (record === undefined || carriesSeal(record, fromHex(stored.seal))) return;',
    'if (record === undefined) return;',
  ],
  ['chainer/sequencer.ts', 'this.#pending = missing;', 'this.#pending = [];'],
  ['chainer/sequencer.ts', '        return after.toReversed();', '        return after;'],
  ['chainer/sequencer.ts', 'if (blocks < offsets.length)', 'if (false)'],
  ['chainer/sequencer.ts', 'of blocksAt(log, shard, offsets.toReversed())', 'of this.#windowBlocks()'],
  ['chainer/sequencer.ts', 'if (first === 0 || this.#chainOffset < 0) return;', 'return;'],
  ['chainer/sequencer.ts', 'if (last !== undefined && last < from) return;', ''],
  // The window.
  ['chainer/sequencer.ts', 'from = Math.max(from, (last ?? 0) - this.#windowMicrosOf(walked.seal));', ''],
  ['chainer/dedup-window.ts', '(appendedAt - rules.windowMicros)', '(appendedAt)'],
  ['chainer/dedup-window.ts', 'return Math.max(0, Math.floor((appendedAt - rules.windowMicros) / rules.slotMicros));', 'return 0;'],
  ['chainer/dedup-window.ts', "input.outcome === 'ACCEPTED' && ", ''],
  ['chainer/dedup-window.ts', 'slots.get(inputOffset) ?? 0', '0'],
  // Order within a block.
  ['chainer/order.ts', "const outcome = seen ? 'REPEATED' : judgeLane(", 'const outcome = judgeLane('],
  ['chainer/order.ts', 'this.#lanes.get(lane) ?? ', ''],
  ['chainer/order.ts', '    this.#own.set(keyText(headerKey), { logIndex: -1, digest: hash.slice(0, 16) });\n', ''],
  [
    'chainer/order.ts',
    '      this.#own.set(keyText(key), { logIndex: this.#view.head.size + this.links.length - 1, digest: event.digest.subarray(0, 16) });\n',
    '',
  ],
  ['chainer/order.ts', "equal(hit.digest, digest.subarray(0, 16)) ? 'DUPLICATE' : 'CONFLICT'", "'DUPLICATE'"],
  ['chainer/order.ts', 'this.#streams.get(stream) ?? ', ''],
  ['chainer/order.ts', "outcome === 'GAP' ? MARKS.gapBefore : 0", '0'],
  ['chainer/order.ts', '      marks = 0;\n', ''],
  ['chainer/order.ts', 'bytes: record.bytes.subarray(0, LIMITS.rejectedBytes)', 'bytes: record.bytes'],
  // Refused bytes are acknowledged before the block that names them.
  ['chainer/sequencer.ts', '    if (bytes > maxBytes) {', '    if (true) {'],
  ['chainer/sequencer.ts', '    if (bytes > maxBytes) {', '    if (groups.length === 0) {'],
  ['chainer/sequencer.ts', 'await this.#keepRejected(ordered, signal);', 'void this.#keepRejected(ordered, signal);'],
  ['chainer/order.ts', "if (outcome === 'CONFLICT') this.#keepBytes(", 'if (false) this.#keepBytes('],
  // Recovery.
  ['chainer/sequencer.ts', 'snapshot !== undefined && snapshot.head.size > (own?.head.size ?? 0)', 'false'],
  ['chainer/sequencer.ts', 'if (fromSnapshot) this.#noteAll();', ''],
  ['chainer/sequencer.ts', 'if (this.#attested !== undefined && this.#attested.size < startSize) this.#attested = undefined;', ''],
  ['chainer/sequencer.ts', 'if (attested !== undefined && attested.size > this.#state.head.size) {', 'if (false) {'],
  ['chainer/sequencer.ts', 'head.size === this.#attested.size && equal(frontierRoot(head.frontier), this.#attested.root)', 'true'],
  ['chainer/sequencer.ts', 'await checkInputAnchor(this.#o.log, shard, inputTo, await this.#lastInput());', '{}'],
  ['chainer/sequencer.ts', 'if (sources.policies.latest.policy.inputGeneration.generation === inputGeneration)', ''],
  ['chainer/sequencer.ts', 'if (seal.inputGeneration !== inputGeneration) return undefined;', ''],
  ['chainer/sequencer.ts', '(sameInput ? this.#lastEvidence : undefined)', 'this.#lastEvidence'],
  ['chainer/intake.ts', 'if (record?.offset === inputTo - 1 && isThatInput(record.value, last)) return;', 'return;'],
  ['chainer/sequencer.ts', '(this.#recovered ? this.#step(signal) : this.#recover(signal))', 'this.#step(signal)'],
  ['chainer/local-state.ts', 'for (const [name, value] of this.#streams) changes', 'for (const [name, value] of []) changes'],
  ['chainer/local-state.ts', 'for (const [key, lane] of this.#lanes) {', 'for (const [key, lane] of []) {'],
  // Input.
  ['chainer/sequencer.ts', 'if (this.#inputPolicy !== policy) this.#input = [];', ''],
  ['chainer/sequencer.ts', 'const policy = this.#inputPolicy as PolicyInForce;', 'const policy = sources.policies.latest;'],
  [
    'chainer/sequencer.ts',
    "    if (read.kind === 'trimmed') {\n      await this.#tail(signal);",
    '    if (false) {\n      await this.#tail(signal);',
  ],
  ['chainer/intake.ts', "if (start > from.offset) return { kind: 'trimmed', start };", ''],
  ['chainer/intake.ts', 'if (from.consumed) mustReach(shard, end, from.offset);', ''],
  ['chainer/intake.ts', 'if (inputTo <= end) return;', 'return;'],
  ['chainer/intake.ts', 'Math.min(record.timestampMicros, latest)', 'record.timestampMicros'],
  ['chainer/intake.ts', 'Math.max(appendedAt, Math.min(record.timestampMicros, latest))', 'Math.min(record.timestampMicros, latest)'],
  ['chainer/intake.ts', 'if (lead === 0) return;', 'return;'],
  ['chainer/intake.ts', 'if (record.offset > offset) intakes.push(', 'if (false) intakes.push('],
  ['chainer/intake.ts', ' && this.#clock.monotonicMs() - askedMs < UNKNOWN_MS', ''],
  ['chainer/intake.ts', 'text !== undefined && this.#isBatchSchema(text)', 'text !== undefined'],
  ['chainer/sequencer.ts', 'if (count > 0 && cost > BLOCK_BUDGET) break;', ''],
  // Whether and when to work.
  ['chainer/sequencer.ts', 'const works = this.#o.owns() && !this.#unfit;', 'const works = !this.#unfit;'],
  ['chainer/sequencer.ts', 'const works = this.#o.owns() && !this.#unfit;', 'const works = this.#o.owns();'],
  ['chainer/sequencer.ts', '|| this.#tickDue()) {', ') {'],
  ['chainer/sequencer.ts', 'this.#checkSigner(policy);', ''],
  ['chainer/sequencer.ts', '    await sources.refreshSchemas();\n    if (sources.eventSchema(hex)', '    if (sources.eventSchema(hex)'],
  ['chainer/sequencer.ts', ' || !sources.policies.latest.schemaInForce(hex)', ''],
  ['chainer/sequencer.ts', "tries === (hasCode(error, 'UNAVAILABLE') ? ALARM_TRIES : 1)", 'false'],
  ['chainer/sequencer.ts', 'flight.tries === ALARM_TRIES', 'false'],
  ['chainer/sequencer.ts', "if (input.outcome === 'REJECTED') this.#countRefused(input.reason, offset);", ''],
  ['chainer/sequencer.ts', 'if (reason === REASONS.LANE_FORK)', 'if (false)'],
];

const SUITES = {
  acceptance: { checks: ACCEPTANCE_CHECKS, changes: ACCEPTANCE_CHANGES, tests: ['test/unit/accept'] },
  archiver: {
    checks: ARCHIVER_CHECKS,
    changes: ARCHIVER_CHANGES,
    tests: ARCHIVER_TESTS,
    generated: Object.fromEntries(ARCHIVED.map((file) => [file, ARCHIVER_TESTS])),
    equivalents: ARCHIVER_EQUIVALENTS,
  },
  chainer: {
    checks: {},
    changes: CHAINER_CHANGES,
    // The quick ones first.
    tests: [
      'test/fault/sequencer-stops',
      'test/fault/own-failures',
      'test/fault/sequencer-calls',
      'test/fault/sequencer.test',
      'test/embedded/bad-input',
    ],
  },
};

/** What every one of these functions does is missed when it does nothing. */
SUITES.functions = { checks: {}, changes: [], whole: FUNCTIONS, equivalents: FUNCTION_EQUIVALENTS };
/** Every change by rule in these files; for each file the tests that are about it. About a thousand changes: name a file to make its own. */
SUITES.auditor = { checks: {}, changes: [], generated: AUDITED, equivalents: EQUIVALENTS };

const SILENT = [
  '-i',
  '--silent',
  '--env',
  './test/mutation/stopping-environment.cjs',
  '--testSequencer',
  './test/mutation/given-order.cjs',
];
const SLOWER = 2;
const LEAST_MS = 20_000;
const AT_ONCE = 2;

function mutations({ checks, changes, tests, generated = {}, whole = {}, equivalents = [] }) {
  const found = [];
  const seen = new Set();
  /** Line `by` before the one that holds `at`. */
  const lineAt = (text, at, by = 0) => text.split('\n')[text.slice(0, at).split('\n').length - 1 - by]?.trim() ?? '';
  const add = (file, own, [from, to, then], change, line, name) => {
    const before = readFileSync(file, 'utf8');
    const text = before.slice(0, from) + then + before.slice(to);
    const known = `${file}\n${text}`;
    if (text === before || seen.has(known)) return;
    seen.add(known);
    if (!equivalents.some(([where, what, there]) => where === file && what === change && line.includes(there)))
      found.push({ file, tests: own, name, text });
  };
  for (const [file, pattern] of Object.entries(checks)) {
    const text = readFileSync(file, 'utf8');
    for (const { 0: match, index } of text.matchAll(pattern)) {
      const change = `without ${oneLine(match)}`;
      const before = lineAt(text, index, 1);
      add(file, tests, [index, index + match.length, ''], change, before, `${change}, after ${before}`);
    }
  }
  for (const [file, from, to] of changes) {
    const text = readFileSync(file, 'utf8');
    const at = text.indexOf(from);
    if (at < 0) throw new Error(`${file} has no ${from}`);
    const change = `${oneLine(from)} -> ${oneLine(to) || '(nothing)'}`;
    add(file, tests, [at, at + from.length, to], change, lineAt(text, at), change);
  }
  for (const [file, own] of Object.entries(generated)) {
    const text = readFileSync(file, 'utf8');
    for (const [from, to, then] of changesOf(text)) {
      const change = `${oneLine(text.slice(from, to))} -> ${then === ';' || then === '' ? '(nothing)' : then}`;
      const line = lineAt(text, from);
      const name = `${text.slice(0, from).split('\n').length}: ${change}, in ${line}`;
      add(file, own, [from, to, then], change, line, name);
    }
  }
  for (const [file, own] of Object.entries(whole)) {
    const text = readFileSync(file, 'utf8');
    for (const [from, to, then, name] of emptied(text))
      add(file, own, [from, to, then], `${name} does nothing`, name, `${name} does nothing`);
  }
  const only = process.argv.slice(3);
  return only.length === 0 ? found : found.filter(({ file }) => only.includes(file));
}

function oneLine(text) {
  return text.replaceAll(/\s+/g, ' ').trim();
}

/** What the tests say in `copy` with the mutation: green, red, or no end within `limitMs`. */
function judge(copy, { file, text, tests }, limitMs) {
  writeFileSync(join(copy, file), text);
  const child = spawn('node_modules/.bin/jest', [...SILENT, ...tests], {
    cwd: copy,
    env: { ...process.env, NODE_OPTIONS: '--experimental-vm-modules --no-warnings' },
    stdio: 'ignore',
    timeout: limitMs,
    killSignal: 'SIGKILL',
  });
  return new Promise((resolve) => {
    child.on('close', (status, signal) => {
      cpSync(join(original, file), join(copy, file));
      resolve(signal === null ? (status === 0 ? 'SURVIVED' : 'noticed ') : 'endless ');
    });
  });
}

function copySources() {
  const copy = mkdtempSync(join(tmpdir(), 'lineproof-mutation-'));
  for (const part of [
    'core',
    'platform',
    'adapters',
    'collector',
    'chainer',
    'archiver',
    'auditor',
    'resubmit',
    'sdk',
    'cli',
    'schemas',
    'test',
    'package.json',
    'jest.config.js',
  ])
    cpSync(part, join(copy, part), { recursive: true });
  symlinkSync(join(process.cwd(), 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

/** How long each test file takes without any mutation: their paths with milliseconds. Throws where one is red. */
async function timesOf(copy, tests) {
  const report = join(copy, 'report.json');
  const verdict = await judge(copy, {
    file: 'package.json',
    text: readFileSync('package.json'),
    tests: [`--json`, `--outputFile=${report}`, ...tests],
  });
  if (verdict !== 'SURVIVED') throw new Error('the tests are red without any mutation');
  return JSON.parse(readFileSync(report, 'utf8')).testResults.map(({ name, startTime, endTime }) => [name, endTime - startTime]);
}

/** How long these tests may take: what takes much longer than without a mutation does not end. */
function limitOf(tests, times) {
  const own = times.filter(([name]) => tests.some((test) => name.includes(test)));
  return LEAST_MS + SLOWER * own.reduce((sum, [, ms]) => sum + ms, 0);
}

async function work(copy, queue, times) {
  for (let mutation = queue.pop(); mutation !== undefined; mutation = queue.pop()) {
    const verdict = await judge(copy, mutation, limitOf(mutation.tests, times));
    if (verdict === 'SURVIVED') survivors += 1;
    process.stdout.write(`${verdict} ${mutation.file}: ${mutation.name.replaceAll(/\s+/g, ' ')}\n`);
  }
}

// What is mutated are copies, made at the start: the sources may be worked on meanwhile.
const original = copySources();
const copies = Array.from({ length: AT_ONCE }, copySources);
let survivors = 0;
for (const [name, suite] of Object.entries(SUITES)) {
  if ((process.argv[2] ?? name) !== name) continue;
  const queue = mutations(suite).toReversed();
  if (queue.length === 0) continue;
  const times = await timesOf(copies[0], [...new Set(queue.flatMap(({ tests }) => tests))]);
  await Promise.all(copies.map((copy) => work(copy, queue, times)));
}
for (const copy of [original, ...copies]) rmSync(copy, { recursive: true, force: true });
process.stdout.write(`${survivors} survived\n`);
process.exitCode = survivors === 0 ? 0 : 1;
