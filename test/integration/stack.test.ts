import { existsSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type EachMessagePayload, Kafka, type KafkaConfig, logLevel, Partitioners } from 'kafkajs';
import { s3Request } from '../../infra/stack/s3-request.js';
import { describeOnStack, type OwnStack, ownStack, STACK_TIMEOUT_MS, type StackSettings, testStack } from '../support/stack.ts';

const TIMEOUT_MS = 180_000;
const TOPIC = 'stack-test';

interface ServerStatus {
  readonly name: string;
  readonly running: boolean;
  readonly answers: boolean;
  readonly pids: readonly number[];
}

/** Processes of a stack as /proc shows them: by command line and folders, not by the mark that the stack itself looks for. */
function processesOf(folder: string): string[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => {
      try {
        return (
          readFileSync(`/proc/${pid}/environ`, 'latin1').includes(folder) || readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(folder)
        );
      } catch {
        return false; // ended meanwhile
      }
    })
    .filter((pid) => Number(pid) !== process.pid);
}

async function status(stack: OwnStack): Promise<{ code: number | null; ok: boolean; servers: readonly ServerStatus[] }> {
  const { code, stdout } = await stack.command('status', '--json');
  return { code, ...JSON.parse(stdout) };
}

function kafka(config: KafkaConfig): Kafka {
  return new Kafka({ clientId: 'stack-test', logLevel: logLevel.NOTHING, retry: { retries: 2 }, ...config });
}

async function createTopic(client: Kafka, topic: string, replicationFactor: number): Promise<void> {
  const admin = client.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: 1, replicationFactor }], waitForLeaders: true });
  await admin.disconnect();
}

async function produce(client: Kafka, topic: string, value: string): Promise<void> {
  const producer = client.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  const [written] = await producer.send({ topic, acks: -1, messages: [{ partition: 0, value }] });
  await producer.disconnect();
  expect(written).toMatchObject({ topicName: topic, errorCode: 0 });
}

/** The first `count` values of a topic. */
async function consume(client: Kafka, topic: string, count: number): Promise<string[]> {
  const consumer = client.consumer({ groupId: `stack-test-${process.pid}-${Math.random()}`, maxWaitTimeInMs: 100 });
  const values: string[] = [];
  try {
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      // A coordinator that is still loading ends the first run, and kafkajs starts another.
      consumer.on('consumer.crash', ({ payload }) => (payload.restart ? undefined : reject(payload.error)));
      const eachMessage = async ({ message }: EachMessagePayload): Promise<void> => {
        values.push(String(message.value));
        if (values.length === count) resolve();
      };
      consumer.run({ eachMessage }).catch(reject);
    });
    return values;
  } finally {
    await consumer.disconnect();
  }
}

/** Sends commands to a Redis, and gives what it answered to the last of them in its own protocol. */
function redis(address: string, commands: readonly string[], caFile?: string): Promise<string> {
  const { hostname, port, password } = new URL(address);
  const to = { host: hostname, port: Number(port) };
  const socket = caFile === undefined ? connect(to) : connectTls({ ...to, servername: hostname, ca: readFileSync(caFile) });
  const lines = [...(password === '' ? [] : [`AUTH ${password}`]), ...commands, 'QUIT'];
  return new Promise((resolve, reject) => {
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    socket.on('error', reject);
    socket.on('close', () =>
      resolve(
        answer
          .replace(/\+OK\r\n$/, '')
          .split('\r\n')
          .slice(-3)
          .join('\r\n'),
      ),
    );
    socket.write(lines.map((line) => `${line}\r\n`).join(''));
  });
}

async function registerSchema(url: string): Promise<{ registered: number; known: number; schema: unknown }> {
  const headers = { 'content-type': 'application/vnd.schemaregistry.v1+json' };
  const body = JSON.stringify({ schema: '{"type":"record","name":"Thing","fields":[]}' });
  const post = await fetch(`${url}/subjects/stack-test-value/versions`, { method: 'POST', headers, body });
  const { id } = (await post.json()) as { id: number };
  const get = await fetch(`${url}/schemas/ids/${id}`);
  return { registered: post.status, known: get.status, schema: JSON.parse(((await get.json()) as { schema: string }).schema) };
}

