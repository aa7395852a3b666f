interface LogLine {
  readonly text: string;
  readonly level: string;
  /** Who writes it. */
  readonly by: string;
  readonly meaning: string;
}

/** Log lines that operators look for. Their texts are kept from version to version; docs/logs.md is made from this table. */
export const LOG_LINES = {
  serviceWaits: {
    text: 'waiting at the start',
    level: 'warn',
    by: 'chain, archive',
    meaning:
      'The service is not ready: it waits for the server that `what` names, and tries again. `reason` says why; `setting` is there if the service ends with exit code 78 should nothing but this refusal come for a minute.',
  },
  serviceGoesOn: {
    text: 'waited for at the start, and there now',
    level: 'info',
    by: 'chain, archive',
    meaning: 'The server that `what` names answers; the start goes on.',
  },
  serviceRejoins: {
    text: 'work on shards ended; joining the group again when it can go on',
    level: 'warn',
    by: 'chain, archive',
    meaning:
      'Membership in the group, or a shard, ended with an error that may pass; `code` and `reason` say which. With DISK_FULL the process stays out until its state folder takes writes: others have its shards.',
  },
  shardRecovered: {
    text: 'shard recovered',
    level: 'info',
    by: 'chainer, archiver',
    meaning: 'The shard is worked on again, from the place that the line names.',
  },
  shardEnded: {
    text: 'shard ended: its log has a final seal',
    level: 'info',
    by: 'chainer',
    meaning: 'The log is closed for good; nothing more is appended to it.',
  },
  shardHolds: {
    text: 'shard holds',
    level: 'error',
    by: 'chainer',
    meaning: 'The shard waits and tries again; `reason` says what it waits for.',
  },
  shardGoesOn: {
    text: 'shard goes on',
    level: 'info',
    by: 'chainer',
    meaning: 'The reason for the wait is gone.',
  },
  shardStopped: {
    text: 'shard stopped',
    level: 'error',
    by: 'chain, archive',
    meaning: 'Work on the shard ended with an error that waiting does not help; `code` is one of errors.md.',
  },
  shardsChanged: {
    text: 'shards changed',
    level: 'info',
    by: 'chain, archive',
    meaning: 'The group gave this process other shards.',
  },
  archiverHolds: {
    text: 'archiver holds',
    level: 'warn, error',
    by: 'archiver',
    meaning: 'The shard is not archived for now; `reason` says why. The level is `error` if the reason is not an unreachable server.',
  },
  witnessFails: {
    text: 'a witness gives no cosignature; asking again',
    level: 'warn',
    by: 'archiver',
    meaning:
      'Said once until the witness cosigns again. `error` is unavailable, refused, conflict (it knows another size than it can), unusable (a wrong answer) or proof; `reason` says more. Nothing but publishing waits, for the time that the policy names.',
  },
  witnessGoesOn: {
    text: 'a witness cosigns again',
    level: 'info',
    by: 'archiver',
    meaning: 'The witness that failed before gave a cosignature that holds.',
  },
  witnessCannotAnswer: {
    text: 'cannot answer a question to the witness',
    level: 'error',
    by: 'witness',
    meaning: 'The state folder or the key cannot be used; `reason` says why. The question was answered with 503, and nothing was cosigned.',
  },
  stampFailed: {
    text: 'no time stamp: asking the authority again later',
    level: 'warn',
    by: 'archiver',
    meaning:
      'The time-stamp authority that `authority` names did not answer, or its answer does not count; `reason` says why. Notes are signed and published all the same.',
  },
  policyInForce: {
    text: 'policy in force',
    level: 'info',
    by: 'chainer',
    meaning: 'The shard judges its input by this version of the policy from now on.',
  },
  policyIgnored: {
    text: 'policy ignored: it is not a valid next version',
    level: 'warn',
    by: 'all that read policies',
    meaning: 'The control topic holds a record that does not continue the policy.',
  },
  schemaIgnored: {
    text: 'schema ignored: it is not an Event schema',
    level: 'warn',
    by: 'all that read schemas',
    meaning: 'The registry holds a schema that no event can have.',
  },
  chainTrimmed: {
    text: 'chain trimmed before it was read: recovering',
    level: 'warn',
    by: 'chainer',
    meaning:
      'The chainer stalled for so long that the archiver trimmed blocks that the chainer had not read. The chainer starts from a newer snapshot.',
  },
  indexRebuilt: {
    text: 'dedup index rebuilt',
    level: 'info',
    by: 'chainer',
    meaning: 'The dedup index was empty or behind, and is filled again from the chain.',
  },
  appendUnconfirmed: {
    text: 'append not confirmed: reading the chain to see what became of it',
    level: 'warn',
    by: 'chainer',
    meaning: 'The log did not answer, or answered with an unexpected offset.',
  },
  laneForked: {
    text: 'lane forked: a replay, or two processes on one spool; the batch is refused and its bytes are kept',
    level: 'error',
    by: 'chainer',
    meaning: 'Two different batches have one number in one lane. Look for a copied spool.',
  },
  clockLeadsLog: {
    text: "shard holds: this clock leads the log's by more than clockSkew",
    level: 'error',
    by: 'chainer',
    meaning: 'Blocks would be dated in the future. Set the clock of this machine or of the brokers; `leadMs` is the difference.',
  },
  clocksDiffer: {
    text: 'shard holds: this clock and the dedup index differ by more than clockSkew',
    level: 'error',
    by: 'chainer',
    meaning: 'One of the two clocks is wrong; `differMs` is the difference. Set the clock of this machine or of Redis.',
  },
  indexForgets: {
    text: 'shard holds: the dedup index may forget',
    level: 'error',
    by: 'chainer',
    meaning: 'Redis is set to evict; `reason` names the setting. The shard goes on once it is corrected.',
  },
  policyMissing: {
    text: 'shard holds: a policy that it needs is not available',
    level: 'error',
    by: 'chainer, archiver',
    meaning: 'A block names a policy version that is not on the control topic yet; `digest` is its digest.',
  },
  schemaMissing: {
    text: 'shard holds: a schema that it needs is not available',
    level: 'error',
    by: 'chainer, archiver',
    meaning: 'A block names an event schema that the registry does not give; `digest` is its digest.',
  },
  logAhead: {
    text: 'log stands in the future: its newest block is dated ahead of this clock by more than clockSkew',
    level: 'error',
    by: 'chainer',
    meaning:
      'Blocks keep that date, and segments do not close by age, until `aheadSeconds` have passed, or until a new policy version is published, which sets the time right.',
  },
  inputTimeLowered: {
    text: 'time of the input log lowered: it leads this clock by more than clockSkew',
    level: 'error',
    by: 'chainer',
    meaning: 'The clocks of the brokers and of this process differ too much.',
  },
  groupJoined: {
    text: 'joined the group',
    level: 'info',
    by: 'chain, archive',
    meaning: 'This process is a member of its consumer group.',
  },
  groupAway: {
    text: 'the group does not answer; trying again',
    level: 'warn',
    by: 'chain, archive',
    meaning:
      'The consumer group did not take this process or its heartbeats six times in a row; `reason` says why the last time. After 10 s without a heartbeat its shards go to others.',
  },
  groupHeard: {
    text: 'the group answers again',
    level: 'info',
    by: 'chain, archive',
    meaning: 'This process is a member of its consumer group again.',
  },
  serving: {
    text: 'serving metrics and health',
    level: 'info',
    by: 'chain, archive',
    meaning: '/metrics, /healthz, and /readyz answer on this host and port.',
  },
  batchSentAgain: {
    text: 'the log did not acknowledge a batch; sending it again',
    level: 'warn',
    by: 'collector',
    meaning: 'The same bytes are sent until the log has acknowledged them. Nothing is lost.',
  },
  signingFailed: {
    text: 'cannot sign a batch; trying again',
    level: 'error',
    by: 'collector',
    meaning: 'The signer does not answer. Events stay in the spool.',
  },
  laneFailed: {
    text: 'a lane failed and goes on',
    level: 'error',
    by: 'collector',
    meaning: 'Sending to one shard failed, but not because of the log. The collector tries again.',
  },
  spoolDamaged: {
    text: 'a stretch of the spool is damaged; what follows it is kept',
    level: 'error',
    by: 'collector',
    meaning:
      'A file of the spool was altered. The records in the stretch are lost. Once all others are sent, the file stays in the folder under the name in `keptAs`.',
  },
  spoolEmpty: {
    text: 'a file of the spool is empty',
    level: 'warn',
    by: 'collector',
    meaning:
      'A crash came before anything was recorded in it, or the disk lost what was. The file stays in the folder under the name in `keptAs`.',
  },
  spoolBatchGivenUp: {
    text: 'a batch of the spool lacks events and is given up; those that are left go under a new epoch',
    level: 'error',
    by: 'collector',
    meaning: 'Events of a batch are missing from the spool, so its signature cannot be used.',
  },
  spoolNotTaken: {
    text: 'the spool closes with records that the disk did not take',
    level: 'error',
    by: 'collector',
    meaning: 'The process ended while the disk refused writes: records that were not acknowledged as durable are lost.',
  },
  settingNotInForce: {
    text: 'setting not in force: the policy of the data folder has another value',
    level: 'warn',
    by: 'start, run, emit, openEmbedded',
    meaning:
      '`setting` was given as `given`, but the policy of the data folder has `inForce`. The first start wrote the policy; `lineproof policy publish --embedded` changes it.',
  },
  spoolNotAdopted: {
    text: 'spool not taken up; trying again later',
    level: 'warn',
    by: 'start',
    meaning: 'The spool of another process cannot be opened now.',
  },
} as const satisfies Readonly<Record<string, LogLine>>;

/** The text of each line, by its name. */
export const LOG: { readonly [N in keyof typeof LOG_LINES]: string } = Object.fromEntries(
  Object.entries(LOG_LINES).map(([name, { text }]) => [name, text]),
) as { readonly [N in keyof typeof LOG_LINES]: string };
