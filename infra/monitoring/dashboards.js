// The Grafana dashboards of this folder, as data: `npm run docs` writes each to dashboards/NAME.json. Grafana imports this classic form and migrates it.

const SHARD = 'shard=~"$shard"';
const INSTANCE = 'instance=~"$instance"';

/**
 * A query of a panel: a PromQL expression, and the legend of its series.
 * @typedef {readonly [expr: string, legend: string]} Query
 * @typedef {{ title: string, unit: string, description: string, queries: readonly Query[] }} Panel
 * @typedef {{ title: string, variable?: { name: string, metric: string, label: string }, panels: readonly Panel[] }} Dashboard
 */

/**
 * A panel: its title, a unit of Grafana, what it shows, and its queries.
 * @param {string} title
 * @param {string} unit
 * @param {string} description
 * @param {Query[]} queries
 * @returns {Panel}
 */
const panel = (title, unit, description, ...queries) => ({ title, unit, description, queries });

/** @type {Readonly<Record<string, Dashboard>>} */
export const DASHBOARDS = {
  pipeline: {
    title: 'Lineproof / Pipeline',
    panels: [
      panel('Events linked per second', 'ops', 'New events in the log, all shards.', [
        'sum(rate(lineproof_chainer_links_total[$__rate_interval]))',
        'linked',
      ]),
      panel(
        'Shards held',
        'none',
        'Shards on which work waits, by reason. Empty is good.',
        ['max by (shard, reason) (lineproof_chainer_held)', 'chainer {{shard}} {{reason}}'],
        ['max by (shard, reason) (lineproof_archiver_held)', 'archiver {{shard}} {{reason}}'],
      ),
      panel('Lag in records', 'short', 'Records that no group member has consumed. Absent where it cannot be measured.', [
        'max by (consumergroup, topic, partition) (kafka_consumergroup_lag)',
        '{{consumergroup}} {{topic}}/{{partition}}',
      ]),
      panel('Lag in seconds', 's', 'Age of the oldest record that waits.', [
        'max by (consumergroup, topic, partition) (kafka_consumergroup_lag_seconds)',
        '{{consumergroup}} {{topic}}/{{partition}}',
      ]),
      panel('Leaves without a checkpoint', 'short', 'In the log, but not covered by a signed note.', [
        'max by (shard) (lineproof_chainer_size) - on (shard) max by (shard) (lineproof_archiver_attested_size)',
        'shard {{shard}}',
      ]),
      panel('Leaves in no closed segment', 'short', 'Only the chain topic holds their events.', [
        'max by (shard) (lineproof_chainer_size) - on (shard) max by (shard) (lineproof_archiver_archived_size)',
        'shard {{shard}}',
      ]),
      panel('Members of the groups', 'none', 'Processes that share the shards.', [
        'max by (consumergroup) (kafka_consumergroup_members)',
        '{{consumergroup}}',
      ]),
      panel('Age of the last heartbeat', 's', 'Above 10 s a process orders nothing.', [
        'lineproof_group_heartbeat_age_seconds',
        '{{instance}} {{consumergroup}}',
      ]),
      panel('Processor time', 'percentunit', 'Share of one processor.', [
        'rate(process_cpu_seconds_total[$__rate_interval]) * on (instance, job) group_left (version) lineproof_build_info',
        '{{instance}} {{version}}',
      ]),
      panel('Resident memory', 'bytes', 'Memory of each process.', [
        'process_resident_memory_bytes * on (instance, job) group_left (version) lineproof_build_info',
        '{{instance}} {{version}}',
      ]),
    ],
  },
  shard: {
    title: 'Lineproof / Shard',
    variable: { name: 'shard', metric: 'lineproof_chainer_size', label: 'shard' },
    panels: [
      panel(
        'Sizes',
        'short',
        'Leaves in the log, verified by the archiver, attested, archived.',
        [`max by (shard) (lineproof_chainer_size{${SHARD}})`, 'log {{shard}}'],
        [`max by (shard) (lineproof_archiver_verified_size{${SHARD}})`, 'verified {{shard}}'],
        [`max by (shard) (lineproof_archiver_attested_size{${SHARD}})`, 'attested {{shard}}'],
        [`max by (shard) (lineproof_archiver_archived_size{${SHARD}})`, 'archived {{shard}}'],
      ),
      panel('Inputs by outcome', 'ops', 'Messages consumed.', [
        `sum by (outcome) (rate(lineproof_chainer_inputs_total{${SHARD}}[$__rate_interval]))`,
        '{{outcome}}',
      ]),
      panel('Blocks per second', 'ops', 'Blocks accepted.', [
        `sum by (shard) (rate(lineproof_chainer_blocks_total{${SHARD}}[$__rate_interval]))`,
        'shard {{shard}}',
      ]),
      panel('Size of blocks, 95th percentile', 'bytes', 'Blocks end at 1 MB.', [
        `histogram_quantile(0.95, sum by (le, shard) (rate(lineproof_chainer_block_bytes_bucket{${SHARD}}[$__rate_interval])))`,
        'shard {{shard}}',
      ]),
      panel('From new leaves to a checkpoint, 99th percentile', 's', 'Time that the archiver needs.', [
        `histogram_quantile(0.99, sum by (le, shard) (rate(lineproof_archiver_publish_seconds_bucket{${SHARD}}[$__rate_interval])))`,
        'shard {{shard}}',
      ]),
      panel(
        'Log ahead of the clock',
        's',
        'Above the policy’s skew, segments do not end by age.',
        [`max by (shard) (lineproof_chainer_head_lead_seconds{${SHARD}})`, 'blocks {{shard}}'],
        [`max by (shard) (lineproof_chainer_input_lead_seconds{${SHARD}})`, 'input {{shard}}'],
      ),
      panel('Lost races', 'ops', 'Now and then when a shard moves; steadily if two chainers own it.', [
        `sum by (shard) (rate(lineproof_chainer_lost_races_total{${SHARD}}[$__rate_interval]))`,
        'shard {{shard}}',
      ]),
      panel('Segments closed', 'short', 'In the last hour.', [
        `sum by (shard) (increase(lineproof_archiver_segments_total{${SHARD}}[1h]))`,
        'shard {{shard}}',
      ]),
    ],
  },
  collector: {
    title: 'Lineproof / Collector',
    variable: { name: 'instance', metric: 'lineproof_collector_spool_bytes', label: 'instance' },
    panels: [
      panel('Events recorded per second', 'ops', 'Taken from callers.', [
        `sum by (instance, importance) (rate(lineproof_collector_recorded_total{${INSTANCE}}[$__rate_interval]))`,
        '{{instance}} {{importance}}',
      ]),
      panel('Spool in use', 'percentunit', 'Share of spoolMaxBytes.', [
        `lineproof_collector_spool_bytes{${INSTANCE}} / lineproof_collector_spool_limit_bytes{${INSTANCE}}`,
        '{{instance}}',
      ]),
      panel('Batches acknowledged per second', 'ops', 'Batches that Kafka took.', [
        `rate(lineproof_collector_batches_total{${INSTANCE}}[$__rate_interval])`,
        '{{instance}}',
      ]),
      panel('Bytes sent per second', 'Bps', 'Bytes of acknowledged batches.', [
        `rate(lineproof_collector_sent_bytes_total{${INSTANCE}}[$__rate_interval])`,
        '{{instance}}',
      ]),
      panel('Batches sent again', 'ops', 'Appends whose outcome was unknown.', [
        `rate(lineproof_collector_retries_total{${INSTANCE}}[$__rate_interval])`,
        '{{instance}}',
      ]),
      panel(
        'Dropped and refused',
        'short',
        'In the last hour: AUXILIARY events dropped, and events refused with an error to the caller.',
        [`increase(lineproof_collector_dropped_total{${INSTANCE}}[1h])`, 'dropped {{instance}}'],
        [`sum by (instance, reason) (increase(lineproof_collector_refused_total{${INSTANCE}}[1h]))`, 'refused {{instance}} {{reason}}'],
      ),
      panel('Clock ahead of the log', 's', 'Lower bound; negative if behind.', [
        `lineproof_collector_clock_offset_seconds{${INSTANCE}}`,
        '{{instance}}',
      ]),
      panel('Damaged stretches of the spool', 'short', 'Found since the start.', [
        `lineproof_collector_spool_damaged_total{${INSTANCE}}`,
        '{{instance}}',
      ]),
    ],
  },
  evidence: {
    title: 'Lineproof / Evidence',
    panels: [
      panel('Age of the checkpoint where leaves wait', 's', 'Nothing is shown for a shard without waiting leaves.', [
        'time() - max by (shard) (lineproof_archiver_checkpoint_timestamp_seconds) and on (shard) max by (shard) (lineproof_chainer_size) > on (shard) max by (shard) (lineproof_archiver_attested_size)',
        'shard {{shard}}',
      ]),
      panel('Refused, by reason', 'short', 'In the last hour. The bytes are on provenance.rejected.', [
        'sum by (shard, reason) (increase(lineproof_chainer_refused_total[1h]))',
        '{{shard}} {{reason}}',
      ]),
      panel('Events that were not linked', 'short', 'In the last hour, by the outcome of their receipt.', [
        'sum by (shard, outcome) (increase(lineproof_chainer_receipts_total[1h]))',
        '{{shard}} {{outcome}}',
      ]),
      panel('Lane forks', 'short', 'Replays, or two processes on copies of one spool, since the start.', [
        'sum by (shard) (lineproof_chainer_refused_total{reason="LANE_FORK"})',
        'shard {{shard}}',
      ]),
      panel('Versions', 'none', 'Processes by version.', ['count by (version, node) (lineproof_build_info)', '{{version}} on {{node}}']),
      panel('Commits that wait', 's', 'While it is above 0, other tools see too much lag.', [
        'lineproof_group_commit_wait_seconds',
        '{{instance}} {{consumergroup}}',
      ]),
    ],
  },
};

