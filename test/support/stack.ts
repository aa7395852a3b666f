import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type CommandResult, ROOT, runProgram } from './command.ts';

interface S3Access {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Exists, with versions and object lock. */
  readonly bucket: string;
  readonly forcePathStyle: true;
}

interface Login {
  readonly username: string;
  readonly password: string;
}

interface PlainServers {
  readonly kafka: { readonly brokers: readonly string[] };
  readonly registry: { readonly url: string };
  readonly s3: S3Access;
  readonly redis: { readonly url: string };
}

/** How to reach the servers of a stack with everything, as its stack.json says. */
export interface StackSettings extends PlainServers {
  /** The stack.json itself. */
  readonly file: string;
  readonly kafka: PlainServers['kafka'] & {
    readonly secure: { readonly brokers: readonly string[]; readonly caFile: string; readonly plain: Login; readonly scramSha256: Login };
  };
  readonly redis: PlainServers['redis'] & { readonly secure: { readonly url: string; readonly caFile: string } };
  /** `url` is Toxiproxy's API; the rest are the plain servers as seen through it. Each proxy is named as its server: kafka-1, redis, … */
  readonly toxiproxy: PlainServers & { readonly url: string };
}

/** A stack that one suite has for itself, to kill and to change as it likes. */
export interface OwnStack {
  readonly settings: StackSettings;
  readonly folder: string;
  /** Runs `npm run stack -- ARGS` on it. */
  command(...args: string[]): Promise<CommandResult>;
  /** Ends it and deletes what it kept. */
  release(): Promise<void>;
}

/** Of a suite's `beforeAll`: the first time, a machine fetches and builds the servers. */
export const STACK_TIMEOUT_MS = 15 * 60_000;

/** Jest's own, which its module gives in a run of jest alone: `npm run test:faults` starts stacks, too. */
declare const describe: typeof import('@jest/globals')['describe'];

const MAIN = join(ROOT, 'infra', 'stack', 'main.js');
const NODE_ARGS = ['--disable-warning=TimeoutNegativeWarning', MAIN];
const FULL = ['--secure', '--with', 'toxiproxy'];

/** Runs the stack's command as a user does. */
export function stackCommand(...args: string[]): Promise<CommandResult> {
  return stackCommandBy([], ...args);
}

/** As {@link stackCommand}, by a command that runs the one that follows it. */
export function stackCommandBy(launcher: readonly string[], ...args: string[]): Promise<CommandResult> {
  const [program, ...rest] = [...launcher, process.execPath, ...NODE_ARGS, ...args];
  return runProgram(program as string, rest, { cwd: ROOT });
}

/** A `describe` of a suite that needs real servers; where this machine can't have them it is skipped, and its name says what is missing. */
export function describeOnStack(name: string, body: () => void): void {
  const missing = missingForStack();
  if (missing.length === 0) describe(name, body);
  else describe.skip(`${name} [not run: this machine lacks ${missing.join('; ')}]`, body);
}

function missingForStack(): readonly string[] {
  if (process.env['LINEPROOF_STACK'] !== undefined) return [];
  const { stdout, stderr } = spawnSync(process.execPath, [...NODE_ARGS, 'check', '--json', ...FULL], { encoding: 'utf8' });
  if (stdout === '') throw new Error(stderr);
  return (JSON.parse(stdout) as { missing: string[] }).missing;
}

/**
 * The full stack that all suites of a run share: the one whose stack.json LINEPROOF_STACK names, else one that is started now, or was
 * by another suite, and ends with the run. Use names of your own for topics, keys and objects, and leave its servers alone.
 */
export async function testStack(): Promise<StackSettings> {
  const given = process.env['LINEPROOF_STACK'];
  if (given !== undefined) return readSettings(given);
  await endAbandonedStacks();
  return start(`${stackPrefix()}shared`, []);
}

/** Starts a stack with everything for one suite; more options as for `up`, as in `ownStack('--brokers', '3')`. */
export async function ownStack(...options: string[]): Promise<OwnStack> {
  const folder = mkdtempSync(`${stackPrefix()}own-`);
  const command = (...args: string[]): Promise<CommandResult> => stackCommand(...args, '--data', folder);
  const release = async (): Promise<void> => {
    await command('down');
    rmSync(folder, { recursive: true, force: true });
  };
  return { settings: await start(folder, options), folder, command, release };
}

async function start(folder: string, options: readonly string[]): Promise<StackSettings> {
  const { code, stderr } = await stackCommand('up', '--data', folder, ...FULL, ...options);
  if (code !== 0) throw new Error(`the stack did not start: ${stderr}`);
  return readSettings(join(folder, 'stack.json'));
}

function readSettings(file: string): StackSettings {
  const settings = JSON.parse(readFileSync(file, 'utf8'));
  if (settings.kafka.secure === undefined || settings.toxiproxy === undefined)
    throw new Error(`${file} is not of a stack with everything: reset it with ${FULL.join(' ')}`);
  return { file, ...settings };
}

function stackPrefix(): string {
  const prefix = process.env['LINEPROOF_TEST_STACKS'];
  if (prefix === undefined) throw new Error('stacks are started in a run of jest');
  return prefix;
}

/** Ends the stacks of runs that were killed. */
async function endAbandonedStacks(): Promise<void> {
  const parent = dirname(stackPrefix());
  for (const name of readdirSync(parent)) {
    const run = /^lineproof-stack-(\d+)-/.exec(name)?.[1];
    if (run === undefined || existsSync(join('/proc', run)) || name.startsWith(basename(stackPrefix()))) continue;
    await stackCommand('down', '--data', join(parent, name));
    rmSync(join(parent, name), { recursive: true, force: true });
  }
}
