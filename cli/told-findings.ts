import type { Findings } from '../auditor/findings.ts';
import { printable } from '../core/base/terminal-text.ts';
import type { Terminal } from './command.ts';

/** Says which objects could not be read; true where events may be missing for that. */
export function tellFindings({ obstacles }: Findings, stderr: Terminal['stderr']): boolean {
  // What lies beyond a bound is said of each property, with the same words.
  const lines = obstacles.map(
    ({ code, message, place }) => `${printable(message)}${place.object === undefined ? '' : `: ${printable(place.object)}`} [${code}]`,
  );
  for (const text of new Set(lines)) stderr.write(`lineproof: ${text}\n`);
  return obstacles.length > 0;
}
