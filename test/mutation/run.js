// Breaks each rule of acceptance and of the archiver, one at a time, in a copy of the sources and expects a test to go red:
// `node test/mutation/run.js [acceptance|archiver]`.
// Exit code 1 names the mutations that no test noticed.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Statements that are one check: taken out whole. */
const ACCEPTANCE_CHECKS = {
  'core/accept.ts':
    /^ *(?:return )?must\((?:.|\n)*?\);\n|^ *if \(.*\) throw new (?:Refusal|Wait)\(.*\);\n|^ *for \(const .*\) (?:place|checkBatchRoot)\(.*\);\n|^ *check(?:Place|Chainer|InputStart|Event)\(.*\);\n/gm,
  'core/batch-check.ts': /^ *if \(.*\)\s+return .*;\n/gm,
  'core/lane.ts': /^ *if \(.*\) return .*;\n/gm,
};

/** Other changes: file, what stands there, what stands there then. */
const ACCEPTANCE_CHANGES = [
  ['core/accept.ts', 'seal.acceptedAt >= head.acceptedAt ||', ''],
  ['core/accept.ts', '|| policy.hex !== head.policy)', ')'],
  ['core/accept.ts', 'head.policy === hex || context.policies.descends(hex, head.policy)', 'true'],
  ['core/accept.ts', 'policy.policy.origin === head.origin && ', ''],
  ['core/accept.ts', ' && policy.policy.shards === head.shards', ''],
  ['core/accept.ts', 'chainer?.active === true', 'chainer !== undefined'],
  ['core/accept.ts', "verifyEd25519(chainer.key, preAuthentication('block', block.seal), block.signature)", 'true'],
  ['core/accept.ts', "if (input.outcome === 'ACCEPTED' && input.batch !== null)", 'if (input.batch !== null)'],
  ['core/accept.ts', 'lanes.get(key) ?? view.lane(key)', 'view.lane(key)'],
  ['core/accept.ts', 'lanes.get(key) ?? view.lane(key)', 'lanes.get(key)'],
  ['core/accept.ts', "outcome === 'NEXT' || outcome === 'GAP'", 'true'],
  ['core/accept.ts', '  lanes.delete(key);\n', ''],
  ['core/accept.ts', 'number: header.number + 1', 'number: header.number'],
  ['core/accept.ts', "outcome === 'GAP' ? MARKS.gapBefore : 0, linked", '0, linked'],
  ['core/accept.ts', 'position < batch.digests.length && ', ''],
  ['core/accept.ts', ' && batch.digests[position] === undefined', ''],
  ['core/accept.ts', 'before.inputOffset < link.inputOffset', 'true'],
  ['core/accept.ts', 'before.position < link.position', 'true'],
  ['core/accept.ts', 'before.position < link.position', 'before.position <= link.position'],
  ['core/accept.ts', '    batch.linked = true;\n', ''],
  ['core/accept.ts', '    before = link;\n', ''],
  ['core/accept.ts', 'equal(link.schema, batch.header.schema) && ', ''],
  ['core/accept.ts', ' && isEventDigest(link.event, link.schema, bytes)', ''],
  ['core/accept.ts', 'streams.get(link.stream) ?? view.stream(link.stream)', 'view.stream(link.stream)'],
  ['core/accept.ts', '  streams.set(link.stream, next);\n', ''],
  ['core/accept.ts', 'logIndex: seal.firstIndex + i', 'logIndex: i'],
  ['core/accept.ts', 'if (error instanceof Wait) return', 'if (error instanceof Wait && error.missing === "policy") return'],
  ['core/accept.ts', "if (leaf.kind !== 'seal') throw new Refusal('SEAL_FORMAT');", ''],
  ['core/accept.ts', "if (leaf.kind !== 'link') throw new Refusal('LINK_FORMAT');", ''],
  ['core/accept.ts', "if (rule !== 'SEAL_FORMAT') return rule.endsWith('_FORMAT');", "if (rule !== 'SEAL_FORMAT') return false;"],
  ['core/accept.ts', "if (rule !== 'SEAL_FORMAT') return rule.endsWith('_FORMAT');", "if (rule !== 'SEAL_FORMAT') return true;"],
  ['core/accept.ts', '|| hex === before || policies.descends(hex, before)', '|| hex === before'],
  ['core/accept.ts', '|| hex === before || policies.descends(hex, before)', '|| true'],
  [
    'core/accept.ts',
    'active && equal(id, block.keyId) && verifyEd25519(key, message, block.signature)',
    'equal(id, block.keyId) && verifyEd25519(key, message, block.signature)',
  ],
  [
    'core/accept.ts',
    'active && equal(id, block.keyId) && verifyEd25519(key, message, block.signature)',
    'active && equal(id, block.keyId)',
  ],
  ['core/accept.ts', 'size: head.size + hashes.length + 1', 'size: head.size + hashes.length'],
  ['core/accept.ts', 'frontier: extendFrontier(linked, [sealHash])', 'frontier: linked'],
  ['core/accept.ts', '    seal: sealHash,\n', ''],
  ['core/accept.ts', '    inputGeneration: seal.inputGeneration,\n', ''],
  ['core/accept.ts', '    inputTo: seal.inputTo,\n', ''],
  ['core/accept.ts', '    appendedAt,\n', ''],
  ['core/accept.ts', '    acceptedAt: seal.acceptedAt,\n', ''],
  ['core/accept.ts', '    policy: policy.hex,\n', ''],
  ['core/accept.ts', '    final: seal.final,\n', ''],
  ['core/accept.ts', 'appendedAt - policy.policy.laneRetentionMs * 1000', '0'],
  ['core/accept.ts', 'rules.policy.policy.laneRetentionMs * 1000', '0'],
  ['core/lane.ts', ' || step.appendedAt - lane.appendedAt > retentionMicros', ''],
  ['core/lane.ts', '> retentionMicros', '>= retentionMicros'],
  ['core/lane.ts', "step.number === 0 ? 'NEXT' : 'GAP'", "'NEXT'"],
  ['core/lane.ts', 'step.number > lane.number', 'step.number >= lane.number'],
  ['core/lane.ts', 'step.number === lane.number && ', ''],
  ['core/lane.ts', ' && equal(lane.hash, step.previous)', ''],
  ['core/batch-check.ts', 'value.length > LIMITS.messageBytes', 'value.length >= LIMITS.messageBytes'],
  ['core/batch-check.ts', 'header.count > LIMITS.batchEvents', 'header.count >= LIMITS.batchEvents'],
  ['core/batch-check.ts', 'cost > LIMITS.batchBytes', 'cost >= LIMITS.batchBytes'],
  ['core/batch-check.ts', 'cost > LIMITS.batchBytes', 'false'],
  ['core/batch-check.ts', 'bytes.length > LIMITS.eventBytes', 'bytes.length >= LIMITS.eventBytes'],
  ['core/batch-check.ts', 'cost += batchCost(bytes.length, event.head?.streamBytes ?? 0);', 'cost += bytes.length;'],
  ['core/batch-check.ts', "hasCode(error, 'EVENT_INVALID') ? REASONS.EVENT_INVALID : REASONS.EVENT_MALFORMED", 'REASONS.EVENT_MALFORMED'],
  ['core/batch-check.ts', 'header.count === 0 && shardOf', 'shardOf'],
  ['core/batch-check.ts', 'return rejected(checked.reason, proof)', 'return rejected(checked.reason)'],
  ['core/batch-check.ts', 'rejected(REASONS.ROOT_WRONG, proof)', 'rejected(REASONS.ROOT_WRONG)'],
  ['core/state.ts', 'lane === undefined || lane.appendedAt < delta.lanesFrom ? undefined : lane', 'lane'],
  ['core/state.ts', 'delta.streams.get(name) ?? base.stream(name)', 'base.stream(name)'],
  ['core/state.ts', 'delta.lanes.get(key) ?? base.lane(key)', 'base.lane(key)'],
  ['core/state.ts', '.toSorted(([, a], [, b]) => a.appendedAt - b.appendedAt)', ''],
  ['core/state.ts', '      this.#lanes.delete(key);\n      this.#lanes.set', '      this.#lanes.set'],
  ['core/state.ts', 'if (lane.appendedAt >= delta.lanesFrom) break;', 'break;'],
  ['core/state.ts', 'if (lane.appendedAt >= delta.lanesFrom) break;', 'if (lane.appendedAt > delta.lanesFrom) break;'],
  ['core/state.ts', '      forgotten.push(key);\n', ''],
  ['core/state.ts', '    this.#head = delta.head;\n', ''],
];

