import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { DASHBOARDS } from '../../infra/monitoring/dashboards.js';

/** A rule of infra/monitoring/lineproof.rules.yaml. */
export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** The text of a file of infra/monitoring/. */
export function monitoringFile(name: string): string {
  return readFileSync(new URL(`../../infra/monitoring/${name}`, import.meta.url), 'utf8');
}

/** Every alert, in its order. */
export function alertRules(): readonly AlertRule[] {
  const { groups } = parse(monitoringFile('lineproof.rules.yaml')) as { groups: readonly { rules: readonly AlertRule[] }[] };
  return groups.flatMap(({ rules }) => rules);
}

/** Every query of the dashboards, with the place where it stands. */
export function panelQueries(): readonly { readonly place: string; readonly expr: string }[] {
  return Object.entries(DASHBOARDS).flatMap(([name, { panels }]) =>
    panels.flatMap(({ title, queries }) => queries.map(([expr]) => ({ place: `${name}: ${title}`, expr }))),
  );
}
