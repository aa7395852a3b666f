import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface CommandResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  /** Given the child as soon as it runs. */
  readonly onStart?: (child: ChildProcess) => void;
}

/** The repository's root. */
export const ROOT: string = process.cwd();
/** The built command. */
export const MAIN: string = join(ROOT, 'dist/cli/main.js');

/** Runs a program to its end and gives everything it said. */
export function runProgram(program: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...args], { cwd: options.cwd, env: { ...process.env, ...options.env }, stdio: ['pipe', 'pipe', 'pipe'] });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    child.on('error', reject);
    child.on('close', (code, signal) =>
      resolve({ code, signal, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }),
    );
    options.onStart?.(child);
  });
}

/** Runs the built `lineproof` with this process's Node. */
export function lineproof(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return runProgram(process.execPath, [MAIN, ...args], options);
}

/** A fresh folder that `release` removes. */
export function temporaryFolder(name: string): { readonly path: string; release(): void } {
  const path = mkdtempSync(join(tmpdir(), `lineproof-${name}-`));
  return { path, release: () => rmSync(path, { recursive: true, force: true }) };
}

/** A git repository with `commits` commits, each changing one of three files. */
export async function makeRepository(path: string, commits: number, from = 0): Promise<void> {
  const git = async (...args: string[]): Promise<void> => {
    const { code, stderr } = await runProgram(
      'git',
      ['-c', 'user.name=Ada Author', '-c', 'user.email=ada@example.org', '-c', 'init.defaultBranch=main', ...args],
      { cwd: path },
    );
    if (code !== 0) throw new Error(`git ${args.join(' ')}: ${stderr}`);
  };
  const { writeFile } = await import('node:fs/promises');
  if (from === 0) await git('init', '-q');
  for (let i = from; i < from + commits; i++) {
    await writeFile(join(path, `file-${i % 3}.txt`), `content ${i}\n`);
    await git('add', '-A');
    await git('commit', '-q', '-m', `change ${i}`);
  }
}
