import { counted, printable, wrapped } from '../core/base/terminal-text.ts';
import { FINDINGS, type Severity } from './findings-table.ts';
import { PROPERTIES, type Property } from './property.ts';
import type { Finding, Place, PropertyVerdict, Refused, RefusedCounts, ShardMoment, Verdict } from './verdict.ts';

/** Findings of each kind, shards, and producers that are shown; JSON has more of each. */
const SHOWN = { findings: 5, shards: 16, producers: 10 } as const;
const SEVERITIES = ['FAILED', 'NOT CHECKED', 'OPEN', 'NOTE'] as const satisfies readonly Severity[];

/** A verdict for people, in lines of 80 columns: the moment, a line for each property, what was refused, what was found, and the word for all. */
export function verdictText(verdict: Verdict): string {
  const lines = [
    ...momentLines(verdict),
    '',
    ...propertyLines(verdict),
    '',
    ...legendLines(verdict),
    ...refusedLines(verdict.refused),
    ...findingLines(verdict),
    ...wrapped(`VERDICT: ${words(verdict)}`, 9),
  ];
  return `${lines.join('\n')}\n`;
}

// --- the moment and the trust root

function momentLines({ origin, genesis, shards, properties }: Verdict): string[] {
  const lines = wrapped(`Archive of ${origin === '' ? 'this archive' : printable(origin)}, as it was read:`);
  if (genesis !== null) lines.push(`  genesis ${genesis}`);
  const used = shards.filter(({ size }) => size > 0);
  for (const shard of used.slice(0, SHOWN.shards)) lines.push(...shardLines(shard));
  if (used.length > SHOWN.shards) lines.push(`  and ${counted(used.length - SHOWN.shards, 'more shard')} (--json lists all)`);
  const trusts = new Set(
    PROPERTIES.map((property) => properties[property])
      .filter(isProven)
      .map(({ trust }) => trust),
  );
  for (const trust of trusts) lines.push(...wrapped(`Proven by the ${printable(trust)}`, 2));
  return lines;
}

function shardLines({ shard, size, root, acceptedAt, archived, witnessed }: ShardMoment): string[] {
  const newest = acceptedAt === null ? '' : `, newest block accepted ${acceptedAt}`;
  const tail = size > archived ? [`          open tail: leaves ${archived} to ${size - 1}, about which nothing is claimed`] : [];
  return [
    `  shard ${shard}: ${counted(size, 'leaf', 'leaves')}${newest}`,
    `  root    ${root ?? 'unknown: not all leaves can be read'}`,
    ...tail,
    ...(witnessed === null
      ? []
      : wrapped(`  witnessed up to leaf ${witnessed.size}, between ${witnessed.from} and ${witnessed.to} by the witnesses' clocks`, 10)),
  ];
}

/** Whether the result rests on a pinned key: then its trust names the key. */
function isProven({ result, trust }: PropertyVerdict): boolean {
  return result !== 'NOT CHECKED' && trust.endsWith('(pinned)');
}

// --- properties

/** The nouns of counts that are not made by adding or taking away an s. */
const NOUNS: Readonly<Record<string, readonly [singular: string, plural: string]>> = {
  leaves: ['leaf', 'leaves'],
  openLeaves: ['in the open tail', 'in the open tail'],
  keptNotes: ['kept note', 'kept notes'],
  batches: ['batch', 'batches'],
  retired: ['retired', 'retired'],
  sampledOut: ['sampled out', 'sampled out'],
};

function propertyLines({ properties }: Verdict): string[] {
  return PROPERTIES.flatMap((property) => {
    const { result, trust, counts } = properties[property];
    const said = Object.entries(counts).map(([name, count]) =>
      counted(count, ...(NOUNS[name] ?? ([name.replace(/s$/, ''), name] as const))),
    );
    return wrapped(printable(`  ${property.padEnd(11)} ${result.padEnd(11)} ${result === 'NOT CHECKED' ? trust : said.join(', ')}`), 26);
  });
}

const LEGEND: readonly (readonly [PropertyVerdict['result'], string])[] = [
  ['OPEN', 'OPEN: nothing is wrong so far, and more may come. Verify again later.'],
  ['NOT CHECKED', 'NOT CHECKED: nothing is claimed, for the reason beside it.'],
];

function legendLines({ properties }: Verdict): string[] {
  const has = new Set(PROPERTIES.map((property) => properties[property].result));
  return LEGEND.filter(([result]) => has.has(result)).map(([, line]) => line);
}

// --- what was refused

