import type { LabelsOf, MetricName, MetricOf, Unlabelled } from '../base/metric-names.ts';

/** Label values as an implementation takes them. */
export type Labels = Readonly<Record<string, string>>;

/**
 * Metrics as Prometheus knows them. Each name is declared once in `core/base/metric-names.ts`, with its kind and labels: a call with another
 * kind or other labels does not compile. A label value is never a stream, an id or anything else that grows without bound.
 * Calls are cheap and never throw: a value that the registry behind them refuses is not counted.
 */
export interface Metrics {
  /** Adds to a counter. */
  add<N extends MetricOf<'counter'>>(name: N, by: number, labels: LabelsOf<N>): void;
  add(name: Unlabelled<MetricOf<'counter'>>, by: number): void;
  /** Sets a gauge. */
  set<N extends MetricOf<'gauge'>>(name: N, value: number, labels: LabelsOf<N>): void;
  set(name: Unlabelled<MetricOf<'gauge'>>, value: number): void;
  /** Observes a value in a histogram, in the unit that the name ends in. */
  observe<N extends MetricOf<'histogram'>>(name: N, value: number, labels: LabelsOf<N>): void;
  observe(name: Unlabelled<MetricOf<'histogram'>>, value: number): void;
  /** Forgets a gauge's series, for example when a partition was revoked. */
  forget<N extends MetricOf<'gauge'>>(name: N, labels: LabelsOf<N>): void;
  forget(name: Unlabelled<MetricOf<'gauge'>>): void;
}

/** The same for code whose names come from a list, such as an implementation: it does not count a name or label that {@link Metrics} rules out. */
export interface AnyMetrics {
  add(name: MetricName, by: number, labels?: Labels): void;
  set(name: MetricName, value: number, labels?: Labels): void;
  observe(name: MetricName, value: number, labels?: Labels): void;
  forget(name: MetricName, labels?: Labels): void;
}
