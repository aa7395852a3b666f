import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { explainDedupIndex, openDedupIndex } from '../../cluster/open-dedup-index.ts';
import { explainLog } from '../../cluster/open-log.ts';
import { checkObjectStore } from '../../cluster/open-object-store.ts';
import { openRegistry, refusingRegistry } from '../../cluster/open-registry.ts';
import { openClusterReaders } from '../../cluster/readers.ts';
import { LineproofError } from '../../core/base/errors.ts';
import { CLUSTER_SETTINGS, type ClusterSettings } from '../../settings/cluster-settings.ts';
import { loadTable } from '../../settings/load-settings.ts';
import { newCertificates } from '../support/certificates.ts';
import { ChainTail, type ClusterService, onCluster, until } from '../support/cluster.ts';
import { linesFile, loadLines } from '../support/cluster-load.ts';
import { temporaryFolder } from '../support/command.ts';
import { type Gate, newGate } from '../support/gate.ts';
import { TestLogger } from '../support/memory.ts';
import { describeOnStack, STACK_TIMEOUT_MS, type StackSettings, testStack } from '../support/stack.ts';

const TIMEOUT_MS = 5 * 60_000;

let stack: StackSettings;

function placeOf(url: string): string {
  return new URL(url).host;
}

async function readiness(service: ClusterService): Promise<string> {
  const [ready, alive] = [await service.get('/readyz'), await service.get('/healthz')];
  return `${alive?.status} ${ready?.status} ${ready?.text}`;
}

async function waitsFor(service: ClusterService, what: string): Promise<void> {
  await until(`${service.name} waits for ${what}`, async () => (await readiness(service)).startsWith(`200 503 waiting for ${what}: `));
}

describeOnStack('services that start', () => {
  beforeAll(async () => {
    stack = await testStack();
  }, STACK_TIMEOUT_MS);

  test(
    'while every server is away wait for each of them, alive and not ready, and go on as they come',
    async () => {
      const { kafka, redis, registry, s3 } = stack;
      const [broker = ''] = kafka.brokers;
      const gates = await Promise.all([broker, placeOf(redis.url), placeOf(registry.url), placeOf(s3.endpoint)].map(newGate));
      const [kafkaGate, redisGate, registryGate, s3Gate] = gates as [Gate, Gate, Gate, Gate];
      await onCluster(stack, { shards: 2 }, async (cluster) => {
        const env = {
          LINEPROOF_KAFKA_BROKERS: kafkaGate.place,
          LINEPROOF_REDIS_URL: `redis://${redisGate.place}`,
          LINEPROOF_REGISTRY_URL: registry.url.replace(placeOf(registry.url), registryGate.place),
          LINEPROOF_S3_ENDPOINT: `http://${s3Gate.place}`,
        };
        const chainer = cluster.startWith(env, 'chain', 'chainer');
        const archiver = cluster.startWith(env, 'archive', 'archiver');
        const stopped = cluster.startWith(env, 'archive', 'stopped');
        for (const service of [chainer, archiver, stopped]) await waitsFor(service, 'Kafka');
        expect(await stopped.end('SIGTERM')).toBe(0);
        await kafkaGate.open();
        await waitsFor(chainer, 'Redis');
        await waitsFor(archiver, 'the registry');
        await redisGate.open();
        await waitsFor(chainer, 'the registry');
        await registryGate.open();
        await waitsFor(archiver, 'the object store');
        // A chainer has no step for it: the shards wait.
        await until('the chainer recovers', async () => (await readiness(chainer)).startsWith('200 503 recovering'));
        await s3Gate.open();
        await Promise.all([chainer.ready(), archiver.ready()]);
        const lines = loadLines(0, 500, 4);
        await cluster.emit('collector', linesFile(join(cluster.folder, 'lines'), lines));
        const tail = new ChainTail(cluster.log, cluster.shards);
        await until('all is linked', async () => (await tail.links()) >= lines.length);
        for (const gate of [redisGate, registryGate, s3Gate]) await gate.shut();
        const more = loadLines(0, 1_000, 4).slice(500);
        await cluster.emit('collector', linesFile(join(cluster.folder, 'more'), more));
        await until('the chainer holds', () => chainer.logged('shard holds').length > 0);
        await until('the archiver holds', () => archiver.logged('archiver holds').length > 0);
        for (const gate of [redisGate, registryGate, s3Gate]) await gate.open();
        await until('the rest is linked', async () => (await tail.links()) >= 1_000);
        await cluster.archived(tail);
        await cluster.mustVerify();
        for (const service of [chainer, archiver]) expect(await service.end('SIGTERM')).toBe(0);
      });
      for (const gate of gates) await gate.shut();
    },
    TIMEOUT_MS,
  );

  test(
    'with a setting that only a person can mend end with 78 and its name after the stated time, and not before',
    () =>
      onCluster(stack, { shards: 1 }, async (cluster) => {
        const wrong: readonly [string, 'chain' | 'archive', NodeJS.ProcessEnv, RegExp][] = [
          [
            'bucket',
            'archive',
            { LINEPROOF_S3_BUCKET: 'lineproof-no-such-bucket' },
            /bucket does not exist.*correct s3Bucket\) \[CONFIG_INVALID]/,
          ],
          ['tls', 'archive', { LINEPROOF_KAFKA_TLS: 'on' }, /speaks no TLS.*correct kafkaTls\) \[CONFIG_INVALID]/],
          [
            'redis',
            'chain',
            { LINEPROOF_REDIS_URL: stack.redis.url.replace('redis:', 'rediss:') },
            /speaks no TLS.*correct redisUrl\) \[CONFIG_INVALID]/,
          ],
        ];
        const begun = performance.now();
        const away = cluster.startWith({ LINEPROOF_KAFKA_BROKERS: '127.0.0.1:1,127.0.0.1:2' }, 'archive', 'away');
        await Promise.all(
          wrong.map(async ([name, command, env, text]) => {
            const service = cluster.startWith(env, command, name);
            expect([name, await service.ended, service.log.trim().split('\n').at(-1)]).toEqual([name, 78, expect.stringMatching(text)]);
            expect(performance.now() - begun).toBeGreaterThan(60_000);
          }),
        );
        // kafkajs alone would have written hundreds.
        const lines = away.log.trim().split('\n');
        expect([lines.length > 5, lines.length < 100]).toEqual([true, true]);
        expect(lines.some((line) => JSON.parse(line).leftOut > 0)).toBe(true);
        expect(await away.end('SIGTERM')).toBe(0);
      }),
    TIMEOUT_MS,
  );
});

