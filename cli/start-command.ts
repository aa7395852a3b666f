import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { openFolderObjectStore } from '../adapters/folder-object-store.ts';
import { prometheusMetrics } from '../adapters/prometheus-metrics.ts';
import type { Verdict } from '../auditor/verdict.ts';
import { verdictText } from '../auditor/verdict-text.ts';
import { VERDICTS } from '../auditor/verdict-words.ts';
import { type Health, openHealthServer } from '../cluster/health-server.ts';
import type { GitCollection } from '../collector/git/collection.ts';
import { LineproofError } from '../core/base/errors.ts';
import { terminalJson } from '../core/base/terminal-text.ts';
import { parseVerifierKey } from '../core/keys/key.ts';
import type { OpenSettings } from '../embedded/fixed-settings.ts';
import { EmbeddedSystem } from '../embedded/system.ts';
import { SETTINGS, type Settings } from '../settings/embedded-settings.ts';
import { holdsArchive } from './archive-location.ts';
import { type Command, type Invocation, stringOption, type Terminal } from './command.ts';
import { commandLogger } from './command-log.ts';
import { EXIT } from './exit-codes.ts';
import { checkThere, collectInto, describeCollection, GIT_OPTIONS, refuseGitOptions } from './git-collection.ts';
import { openSettings } from './invocation-settings.ts';
import { Progress } from './progress.ts';
import { explained, verifyStore } from './verify-command.ts';

const LOCALHOST = '127.0.0.1';

/** `lineproof start`: everything embedded in one process. */
export const startCommand: Command = {
  name: 'start',
  summary: 'Run everything in this process: collect, chain, archive',
  usage: ['start [--collect git [DIR]] [--until-idle] [--verify] [OPTIONS]'],
  options: [
    {
      name: 'collect',
      type: 'string',
      value: 'git',
      help: 'first collect the git history of DIR, or its files if it has no git history',
    },
    ...GIT_OPTIONS,
    { name: 'until-idle', type: 'boolean', help: 'end when everything recorded is archived, instead of running on' },
    { name: 'verify', type: 'boolean', help: 'verify the archive at the end, with the root key that this system made' },
    {
      name: 'http-port',
      type: 'string',
      value: 'PORT',
      help: 'serve /metrics, /healthz, /readyz and /status on this port while it runs; 0 takes a free one (not served)',
    },
    { name: 'http-host', type: 'string', value: 'HOST', help: `address on which they are served (${LOCALHOST})` },
    { name: 'json', type: 'boolean', help: 'print the results and the verdict as one JSON object' },
  ],
  settings: SETTINGS,
  // A system that runs on has no result, only messages.
  outlivesReader: ({ 'until-idle': untilIdle, json }) => untilIdle !== true && json !== true,
  notes: [
    'The first start makes keys and a policy below the data folder. Protect keys/root.key: its holder can change the policy.',
    'Without --until-idle it runs until SIGINT or SIGTERM.',
    'Exit codes with --verify: those of lineproof verify.',
    'Exit code 74: with --until-idle, it was interrupted before everything was archived; nothing was verified.',
  ],
  run: start,
};

interface Outcome {
  readonly made: boolean;
  readonly origin: string;
  readonly rootKey: string;
  readonly collected: GitCollection | undefined;
}

/** `lineproof start`, and `lineproof collect git` where no other process works on the folder. */
export async function start(invocation: Invocation): Promise<number> {
  const begun = performance.now();
  const values = openSettings(invocation);
  const { terminal } = invocation;
  const wanted = stringOption(invocation, 'collect');
  if (wanted !== undefined && wanted !== 'git') throw new LineproofError('USAGE', `--collect takes git, not ${JSON.stringify(wanted)}`);
  if (invocation.operands.length > (wanted === undefined ? 0 : 1))
    throw new LineproofError('USAGE', 'too many arguments; see lineproof start --help');
  if (wanted === undefined) refuseGitOptions(invocation);
  const folder = resolve(invocation.operands[0] ?? '.');
  if (wanted !== undefined) checkThere(folder);
  const json = invocation.options['json'] === true;
  const say = (text: string): void => (json ? void terminal.stderr.write(`${text}\n`) : tell(text, terminal));
  const untilIdle = invocation.options['until-idle'] === true;
  const outcome = await work(values, wanted === undefined ? undefined : folder, untilIdle, invocation, say);
  const interrupted = untilIdle && terminal.signal.aborted;
  const isAsked = invocation.options['verify'] === true && !terminal.signal.aborted;
  const hasArchive = isAsked && holdsArchive(join(values.data, 'archive'));
  const verdict = hasArchive ? await verifyOwn(values, terminal) : undefined;
  const seconds = (performance.now() - begun) / 1000;
  if (json)
    terminal.stdout.write(
      `${terminalJson({ ...outcome, interrupted, seconds, ...(verdict === undefined ? {} : { verdict: explained(verdict) }) }, 2)}\n`,
    );
  else if (verdict !== undefined) {
    say(`\n${verdictText(verdict).trimEnd()}`);
    say(`Pinned   ${outcome.rootKey}`);
    say(`Took     ${seconds.toFixed(1)} s. To verify again:`);
    say(`lineproof verify ${join(values.data, 'archive')} --key @${join(values.data, 'keys', 'root.pub')}`);
    say(`To prove one event to a stranger, by its leaf: lineproof prove ${join(values.data, 'archive')} --leaf 0/0`);
  }
  if (interrupted) {
    terminal.stderr.write('lineproof: interrupted: not everything is archived, and nothing was verified; the next start goes on\n');
    return EXIT.io;
  }
  if (isAsked && !hasArchive) {
    terminal.stderr.write('lineproof: nothing was recorded yet, so there is no archive to verify\n');
    return VERDICTS.UNPROVEN.exitCode;
  }
  return verdict === undefined ? EXIT.ok : VERDICTS[verdict.result].exitCode;
}

