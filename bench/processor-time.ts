import { readFileSync } from 'node:fs';

/** Linux counts the processor time of processes in hundredths of a second, whatever the machine. */
const TICK_MICROS = 10_000;

/** Processor time that another process used so far, all its threads included, microseconds; 0 once it is gone. */
export function processorMicrosOf(pid: number): number {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return 0;
  }
  // The name, in parentheses, may hold anything; user and system time are the 12th and 13th field after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return TICK_MICROS * (Number(fields[11]) + Number(fields[12]));
}
