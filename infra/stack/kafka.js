import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { runOrFail } from './program.js';
import { brokerNumbers, HOST, PLAIN_USER, portOf, SCRAM_USER } from './stack.js';

/** @typedef {import('./stack.js').Stack} Stack */
/** @typedef {import('./server.js').Server} Server */

const CONNECT_MS = 1_000;

/**
 * The brokers, each of which is a controller as well.
 * @param {Stack} stack
 * @param {{ readonly java: string, readonly jars: string }} runtime
 * @returns {Server[]}
 */
export function kafkaServers(stack, runtime) {
  return brokerNumbers(stack.shape).map((number) => {
    const port = portOf(stack, `kafka-${number}`);
    return {
      name: `kafka-${number}`,
      title: 'Kafka broker',
      address: `${HOST}:${port}`,
      prepare: () => prepareBroker(stack, runtime, number),
      check: () => askBroker(port, 1),
      joined: () => askBroker(port, stack.shape.brokers),
    };
  });
}

/**
 * @param {Stack} stack
 * @param {{ readonly java: string, readonly jars: string }} runtime
 * @param {number} number
 */
async function prepareBroker({ folder, ...stack }, { java, jars }, number) {
  const file = join(folder, 'config', `kafka-${number}.properties`);
  const logFolder = join(folder, 'data', `kafka-${number}`);
  const settings = brokerSettings({ folder, ...stack }, number, logFolder);
  writeFileSync(file, settings.map(([key, value]) => `${key}=${value}\n`).join(''), { mode: 0o600 });
  const common = [
    '-XX:+UseSerialGC',
    '-XX:-UsePerfData',
    `-Djava.io.tmpdir=${join(folder, 'tmp')}`,
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
  ];
  const classPath = ['-cp', join(jars, '*')];
  if (!existsSync(join(logFolder, 'meta.properties'))) {
    const scram = stack.shape.secure ? ['--add-scram', `SCRAM-SHA-256=[name=${SCRAM_USER},password=${stack.secrets.kafkaScram}]`] : [];
    const format = ['kafka.tools.StorageTool', 'format', '-t', stack.clusterId, '-c', file, ...scram];
    await runOrFail(`format the storage of kafka-${number}`, java, ['-XX:TieredStopAtLevel=1', ...common, ...classPath, ...format]);
  }
  const heap = stack.shape.brokers === 1 ? '256m' : '192m';
  return { command: java, args: [`-Xms${heap}`, `-Xmx${heap}`, ...common, ...classPath, 'kafka.Kafka', file] };
}

/**
 * Settings of one broker. The session is short so that a broker killed with −9 can join again in 2.5 s instead of 12.
 * @param {Stack} stack
 * @param {number} number
 * @param {string} logFolder
 * @returns {readonly (readonly [string, string | number | boolean])[]}
 */
function brokerSettings(stack, number, logFolder) {
  const { brokers } = stack.shape;
  const safe = Math.min(2, brokers);
  const voters = brokerNumbers(stack.shape).map((n) => `${n}@${HOST}:${portOf(stack, `kafka-${n}-controller`)}`);
  return [
    ['process.roles', 'broker,controller'],
    ['node.id', number],
    ['controller.quorum.voters', voters.join(',')],
    ...listenerSettings(stack, number),
    ['log.dirs', logFolder],
    ['auto.create.topics.enable', false],
    ['default.replication.factor', brokers],
    ['min.insync.replicas', safe],
    ['unclean.leader.election.enable', false],
    ['group.initial.rebalance.delay.ms', 0],
    ['offsets.topic.replication.factor', brokers],
    ['offsets.topic.num.partitions', 4],
    ['transaction.state.log.replication.factor', brokers],
    ['transaction.state.log.min.isr', safe],
    ['transaction.state.log.num.partitions', 4],
    ['share.coordinator.state.topic.replication.factor', brokers],
    ['share.coordinator.state.topic.min.isr', safe],
    ['message.max.bytes', 2_097_152],
    ['replica.fetch.max.bytes', 4_194_304],
    ['log.segment.bytes', 67_108_864],
    ['num.network.threads', 2],
    ['num.io.threads', 4],
    ['background.threads', 2],
    ['num.recovery.threads.per.data.dir', 1],
    ['log.cleaner.dedupe.buffer.size', 33_554_432],
    ['broker.session.timeout.ms', 1_500],
    ['broker.heartbeat.interval.ms', 300],
    ['controller.quorum.election.timeout.ms', 1_000],
    ['controller.quorum.fetch.timeout.ms', 2_000],
  ];
}

/**
 * @param {Stack} stack
 * @param {number} number
 * @returns {readonly (readonly [string, string])[]}
 */
function listenerSettings(stack, number) {
  const { secure, toxiproxy } = stack.shape;
  const port = (/** @type {string} */ purpose) => portOf(stack, `kafka-${number}${purpose}`);
  const listeners = [`PLAINTEXT://${HOST}:${port('')}`];
  const advertised = [...listeners];
  if (secure) listeners.push(`SECURE://${HOST}:${port('-secure')}`);
  if (secure) advertised.push(`SECURE://localhost:${port('-secure')}`);
  if (toxiproxy) listeners.push(`PROXIED://${HOST}:${port('-proxied')}`);
  if (toxiproxy) advertised.push(`PROXIED://${HOST}:${port('-proxy')}`);
  return [
    ['listeners', [...listeners, `CONTROLLER://${HOST}:${port('-controller')}`].join(',')],
    ['advertised.listeners', advertised.join(',')],
    ['inter.broker.listener.name', 'PLAINTEXT'],
    ['controller.listener.names', 'CONTROLLER'],
    ['listener.security.protocol.map', 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,SECURE:SASL_SSL'],
    ...(secure ? secureListener(stack) : []),
  ];
}

/**
 * @param {Stack} stack
 * @returns {readonly (readonly [string, string])[]}
 */
function secureListener({ folder, secrets }) {
  const security = 'org.apache.kafka.common.security';
  return [
    ['listener.name.secure.ssl.keystore.type', 'PEM'],
    ['listener.name.secure.ssl.keystore.location', join(folder, 'tls', 'server-chain.pem')],
    ['listener.name.secure.sasl.enabled.mechanisms', 'PLAIN,SCRAM-SHA-256'],
    [
      'listener.name.secure.plain.sasl.jaas.config',
      `${security}.plain.PlainLoginModule required user_${PLAIN_USER}="${secrets.kafkaPlain}";`,
    ],
    ['listener.name.secure.scram-sha-256.sasl.jaas.config', `${security}.scram.ScramLoginModule required;`],
  ];
}

/**
 * Asks one broker for metadata, which must name a controller and at least this many brokers.
 * @param {number} port
 * @param {number} brokers
 */
async function askBroker(port, brokers) {
  const client = new Kafka({
    clientId: 'lineproof-stack',
    brokers: [`${HOST}:${port}`],
    connectionTimeout: CONNECT_MS,
    requestTimeout: CONNECT_MS,
    retry: { retries: 0 },
    logLevel: logLevel.NOTHING,
  });
  const admin = client.admin();
  try {
    await admin.connect();
    const { brokers: known, controller } = await admin.describeCluster();
    if (known.length < brokers || controller === null) throw new Error(`knows ${known.length} of ${brokers} brokers`);
  } finally {
    await admin.disconnect();
  }
}
