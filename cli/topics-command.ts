import { checkKafkaTopics, createKafkaTopics, kafkaAdmin, type TopicFinding } from '../adapters/kafka-topics.ts';
import { pinoLogger } from '../adapters/pino-logger.ts';
import { kafkaSettings, topicPartitions } from '../cluster/open-log.ts';
import { openClusterReaders } from '../cluster/readers.ts';
import { hasCode, LineproofError } from '../core/base/errors.ts';
import { TOPICS } from '../core/ports/log.ts';
import type { ClusterSettings } from '../settings/cluster-settings.ts';
import { type Command, type Invocation, stringOption } from './command.ts';
import { clusterSettings, SERVERS } from './command-settings.ts';
import { EXIT } from './exit-codes.ts';
import { loadClusterSettings, namesKeys } from './invocation-settings.ts';

const DEFAULT_SHARDS = 16;
const MAX_SHARDS = 4096;

/** `lineproof topics create|check`. */
export const topicsCommand: Command = {
  name: 'topics',
  summary: 'Create or check the topics on Kafka',
  usage: ['topics create|check [--shards N] [--json] [OPTIONS]'],
  options: [
    {
      name: 'shards',
      type: 'string',
      value: 'N',
      help: `partitions of the topics; never changes (the number of shards in the policy, or ${DEFAULT_SHARDS} before the first)`,
    },
    { name: 'json', type: 'boolean', help: 'print JSON' },
  ],
  ...clusterSettings(['data', 'keys', 'rootKey', 'name', 'logLevel', ...SERVERS.kafka]),
  notes: [
    'Exit code 1: check found a setting with which the services refuse to run.',
    'create leaves existing topics as they are, and checks them.',
  ],
  run: async (invocation: Invocation): Promise<number> => {
    const [action, ...more] = invocation.operands;
    if ((action !== 'create' && action !== 'check') || more.length > 0) throw new LineproofError('USAGE', 'topics takes create or check');
    const loaded = loadClusterSettings(invocation);
    const { values } = loaded;
    const cluster = kafkaAdmin(kafkaSettings(values), pinoLogger(values.logLevel));
    const inPolicy = await policyShards(values, namesKeys(loaded));
    const isNamed = stringOption(invocation, 'shards') !== undefined;
    const shards = isNamed ? shardsOption(invocation) : (inPolicy ?? DEFAULT_SHARDS);
    if (!isNamed && inPolicy === undefined)
      invocation.terminal.stderr.write(`lineproof: there is no policy yet; the topics are compared with ${DEFAULT_SHARDS} shards\n`);
    const topics = topicPartitions(shards);
    const created = action === 'create' ? await createKafkaTopics(cluster, topics) : [];
    const findings = [...againstPolicy(shards, inPolicy), ...(await checkKafkaTopics(cluster, topics))];
    const { stdout } = invocation.terminal;
    if (invocation.options['json'] === true) stdout.write(`${JSON.stringify({ created, findings }, undefined, 2)}\n`);
    else stdout.write(describe(created, findings));
    return findings.some(({ severity }) => severity === 'refuse') ? EXIT.findings : EXIT.ok;
  },
};

/** The number of shards in the policy; undefined if none is published yet. Throws UNAVAILABLE or REFUSED. */
async function policyShards(settings: ClusterSettings, beside: boolean): Promise<number | undefined> {
  const cluster = await openClusterReaders({ ...settings, logLevel: 'error' }, beside);
  try {
    return (await cluster.sources()).policies.latest.policy.shards;
  } catch (error) {
    if (hasCode(error, 'POLICY_INVALID', 'NOT_FOUND')) return undefined;
    throw error;
  } finally {
    await cluster.close();
  }
}

function againstPolicy(shards: number, inPolicy: number | undefined): readonly TopicFinding[] {
  if (inPolicy === undefined || inPolicy === shards) return [];
  const text = `holds a policy of ${inPolicy} shards, and --shards is ${shards}; the number in the policy counts, and never changes`;
  return [{ topic: TOPICS.control, severity: 'refuse', about: 'partitions', text }];
}

/** The number of shards on the command line. Throws USAGE. */
export function shardsOption(invocation: Invocation): number {
  const given = stringOption(invocation, 'shards') ?? String(DEFAULT_SHARDS);
  const shards = Number(given);
  if (!/^\d{1,4}$/.test(given) || shards < 1 || shards > MAX_SHARDS)
    throw new LineproofError('USAGE', `--shards is ${JSON.stringify(given)}: it must be a whole number from 1 to ${MAX_SHARDS}`);
  return shards;
}

function describe(created: readonly string[], findings: readonly TopicFinding[]): string {
  const lines = created.map((topic) => `created  ${topic}`);
  for (const { topic, severity, text } of findings) lines.push(`${severity === 'refuse' ? 'REFUSE ' : 'warning'}  ${topic} ${text}`);
  if (!findings.some(({ severity }) => severity === 'refuse')) lines.push('The topics are as the services need them.');
  return `${lines.join('\n')}\n`;
}
