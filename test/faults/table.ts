import type { Row } from './row.ts';

const HEAD = ['FAULT', 'ACKNOWLEDGED', 'LINKED', 'LOST', 'DOUBLED', 'LINKED AGAIN', 'AGREED', 'VERIFY', 'VERDICT'];

const LEGEND = [
  'LINKED AGAIN  seconds until every shard linked new events: from the fault on where work should go on during it, else from its end on',
  'AGREED        seconds from the end of all that was done until commits, lag, status and an outside admin client agreed',
];

/** The table of all rows, then what was done in each, and why a row did not pass. */
export function tableText(rows: readonly Row[]): string {
  const lines = [HEAD, ...rows.map(cells)];
  const widths = HEAD.map((_, column) => Math.max(...lines.map((line) => (line[column] as string).length)));
  const table = lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] as number))
      .join('  ')
      .trimEnd(),
  );
  const notes = rows.flatMap(({ fault, done, reasons }) => [`${fault}: ${done}`, ...reasons.map((reason) => `  ! ${reason}`)]);
  return `${[...table, '', ...LEGEND, '', ...notes].join('\n')}\n`;
}

function cells({ fault, acknowledged, linked, lost, doubled, linkedAfter, agreedAfter, verified, verdict }: Row): string[] {
  const told = (value: number | string | undefined): string => (value === undefined ? '-' : String(value));
  return [fault, ...[acknowledged, linked, lost, doubled, linkedAfter, agreedAfter, verified].map(told), verdict];
}
