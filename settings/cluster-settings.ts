import { hostname } from 'node:os';
import { integer, list, oneOf, required, secretSetting, setting, text, type ValuesOf } from './setting.ts';

const SWITCH = oneOf('off', 'on');

/** Every setting of the services on Kafka, Redis, a schema registry and S3. docs/settings.md lists the same; a test compares. */
export const CLUSTER_SETTINGS = {
  data: setting(
    'data',
    '.lineproof',
    'folder',
    text,
    'what this process keeps: of a service derived state, of emit and resubmit events that are not sent yet; and the keys unless keys names another folder',
  ),
  keys: setting(
    'keys',
    '',
    'folder',
    text,
    'key files of this process: chainer.key, log-<shard>.key or collector.key; empty: keys below data',
  ),
  rootKey: setting(
    'rootKey',
    '',
    'key',
    text,
    'verifier key of the root that signed the first policy, or a file that holds it; empty: keys/root.pub if it is there',
  ),
  name: setting('name', hostname(), 'name', text, 'name of this process in its group, the same after a restart'),
  logLevel: setting('logLevel', 'info', '', oneOf('debug', 'info', 'warn', 'error'), 'least severity that is written to stderr'),
  kafkaBrokers: setting('kafkaBrokers', 'localhost:9092', 'host:port', list, 'brokers to begin with, separated by commas'),
  kafkaTopicPrefix: setting(
    'kafkaTopicPrefix',
    '',
    'name',
    text,
    'stands before the names of all topics and groups, where several systems share a cluster',
  ),
  kafkaTls: setting('kafkaTls', 'off', '', SWITCH, 'whether the brokers speak TLS'),
  kafkaCa: setting('kafkaCa', '', 'file', text, "certificates (PEM) of the brokers' authority; empty: the system's"),
  kafkaCert: setting('kafkaCert', '', 'file', text, 'certificate (PEM) of this client'),
  kafkaKey: setting('kafkaKey', '', 'file', text, 'private key (PEM) of this client'),
  kafkaSasl: setting('kafkaSasl', 'none', '', oneOf('none', 'plain', 'scram-sha-256', 'scram-sha-512'), 'how this client proves who it is'),
  kafkaUsername: setting('kafkaUsername', '', 'name', text, 'user name for SASL'),
  kafkaPassword: secretSetting('kafkaPassword', '', 'password for SASL'),
  redisUrl: secretSetting('redisUrl', 'redis://localhost:6379', 'redis:// or rediss:// (TLS), with user, password and database'),
  redisCa: setting('redisCa', '', 'file', text, "certificates (PEM) of the Redis server's authority; empty: the system's"),
  registryUrl: setting(
    'registryUrl',
    'http://localhost:8081',
    'URL',
    required('the registry'),
    'API of the schema registry, as Confluent has it',
  ),
  registryUsername: setting('registryUsername', '', 'name', text, 'user name for the schema registry'),
  registryPassword: secretSetting('registryPassword', '', 'password for the schema registry'),
  registryCa: setting('registryCa', '', 'file', text, "certificates (PEM) of the registry's authority; empty: the system's"),
  s3Bucket: setting('s3Bucket', 'lineproof', 'name', required('the bucket'), 'bucket of the archive'),
  s3Prefix: setting('s3Prefix', '', 'key', text, "stands before the keys of the archive's objects: names that each end in a slash"),
  s3Endpoint: setting('s3Endpoint', '', 'URL', text, 'S3 server; empty: AWS. Credentials come from where AWS tools look for them'),
  s3Region: setting('s3Region', 'us-east-1', 'name', text, 'region of the bucket'),
  s3PathStyle: setting('s3PathStyle', 'off', '', SWITCH, 'whether the bucket stands in the path and not in the host name'),
  s3Ca: setting('s3Ca', '', 'file', text, "certificates (PEM) of the S3 server's authority; empty: the system's"),
  chainGroup: setting('chainGroup', 'lineproof-chainer', 'name', required('the group'), 'consumer group of the chainers'),
  archiveGroup: setting('archiveGroup', 'lineproof-archiver', 'name', required('the group'), 'consumer group of the archivers'),
  httpHost: setting('httpHost', '127.0.0.1', 'host', text, 'where /metrics, /healthz and /readyz are served'),
  httpPort: setting('httpPort', '9464', 'port', integer(0, 65_535), 'port of these; 0: any'),
  lingerMs: setting('lingerMs', '20', 'ms', integer(0, 60_000), 'how long a batch of emit waits for more events'),
} as const;

/** The effective values. */
export type ClusterSettings = ValuesOf<typeof CLUSTER_SETTINGS>;
