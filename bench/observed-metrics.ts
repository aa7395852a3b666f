import { prometheusMetrics } from '../adapters/prometheus-metrics.ts';
import type { MetricName } from '../core/base/metric-names.ts';
import type { AnyMetrics, Labels } from '../core/ports/metrics.ts';
import type { Attestation } from './system.ts';

/** Keeps the metrics of a system as usual, and learns from them which notes cover which links, and when each note was signed. */
export class ObservedMetrics implements AnyMetrics {
  readonly #kept: AnyMetrics = prometheusMetrics();
  /** Links up to each size of a shard's log, by shard. */
  readonly #links = new Map<string, number>();
  readonly #linksAt = new Map<string, number>();
  readonly #attested: { readonly shard: string; readonly size: number; readonly atMs: number }[] = [];

  /** performance.now() when the last event got its link or its receipt. */
  acceptedAtMs = Number.NaN;

  add(name: MetricName, by: number, labels?: Labels): void {
    this.#kept.add(name, by, labels);
    if (by > 0 && (name === 'lineproof_chainer_links_total' || name === 'lineproof_chainer_receipts_total'))
      this.acceptedAtMs = performance.now();
    if (name !== 'lineproof_chainer_links_total') return;
    const shard = labels?.['shard'] ?? '';
    this.#links.set(shard, (this.#links.get(shard) ?? 0) + by);
  }

  set(name: MetricName, value: number, labels?: Labels): void {
    this.#kept.set(name, value, labels);
    const shard = labels?.['shard'] ?? '';
    if (name === 'lineproof_chainer_size') this.#linksAt.set(`${shard}/${value}`, this.#links.get(shard) ?? 0);
    if (name === 'lineproof_archiver_attested_size' && value > 0) this.#attested.push({ shard, size: value, atMs: performance.now() });
  }

  observe(name: MetricName, value: number, labels?: Labels): void {
    this.#kept.observe(name, value, labels);
  }

  forget(name: MetricName, labels?: Labels): void {
    this.#kept.forget(name, labels);
  }

  attestations(): Attestation[] {
    return this.#attested.flatMap(({ shard, size, atMs }) => {
      const links = this.#linksAt.get(`${shard}/${size}`);
      return links === undefined ? [] : [{ shard: Number(shard), links, atMs }];
    });
  }
}
