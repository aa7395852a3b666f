import type { Verdict } from '../auditor/verdict.ts';
import type { Checked } from './system.ts';

/** Sums up a verdict. Its `ok` says that nothing failed; a measured archive must also be finished, with nothing still open. */
export function checkedOf({ ok, properties, findings }: Verdict): Checked {
  const { links = 0, events = 0 } = properties.STREAMS.counts;
  const results = Object.entries(properties).filter(([, { result }]) => result !== 'NOT CHECKED');
  const unfinished = results.filter(([, { result }]) => result !== 'OK').map(([name, { result }]) => `${name} ${result}`);
  const first = findings.find(({ severity }) => severity !== 'NOTE');
  const verdict =
    unfinished.length === 0 ? `${results.map(([name]) => name).join(', ')} OK` : `${unfinished.join(', ')}: ${first?.message}`;
  return { ok: ok && unfinished.length === 0, links: Math.min(links, events), verdict };
}
