import { hostname } from 'node:os';
import { integer, keyOrPath, list, oneOf, path, required, secretSetting, setting, text, type ValuesOf } from './setting.ts';

const SWITCH = oneOf('off', 'on');

/** Every setting of the services on Kafka, Redis, a schema registry and S3. docs/settings.md is made from this table. */
export const CLUSTER_SETTINGS = {
  data: setting('data', '.lineproof', {
    type: path,
    unit: 'folder',
    reason:
      'holds the data that this process keeps: derived state (services), events not sent yet (emit and resubmit), and the keys, unless the setting keys names another folder',
  }),
  keys: setting('keys', '', {
    type: path,
    unit: 'folder',
    reason: 'key files of this process: chainer.key, log-<shard>.key or collector.key; if empty, the folder keys below data',
  }),
  rootKey: setting('rootKey', '', {
    type: keyOrPath,
    unit: 'key',
    reason:
      'verifier key of the root that signed the first policy, or a file that holds it (@FILE if its path has a +); if empty, the file root.pub in the folder of the keys, if it exists',
  }),
  name: setting('name', hostname(), {
    type: text,
    unit: 'name',
    reason: 'name of this process in its consumer group; keep it the same after a restart',
  }),
  logLevel: setting('logLevel', 'info', {
    type: oneOf('debug', 'info', 'warn', 'error'),
    unit: '',
    reason: 'lowest severity of the lines that are written to stderr',
  }),
  kafkaBrokers: setting('kafkaBrokers', 'localhost:9092', {
    type: list,
    unit: 'host:port',
    reason: 'brokers to connect to first, separated by commas',
  }),
  kafkaTopicPrefix: setting('kafkaTopicPrefix', '', {
    type: text,
    unit: 'name',
    reason: 'prefix of the names of all topics and consumer groups, for several systems on one Kafka cluster',
  }),
  kafkaTls: setting('kafkaTls', 'off', { type: SWITCH, unit: '', reason: 'connects to the brokers by TLS' }),
  kafkaCa: setting('kafkaCa', '', {
    type: path,
    unit: 'file',
    reason: "certificates (PEM) of the authority that signed the brokers' certificates; if empty, the system's authorities count",
  }),
  kafkaCert: setting('kafkaCert', '', { type: path, unit: 'file', reason: 'certificate (PEM) of this client' }),
  kafkaKey: setting('kafkaKey', '', { type: path, unit: 'file', reason: 'private key (PEM) of this client' }),
  kafkaSasl: setting('kafkaSasl', 'none', {
    type: oneOf('none', 'plain', 'scram-sha-256', 'scram-sha-512'),
    unit: '',
    reason: 'SASL mechanism by which this client logs in to the brokers',
  }),
  kafkaUsername: setting('kafkaUsername', '', { type: text, unit: 'name', reason: 'user name for SASL' }),
  kafkaPassword: secretSetting('kafkaPassword', '', 'password for SASL'),
  redisUrl: secretSetting(
    'redisUrl',
    'redis://localhost:6379',
    'URL of the Redis server, redis://HOST:PORT, with user, password and database; redis+sentinel://HOST:PORT,HOST:PORT/NAME asks Sentinels for the primary NAME; redis+cluster://HOST:PORT,HOST:PORT is a Redis Cluster; each with rediss instead of redis is by TLS',
  ),
  redisSentinelPassword: secretSetting('redisSentinelPassword', '', 'password of the Sentinels, if they have one'),
  redisCa: setting('redisCa', '', {
    type: path,
    unit: 'file',
    reason: "certificates (PEM) of the authority that signed the Redis server's certificate; if empty, the system's authorities count",
  }),
  registryUrl: setting('registryUrl', 'http://localhost:8081', {
    type: required('the registry'),
    unit: 'URL',
    reason: 'URL of the schema registry, with the path of the API that Confluent defined',
  }),
  registryUsername: setting('registryUsername', '', { type: text, unit: 'name', reason: 'user name for the schema registry' }),
  registryPassword: secretSetting('registryPassword', '', 'password for the schema registry'),
  registryCa: setting('registryCa', '', {
    type: path,
    unit: 'file',
    reason: "certificates (PEM) of the authority that signed the registry's certificate; if empty, the system's authorities count",
  }),
  s3Bucket: setting('s3Bucket', 'lineproof', { type: required('the bucket'), unit: 'name', reason: 'bucket of the archive' }),
  s3Prefix: setting('s3Prefix', '', {
    type: text,
    unit: 'key',
    reason: 'prefix of all object keys; must end in a slash, for example prod/lineproof/',
  }),
  s3Endpoint: setting('s3Endpoint', '', {
    type: text,
    unit: 'URL',
    reason: 'URL of the S3 server; if empty, AWS; credentials come from the places where AWS tools look for them',
  }),
  s3Region: setting('s3Region', 'us-east-1', { type: text, unit: 'name', reason: 'region of the bucket' }),
  s3PathStyle: setting('s3PathStyle', 'off', {
    type: SWITCH,
    unit: '',
    reason: 'puts the name of the bucket into the path instead of the host name',
  }),
  s3Ca: setting('s3Ca', '', {
    type: path,
    unit: 'file',
    reason: "certificates (PEM) of the authority that signed the S3 server's certificate; if empty, the system's authorities count",
  }),
  chainGroup: setting('chainGroup', 'lineproof-chainer', {
    type: required('the group'),
    unit: 'name',
    reason: 'consumer group of the chainers',
  }),
  archiveGroup: setting('archiveGroup', 'lineproof-archiver', {
    type: required('the group'),
    unit: 'name',
    reason: 'consumer group of the archivers',
  }),
  httpHost: setting('httpHost', '127.0.0.1', {
    type: text,
    unit: 'host',
    reason: 'address on which /metrics, /healthz and /readyz are served',
  }),
  httpPort: setting('httpPort', '9464', {
    type: integer(0, 65_535),
    unit: 'port',
    reason: 'port on which /metrics, /healthz and /readyz are served; 0 takes any free one',
  }),
  lingerMs: setting('lingerMs', '20', { type: integer(0, 60_000), unit: 'ms', reason: 'how long a batch of emit waits for more events' }),
} as const;

/** The effective values. */
export type ClusterSettings = ValuesOf<typeof CLUSTER_SETTINGS>;
/** Name of a setting of the services. */
export type ClusterSettingName = keyof typeof CLUSTER_SETTINGS;
