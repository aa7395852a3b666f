// One member of a consumer group, for tests that freeze it, kill it, or move its clock. Its argument is JSON: how to reach Kafka, and which group it joins.
// It consumes its shards at 10 messages a second, commits that now and then, and says 10 times a second what it knows. SIGTERM ends it.
import { writeSync } from 'node:fs';
import { openKafkaShardGroup } from '../../adapters/kafka-shard-group.ts';
import { hasCode, messageOf } from '../../core/base/errors.ts';
import type { Logger } from '../../core/ports/logger.ts';

const settings = JSON.parse(process.argv[2] ?? '{}');
const name = String(settings.name);
const logger: Logger = {
  debug: () => undefined,
  info: (message, fields) => process.stderr.write(`${name} ${message} ${JSON.stringify(fields)}\n`),
  warn: (message, fields) => process.stderr.write(`${name} ${message} ${JSON.stringify(fields)}\n`),
  error: (message, fields) => process.stderr.write(`${name} ${message} ${JSON.stringify(fields)}\n`),
  child: () => logger,
};

const group = openKafkaShardGroup({ ...settings, logger });
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
let assigned: ReadonlySet<number> = new Set();
const offsets = new Map<number, number>();
const timer = setInterval(() => {
  for (const shard of assigned) {
    offsets.set(shard, (offsets.get(shard) ?? 0) + 1);
    group.committed(shard, offsets.get(shard) as number);
  }
  const owned = [...assigned].filter((shard) => group.owns(shard));
  const { committed, ...state } = group.state();
  writeSync(1, `${JSON.stringify({ ...state, owned, committed: Object.fromEntries(committed) })}\n`);
}, 100);
try {
  await group.join(async (given) => {
    assigned = given;
  }, stop.signal);
} catch (error) {
  process.stderr.write(`${name} ended: ${messageOf(error)}\n`);
  process.exitCode = hasCode(error, 'CONFIG_INVALID') ? 78 : 70;
}
clearInterval(timer);
