import { checkKafkaTopics, createKafkaTopics, kafkaAdmin, type TopicFinding } from '../adapters/kafka-topics.ts';
import { pinoLogger } from '../adapters/pino-logger.ts';
import { kafkaSettings, topicPartitions } from '../cluster/open-log.ts';
import { LineproofError } from '../core/base/errors.ts';
import { type Command, type Invocation, stringOption } from './command.ts';
import { clusterSettings, SERVERS } from './command-settings.ts';
import { EXIT } from './exit-codes.ts';
import { loadClusterSettings } from './invocation-settings.ts';

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
      help: `partitions of the topics, the policy's number of shards, which never changes (${DEFAULT_SHARDS})`,
    },
    { name: 'json', type: 'boolean', help: 'print JSON' },
  ],
  ...clusterSettings(['name', 'logLevel', ...SERVERS.kafka]),
  notes: [
    'Exit code 1: check found a setting with which the services refuse to run.',
    'create leaves existing topics as they are, and checks them.',
  ],
  run: async (invocation: Invocation): Promise<number> => {
    const [action, ...more] = invocation.operands;
    if ((action !== 'create' && action !== 'check') || more.length > 0) throw new LineproofError('USAGE', 'topics takes create or check');
    const { values } = loadClusterSettings(invocation);
    const cluster = kafkaAdmin(kafkaSettings(values), pinoLogger(values.logLevel));
    const topics = topicPartitions(shardsOption(invocation));
    const created = action === 'create' ? await createKafkaTopics(cluster, topics) : [];
    const findings = await checkKafkaTopics(cluster, topics);
    const { stdout } = invocation.terminal;
    if (invocation.options['json'] === true) stdout.write(`${JSON.stringify({ created, findings }, undefined, 2)}\n`);
    else stdout.write(describe(created, findings));
    return findings.some(({ severity }) => severity === 'refuse') ? EXIT.findings : EXIT.ok;
  },
};

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
