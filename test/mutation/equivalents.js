/** Changes that no test can notice, because they change nothing that may be relied on: by suite, enclosing function, node, change, reason. */
export const EQUIVALENTS = {
  acceptance: [
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
};
