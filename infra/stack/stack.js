import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, StackError } from './stack-error.js';

/**
 * The options of a stack; they do not change until a reset.
 * @typedef {object} Shape
 * @property {number} brokers 1 or 3
 * @property {boolean} secure whether there are a SASL_SSL listener and a Redis with TLS and password
 * @property {boolean} toxiproxy whether every server can also be reached through a proxy that can make faults
 */

/**
 * The facts that a stack's first start decides: identity, ports and passwords. stack.json holds them beside the connection settings.
 * @typedef {object} Stack
 * @property {string} name
 * @property {string} folder
 * @property {Shape} shape
 * @property {string} clusterId
 * @property {Secrets} secrets
 * @property {Readonly<Record<string, number>>} ports by server and purpose
 */

/** @typedef {{ readonly s3: string, readonly kafkaPlain: string, readonly kafkaScram: string, readonly redis: string }} Secrets */

export const HOST = '127.0.0.1';
export const BUCKET = 'lineproof';
export const ACCESS_KEY = 'lineproof';
export const REGION = 'us-east-1';
export const PLAIN_USER = 'plain-user';
export const SCRAM_USER = 'scram-user';

const MODE = 0o600;

/**
 * @param {string} name
 * @param {string} folder
 * @param {Shape} shape
 * @returns {Stack}
 */
export function newStack(name, folder, shape) {
  const secret = () => randomBytes(18).toString('hex');
  const secrets = { s3: secret(), kafkaPlain: secret(), kafkaScram: secret(), redis: secret() };
  return { name, folder, shape, clusterId: newClusterId(), secrets, ports: {} };
}

/** A UUID as Kafka writes it; one that starts with a hyphen would be taken for an option. */
function newClusterId() {
  for (;;) {
    const id = randomBytes(16).toString('base64url');
    if (!id.startsWith('-')) return id;
  }
}

/**
 * The port of a server for a purpose, which must have been reserved.
 * @param {Stack} stack
 * @param {string} name
 */
export function portOf({ ports }, name) {
  const port = ports[name];
  if (port === undefined) throw new StackError(`cannot find the port of ${name} in stack.json; reset the stack`);
  return port;
}

/** @param {Shape} shape */
export function brokerNumbers({ brokers }) {
  return Array.from({ length: brokers }, (_, i) => i + 1);
}

/** @param {string} folder */
export function stackFile(folder) {
  return join(folder, 'stack.json');
}

/**
 * Reads the file of `writeStack`; undefined if no stack was started in this folder.
 * @param {string} folder
 * @returns {Stack | undefined}
 */
export function readStack(folder) {
  const file = stackFile(folder);
  if (!existsSync(file)) return undefined;
  try {
    const { stack } = JSON.parse(readFileSync(file, 'utf8'));
    return { ...stack, folder };
  } catch (error) {
    throw new StackError(`cannot read ${file}: ${messageOf(error)}; reset the stack`);
  }
}

/**
 * Writes stack.json and stack.env, readable by their owner only.
 * @param {Stack} stack
 */
export function writeStack(stack) {
  const settings = connectionSettings(stack);
  replaceFile(stackFile(stack.folder), `${JSON.stringify({ ...settings, stack }, null, 2)}\n`);
  replaceFile(join(stack.folder, 'stack.env'), environmentText(stack));
}

/** @param {string} file @param {string} text */
function replaceFile(file, text) {
  writeFileSync(`${file}.new`, text, { mode: MODE });
  renameSync(`${file}.new`, file);
}

/**
 * The connection settings for clients, as stack.json holds them.
 * @param {Stack} stack
 */
export function connectionSettings(stack) {
  const { shape } = stack;
  return {
    kafka: { brokers: kafkaBrokers(stack, ''), ...(shape.secure ? { secure: secureKafka(stack) } : {}) },
    registry: { url: registryUrl(portOf(stack, 'registry')) },
    s3: s3Settings(stack, 's3'),
    redis: { url: `redis://${HOST}:${portOf(stack, 'redis')}`, ...(shape.secure ? { secure: secureRedis(stack) } : {}) },
    ...(shape.toxiproxy ? { toxiproxy: proxiedSettings(stack) } : {}),
  };
}

/** @param {Stack} stack @param {string} listener @param {string} [host] */
function kafkaBrokers(stack, listener, host = HOST) {
  return brokerNumbers(stack.shape).map((n) => `${host}:${portOf(stack, `kafka-${n}${listener}`)}`);
}

/** TLS endpoints have a host name and not an address: for an address, clients send no server name. @param {Stack} stack */
function secureKafka(stack) {
  return {
    brokers: kafkaBrokers(stack, '-secure', 'localhost'),
    caFile: join(stack.folder, 'tls', 'ca.pem'),
    plain: { username: PLAIN_USER, password: stack.secrets.kafkaPlain },
    scramSha256: { username: SCRAM_USER, password: stack.secrets.kafkaScram },
  };
}

/** @param {Stack} stack */
function secureRedis(stack) {
  const url = `rediss://:${stack.secrets.redis}@localhost:${portOf(stack, 'redis-secure')}`;
  return { url, caFile: join(stack.folder, 'tls', 'ca.pem') };
}

/** @param {number} port */
function registryUrl(port) {
  return `http://${HOST}:${port}/apis/ccompat/v7`;
}

/** @param {Stack} stack @param {string} portName */
function s3Settings(stack, portName) {
  const endpoint = `http://${HOST}:${portOf(stack, portName)}`;
  return { endpoint, region: REGION, accessKeyId: ACCESS_KEY, secretAccessKey: stack.secrets.s3, bucket: BUCKET, forcePathStyle: true };
}

/** The same servers through the proxies; each proxy has its server's name. @param {Stack} stack */
function proxiedSettings(stack) {
  return {
    url: `http://${HOST}:${portOf(stack, 'toxiproxy')}`,
    kafka: { brokers: kafkaBrokers(stack, '-proxy') },
    registry: { url: registryUrl(portOf(stack, 'registry-proxy')) },
    s3: s3Settings(stack, 's3-proxy'),
    redis: { url: `redis://${HOST}:${portOf(stack, 'redis-proxy')}` },
  };
}

/** @param {Stack} stack */
function environmentText(stack) {
  const { kafka, registry, s3, redis } = connectionSettings(stack);
  const variables = {
    LINEPROOF_KAFKA_BROKERS: kafka.brokers.join(','),
    LINEPROOF_REDIS_URL: redis.url,
    LINEPROOF_REGISTRY_URL: registry.url,
    LINEPROOF_S3_ENDPOINT: s3.endpoint,
    LINEPROOF_S3_BUCKET: s3.bucket,
    LINEPROOF_S3_REGION: s3.region,
    LINEPROOF_S3_PATH_STYLE: 'on',
    AWS_REGION: s3.region,
    AWS_ACCESS_KEY_ID: s3.accessKeyId,
    AWS_SECRET_ACCESS_KEY: s3.secretAccessKey,
  };
  return Object.entries(variables)
    .map(([name, value]) => `export ${name}='${value}'\n`)
    .join('');
}
