import { PROPERTIES } from './property.ts';
import type { Finding, Place, Verdict } from './verdict.ts';

const SHOWN_PER_CODE = 5;

/** A verdict for people: a line for each property, then the findings with their places, then the verdict. */
export function verdictText(verdict: Verdict): string {
  const rows = PROPERTIES.map((property) => {
    const { result, trust, counts } = verdict.properties[property];
    const counted = Object.entries(counts).map(([name, count]) => `${count} ${name}`);
    return printable(
      `  ${property.padEnd(11)} ${result.padEnd(11)} ${result === 'NOT CHECKED' ? trust : [...counted, `by ${trust}`].join(', ')}`,
    );
  });
  const failed = PROPERTIES.filter((property) => verdict.properties[property].result === 'FAILED');
  const open = PROPERTIES.filter((property) => verdict.properties[property].result === 'OPEN');
  const log = verdict.origin === '' ? 'this archive' : printable(verdict.origin);
  const words = verdict.ok
    ? `OK${open.length === 0 ? '' : `, still open: ${open.join(', ')}`}`
    : failed.length > 0
      ? `FAILED: ${failed.join(', ')}`
      : `NOT PROVEN: ${unproven(verdict)}`;
  return [`Archive of ${log}`, ...rows, ...findingLines(verdict), `VERDICT: ${words}`, ''].join('\n');
}

function unproven({ properties }: Verdict): string {
  const { result, counts, trust } = properties.LOG;
  if (counts['shards'] === 0) return 'nothing was logged';
  return result === 'NOT CHECKED' ? printable(trust) : 'no pinned key';
}

function findingLines({ findings, unlisted }: Verdict): string[] {
  if (findings.length === 0) return [];
  const lines = ['Findings:'];
  const codes = [...new Set(findings.map(({ code }) => code))];
  for (const code of codes) {
    const own = findings.filter((finding) => finding.code === code);
    for (const finding of own.slice(0, SHOWN_PER_CODE))
      lines.push(
        `  ${finding.severity.padEnd(6)} ${finding.property} ${finding.code}: ${printable(finding.message)}${placeText(finding.place)}`,
      );
    const more = own.length - Math.min(own.length, SHOWN_PER_CODE) + (unlisted[code] ?? 0);
    if (more > 0) lines.push(`         and ${more} more ${code}`);
  }
  return lines;
}

function placeText(place: Place): string {
  const parts = (Object.entries(place) as [keyof Place, Finding['place'][keyof Place]][])
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([name, value]) => `${name} ${printable(String(value))}`);
  return parts.length === 0 ? '' : ` [${parts.join(', ')}]`;
}

/** The text without control characters: names come from an archive that may be hostile, and the text may reach a terminal. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}]/gu, '?');
}
