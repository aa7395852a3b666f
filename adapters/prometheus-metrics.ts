import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { METRICS } from '../core/base/metric-names.ts';
import type { AnyMetrics, Labels, Metrics } from '../core/ports/metrics.ts';
import { productVersion } from '../platform/product-version.ts';

/** {@link Metrics} with a registry that nothing else uses. */
export interface PrometheusMetrics extends Metrics {
  /** The exposition text that `/metrics` answers. */
  text(): Promise<string>;
  /** From now on the text also has `lineproof_build_info` and the metrics of process and runtime (`process_…`, `nodejs_…`). A second call changes nothing. */
  describeProcess(): void;
}

/** Registers every metric of core/base/metric-names.ts. */
export function prometheusMetrics(): PrometheusMetrics {
  const registry = new Registry();
  const counters = new Map<string, Counter>();
  const gauges = new Map<string, Gauge>();
  const histograms = new Map<string, Histogram>();
  for (const [name, spec] of Object.entries(METRICS)) {
    const config = { name, help: spec.help, labelNames: [...spec.labels], registers: [registry] };
    if (spec.kind === 'counter') counters.set(name, new Counter(config));
    else if (spec.kind === 'gauge') gauges.set(name, new Gauge(config));
    else histograms.set(name, new Histogram('buckets' in spec ? { ...config, buckets: [...spec.buckets] } : config));
  }
  const metrics: AnyMetrics = {
    add: (name, by, labels: Labels = {}) => unharmed(() => counters.get(name)?.inc(labels, by)),
    set: (name, value, labels: Labels = {}) => unharmed(() => gauges.get(name)?.set(labels, value)),
    observe: (name, value, labels: Labels = {}) => unharmed(() => histograms.get(name)?.observe(labels, value)),
    forget: (name, labels: Labels = {}) => unharmed(() => gauges.get(name)?.remove(labels)),
  };
  let described = false;
  const describeProcess = (): void => {
    if (described) return;
    described = true;
    metrics.set('lineproof_build_info', 1, { version: productVersion(), node: process.version });
    collectDefaultMetrics({ register: registry });
  };
  return { ...metrics, text: () => registry.metrics(), describeProcess };
}

/** Metrics never stop the work: a value that prom-client refuses (a label that is not declared, a counter that falls) is not counted. */
function unharmed(call: () => void): void {
  try {
    call();
  } catch {
    // Not counted.
  }
}
