import { resolve } from 'node:path';
import { prometheusMetrics } from '../adapters/prometheus-metrics.ts';
import { hasCode, LineproofError } from '../core/base/errors.ts';
import { terminalJson } from '../core/base/terminal-text.ts';
import { openRecorder } from '../embedded/recorder.ts';
import { SETTINGS } from '../settings/embedded-settings.ts';
import type { Command, Invocation } from './command.ts';
import { commandLogger } from './command-log.ts';
import { EXIT } from './exit-codes.ts';
import { checkThere, collectInto, describeCollection, GIT_OPTIONS } from './git-collection.ts';
import { openSettings } from './invocation-settings.ts';
import { describeRecorder } from './recorder-notes.ts';
import { start } from './start-command.ts';

/** `lineproof collect git`: collects, archives and ends. */
export const collectCommand: Command = {
  name: 'collect',
  summary: 'Collect a git history (or a folder) into the embedded system, once',
  usage: ['collect git [DIR] [OPTIONS]'],
  options: [
    ...GIT_OPTIONS,
    { name: 'verify', type: 'boolean', help: 'verify the archive at the end; not beside a running start' },
    { name: 'json', type: 'boolean', help: 'print the results as one JSON object' },
  ],
  settings: SETTINGS,
  notes: [
    'Continues where the last collection stopped, and adds nothing twice. What git does not give whole is named in the event, or refused: docs/git.md.',
    'Beside a running start, the events go to a spool in the data folder, which that process takes over and archives.',
    'Exit code 74: it was interrupted; the next collection goes on.',
  ],
  run: async (invocation) => {
    const [kind, ...operands] = invocation.operands;
    if (kind !== 'git') throw new LineproofError('USAGE', 'collect takes git and, if you like, a folder: collect git [DIR]');
    try {
      return await start({ ...invocation, operands, options: { ...invocation.options, collect: 'git', 'until-idle': true } });
    } catch (error) {
      if (!hasCode(error, 'DATA_IN_USE') || invocation.options['verify'] === true) throw error;
      return collectBeside(invocation, resolve(operands[0] ?? '.'));
    }
  },
};

/** Collects into a spool that the process which works on the data folder takes over. */
async function collectBeside(invocation: Invocation, folder: string): Promise<number> {
  const settings = openSettings(invocation);
  const { stdout, stderr, signal } = invocation.terminal;
  checkThere(folder);
  const recorder = await openRecorder(settings, 'collect', commandLogger(settings), prometheusMetrics());
  try {
    const collected = await collectInto(recorder.collector, settings, folder, invocation);
    if (invocation.options['json'] === true)
      stdout.write(`${terminalJson({ collected, interrupted: signal.aborted, spool: recorder.spool ?? null }, 2)}\n`);
    else stdout.write(`${describeCollection(collected)}\n`);
    for (const note of describeRecorder(recorder, settings.data, collected.commits > 0 || collected.source === 'files'))
      stderr.write(`lineproof: ${note}\n`);
    return signal.aborted ? EXIT.io : EXIT.ok;
  } finally {
    await recorder.close();
  }
}
