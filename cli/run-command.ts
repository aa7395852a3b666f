import { randomUUID } from 'node:crypto';
import { pinoLogger } from '../adapters/pino-logger.ts';
import { prometheusMetrics } from '../adapters/prometheus-metrics.ts';
import type { EventSink } from '../collector/git.ts';
import { runCommand as runAndDescribe } from '../collector/run.ts';
import { hasCode, LineproofError } from '../core/errors.ts';
import { type Command, type Invocation, stringOptions } from './command.ts';
import { EmbeddedSystem, openSpoolOnly } from './embedded.ts';
import { loadInvocationSettings } from './invocation-settings.ts';
import { SETTINGS, type Settings } from './settings.ts';

/** `lineproof run -- CMD`: a command, its input and output files, and its exit code passed on. */
export const runCommand: Command = {
  name: 'run',
  summary: 'Run a command and record its input and output files',
  usage: 'run [--in GLOB]... [--out GLOB]... -- COMMAND [ARG...]',
  options: [
    { name: 'in', type: 'string', multiple: true, value: 'GLOB', help: 'input files, relative to this folder; may be repeated' },
    {
      name: 'out',
      type: 'string',
      multiple: true,
      value: 'GLOB',
      help: 'output files; without it: files below this folder that changed meanwhile',
    },
  ],
  settings: SETTINGS,
  takesCommand: true,
  notes: [
    'Exits with the exit code of COMMAND, whatever becomes of the recording; 127 where it cannot be started.',
    'Names of environment variables are recorded, never their values.',
  ],
  run: async (invocation: Invocation): Promise<number> => {
    if (invocation.rest.length === 0)
      throw new LineproofError('USAGE', 'run takes the command after --, as in: lineproof run -- make report');
    const { values } = loadInvocationSettings(invocation);
    const { env, stderr } = invocation.terminal;
    const [program, ...args] = invocation.rest as [string, ...string[]];
    const options = {
      command: [program, ...args] as const,
      folder: process.cwd(),
      inputs: stringOptions(invocation, 'in'),
      outputs: stringOptions(invocation, 'out'),
      env,
    };
    let ending: (() => Promise<unknown>) | undefined;
    const result = await runAndDescribe(async () => {
      const opened = await openSink(values);
      ending = opened.close;
      return opened.collector;
    }, options);
    const failure = result.failure ?? (await closing(ending));
    if (failure !== undefined)
      stderr.write(`lineproof: the run was not recorded: ${failure instanceof Error ? failure.message : JSON.stringify(failure)}\n`);
    return result.exitCode;
  },
};
async function closing(close: (() => Promise<unknown>) | undefined): Promise<unknown> {
  try {
    await close?.();
    return undefined;
  } catch (error) {
    return error;
  }
}

/** The embedded system where nobody works on the data folder, else a spool that its process takes up. */
async function openSink(settings: Settings): Promise<{ collector: EventSink; close: () => Promise<unknown> }> {
  const [logger, metrics] = [pinoLogger(settings.logLevel), prometheusMetrics()];
  try {
    const system = await EmbeddedSystem.open(settings, logger, metrics);
    return { collector: system.collector, close: () => system.close() };
  } catch (error) {
    if (!hasCode(error, 'DATA_IN_USE')) throw error;
    const collector = await openSpoolOnly(settings, `run-${randomUUID()}`, logger, metrics);
    return { collector, close: () => collector.close() };
  }
}