/** Writes a message to stdout; where its reader has gone, to stderr. */
function tell(text: string, { stdout, stderr }: Terminal): void {
  stdout.write(`${text}\n`, (error) => {
    if (error !== undefined && error !== null) stderr.write(`${text}\n`);
  });
}

async function work(
  settings: OpenSettings,
  folder: string | undefined,
  untilIdle: boolean,
  invocation: Invocation,
  say: (text: string) => void,
): Promise<Outcome> {
  const { terminal } = invocation;
  const metrics = prometheusMetrics();
  const place = servedPlace(invocation);
  const system = await EmbeddedSystem.open(settings, commandLogger(settings), metrics);
  const { keys } = system.pipeline;
  const rootKey = keys.root.verifierKey;
  let collected: GitCollection | undefined;
  let server: Awaited<ReturnType<typeof openHealthServer>> | undefined;
  try {
    if (keys.made) say(`First start: made keys and a policy in ${settings.data} for the log ${keys.origin}`);
    else say(`Log      ${keys.origin} in ${settings.data}`);
    if (place !== undefined) {
      server = await openHealthServer(place, metrics, healthOf(system.pipeline));
      say(`Serving  /metrics, /healthz, /readyz and /status on http://${place.host}:${server.port}`);
    }
    if (folder !== undefined) {
      collected = await collectInto(system.collector, settings, folder, invocation);
      say(describeCollection(collected));
    }
    if (untilIdle) await finish(system, terminal, say);
    else await runOn(system, terminal, say);
  } finally {
    await server?.close();
    await system.close();
  }
  return { made: keys.made, origin: keys.origin, rootKey, collected };
}

/** Where the state is served; undefined if nothing is to be served. Throws USAGE. */
function servedPlace(invocation: Invocation): { readonly host: string; readonly port: number } | undefined {
  const [port, host] = [stringOption(invocation, 'http-port'), stringOption(invocation, 'http-host')];
  if (port === undefined && host === undefined) return undefined;
  if (port === undefined) throw new LineproofError('USAGE', '--http-host needs --http-port');
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535)
    throw new LineproofError('USAGE', `--http-port is ${JSON.stringify(port.slice(0, 80))}: it must be a number from 0 to 65535`);
  return { host: host ?? LOCALHOST, port: Number(port) };
}

function healthOf(pipeline: EmbeddedSystem['pipeline']): Health {
  return {
    alive: () => (pipeline.failed ? pipeline.problem() : undefined),
    ready: () => pipeline.problem(),
    status: () => pipeline.status(),
  };
}

async function finish(system: EmbeddedSystem, terminal: Terminal, say: (text: string) => void): Promise<void> {
  const progress = new Progress(terminal.stderr);
  progress.update('archiving', 0, 0);
  await system.finish(terminal.signal);
  progress.clear();
  if (!terminal.signal.aborted) say(`Archived ${system.pipeline.describeSizes()}`);
}

async function runOn(system: EmbeddedSystem, terminal: Terminal, say: (text: string) => void): Promise<void> {
  say('Running; stop with Ctrl-C or SIGTERM');
  await system.pipeline.failedOr(terminal.signal);
}

async function verifyOwn(settings: Settings, terminal: Terminal): Promise<Verdict> {
  const key = parseVerifierKey(readFileSync(join(settings.data, 'keys', 'root.pub'), 'utf8').trim());
  return verifyStore(await openFolderObjectStore(join(settings.data, 'archive')), { keys: [key] }, terminal);
}
