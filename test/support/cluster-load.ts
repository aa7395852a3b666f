import { writeFileSync } from 'node:fs';

const OCCURRED_AT = '2026-01-02T03:04:05.000Z';

/** Lines of `count` events for `lineproof emit`, over `streams` streams; the attribute `number` rises. */
export function loadLines(producer: number, count: number, streams: number): string[] {
  return Array.from({ length: count }, (_, number) =>
    JSON.stringify({
      stream: `load/${producer}/${number % streams}`,
      type: number % 3 === 0 ? 'CREATE' : 'ACCESS',
      actor: { id: `producer-${producer}`, kind: 'SERVICE' },
      id: `01890000-0000-7${producer.toString(16).padStart(3, '0')}-8000-${number.toString(16).padStart(12, '0')}`,
      occurredAt: OCCURRED_AT,
      outputs: [{ namespace: 'test', name: `object-${number}`, version: '1' }],
      attributes: { number: String(number) },
    }),
  );
}

/** Both in their own order, `others` spread evenly among `lines`. */
export function weave(lines: readonly string[], others: readonly string[]): string[] {
  const every = Math.max(1, Math.floor(lines.length / Math.max(1, others.length)));
  const rest = [...others];
  const woven = lines.flatMap((line, i) => (i % every === 0 && rest.length > 0 ? [line, rest.shift() as string] : [line]));
  return [...woven, ...rest];
}

/** Writes lines to a file and gives its path. */
export function linesFile(path: string, lines: readonly string[]): string {
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}
