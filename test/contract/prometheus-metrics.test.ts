import { prometheusMetrics } from '../../adapters/prometheus-metrics.ts';
import { metricsContract } from './metrics-contract.ts';

metricsContract('Prometheus', () => {
  const metrics = prometheusMetrics();
  return { metrics, text: () => metrics.text() };
});