describeOnStack('what a real server refuses is told by its row of the table', () => {
  const folder = temporaryFolder('refusals');
  let strangers = '';
  beforeAll(async () => {
    stack = await testStack();
    strangers = join(folder.path, 'strangers.pem');
    writeFileSync(strangers, (await newCertificates()).ca);
    process.env['AWS_ACCESS_KEY_ID'] = stack.s3.accessKeyId;
    process.env['AWS_SECRET_ACCESS_KEY'] = stack.s3.secretAccessKey;
  }, STACK_TIMEOUT_MS);

  function settingsOf(env: NodeJS.ProcessEnv): ClusterSettings {
    return loadTable(CLUSTER_SETTINGS, { flags: {}, env: { LINEPROOF_HOME: folder.path, ...env }, file: undefined }).values;
  }

  /** The refusal of an error, or the code of an error without one. */
  async function told(act: () => Promise<unknown>): Promise<unknown> {
    try {
      await act();
      return 'taken';
    } catch (error) {
      if (!(error instanceof LineproofError)) throw error;
      return error.details['refusal'] ?? error.code;
    }
  }

  async function ofKafka(env: NodeJS.ProcessEnv): Promise<unknown> {
    const settings = settingsOf(env);
    const cluster = await openClusterReaders({ ...settings, logLevel: 'error' });
    try {
      return await told(async () => {
        try {
          await cluster.log.bounds('provenance.control', 0);
        } catch (error) {
          throw (error instanceof LineproofError && error.code === 'UNAVAILABLE' ? await explainLog(settings) : undefined) ?? error;
        }
      });
    } finally {
      await cluster.close();
    }
  }

  test(
    'Kafka',
    async () => {
      const { secure, brokers } = stack.kafka;
      const plain = { LINEPROOF_KAFKA_BROKERS: brokers.join(',') };
      const tls = { LINEPROOF_KAFKA_BROKERS: secure.brokers.join(','), LINEPROOF_KAFKA_TLS: 'on', LINEPROOF_KAFKA_CA: secure.caFile };
      const login = {
        LINEPROOF_KAFKA_SASL: 'plain',
        LINEPROOF_KAFKA_USERNAME: secure.plain.username,
        LINEPROOF_KAFKA_PASSWORD: secure.plain.password,
      };
      const wrong = { LINEPROOF_KAFKA_PASSWORD: 'wrong' };
      expect(await ofKafka({ ...tls, ...login })).toBe('Kafka UNKNOWN_TOPIC_OR_PARTITION');
      expect(await ofKafka({ ...tls, ...login, ...wrong })).toBe('Kafka SASL_REFUSED');
      expect(await ofKafka({ ...tls, ...login, ...wrong, LINEPROOF_KAFKA_SASL: 'scram-sha-256' })).toBe('Kafka SASL_REFUSED');
      expect(await ofKafka({ ...tls, ...login, LINEPROOF_KAFKA_SASL: 'scram-sha-512' })).toBe('Kafka SASL_MECHANISM');
      expect(await ofKafka({ ...tls, ...login, LINEPROOF_KAFKA_CA: strangers })).toBe('Kafka CERTIFICATE_UNTRUSTED');
      const address = secure.brokers.join(',').replaceAll('localhost', '127.0.0.1');
      expect(['Kafka CERTIFICATE_NAME', 'Kafka UNKNOWN_TOPIC_OR_PARTITION']).toContain(
        await ofKafka({ ...tls, ...login, LINEPROOF_KAFKA_BROKERS: address }),
      );
      expect(await ofKafka({ ...plain, LINEPROOF_KAFKA_TLS: 'on' })).toBe('Kafka SPEAKS_PLAINTEXT');
      expect(await ofKafka({ LINEPROOF_KAFKA_BROKERS: secure.brokers.join(',') })).toBe('Kafka SPEAKS_TLS');
      expect(await ofKafka({ ...plain, ...login })).toBe('Kafka NO_SASL_LISTENER');
      expect(await ofKafka({ LINEPROOF_KAFKA_BROKERS: '127.0.0.1:1' })).toBe('UNAVAILABLE');
    },
    TIMEOUT_MS,
  );

  test(
    'Redis',
    async () => {
      const { url, secure } = stack.redis;
      const of = (env: NodeJS.ProcessEnv): Promise<unknown> => {
        const settings = settingsOf(env);
        return told(async () => {
          try {
            await (await openDedupIndex(settings, 'test/refusals', new TestLogger())).close();
          } catch (error) {
            throw (
              (error instanceof LineproofError && error.code === 'UNAVAILABLE' ? await explainDedupIndex(settings) : undefined) ?? error
            );
          }
        });
      };
      const tls = { LINEPROOF_REDIS_URL: secure.url, LINEPROOF_REDIS_CA: secure.caFile };
      expect(await of(tls)).toBe('taken');
      expect(await of({ ...tls, LINEPROOF_REDIS_URL: secure.url.replace(/:[^:@]+@/, ':wrong@') })).toBe('Redis WRONGPASS');
      expect(await of({ ...tls, LINEPROOF_REDIS_URL: secure.url.replace(/\/\/.*@/, '//') })).toBe('Redis NOAUTH');
      expect(await of({ ...tls, LINEPROOF_REDIS_CA: strangers })).toBe('Redis CERTIFICATE_UNTRUSTED');
      expect(await of({ LINEPROOF_REDIS_URL: url.replace('redis:', 'rediss:') })).toBe('Redis SPEAKS_PLAINTEXT');
      expect(await of({ LINEPROOF_REDIS_URL: secure.url.replace('rediss:', 'redis:') })).toBe('Redis SPEAKS_TLS');
      expect(await of({ LINEPROOF_REDIS_URL: 'redis://127.0.0.1:1' })).toBe('UNAVAILABLE');
    },
    TIMEOUT_MS,
  );

  test(
    'the object store and the registry',
    async () => {
      const { endpoint, bucket, region } = stack.s3;
      const of = (env: NodeJS.ProcessEnv): Promise<unknown> => {
        const settings = settingsOf({
          LINEPROOF_S3_ENDPOINT: endpoint,
          LINEPROOF_S3_BUCKET: bucket,
          LINEPROOF_S3_REGION: region,
          LINEPROOF_S3_PATH_STYLE: 'on',
          LINEPROOF_S3_PREFIX: 'refusals/',
          ...env,
        });
        return told(() => checkObjectStore(settings, null));
      };
      expect(await of({})).toBe('taken');
      expect(await of({ LINEPROOF_S3_BUCKET: 'lineproof-no-such-bucket' })).toBe('S3 NoSuchBucket');
      expect(await of({ LINEPROOF_S3_ENDPOINT: endpoint.replace('http:', 'https:') })).toBe('S3 SPEAKS_PLAINTEXT');
      expect(await of({ LINEPROOF_S3_ENDPOINT: 'http://127.0.0.1:1' })).toBe('UNAVAILABLE');
      const registry = (env: NodeJS.ProcessEnv): Promise<unknown> => {
        const open = openRegistry(settingsOf({ LINEPROOF_REGISTRY_URL: stack.registry.url, ...env }));
        return told(() => refusingRegistry(() => open.list('refusals')));
      };
      expect(await registry({})).toBe('taken');
      expect(await registry({ LINEPROOF_REGISTRY_URL: `${stack.registry.url}/not-here` })).toBe('registry NOT_A_REGISTRY');
      expect(await registry({ LINEPROOF_REGISTRY_URL: stack.registry.url.replace('http:', 'https:') })).toBe('registry SPEAKS_PLAINTEXT');
      expect(await registry({ LINEPROOF_REGISTRY_URL: 'http://127.0.0.1:1' })).toBe('UNAVAILABLE');
    },
    TIMEOUT_MS,
  );

  test('a file of authorities that is not PEM is refused before anybody is asked', async () => {
    const file = join(folder.path, 'not.pem');
    writeFileSync(file, 'not PEM');
    const brokers = { LINEPROOF_KAFKA_BROKERS: '127.0.0.1:1' };
    for (const env of [
      { ...brokers, LINEPROOF_KAFKA_TLS: 'on', LINEPROOF_KAFKA_CA: file },
      { ...brokers, LINEPROOF_KAFKA_CA: strangers },
      { ...brokers, LINEPROOF_REGISTRY_URL: 'https://127.0.0.1:1', LINEPROOF_REGISTRY_CA: file },
    ])
      expect(await told(() => openClusterReaders(settingsOf(env)))).toBe('CONFIG_INVALID');
  });
});
