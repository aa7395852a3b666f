import type { Verdict } from '../../auditor/verdict.ts';

/** What test/golden keeps of a verdict: everything but words for people. Findings are `SEVERITY PROPERTY CODE`, with the number of each. */
export interface GoldenVerdict extends Pick<Verdict, 'result' | 'origin' | 'genesis' | 'shards' | 'properties' | 'refused'> {
  readonly findings: Readonly<Record<string, number>>;
}

export function goldenVerdict({ result, origin, genesis, shards, properties, refused, findings }: Verdict): GoldenVerdict {
  const counts: Record<string, number> = {};
  for (const { severity, property, code } of findings) {
    const name = `${severity} ${property} ${code}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return { result, origin, genesis, shards, properties, refused, findings: counts };
}
