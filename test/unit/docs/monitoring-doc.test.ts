import { readdirSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { prometheusMetrics } from '../../../adapters/prometheus-metrics.ts';
import { METRICS } from '../../../core/base/metric-names.ts';
import { DASHBOARDS, grafanaDashboard } from '../../../infra/monitoring/dashboards.js';
import { alertRules, monitoringFile, panelQueries } from '../../support/monitoring.ts';
import { document } from './table.ts';

/** Labels that Prometheus adds to every series. */
const SCRAPED = ['instance', 'job'];
const NAME = /\b(?:lineproof|kafka|process|nodejs)_[a-z0-9_]+/g;
const rules = alertRules();
const queries = [...rules.map(({ alert, expr }) => ({ place: alert, expr })), ...panelQueries()];

/** The metric that a series belongs to. */
function metricOf(series: string): string {
  const whole = series.replace(/_(?:bucket|sum|count)$/, '');
  return whole in METRICS && METRICS[whole as keyof typeof METRICS].kind === 'histogram' ? whole : series;
}

/** Names of the metrics of process and runtime, as they are told. */
async function runtimeMetrics(): Promise<ReadonlySet<string>> {
  const metrics = prometheusMetrics();
  metrics.describeProcess();
  return new Set((await metrics.text()).match(/(?<=^# TYPE )\S+/gm));
}

test('the rules have an alert for each section of the runbooks, and a section for each alert', () => {
  const sections = document('docs/runbooks.md').match(/(?<=^### )\S+$/gm) ?? [];
  expect(rules.map(({ alert }) => alert).toSorted()).toEqual(sections.toSorted());
  expect(rules.length).toBeGreaterThan(20);
});

test.each(rules.map((rule) => [rule.alert, rule] as const))('%s: is told with a summary, a description and its runbook', (alert, rule) => {
  expect(['page', 'warn']).toContain(rule.labels['severity']);
  expect(rule.annotations).toEqual({
    summary: expect.stringMatching(/\.$/),
    description: expect.stringMatching(/\.$/),
    runbook_url: `docs/runbooks.md#${alert.toLowerCase()}`,
  });
});

test.each(rules.map(({ alert }) => alert))('%s: its section says what is so, what to look at, what to do, and when it ends', (alert) => {
  const [, section = ''] = document('docs/runbooks.md').split(`### ${alert}\n`);
  const own = section.split(/^##/m)[0] ?? '';
  expect(own).toMatch(/^\n\*\*What is so\.\*\* /);
  expect(own).toMatch(/^\*\*Look at\*\* /m);
  expect(own).toMatch(/^\*\*(?:What to do|Look at\*\* and \*\*what to do)\*\*|^\*\*What to do\.\*\*|^\*\*What to do\*\*,/m);
  expect(own).toMatch(/^\*\*It ends\*\* .+\.\n$/m);
});

test('each alert has a scene in which it fires and is cleared', () => {
  const scenes = monitoringFile('lineproof.rules.test.yaml').match(/(?<=^ {2}- name: )\S+$/gm);
  expect(scenes).toEqual(rules.map(({ alert }) => alert));
});

test.each(queries.map(({ place, expr }) => [place, expr] as const))(
  '%s: each metric exists, with the labels that are asked for',
  async (_, expr) => {
    const runtime = await runtimeMetrics();
    const names = expr.match(NAME) ?? [];
    expect(names.length).toBeGreaterThan(0);
    for (const series of names) {
      const name = metricOf(series);
      expect(runtime).toContain(name);
      const labels: readonly string[] = name in METRICS ? METRICS[name as keyof typeof METRICS].labels : [];
      for (const [, inside = ''] of expr.matchAll(new RegExp(`\\b${series}\\{([^}]*)\\}`, 'g')))
        for (const [, label] of inside.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)) expect([...labels, ...SCRAPED]).toContain(label);
    }
    const known = new Set([
      ...names.flatMap((series) => (METRICS[metricOf(series) as keyof typeof METRICS]?.labels ?? []) as readonly string[]),
      ...SCRAPED,
      'le',
    ]);
    for (const [, list = ''] of expr.matchAll(/\b(?:by|on|group_left) \(([^)]*)\)/g))
      for (const label of list.split(',').map((each) => each.trim())) if (label !== '') expect(known).toContain(label);
  },
);

test('the dashboards are those that their source makes', () => {
  expect(readdirSync(new URL('../../../infra/monitoring/dashboards/', import.meta.url)).toSorted()).toEqual(
    Object.keys(DASHBOARDS)
      .map((name) => `${name}.json`)
      .toSorted(),
  );
  for (const [name, dashboard] of Object.entries(DASHBOARDS))
    expect(JSON.parse(monitoringFile(`dashboards/${name}.json`))).toEqual(JSON.parse(JSON.stringify(grafanaDashboard(name, dashboard))));
});

test('every panel says what it shows', () => {
  for (const { panels } of Object.values(DASHBOARDS))
    for (const { title, description, unit } of panels)
      expect([title, description, unit]).toEqual([expect.anything(), expect.stringMatching(/\.$/), expect.stringMatching(/./)]);
});
