interface MetricSpec {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds of a histogram's buckets, in the unit of the name. */
  readonly buckets?: readonly number[];
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Every metric that the product exposes; docs/metrics.md explains them and a test compares. */
export const METRICS = {
  lineproof_build_info: { kind: 'gauge', help: 'Always 1; the labels say what runs.', labels: ['version', 'node'] },
  lineproof_collector_recorded_total: { kind: 'counter', help: 'Events taken from callers.', labels: ['importance'] },
  lineproof_collector_dropped_total: { kind: 'counter', help: 'AUXILIARY events dropped because the spool was full.', labels: [] },
  lineproof_collector_refused_total: {
    kind: 'counter',
    help: 'Events refused because the spool was full or the event was not valid.',
    labels: ['reason'],
  },
  lineproof_collector_batches_total: { kind: 'counter', help: 'Batches acknowledged by the log.', labels: [] },
  lineproof_collector_sent_bytes_total: { kind: 'counter', help: 'Bytes of acknowledged batches.', labels: [] },
  lineproof_collector_retries_total: { kind: 'counter', help: 'Appends whose outcome was unknown and that were sent again.', labels: [] },
  lineproof_collector_spool_bytes: {
    kind: 'gauge',
    help: 'Bytes of the spool; a file of it goes when the log has acknowledged all that is in it.',
    labels: [],
  },
  lineproof_collector_spool_limit_bytes: { kind: 'gauge', help: 'Bytes at which the spool is full.', labels: [] },
  lineproof_collector_spool_damaged_total: { kind: 'counter', help: 'Damaged stretches found in the spool.', labels: [] },
  lineproof_collector_clock_offset_seconds: {
    kind: 'gauge',
    help: "Lower bound of how far the local clock is ahead of the log's; negative if it is behind.",
    labels: [],
  },
  lineproof_chainer_blocks_total: { kind: 'counter', help: 'Blocks accepted.', labels: ['shard'] },
  lineproof_chainer_links_total: { kind: 'counter', help: 'Events linked.', labels: ['shard'] },
  lineproof_chainer_inputs_total: {
    kind: 'counter',
    help: 'Input offsets consumed, by outcome.',
    labels: ['shard', 'outcome'],
  },
  lineproof_chainer_receipts_total: {
    kind: 'counter',
    help: 'Events that were not linked, by the outcome in their receipt.',
    labels: ['shard', 'outcome'],
  },
  lineproof_chainer_refused_total: {
    kind: 'counter',
    help: 'Messages, events and unreadable records refused, by the reason that their evidence names.',
    labels: ['shard', 'reason'],
  },
  lineproof_chainer_lost_races_total: { kind: 'counter', help: 'Times another process appended the next block first.', labels: ['shard'] },
  lineproof_chainer_held: {
    kind: 'gauge',
    help: '1 while the chainer holds the shard, by reason; no series while it does not.',
    labels: ['shard', 'reason'],
  },
  lineproof_chainer_size: { kind: 'gauge', help: 'Leaves of the log.', labels: ['shard'] },
  lineproof_chainer_head_lead_seconds: {
    kind: 'gauge',
    help: 'How far the newest block is dated ahead of this clock; 0 if it is not.',
    labels: ['shard'],
  },
  lineproof_chainer_input_lead_seconds: {
    kind: 'gauge',
    help: 'How far the input read last was taken by the input log ahead of this clock; 0 if it was not.',
    labels: ['shard'],
  },
  lineproof_chainer_block_bytes: {
    kind: 'histogram',
    help: 'Size of blocks.',
    labels: ['shard'],
    buckets: [1e3, 1e4, 5e4, 1e5, 2.5e5, 5e5, 7.5e5, 1e6],
  },
  lineproof_archiver_held: {
    kind: 'gauge',
    help: '1 while the archiver holds the shard, by reason; no series while it does not.',
    labels: ['shard', 'reason'],
  },
  lineproof_archiver_verified_size: { kind: 'gauge', help: 'Leaves that the archiver has verified.', labels: ['shard'] },
  lineproof_archiver_attested_size: { kind: 'gauge', help: 'Leaves that the newest signed checkpoint covers.', labels: ['shard'] },
  lineproof_archiver_archived_size: { kind: 'gauge', help: 'Leaves in closed segments.', labels: ['shard'] },
  lineproof_archiver_checkpoint_timestamp_seconds: {
    kind: 'gauge',
    help: 'Time of the newest signed checkpoint, seconds since 1970.',
    labels: ['shard'],
  },
  lineproof_archiver_published_size: {
    kind: 'gauge',
    help: 'Leaves that the newest checkpoint covers which this process published, where witnesses are named.',
    labels: ['shard'],
  },
  lineproof_archiver_quorum_size: {
    kind: 'gauge',
    help: 'Leaves that the newest note with a quorum of witnesses covers.',
    labels: ['shard'],
  },
  lineproof_archiver_quorum_timestamp_seconds: {
    kind: 'gauge',
    help: 'When the newest note got its quorum of witnesses, seconds since 1970.',
    labels: ['shard'],
  },
  lineproof_archiver_witness_errors_total: {
    kind: 'counter',
    help: 'Questions to a witness that gave no cosignature.',
    labels: ['shard', 'witness', 'error'],
  },
  lineproof_archiver_segments_total: { kind: 'counter', help: 'Segments closed.', labels: ['shard'] },
  lineproof_archiver_publish_seconds: {
    kind: 'histogram',
    help: 'Time from new leaves to a signed checkpoint.',
    labels: ['shard'],
    buckets: SECONDS,
  },
  lineproof_witness_questions_total: {
    kind: 'counter',
    help: 'Questions to this witness, by the status of the reply.',
    labels: ['status'],
  },
  lineproof_witness_cosigned_size: {
    kind: 'gauge',
    help: 'Leaves of the newest checkpoint of a log that this witness cosigned.',
    labels: ['log'],
  },
  kafka_consumergroup_current_offset: {
    kind: 'gauge',
    help: 'First offset that the group has not consumed.',
    labels: ['consumergroup', 'topic', 'partition'],
  },
  kafka_consumergroup_lag: {
    kind: 'gauge',
    help: 'Records that the group has not consumed.',
    labels: ['consumergroup', 'topic', 'partition'],
  },
  kafka_consumergroup_lag_seconds: {
    kind: 'gauge',
    help: 'Age of the oldest record that the group has not consumed.',
    labels: ['consumergroup', 'topic', 'partition'],
  },
  lineproof_group_heartbeat_age_seconds: {
    kind: 'gauge',
    help: 'Time since the newest heartbeat was sent that the consumer group answered.',
    labels: ['consumergroup'],
  },
  lineproof_group_commit_wait_seconds: {
    kind: 'gauge',
    help: 'Time for which consumed offsets wait until the consumer group takes them; 0 if none waits.',
    labels: ['consumergroup'],
  },
  lineproof_group_committed_offset: {
    kind: 'gauge',
    help: 'First offset that is not consumed, as the consumer group took it last.',
    labels: ['consumergroup', 'topic', 'partition'],
  },
  kafka_consumergroup_members: { kind: 'gauge', help: 'Processes in the group.', labels: ['consumergroup'] },
} as const satisfies Record<string, MetricSpec>;

export type MetricName = keyof typeof METRICS;
/** Names of the metrics of one kind. */
export type MetricOf<K extends MetricSpec['kind']> = { [N in MetricName]: (typeof METRICS)[N]['kind'] extends K ? N : never }[MetricName];
/** The label values of one series: exactly the labels that the metric declares. */
export type LabelsOf<N extends MetricName> = Readonly<Record<(typeof METRICS)[N]['labels'][number], string>>;
/** Those of `N` that have no labels. */
export type Unlabelled<N extends MetricName> = N extends MetricName
  ? (typeof METRICS)[N]['labels'] extends readonly []
    ? N
    : never
  : never;