function refusedLines(refused: Refused): string[] {
  const head = 'Refused, as far as the evidence shows';
  if (total(refused) === 0) return [`${head}: no message and no event.`];
  const lines = [`${head}: ${refusedText(refused)}`];
  for (const { reason, ...counts } of refused.byReason) lines.push(`  why   ${reason}: ${refusedText(counts)}`);
  for (const { producer, proven, ...counts } of refused.byProducer.slice(0, SHOWN.producers))
    lines.push(...wrapped(printable(`  whose ${producer}${proven ? '' : ' (a name that no key proves)'}: ${refusedText(counts)}`), 8));
  const others = refused.byProducer.slice(SHOWN.producers).reduce(sum, refused.otherNames);
  if (total(others) > 0) lines.push(`  whose others: ${refusedText(others)}`);
  if (total(refused.nameless) > 0) lines.push(`  whose unknown, as no header can be read: ${refusedText(refused.nameless)}`);
  return lines;
}

function refusedText({ messages, events, records }: RefusedCounts): string {
  const parts = [
    ...(messages > 0 ? [counted(messages, 'message')] : []),
    ...(events > 0 ? [counted(events, 'event')] : []),
    ...(records > 0 ? [counted(records, 'unreadable record')] : []),
  ];
  return parts.length > 2 ? `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}` : parts.join(' and ');
}

function sum(a: RefusedCounts, b: RefusedCounts): RefusedCounts {
  return { messages: a.messages + b.messages, events: a.events + b.events, records: a.records + b.records };
}

function total({ messages, events, records }: RefusedCounts): number {
  return messages + events + records;
}

// --- findings

/** Findings that say the same of several properties. */
interface Statement {
  readonly properties: Property[];
  readonly finding: Finding;
}

function findingLines({ findings, unlisted }: Verdict): string[] {
  if (findings.length === 0) return [];
  const lines = ['', 'Findings:'];
  for (const severity of SEVERITIES) {
    const own = findings.filter((finding) => finding.severity === severity);
    for (const code of new Set(own.map((finding) => finding.code)))
      lines.push(
        ...codeLines(
          own.filter((finding) => finding.code === code),
          unlisted[code] ?? 0,
        ),
      );
  }
  return [...lines, ''];
}

/** The findings of one code and severity: what they mean and what to do, said once, and where they are. */
function codeLines(findings: readonly Finding[], unlisted: number): string[] {
  const [{ severity, code }] = findings as [Finding];
  const { meaning, advice } = FINDINGS[code];
  const properties = [...new Set(findings.map(({ property }) => property))].join(', ');
  const statements = statementsOf(findings);
  const lines = [
    ...wrapped(`  ${severity}  ${code}  (${properties})`, 4),
    ...wrapped(`    ${meaning}`, 4),
    ...wrapped(`    What to do: ${advice}`, 4),
  ];
  for (const { finding } of statements.slice(0, SHOWN.findings))
    lines.push(...wrapped(`    - ${printable(finding.message)}${placeText(finding.place)}`, 6));
  const more = statements.length - Math.min(statements.length, SHOWN.findings) + unlisted;
  if (more > 0) lines.push(`    - and ${more} more ${code}`);
  return lines;
}

function statementsOf(findings: readonly Finding[]): Statement[] {
  const statements = new Map<string, Statement>();
  for (const finding of findings) {
    const key = JSON.stringify([finding.message, finding.place]);
    const known = statements.get(key);
    if (known === undefined) statements.set(key, { properties: [finding.property], finding });
    else known.properties.push(finding.property);
  }
  return [...statements.values()];
}

/** Where a finding lies, in brackets; empty where nothing is known. */
export function placeText(place: Place): string {
  const parts = (Object.entries(place) as [keyof Place, Finding['place'][keyof Place]][])
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([name, value]) => `${name} ${printable(String(value))}`);
  return parts.length === 0 ? '' : ` [${parts.join(', ')}]`;
}

// --- the word

function words(verdict: Verdict): string {
  const { result, properties, lacking, shards } = verdict;
  const having = (wanted: PropertyVerdict['result']): string =>
    PROPERTIES.filter((property) => properties[property].result === wanted).join(', ');
  if (result === 'FAILED' || result === 'OPEN') return `${result}: ${having(result)}`;
  if (result === 'NOT CHECKED') return `NOT CHECKED: ${lacking.join(', ')}`;
  if (result === 'UNPROVEN')
    return `UNPROVEN: ${shards.some(({ size }) => size > 0) ? printable(properties.LOG.trust) : 'nothing was logged'}`;
  const unproven = PROPERTIES.filter((property) => properties[property].trust.startsWith('not proven'));
  return unproven.length === 0 ? 'OK' : `OK, and not proven by the pinned keys: ${unproven.join(', ')}`;
}
