// Writes the tables of docs/ that are made from the code: `npm run docs`. A test holds each of them against the code.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const decisions = new URL('../docs/decisions/', import.meta.url);
const index = new URL('README.md', decisions);
const titles = readdirSync(decisions)
  .filter((file) => /^\d{4}-/.test(file))
  .toSorted()
  .map(
    (file) => `| [${Number(file.slice(0, 4))}](${file}) | ${/^# \d+\. (.+)/.exec(readFileSync(new URL(file, decisions), 'utf8'))?.[1]} |\n`,
  );
writeFileSync(index, `${readFileSync(index, 'utf8').split('| [')[0]}${titles.join('')}`);

const { settingsTable } = await import('../dist/settings/settings-table.js');
const { SETTINGS } = await import('../dist/settings/embedded-settings.js');
const { CLUSTER_SETTINGS } = await import('../dist/settings/cluster-settings.js');

const path = new URL('../docs/settings.md', import.meta.url);
let text = readFileSync(path, 'utf8');
for (const { title, table } of [
  { title: 'Embedded system', table: SETTINGS },
  { title: 'Cluster', table: CLUSTER_SETTINGS },
]) {
  const start = text.indexOf('| name |', text.indexOf(`## ${title}\n`));
  const end = text.slice(start).search(/\n(?!\|)|$(?!\n)/);
  text = `${text.slice(0, start)}${settingsTable(table)}${text.slice(start + end)}`;
}
writeFileSync(path, text);

const { FINDINGS } = await import('../dist/auditor/findings-table.js');

const findings = new URL('../docs/findings.md', import.meta.url);
const rows = Object.entries(FINDINGS).map(
  ([code, { property, severity, meaning, advice }]) =>
    `| \`${code}\` | ${[property].flat().join(', ')} | ${[severity].flat().join(', ')} | ${meaning} | ${advice} |\n`,
);
const before = readFileSync(findings, 'utf8').split('| `')[0];
writeFileSync(findings, `${before}${rows.join('')}`);

const { LOG_LINES } = await import('../dist/core/base/log-lines.js');

const logs = new URL('../docs/logs.md', import.meta.url);
const lines = Object.values(LOG_LINES).map((line) => `| \`${line.text}\` | ${line.level} | ${line.by} | ${line.meaning} |\n`);
writeFileSync(logs, `${readFileSync(logs, 'utf8').split('| `')[0]}${lines.join('')}`);

const { VERDICTS } = await import('../dist/auditor/verdict-words.js');

const verdict = new URL('../docs/verdict.md', import.meta.url);
const words = Object.entries(VERDICTS).map(([word, each]) => `| \`${word}\` | ${each.exitCode} | ${each.meaning} | ${each.advice} |\n`);
const [head, rest] = readFileSync(verdict, 'utf8').split(/(?:\| `.*\n)+/);
writeFileSync(verdict, `${head}${words.join('')}${rest}`);

const { refusalsTables } = await import('../dist/adapters/refusals.js');

const refusals = new URL('../docs/refusals.md', import.meta.url);
writeFileSync(refusals, `${readFileSync(refusals, 'utf8').split('## ')[0]}${refusalsTables()}`);

const { DASHBOARDS, grafanaDashboard } = await import('../infra/monitoring/dashboards.js');

for (const [name, dashboard] of Object.entries(DASHBOARDS))
  writeFileSync(
    new URL(`../infra/monitoring/dashboards/${name}.json`, import.meta.url),
    `${JSON.stringify(grafanaDashboard(name, dashboard), null, 2)}\n`,
  );
