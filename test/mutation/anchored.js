/** Changes that no rule makes, by suite: enclosing function, source of the node that changes, what is there then. */
export const ANCHORED = {
  acceptance: [
    ['checkChainer', 'chainer?.active === true', 'chainer !== undefined'],
    ['accept', 'error instanceof Wait', "error instanceof Wait && error.missing === 'policy'"],
    ['isForeign', 'ACCEPTANCE_RULES[rule].maybeLaterFormat', 'false'],
    ['isForeign', 'ACCEPTANCE_RULES[rule].maybeLaterFormat', 'true'],
    ['judgeBlock', 'extendFrontier(linked, [sealHash])', 'linked'],
    ['judgeBlock', 'appendedAt - policy.policy.laneRetentionMs * 1000', '0'],
    ['openBatch', 'rules.policy.policy.laneRetentionMs * 1000', '0'],
    ['checkEvents', 'cost += batchCost(bytes.length, event.head?.streamBytes ?? 0);', 'cost += bytes.length;'],
    ['checkMessage', 'rejected(checked.reason, proof)', 'rejected(checked.reason)'],
    ['checkEvents', 'rejected(REASONS.ROOT_WRONG, proof)', 'rejected(REASONS.ROOT_WRONG)'],
  ],
  archiver: [
    ['snapshotSizes', 'b - a', 'a - b'],
    ['putContainer', 'toHex(sha256(stored))', 'toHex(sha256(bytes))'],
    ['putContainer', 'stored.length', 'bytes.length'],
  ],
  chainer: [
    // The index names its watermark in every call, and a rebuild is distinguished from another.
    ['window', 'return { ok: false, watermark: shelf.watermark };', ''],
    ['window', 'same(shelf.watermark, call.expect)', 'true'],
    ['#rebuild', 'toHex(randomBytes(16))', "''"],
    ['#rebuild', '++blocks', '(blocks++, 0)'],
    [
      '#rebuild',
      "await step({ kind: 'building', token, step: 0 }, [], true)",
      "await step({ kind: 'building', token, step: 0 }, [], false)",
    ],
    ['#rebuild', 'blocksAt(log, shard, offsets.toReversed())', 'this.#windowBlocks()'],
    // Identities are written after acceptance.
    [
      '#step',
      'acceptedIdentities(accepted, -1, ordered.keys)',
      '(this.#dedup.remember(acceptedIdentities(accepted, -1, ordered.keys)), acceptedIdentities(accepted, -1, ordered.keys))',
    ],
    ['#resync', 'this.#pending = missing;', 'this.#pending = [];'],
    // An acknowledged append is not an accepted one, and refused bytes are acknowledged before the block that names them.
    ['#step', 'await this.#keepRejected(ordered.rejected, signal);', 'void this.#keepRejected(ordered.rejected, signal);'],
    ['grouped', 'bytes > maxBytes', 'groups.length === 0'],
    // What was read is judged by the policy under which it was read.
    [
      '#step',
      '{ ...place, policy, inputFrom: start.inputTo, final: false }',
      '{ ...place, policy: sources.policies.latest, inputFrom: start.inputTo, final: false }',
    ],
  ],
};