const DATASOURCE = { type: 'prometheus', uid: '\u0024{datasource}' };
const [WIDTH, HEIGHT, COLUMNS] = [12, 8, 2];

/** @param {Dashboard} dashboard */
function variables({ variable }) {
  const datasource = { name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Data source' };
  if (variable === undefined) return [datasource];
  const { name, metric, label } = variable;
  const query = `label_values(${metric}, ${label})`;
  return [
    datasource,
    {
      name,
      type: 'query',
      datasource: DATASOURCE,
      query,
      refresh: 2,
      multi: true,
      includeAll: true,
      current: { text: 'All', value: '$__all' },
      sort: 3,
    },
  ];
}

/**
 * A dashboard in Grafana's classic JSON.
 * @param {string} name
 * @param {Dashboard} dashboard
 */
export function grafanaDashboard(name, dashboard) {
  const panels = dashboard.panels.map(({ title, unit, description, queries }, i) => ({
    id: i + 1,
    type: 'timeseries',
    title,
    description,
    datasource: DATASOURCE,
    gridPos: { x: (i % COLUMNS) * WIDTH, y: Math.floor(i / COLUMNS) * HEIGHT, w: WIDTH, h: HEIGHT },
    fieldConfig: { defaults: { unit, min: unit === 's' ? undefined : 0 }, overrides: [] },
    targets: queries.map(([expr, legendFormat], at) => ({
      refId: String.fromCharCode(65 + at),
      datasource: DATASOURCE,
      expr,
      legendFormat,
    })),
  }));
  return {
    id: null,
    uid: `lineproof-${name}`,
    title: dashboard.title,
    tags: ['lineproof'],
    schemaVersion: 39,
    editable: true,
    refresh: '30s',
    time: { from: 'now-6h', to: 'now' },
    templating: { list: variables(dashboard) },
    panels,
  };
}
