import { CLUSTER_SETTINGS, type ClusterSettingName } from '../settings/cluster-settings.ts';
import type { SettingTable } from '../settings/setting.ts';
import type { Command } from './command.ts';

/** The settings by which a command reaches each kind of server. */
export const SERVERS = {
  kafka: [
    'kafkaBrokers',
    'kafkaTopicPrefix',
    'kafkaTls',
    'kafkaCa',
    'kafkaCert',
    'kafkaKey',
    'kafkaSasl',
    'kafkaUsername',
    'kafkaPassword',
  ],
  redis: ['redisUrl', 'redisSentinelPassword', 'redisCa'],
  registry: ['registryUrl', 'registryUsername', 'registryPassword', 'registryCa'],
  s3: ['s3Bucket', 's3Prefix', 's3Endpoint', 's3Region', 's3PathStyle', 's3Ca'],
} as const satisfies Readonly<Record<string, readonly ClusterSettingName[]>>;

/** The settings of a command that looks at a whole cluster from outside. */
export const ONLOOKER = [
  'data',
  'keys',
  'rootKey',
  'name',
  ...SERVERS.kafka,
  ...SERVERS.registry,
  ...SERVERS.s3,
  'chainGroup',
  'archiveGroup',
] as const satisfies readonly ClusterSettingName[];

/** The message of a command that reads a policy by no pinned key. */
export const UNPINNED =
  'no root key is pinned: anybody who can write to the control topic could have made this policy; pin it with --root-key, --keys or --data';

/** The settings of the services with these names, in the order of the table. */
export function clusterTable(names: readonly ClusterSettingName[]): SettingTable {
  const wanted = new Set<string>(names);
  return Object.fromEntries(Object.entries(CLUSTER_SETTINGS).filter(([name]) => wanted.has(name)));
}

/** The settings of a command on a cluster: help lists those that it uses. It takes the others too, so that one list of flags does for all services. */
export function clusterSettings(names: readonly ClusterSettingName[]): Pick<Command, 'settings' | 'unusedSettings'> {
  const settings = clusterTable(names);
  const unused = Object.entries(CLUSTER_SETTINGS).filter(([name]) => !Object.hasOwn(settings, name));
  return { settings, unusedSettings: Object.fromEntries(unused) };
}
