import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { LineproofError } from '../../core/base/errors.ts';
import { byteText } from '../byte-text.ts';

/** Settings of git that a repository's configuration or files could otherwise use to run, hide or change something. */
const SAFE_CONFIG = [
  'core.fsmonitor=false',
  'core.hooksPath=/dev/null',
  'core.attributesFile=/dev/null',
  // A commit graph is a copy of what commits say; it could say something else.
  'core.commitGraph=false',
  'core.alternateRefsCommand=',
  'core.sshCommand=false',
  'credential.helper=',
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
const MAX_STDERR_CHARS = 4096;
const MAX_SAID_BYTES = 600;

/** Nothing in a repository may run: no hooks, pager, external diff, text conversion, file system monitor, lazy fetch. */
export function startGit(folder: string, args: readonly string[]): ChildProcessWithoutNullStreams {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_') || KEPT_VARIABLES.has(name));
  const child = spawn('git', ['-C', folder, '--no-pager', '--no-replace-objects', ...SAFE_CONFIG, ...args], {
    env: {
      ...Object.fromEntries(own),
      LC_ALL: 'C',
      GIT_PAGER: 'cat',
      GIT_TERMINAL_PROMPT: '0',
      // Missing objects are not fetched: the addresses in the repository's configuration could be commands.
      GIT_NO_LAZY_FETCH: '1',
      GIT_ALLOW_PROTOCOL: 'none',
      // No such file can exist. An empty file would do too, but git writes a warning for it.
      GIT_GRAFT_FILE: '/dev/null/none',
      GIT_OPTIONAL_LOCKS: '0',
    },
  });
  // A child that ends early closes its input; how it ended says more than the error of the write.
  child.stdin.on('error', () => undefined);
  return child;
}

/** What a child writes to stdout, to be read at any time. Without a listener, Node drops it when the child ends. */
export function outputOf(child: ChildProcessWithoutNullStreams): AsyncIterableIterator<Buffer> {
  child.stdout.on('readable', () => undefined);
  return child.stdout[Symbol.asyncIterator]() as AsyncIterableIterator<Buffer>;
}

/** How a child ended. */
export interface Ended {
  readonly code: number | null;
  readonly stderr: string;
  /** True if there is no program `git`. */
  readonly missing: boolean;
}

/** How a child ended, and the beginning of what it wrote to stderr. */
export function endOf(child: ChildProcessWithoutNullStreams): Promise<Ended> {
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    if (stderr.length < MAX_STDERR_CHARS) stderr += chunk.toString('latin1');
  });
  return new Promise((done) => {
    child.on('error', (error: NodeJS.ErrnoException) => done({ code: null, stderr: error.message, missing: error.code === 'ENOENT' }));
    child.on('close', (code) => done({ code, stderr, missing: false }));
  });
}

/** Runs git to its end, with `input` on its stdin. The answer is kept in memory as a whole. */
export async function runGit(folder: string, args: readonly string[], input = ''): Promise<Ended & { readonly stdout: Buffer }> {
  const child = startGit(folder, args);
  child.stdin.end(input);
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  return { ...(await endOf(child)), stdout: Buffer.concat(chunks) };
}

/** What git wrote to stderr, as one line that cannot disturb a terminal. */
export function saidBy(stderr: string): string {
  const lines = stderr
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  return byteText(Buffer.from(lines.join('; '), 'latin1').subarray(0, MAX_SAID_BYTES), { controls: true });
}

/** The error for a history that git cannot give whole. */
export function unreadable(folder: string, stderr: string): LineproofError {
  const lacks = /missing|unable to read|could not (?:read|parse|fetch)|bad object|Failed to traverse|promisor|lazy fetch/i.test(stderr)
    ? '. If objects are missing, fetch them from another clone: git fetch --refetch'
    : '';
  return new LineproofError(
    'REPOSITORY_UNREADABLE',
    `cannot read the history of ${folder}: git says ${JSON.stringify(saidBy(stderr) || 'nothing')}; git fsck tells more${lacks}`,
    { folder },
  );
}