const ARCHIVER_CHECKS = {
  'core/archive-anchor.ts': /^ *if \(.*\) return undefined;\n/gm,
  'core/chain-reader.ts': /^ *if \(verdict.*\n/gm,
  'archiver/write-once.ts': /^ *if \(.*\) return .*;\n/gm,
  'archiver/stored-tree.ts': /^ *if \(.*\) throw .*;\n|^ *if \(.*\)\n.*throw .*;\n/gm,
  'archiver/shard-archiver.ts':
    /^ *(?:if \(.*\) )?(?:await )?(?:this\.#check[A-Z]\w*|readBack|putOnce|putNote|putEnvelope|checkAnchor)\(.*\);\n|^ *if \(.*\) await this\.#(?:checkNotTrimmed|writeSnapshot).*\n|^ *this\.#\w+(?:\.\w+)? ?(?:\+?=|\().*;\n/gm,
  'archiver/segment-counts.ts': /^ *(?:if \(.*\) |for \(.*\) )?this\.#.*;\n/gm,
};

const ARCHIVER_CHANGES = [
  ['core/archive-anchor.ts', 'verified.length > 0 && ', ''],
  ['core/archive-anchor.ts', ' && checkpoint.origin === origin', ''],
  ['core/archive-anchor.ts', 'b - a', 'a - b'],
  ['core/archive-anchor.ts', 'checkpoint.size === size && ', ''],
  ['core/archive-anchor.ts', ' && equal(frontierRoot(point.head.frontier), checkpoint.root)', ''],
  ['core/archive-anchor.ts', 'snapshot.origin === place.origin && ', ''],
  ['core/archive-anchor.ts', 'snapshot.shard === place.shard && ', ''],
  ['core/archive-anchor.ts', ' && snapshot.size === size', ''],
  ['core/chain-reader.ts', 'chainOffset >= end', 'false'],
  ['core/chain-reader.ts', 'record === undefined || !carriesSeal(record, seal)', 'record === undefined'],
  ['core/chain-reader.ts', 'record === undefined || !carriesSeal(record, seal)', 'false'],
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
  ['archiver/shard-archiver.ts', 'if (inputGeneration.generation === head.inputGeneration) ', ''],
  ['archiver/shard-archiver.ts', 'if (point?.head.size !== head.size)', 'if (false)'],
];

const SUITES = {
  acceptance: { checks: ACCEPTANCE_CHECKS, changes: ACCEPTANCE_CHANGES, tests: ['test/unit/accept'] },
  archiver: { checks: ARCHIVER_CHECKS, changes: ARCHIVER_CHANGES, tests: ['test/embedded/archiver', 'test/fault/archiver'] },
};

function mutations({ checks, changes }) {
  const found = [];
  for (const [file, pattern] of Object.entries(checks)) {
    const text = readFileSync(file, 'utf8');
    for (const match of text.matchAll(pattern)) {
      found.push({
        file,
        name: `without ${match[0].trim()}`,
        text: text.slice(0, match.index) + text.slice(match.index + match[0].length),
      });
    }
  }
  for (const [file, from, to] of changes) {
    const text = readFileSync(file, 'utf8');
    if (!text.includes(from)) throw new Error(`${file} has no ${from}`);
    found.push({ file, name: `${from.trim()} -> ${to.trim() || '(nothing)'}`, text: text.replace(from, () => to) });
  }
  return found;
}

function isNoticed({ file, text }, tests) {
  writeFileSync(join(copy, file), text);
  const { status } = spawnSync('node_modules/.bin/jest', ['-i', '--bail', ...tests], {
    cwd: copy,
    env: { ...process.env, NODE_OPTIONS: '--experimental-vm-modules --no-warnings' },
    timeout: 120_000,
  });
  writeFileSync(join(copy, file), readFileSync(file));
  return status !== 0;
}

const copy = mkdtempSync(join(tmpdir(), 'lineproof-mutation-'));
for (const part of ['core', 'chainer', 'archiver', 'schemas', 'test', 'package.json', 'jest.config.js'])
  cpSync(part, join(copy, part), { recursive: true });
symlinkSync(join(process.cwd(), 'node_modules'), join(copy, 'node_modules'));
let survivors = 0;
for (const [name, suite] of Object.entries(SUITES)) {
  if ((process.argv[2] ?? name) !== name) continue;
  for (const mutation of [undefined, ...mutations(suite)]) {
    const noticed = isNoticed(mutation ?? { file: 'package.json', text: readFileSync('package.json') }, suite.tests);
    if (mutation === undefined) {
      if (noticed) throw new Error(`the tests of ${name} are red without any mutation`);
      continue;
    }
    if (!noticed) survivors += 1;
    process.stdout.write(`${noticed ? 'noticed ' : 'SURVIVED'} ${mutation.file}: ${mutation.name.replaceAll(/\s+/g, ' ')}\n`);
  }
}
rmSync(copy, { recursive: true, force: true });
process.stdout.write(`${survivors} survived\n`);
process.exitCode = survivors === 0 ? 0 : 1;
