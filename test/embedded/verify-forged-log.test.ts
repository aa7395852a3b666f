import { describe, test } from '@jest/globals';
import { expectFound, SEVENS, type Violation } from '../support/violation.ts';

test('the scene without a forgery is OK', async () => {
  await expectFound({ name: '', failed: [], notes: [] });
});

describe('a chainer that breaks one rule of the log, everything signed again around it', () => {
  const rows: readonly Violation[] = [
    { name: 'the seal is of another log', failed: ['LOG SEAL_ORIGIN'], spoil: ({ seal }) => (seal.origin = 'example.org/other/0') },
    {
      name: 'the seal counts from another leaf',
      failed: ['LOG SEAL_INDEX'],
      spoil: ({ seal }, { archive }) => (seal.firstIndex = archive.size + 1),
    },
    { name: 'the seal counts other links', failed: ['LOG SEAL_INDEX'], spoil: ({ seal }) => (seal.links = 3) },
    { name: 'the seal follows another one', failed: ['LOG SEAL_PREVIOUS'], spoil: ({ seal }) => (seal.previous = SEVENS) },
    { name: 'the seal states another root', failed: ['LOG SEAL_ROOT'], spoil: ({ seal }) => (seal.root = SEVENS) },
    { name: 'a block follows the final one', failed: ['LOG AFTER_FINAL'], options: () => ({ final: true }) },
    {
      name: 'the evidence cannot be read',
      // Nobody is accused of what the evidence may have shown: neither the archiver for its manifest, nor a producer of a gap.
      failed: ['ARCHIVE EVIDENCE_FORMAT'],
      spoil: (forgery) => (forgery.evidence = SEVENS),
    },
    { name: 'the seal names a policy that is not there', failed: ['POLICY POLICY_MISSING'], spoil: ({ seal }) => (seal.policy = SEVENS) },
  ];
  test.each(rows)('$name: $failed', expectFound);
});