describeOnStack('a stack with everything', () => {
  let stack: StackSettings;
  beforeAll(async () => {
    stack = await testStack();
  }, STACK_TIMEOUT_MS);

  test('is the same one for every suite that asks', async () => expect(await testStack()).toEqual(stack), TIMEOUT_MS);

  test(
    'Kafka takes a record and gives it back',
    async () => {
      const client = kafka({ brokers: [...stack.kafka.brokers] });
      await createTopic(client, TOPIC, 1);
      await produce(client, TOPIC, 'plain');
      expect(await consume(client, TOPIC, 1)).toEqual(['plain']);
    },
    TIMEOUT_MS,
  );

  test(
    'Kafka makes no topic that nobody created',
    async () => {
      const client = kafka({ brokers: [...stack.kafka.brokers] });
      await expect(produce(client, 'never-created', 'x')).rejects.toThrow('topic-partition');
      const admin = client.admin();
      await admin.connect();
      const topics = await admin.listTopics();
      await admin.disconnect();
      expect(topics).not.toContain('never-created');
    },
    TIMEOUT_MS,
  );

  test.each(['plain', 'scram-sha-256'] as const)(
    'Kafka serves over TLS with %s, and refuses a wrong password',
    async (mechanism) => {
      const { brokers, caFile, plain, scramSha256 } = stack.kafka.secure;
      const login = mechanism === 'plain' ? plain : scramSha256;
      const client = (password: string): Kafka => {
        const sasl = { mechanism, username: login.username, password } as KafkaConfig['sasl'] & object;
        return kafka({ brokers: [...brokers], ssl: { ca: readFileSync(caFile, 'utf8') }, sasl, retry: { retries: 0 } });
      };
      const topic = `stack-test-${mechanism}`;
      await createTopic(client(login.password), topic, 1);
      await produce(client(login.password), topic, mechanism);
      expect(await consume(client(login.password), topic, 1)).toEqual([mechanism]);
      await expect(client('wrong').admin().connect()).rejects.toThrow(/authentication|credentials/i);
    },
    TIMEOUT_MS,
  );

  test('Kafka and Redis with TLS are trusted by the stack’s own CA only', async () => {
    const secure = kafka({ brokers: [...stack.kafka.secure.brokers], ssl: true, retry: { retries: 0 } });
    await expect(secure.admin().connect()).rejects.toThrow(/certificate/);
    const { port } = new URL(stack.redis.secure.url);
    const untrusting = new Promise((_, reject) => connectTls({ host: 'localhost', port: Number(port) }).on('error', reject));
    await expect(untrusting).rejects.toThrow(/certificate/);
  });

  test('the registry takes a schema and gives it back by its id', async () => {
    const schema = { type: 'record', name: 'Thing', fields: [] };
    expect(await registerSchema(stack.registry.url)).toEqual({ registered: 200, known: 200, schema });
  });

  test('S3 stores an object once, and only for clients that know the secret', async () => {
    const path = `/${stack.s3.bucket}/stack-test/${process.pid}`;
    const once = { body: 'content', headers: { 'if-none-match': '*' } };
    expect((await s3Request(stack.s3, 'PUT', path, once)).status).toBe(200);
    expect((await s3Request(stack.s3, 'PUT', path, once)).status).toBe(412);
    expect(await (await s3Request(stack.s3, 'GET', path)).text()).toBe('content');
    expect((await s3Request({ ...stack.s3, secretAccessKey: 'wrong' }, 'GET', path)).status).toBe(403);
  });

  test('the bucket has versions and object lock', async () => {
    const path = `/${stack.s3.bucket}/stack-test/locked-${process.pid}`;
    const headers = { 'x-amz-object-lock-mode': 'GOVERNANCE', 'x-amz-object-lock-retain-until-date': '2999-01-01T00:00:00Z' };
    const put = await s3Request(stack.s3, 'PUT', path, { body: 'content', headers });
    expect([put.status, put.headers.get('x-amz-version-id')]).toEqual([200, expect.any(String)]);
  });

  test('Redis keeps a value, never evicts one, and writes it down', async () => {
    const key = `stack-test:${process.pid}`;
    expect(await redis(stack.redis.url, [`SET ${key} kept`, `GET ${key}`])).toBe('$4\r\nkept\r\n');
    expect(await redis(stack.redis.url, ['CONFIG GET maxmemory-policy'])).toContain('noeviction');
    expect(await redis(stack.redis.url, ['CONFIG GET appendonly'])).toContain('yes');
  });

  test('the Redis with TLS answers with its password, and not without', async () => {
    const { url, caFile } = stack.redis.secure;
    expect(await redis(url, ['PING'], caFile)).toBe('+OK\r\n+PONG\r\n');
    const open = url.replace(/\/\/.*@/, '//');
    expect(await redis(open, ['PING'], caFile)).toContain('NOAUTH');
  });

  test(
    'every server can be reached through its proxy, and no more when the proxy is off',
    async () => {
      const through = stack.toxiproxy;
      const client = kafka({ brokers: [...through.kafka.brokers], retry: { retries: 0 } });
      await createTopic(client, 'stack-test-proxied', 1);
      await produce(client, 'stack-test-proxied', 'proxied');
      expect(await redis(through.redis.url, ['PING'])).toContain('PONG');
      expect((await registerSchema(through.registry.url)).registered).toBe(200);
      expect((await s3Request(through.s3, 'GET', '/')).status).toBe(200);
      const turn = (enabled: boolean): Promise<Response> =>
        fetch(`${through.url}/proxies/kafka-1`, { method: 'POST', body: JSON.stringify({ enabled }) });
      await turn(false);
      await expect(produce(client, 'stack-test-proxied', 'lost')).rejects.toThrow('ECONNREFUSED');
      await turn(true);
      await produce(client, 'stack-test-proxied', 'again');
      expect(await consume(client, 'stack-test-proxied', 2)).toEqual(['proxied', 'again']);
    },
    TIMEOUT_MS,
  );

  test('what holds passwords is readable by its owner only', () => {
    for (const file of [stack.file, stack.file.replace(/json$/, 'env'), stack.kafka.secure.caFile.replace('ca.pem', 'server.key')])
      expect([file, statSync(file).mode & 0o077]).toEqual([file, 0]);
  });
});

