import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { LineproofError } from '../../core/base/errors.ts';

/** Settings of git that a repository's configuration or files could otherwise use to run, hide or change something. */
const SAFE_CONFIG = [
  'core.fsmonitor=false',
  'core.hooksPath=/dev/null',
  'core.commitGraph=false',
  'core.alternateRefsCommand=',
  'log.showSignature=false',
  'protocol.allow=never',
  'diff.external=',
  'diff.orderFile=/dev/null',
].flatMap((setting) => ['-c', setting]);
/** The caller's variables could point git to another folder or make it write; these cannot. */
const KEPT_VARIABLES = new Set([
  'GIT_EXEC_PATH',
  'GIT_CONFIG_GLOBAL',
  'GIT_CONFIG_SYSTEM',
  'GIT_CONFIG_NOSYSTEM',
  'GIT_CEILING_DIRECTORIES',
  'GIT_DISCOVERY_ACROSS_FILESYSTEM',
]);

/** Nothing in a repository may run: no hooks, pager, external diff, text conversion, file system monitor, lazy fetch. */
export function startGit(folder: string, args: readonly string[]): ChildProcessWithoutNullStreams {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_') || KEPT_VARIABLES.has(name));
  return spawn('git', ['-C', folder, '--no-pager', '--no-replace-objects', ...SAFE_CONFIG, ...args], {
    env: {
      ...Object.fromEntries(own),
      LC_ALL: 'C',
      GIT_PAGER: 'cat',
      GIT_TERMINAL_PROMPT: '0',
      // Missing objects are not fetched: the addresses in the repository's configuration could be commands.
      GIT_NO_LAZY_FETCH: '1',
      GIT_ALLOW_PROTOCOL: 'none',
      GIT_GRAFT_FILE: '/dev/null',
      GIT_OPTIONAL_LOCKS: '0',
    },
  });
}

export interface Ended {
  readonly code: number | null;
  readonly stderr: string;
  readonly missing: boolean;
}

/** How a child ended, and the first 4 kB of what it wrote to stderr. */
export function endOf(child: ChildProcessWithoutNullStreams): Promise<Ended> {
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    if (stderr.length < 4096) stderr += chunk.toString('utf8');
  });
  return new Promise((done) => {
    child.on('error', (error: NodeJS.ErrnoException) => done({ code: null, stderr: error.message, missing: error.code === 'ENOENT' }));
    child.on('close', (code) => done({ code, stderr, missing: false }));
  });
}

/** For answers of a few lines. */
export async function runGit(folder: string, args: readonly string[]): Promise<Ended & { readonly stdout: Buffer }> {
  const child = startGit(folder, args);
  child.stdin.on('error', () => undefined);
  child.stdin.end();
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  return { ...(await endOf(child)), stdout: Buffer.concat(chunks) };
}

/** The error for a history that git does not give. */
export function unreadable(folder: string, stderr: string): LineproofError {
  return new LineproofError('IO_FAILED', `cannot read the history of ${folder}: ${stderr.trim() || 'git gave none'}; git fsck tells more`, {
    folder,
  });
}
