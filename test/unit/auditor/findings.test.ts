import { expect, test } from '@jest/globals';
import { Findings } from '../../../auditor/findings.ts';

test('what is wrong and what could not be checked is an obstacle to a reader; what is open, and notes, are not', () => {
  const findings = new Findings();
  findings.add('SEGMENT_OPEN', 'open', {}, { property: 'LOG' });
  findings.add('ABSENT', 'a note', {});
  expect(findings.obstacles).toEqual([]);
  findings.add('BEYOND_LIMIT', 'not looked at', {}, { property: 'ARCHIVE' });
  findings.add('CONTAINER', 'cannot be read', {});
  expect(findings.obstacles.map(({ code }) => code)).toEqual(['BEYOND_LIMIT', 'CONTAINER']);
});
