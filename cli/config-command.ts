import { LineproofError } from '../core/base/errors.ts';
import { printable, terminalJson, wrapped } from '../core/base/terminal-text.ts';
import { inForce } from '../embedded/fixed-settings.ts';
import { CLUSTER_SETTINGS } from '../settings/cluster-settings.ts';
import { SETTINGS } from '../settings/embedded-settings.ts';
import { describeSettings, type SettingRow } from '../settings/load-settings.ts';
import type { Command, Invocation } from './command.ts';
import { EXIT } from './exit-codes.ts';
import { loadClusterSettings, loadInvocationSettings } from './invocation-settings.ts';

/** `lineproof config`: the value of every setting, where it comes from, and its meaning. */
export const configCommand: Command = {
  name: 'config',
  summary: 'Print the effective settings, secrets masked',
  usage: ['config [--cluster] [--json] [OPTIONS]'],
  options: [
    { name: 'cluster', type: 'boolean', help: 'settings of the services (chain, archive, emit, status …) instead of the embedded system' },
    { name: 'json', type: 'boolean', help: 'print JSON' },
  ],
  settings: { ...CLUSTER_SETTINGS, ...SETTINGS },
  lists: () => true,
  notes: [
    'A flag overrides the environment, the environment overrides the file, the file overrides the default.',
    'The file is the one that --config names, or config.json in the data folder: for the services, only if --data or LINEPROOF_HOME names that folder.',
  ],
  run: async (invocation: Invocation): Promise<number> => {
    if (invocation.operands.length > 0) throw new LineproofError('USAGE', 'config takes no arguments; see lineproof config --help');
    const rows = rowsOf(invocation);
    const { stdout } = invocation.terminal;
    if (invocation.options['json'] === true) {
      stdout.write(`${terminalJson(rows, 2)}\n`);
      return EXIT.ok;
    }
    const width = Math.max(...rows.map(({ name }) => name.length));
    for (const { name, value, source, unit, reason, inForce: fixed } of rows) {
      stdout.write(`${name.padEnd(width)}  ${printable(String(value)).padEnd(30)} ${source}\n`);
      stdout.write(`${wrapped(`    ${reason}${unit === '' ? '' : ` (${unit})`}`, 4).join('\n')}\n`);
      if (fixed !== undefined) stdout.write(`    in force: ${fixed}, which the first start of this data folder fixed\n`);
    }
    return EXIT.ok;
  },
};

/** A row, with the value in force where the data folder has another one. */
interface ConfigRow extends SettingRow {
  readonly inForce?: string | number;
}

function rowsOf(invocation: Invocation): ConfigRow[] {
  if (invocation.options['cluster'] === true) return describeSettings(CLUSTER_SETTINGS, loadClusterSettings(invocation));
  const loaded = loadInvocationSettings(invocation);
  const fixed: Readonly<Record<string, string | number>> = inForce(loaded.values.data);
  return describeSettings(SETTINGS, loaded).map((row) => {
    const value = fixed[row.name];
    return value === undefined || value === row.value ? row : { ...row, inForce: value };
  });
}
