/**
 * Changes that no test can notice, because they change nothing that may be relied on: by suite:
 * enclosing function, node, change, reason, and the file's name where the same is in several files.
 */
export const EQUIVALENTS = {
  functions: [
    ['reset', 'reset', 'does nothing', 'a block that a second try notes again leaves the list with its first mention', 'trim.ts'],
    ['#askAhead', '#askAhead', 'does nothing', 'what is asked for early is asked for later: it saves time'],
    ['#forget', '#forget', 'does nothing', 'it saves memory', 'tree-audit.ts'],
    ['isAscii', 'isAscii', 'does nothing', 'a shortcut to what the longer way gives'],
  ],
  acceptance: [
    ['rule', 'maybeLaterFormat: false', '(nothing)', 'a flag that is missing is not set'],
    [
      'checkChainer',
      'chainer !== undefined && isSealSignedBy(chainer.key, block)',
      'isSealSignedBy(chainer.key, block)',
      'a chainer that is not there was refused in the line before',
    ],
    [
      'checkBatches',
      "input.outcome === 'ACCEPTED' && input.batch !== null",
      "input.outcome === 'ACCEPTED'",
      'the evidence decodes only if each accepted input has its batch',
    ],
    ['openBatch', 'linked: false', '(nothing)', 'a flag that is missing is not set'],
    [
      'checkEvent',
      'head === undefined || reason !== REASONS.NONE',
      'reason !== REASONS.NONE',
      'an event whose head cannot be read has a reason',
    ],
    [
      'headWindowStart',
      'policy === null ? undefined : policies.byDigest(policy)',
      'policies.byDigest(policy)',
      'no policy has the digest null',
    ],
    [
      'segmentEnds',
      'segment.firstSealAt !== undefined && sealAcceptedAt - segment.firstSealAt >= segmentMaxAgeMs * 1000',
      'sealAcceptedAt - segment.firstSealAt >= segmentMaxAgeMs * 1000',
      'the difference to a time that is not there reaches no bound',
    ],
    [
      'isSealedBody',
      'link === undefined || batch === undefined',
      'batch === undefined',
      'without a link there is no offset to find a batch at',
    ],
    [
      'acceptedBatches',
      "outcome === 'ACCEPTED' && batch !== null",
      "outcome === 'ACCEPTED'",
      'the evidence decodes only if each accepted input has its batch',
    ],
    [
      'linkOf',
      "link.kind === 'link' && isEventDigest(link.event, link.schema, event)",
      'isEventDigest(link.event, link.schema, event)',
      'a seal has no event, and what fails here is not a link either',
    ],
    [
      'follows',
      'before.position < link.position',
      'before.position <= link.position',
      'a place that is taken twice leaves another one empty, and the root shows it',
    ],
  ],
  archiver: [
    ['attest', 'Math.min(size, this.size)', 'size', 'after the loop the stored note covers at least what was to be attested'],
    [
      '#checkOnChain',
      'size > readTo',
      'false',
      'both callers have dealt with a note beyond what was read: one throws LOG_BEHIND, the other takes the note over',
    ],
    ['inParallel', 'Math.min(REQUESTS, items.length)', 'REQUESTS', 'a worker that finds no item ends at once'],
    [
      'add',
      "headers.get(inputOffset)?.producer ?? ''",
      'headers.get(inputOffset)?.producer',
      'a link whose batch is not in the block was refused before it is counted',
      'segment-counts.ts',
    ],
    ['summary', 'a < b', 'a <= b', 'each producer is there once'],
    ['module', 'level: 1', '(nothing)', 'it saves time: the same content, compressed otherwise, and the manifest describes what is stored'],
    [
      '#fileOf',
      'this.#latest !== undefined && equal(this.#latest.schema, schema)',
      'false',
      'a shortcut to the file that the longer way finds',
    ],
    ['#showCheckpoint', 'note === undefined', 'false', 'it is called only after a note was signed or taken over'],
  ],
};
