import type { LogEntry, LogRecord } from '../../core/ports/log.ts';

/** What was read, which must be records. */
export function recordsOf(entries: readonly LogEntry[]): readonly LogRecord[] {
  return entries.map((entry) => {
    if (entry.kind === 'record') return entry;
    throw new Error(`${entry.span} records at offset ${entry.offset} cannot be read`);
  });
}