describeOnStack('two stacks side by side', () => {
  let one: OwnStack;
  let other: StackSettings;
  beforeAll(async () => {
    other = await testStack();
    one = await ownStack();
  }, STACK_TIMEOUT_MS);
  afterAll(() => one?.release());

  test(
    'a broker killed with −9 shows in status, comes back by up, and still has its records',
    async () => {
      const client = kafka({ brokers: [...one.settings.kafka.brokers], retry: { retries: 5 } });
      await createTopic(client, TOPIC, 1);
      await produce(client, TOPIC, 'before');
      const before = await status(one);
      expect(before).toMatchObject({ code: 0, ok: true });
      const broker = before.servers.find(({ name }) => name === 'kafka-1');
      expect(broker?.pids).toHaveLength(1);
      process.kill(broker?.pids[0] as number, 'SIGKILL');
      const after = await status(one);
      expect(after).toMatchObject({ code: 1, ok: false });
      const { servers } = after;
      expect(servers.filter(({ running, answers }) => !(running && answers)).map(({ name }) => name)).toEqual(['kafka-1']);
      expect(await one.command('up')).toMatchObject({ code: 0 });
      expect(await status(one)).toMatchObject({ code: 0, ok: true });
      expect(await consume(client, TOPIC, 1)).toEqual(['before']);
    },
    TIMEOUT_MS,
  );

  test(
    'down leaves no process of one, and every server of the other answering',
    async () => {
      expect(processesOf(one.folder).length).toBeGreaterThanOrEqual(4);
      expect(await one.command('down')).toMatchObject({ code: 0 });
      expect(processesOf(one.folder)).toEqual([]);
      expect(existsSync(join(one.folder, 'data', 'kafka-1', 'meta.properties'))).toBe(true);
      expect(await status(one)).toMatchObject({ code: 1, ok: false });
      const admin = kafka({ brokers: [...other.kafka.brokers] }).admin();
      await admin.connect();
      expect((await admin.describeCluster()).brokers).toHaveLength(1);
      await admin.disconnect();
      expect(await redis(other.redis.url, ['PING'])).toContain('PONG');
      expect((await fetch(`${other.registry.url}/subjects`)).status).toBe(200);
      expect((await s3Request(other.s3, 'GET', '/')).status).toBe(200);
    },
    TIMEOUT_MS,
  );

  test(
    'reset with other options gives three brokers without the old data, and down ends them all, even without their folder',
    async () => {
      expect(await one.command('up', '--brokers', '3')).toMatchObject({ code: 75, stderr: expect.stringContaining('reset') });
      expect(await one.command('reset', '--brokers', '3')).toMatchObject({ code: 0 });
      const { kafka: settings } = JSON.parse(readFileSync(one.settings.file, 'utf8')) as StackSettings;
      const admin = kafka({ brokers: [...settings.brokers] }).admin();
      await admin.connect();
      const cluster = await admin.describeCluster();
      const topics = await admin.listTopics();
      await admin.disconnect();
      expect([cluster.brokers.length, topics]).toEqual([3, []]);
      const client = kafka({ brokers: [...settings.brokers], retry: { retries: 5 } });
      await createTopic(client, TOPIC, 3);
      await produce(client, TOPIC, 'on three');
      renameSync(one.folder, `${one.folder}-gone`);
      expect(await one.command('down')).toMatchObject({ code: 0 });
      expect(processesOf(one.folder)).toEqual([]);
    },
    TIMEOUT_MS,
  );
});
