import { spawnSync } from 'node:child_process';
import { statfsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os';

/** The machine and the software of a measurement. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  /** File system of the measured folder: in memory, every sync is free. */
  readonly fileSystem: string;
  readonly node: string;
  readonly packages: Readonly<Record<string, string>>;
  /** Commit, with `+` if files differ from it; null outside a repository. */
  readonly commit: string | null;
}

/** Magic numbers of statfs(2). */
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  61267: 'ext4',
  16914836: 'tmpfs (memory)',
  2035054128: 'overlay',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  801189825: 'zfs',
  26985: 'nfs',
};

/** Describes this machine and this repository. */
export function describeMachine(folder: string): Machine {
  const load = createRequire(import.meta.url);
  const { version, dependencies } = load('lineproof/package.json') as { version: string; dependencies: Record<string, string> };
  const { type } = statfsSync(folder);
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round((10 * totalmem()) / 2 ** 30) / 10,
    system: `${platform()} ${release()} ${arch()}`,
    fileSystem: FILE_SYSTEMS[type] ?? `0x${type.toString(16)}`,
    node: process.version,
    packages: { lineproof: version, ...dependencies },
    commit: commitOf(new URL('.', import.meta.url).pathname),
  };
}

function commitOf(folder: string): string | null {
  const git = (...args: string[]): string | undefined => {
    const { status, stdout } = spawnSync('git', args, { cwd: folder, encoding: 'utf8' });
    return status === 0 ? stdout.trim() : undefined;
  };
  const commit = git('rev-parse', 'HEAD');
  if (commit === undefined) return null;
  return git('status', '--porcelain') === '' ? commit : `${commit}+`;
}
