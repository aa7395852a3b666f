import type { Command, Invocation } from './command.ts';
import { EXIT } from './exit-codes.ts';
import { loadInvocationSettings } from './invocation-settings.ts';
import { describeSettings } from './settings.ts';

/** `lineproof config`: what every setting is, where it comes from, and why it exists. */
export const configCommand: Command = {
  name: 'config',
  summary: 'Print the effective settings, secrets masked',
  usage: 'config [--json] [OPTIONS]',
  options: [{ name: 'json', type: 'boolean', help: 'print JSON' }],
  settings: true,
  notes: ['A flag comes before the environment, that before the file, that before the default.'],
  run: async (invocation: Invocation): Promise<number> => {
    const rows = describeSettings(loadInvocationSettings(invocation));
    const { stdout } = invocation.terminal;
    if (invocation.options['json'] === true) {
      stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`);
      return EXIT.ok;
    }
    for (const { name, value, source, unit, reason } of rows)
      stdout.write(`${name.padEnd(16)} ${String(value).padEnd(14)} ${source.padEnd(12)} ${reason}${unit === '' ? '' : ` (${unit})`}\n`);
    return EXIT.ok;
  },
};
