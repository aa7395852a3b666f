import { randomUUID } from 'node:crypto';
import { pinoLogger } from '../adapters/pino-logger.ts';
import { prometheusMetrics } from '../adapters/prometheus-metrics.ts';
import type { EventSink } from '../collector/event-sink.ts';
import { runCommand as runAndDescribe } from '../collector/run.ts';
import { hasCode, LineproofError } from '../core/base/errors.ts';
import { EmbeddedSystem, openSpoolOnly } from '../embedded/system.ts';
import { SETTINGS, type Settings } from '../settings/embedded-settings.ts';
import { type Command, type Invocation, stringOptions } from './command.ts';
import { loadInvocationSettings } from './invocation-settings.ts';

/** `lineproof run -- CMD`: a command, its input and output files, and its exit code passed on. */
export const runCommand: Command = {
  name: 'run',
  summary: 'Run a command and record its input and output files',
  usage: ['run [--in GLOB]... [--out GLOB]... -- COMMAND [ARG...]'],
  options: [
    { name: 'in', type: 'string', multiple: true, value: 'GLOB', help: 'input files, relative to this folder; may be repeated' },
    {
      name: 'out',
      type: 'string',
      multiple: true,
      value: 'GLOB',
      help: 'output files; files below this folder that changed meanwhile are recorded as well, up to 10,000',
    },
    { name: 'with-arguments', type: 'boolean', help: 'record the arguments of COMMAND; left out otherwise, as they can hold secrets' },
  ],
  settings: SETTINGS,
  takesCommand: true,
  takesSignals: true,
  notes: [
    'Exits with the exit code of COMMAND, whether or not it could be recorded; 127 where there is no such program, 126 where it cannot be started.',
    'Signals go to COMMAND. A signal after COMMAND has ended stops the recording.',
    'Names of environment variables are recorded, their values never.',
  ],
  run: async (invocation: Invocation): Promise<number> => {
    if (invocation.rest.length === 0)
      throw new LineproofError('USAGE', 'run takes the command after --, as in: lineproof run -- make report');
    // A configuration that cannot be used is a reason not to record, and none not to run.
    const settings = tried(() => loadInvocationSettings(invocation).values);
    const { env, stderr } = invocation.terminal;
    const [program, ...args] = invocation.rest as [string, ...string[]];
    let ending: (() => Promise<unknown>) | undefined;
    const result = await runAndDescribe(
      async () => {
        const opened = await openSink(settings());
        ending = opened.close;
        return opened.collector;
      },
      {
        command: [program, ...args],
        folder: process.cwd(),
        inputs: stringOptions(invocation, 'in'),
        outputs: stringOptions(invocation, 'out'),
        withArguments: invocation.options['with-arguments'] === true,
        env,
        ...exceptOf(settings),
      },
    );
    // What is recorded is on disk: from here on a signal ends this process with the command's exit code.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(result.exitCode));
    const failure = result.failure ?? (await closing(ending));
    const what = result.started ? 'the run was not recorded: ' : '';
    if (failure !== undefined) stderr.write(`lineproof: ${what}${failure instanceof Error ? failure.message : JSON.stringify(failure)}\n`);
    return result.exitCode;
  },
};

/** Does it now, and gives the value or throws the error at each later call. */
function tried<T>(work: () => T): () => T {
  try {
    const value = work();
    return () => value;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}

function exceptOf(settings: () => Settings): { readonly except?: string } {
  try {
    return { except: settings().data };
  } catch {
    return {};
  }
}

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
