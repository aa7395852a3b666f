import { prometheusMetrics } from '../adapters/prometheus-metrics.ts';
import { runCommand as runAndDescribe } from '../collector/run.ts';
import { LineproofError, messageOf } from '../core/base/errors.ts';
import { formatUuid } from '../core/formats/identity.ts';
import type { OpenSettings } from '../embedded/fixed-settings.ts';
import { openRecorder, type Recorder } from '../embedded/recorder.ts';
import { folderGone, isFolderGone, workingFolder } from '../platform/working-folder.ts';
import { SETTINGS } from '../settings/embedded-settings.ts';
import { userName } from './actor-names.ts';
import { type Command, type Invocation, stringOptions } from './command.ts';
import { commandLogger } from './command-log.ts';
import { openSettings } from './invocation-settings.ts';
import { describeRecorder, NOT_LINKED } from './recorder-notes.ts';

/** `lineproof run -- CMD`: a command, its input and output files, and its exit code passed on. */
export const runCommand: Command = {
  name: 'run',
  summary: 'Run a command and record its input and output files',
  usage: ['run [--in GLOB]... [--out GLOB]... -- COMMAND [ARG...]'],
  options: [
    {
      name: 'in',
      type: 'string',
      multiple: true,
      takesList: true,
      value: 'GLOB',
      help: 'input files: a file, a folder, or a pattern with * ? ** [a-z] {a,b}; may be repeated or be a list',
    },
    {
      name: 'out',
      type: 'string',
      multiple: true,
      takesList: true,
      value: 'GLOB',
      help: 'output files, as --in; files below this folder that changed meanwhile are recorded as well, up to 10,000',
    },
    {
      name: 'quiet',
      short: 'q',
      type: 'boolean',
      help: 'do not print the stream and the id of the event; failures are printed all the same',
    },
    { name: 'with-arguments', type: 'boolean', help: 'record the arguments of COMMAND; left out otherwise, as they can hold secrets' },
  ],
  settings: SETTINGS,
  takesCommand: true,
  takesSignals: true,
  notes: [
    'Exits with the exit code of COMMAND, whether or not it could be recorded: 128 + n after signal n, 127 if there is no such program, 126 if it cannot be started.',
    'Signals go to COMMAND. One that comes before prevents it, one after its end stops the recording.',
    'The last line on stderr has the stream and the id of the event. docs/getting-started.md says what the event holds.',
    'Names of environment variables are recorded, their values never.',
  ],
  run: async (invocation: Invocation): Promise<number> => {
    if (invocation.operands.length > 0)
      throw new LineproofError(
        'USAGE',
        `run does not take ${JSON.stringify(invocation.operands[0])}: the command comes after --, and files after --in or --out`,
      );
    if (invocation.rest.length === 0)
      throw new LineproofError('USAGE', 'run takes the command after --, as in: lineproof run -- make report');
    // An unusable configuration prevents the recording, but not the run.
    const settings = tried(() => openSettings(invocation));
    const { env, stderr } = invocation.terminal;
    const say = (text: string): void => void stderr.write(`lineproof: ${text}\n`);
    const [program, ...args] = invocation.rest as [string, ...string[]];
    let recorder: Recorder | undefined;
    const result = await runAndDescribe(
      async () => {
        recorder = await openRecorder(settings(), 'run', commandLogger(settings()), prometheusMetrics());
        return { sink: recorder.collector, user: await userName(settings()) };
      },
      {
        command: [program, ...args],
        folder: workingFolder(),
        inputs: stringOptions(invocation, 'in'),
        outputs: stringOptions(invocation, 'out'),
        withArguments: invocation.options['with-arguments'] === true,
        env,
        ...exceptOf(settings),
      },
    );
    // The recorded event is on disk: from here on a signal ends this process with the command's exit code.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(result.exitCode));
    const unlinked = result.failure === undefined ? await closing(recorder) : undefined;
    const failure = result.failure ?? (result.event === undefined ? unlinked : undefined);
    if (result.fault !== undefined) say(messageOf(result.fault));
    if (failure !== undefined) say(`the run was not recorded: ${messageOf(failure)}`);
    else if (unlinked !== undefined) say(`${NOT_LINKED}: ${messageOf(unlinked)}`);
    for (const note of result.notes) say(note);
    if (result.event !== undefined && recorder !== undefined && invocation.options['quiet'] !== true)
      for (const note of [...describeRecorder(recorder, settings().data), `recorded ${result.stream} ${formatUuid(result.event)}`])
        say(note);
    return result.exitCode;
  },
};

/** Runs `work` now; each call of the result returns its value or throws its error. */
function tried<T>(work: () => T): () => T {
  try {
    const value = work();
    return () => value;
  } catch (error) {
    return () => {
      throw isFolderGone(error) ? folderGone() : error;
    };
  }
}

function exceptOf(settings: () => OpenSettings): { readonly except?: string } {
  try {
    return { except: settings().data };
  } catch {
    return {};
  }
}

async function closing(recorder: Recorder | undefined): Promise<unknown> {
  try {
    await recorder?.close();
    return undefined;
  } catch (error) {
    return error;
  }
}
