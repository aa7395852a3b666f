import { expect } from '@jest/globals';
import { METRICS, type MetricName } from '../../core/base/metric-names.ts';
import type { AnyMetrics, Labels, Metrics } from '../../core/ports/metrics.ts';
import { contract, type Exceptions } from './contract.ts';

/** Metrics whose exposition can be read. */
export interface MetricsUnderTest {
  readonly metrics: Metrics;
  /** What `/metrics` answers. */
  text(): Promise<string>;
}

type Kind = (typeof METRICS)[MetricName]['kind'];

/** What every {@link Metrics} must do. `open` gives fresh ones. */
export function metricsContract(name: string, open: () => MetricsUnderTest, exceptions: Exceptions = {}): void {
  contract(`Metrics: ${name}`, exceptions, (clause) => {
    clause('every declared metric takes its labels, and is exposed once with its help and kind', async () => {
      const { metrics, text } = open();
      for (const metric of all()) use(metrics, metric, labelsOf(metric));
      const exposed = await text();
      for (const metric of all()) {
        expect(exposed.split(`# HELP ${metric} ${METRICS[metric].help}\n`).length).toBe(2);
        expect(exposed.split(`# TYPE ${metric} ${METRICS[metric].kind}\n`).length).toBe(2);
      }
    });

    clause('a counter adds up, by its labels', async () => {
      const { metrics, text } = open();
      metrics.add('lineproof_chainer_links_total', 2, { shard: '0' });
      metrics.add('lineproof_chainer_links_total', 3, { shard: '0' });
      metrics.add('lineproof_chainer_links_total', 7, { shard: '1' });
      expect(await text()).toContain('lineproof_chainer_links_total{shard="0"} 5\nlineproof_chainer_links_total{shard="1"} 7\n');
    });

    clause('a gauge is set and forgotten, by its labels; forgetting a missing series does no harm', async () => {
      const { metrics, text } = open();
      for (const shard of ['0', '1']) metrics.set('lineproof_chainer_size', 4, { shard });
      metrics.set('lineproof_chainer_size', 3, { shard: '0' });
      metrics.forget('lineproof_chainer_size', { shard: '1' });
      metrics.forget('lineproof_chainer_size', { shard: '2' });
      const exposed = await text();
      expect(exposed).toContain('lineproof_chainer_size{shard="0"} 3\n');
      expect(exposed).not.toContain('shard="1"');
    });

    clause('a histogram counts what it observed into the declared buckets', async () => {
      const { metrics, text } = open();
      for (const value of [0.002, 0.3, 1000]) metrics.observe('lineproof_archiver_publish_seconds', value, { shard: '0' });
      const exposed = await text();
      expect(exposed).toContain('lineproof_archiver_publish_seconds_count{shard="0"} 3\n');
      expect(exposed).toContain('lineproof_archiver_publish_seconds_bucket{le="0.0025",shard="0"} 1\n');
      expect(exposed).toContain('lineproof_archiver_publish_seconds_bucket{le="+Inf",shard="0"} 3\n');
    });

    clause('a label value forges no other line', async () => {
      const { metrics, text } = open();
      metrics.set('lineproof_chainer_size', 1, { shard: '0"} 5\nlineproof_forged_total 1\n# ' });
      for (const line of (await text()).split('\n')) expect(line.startsWith('lineproof_forged_total')).toBe(false);
    });

    clause('no call ever throws: an undeclared name, labels that are not declared, a number that its kind does not take', async () => {
      const { text, ...opened } = open();
      const metrics: AnyMetrics = opened.metrics;
      const odd: Labels[] = [{}, { nonsense: 'x' }, { shard: '0', more: 'x' }];
      for (const metric of ['lineproof_undeclared_total' as MetricName, '' as MetricName, '__proto__' as MetricName, ...all()])
        for (const labels of odd)
          for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
            metrics.add(metric, value, labels);
            metrics.set(metric, value, labels);
            metrics.observe(metric, value, labels);
            metrics.forget(metric, labels);
          }
      expect(await text()).not.toContain('undeclared');
    });
  });
}

function all(): MetricName[] {
  return Object.keys(METRICS) as MetricName[];
}

function labelsOf(metric: MetricName): Labels {
  return Object.fromEntries(METRICS[metric].labels.map((label) => [label, 'value']));
}

function use(metrics: AnyMetrics, metric: MetricName, labels: Labels): void {
  const calls: Record<Kind, () => void> = {
    counter: () => metrics.add(metric, 1, labels),
    gauge: () => metrics.set(metric, 1, labels),
    histogram: () => metrics.observe(metric, 1, labels),
  };
  calls[METRICS[metric].kind]();
}
