import { flagOf, type Setting, type SettingTable } from './setting.ts';

/** The name of this host is not a default that a document can state. */
const HOST_NAME = 'name';

/** The table of docs/settings.md: a row for each setting, in Markdown. */
export function settingsTable(table: SettingTable): string {
  const rows = Object.values(table).map(
    (each) =>
      `| \`${each.name}\` | \`--${flagOf(each.name)}\` | \`${each.env}\` | ${each.unit || '–'} | ${fallbackOf(each)} | ${meaningOf(each)} |`,
  );
  return ['| name | flag | variable | unit | default | what for |', '| --- | --- | --- | --- | --- | --- |', ...rows].join('\n');
}

function fallbackOf({ name, fallback }: Setting<unknown>): string {
  if (name === HOST_NAME) return 'host name';
  return fallback === '' ? '–' : `\`${fallback}\``;
}

function meaningOf({ reason, type: { choices } }: Setting<unknown>): string {
  const sentence = `${reason.charAt(0).toUpperCase()}${reason.slice(1)}`.replaceAll('<', '\\<');
  if (choices === undefined) return `${sentence}.`;
  const words = choices.map((choice) => `\`${choice}\``);
  return `${sentence}: ${words.slice(0, -1).join(', ')} or ${words.at(-1)}.`;
}
