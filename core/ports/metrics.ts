import type { MetricName } from '../base/metric-names.ts';

/** Label values of one series. Never a stream, an id or anything else that grows without bound. */
export type Labels = Readonly<Record<string, string>>;

/**
 * Metrics as Prometheus knows them. Each name is declared once in `core/base/metric-names.ts`, with its labels; another does not compile.
 * Calls are cheap and never throw: what a metric does not take is not counted.
 */
export interface Metrics {
  /** Adds to a counter. */
  add(name: MetricName, by: number, labels?: Labels): void;
  /** Sets a gauge. */
  set(name: MetricName, value: number, labels?: Labels): void;
  /** Observes a value in a histogram, in the unit that the name ends in. */
  observe(name: MetricName, value: number, labels?: Labels): void;
  /** Forgets a gauge's series, for example when a partition was revoked. */
  forget(name: MetricName, labels?: Labels): void;
}
