import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where Linux keeps the memory controller: version 2 and version 1 of control groups, with the names of what is used of it. */
const VERSIONS = [
  { root: '/sys/fs/cgroup', limit: 'memory.max', peak: 'memory.peak', events: 'memory.events' },
  { root: '/sys/fs/cgroup/memory', limit: 'memory.limit_in_bytes', peak: 'memory.max_usage_in_bytes', events: 'memory.oom_control' },
] as const;

/** A control group whose processes together may have so much memory, their files in the page cache included. */
export interface MemoryCage {
  /** Runs what follows it in the group. */
  readonly launcher: readonly string[];
  /** Bytes at the most so far; undefined where this kernel does not tell. */
  peak(): number | undefined;
  /** Processes that were killed because the group had no memory left. */
  killed(): number;
  /** Removes the group, once its processes have ended. */
  release(): void;
}

/** Makes a control group; undefined where this machine or user cannot have one. */
export function memoryCage(name: string, bytes: number): MemoryCage | undefined {
  for (const version of VERSIONS) {
    const folder = join(version.root, `lineproof-test-${process.pid}-${name}`);
    try {
      mkdirSync(folder);
    } catch {
      continue;
    }
    try {
      // Version 2 without this controller has no such file, and none can be made.
      writeFileSync(join(folder, version.limit), String(bytes), { flag: 'r+' });
    } catch {
      rmdirSync(folder);
      continue;
    }
    const read = (file: string): string => readFileSync(join(folder, file), 'latin1');
    return {
      launcher: ['/bin/sh', '-c', 'echo $$ > "$0" && exec "$@"', join(folder, 'cgroup.procs')],
      peak: () => numberIn(read, version.peak),
      killed: () => Number(/^oom_kill (\d+)$/m.exec(read(version.events))?.[1] ?? Number.NaN),
      release: () => rmdirSync(folder),
    };
  }
  return undefined;
}

function numberIn(read: (file: string) => string, file: string): number | undefined {
  try {
    return Number(read(file));
  } catch {
    return undefined;
  }
}
