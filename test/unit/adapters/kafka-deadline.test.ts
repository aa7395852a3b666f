import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';
import { type KafkaSettings, kafkaClient, kafkaCluster } from '../../../adapters/kafka-client.ts';
import { KafkaCoordinator } from '../../../adapters/kafka-coordinator.ts';
import { openKafkaLog } from '../../../adapters/kafka-log.ts';
import { TestLogger } from '../../support/memory.ts';

interface Queue extends InstanceType<typeof RequestQueue> {
  push(request: object): void;
}

const TIMEOUT_MS = 300;
const HOUR_MS = 3_600_000;

/** A broker that takes connections and requests, and answers nothing. */
let server: Server;
let sockets: Socket[];
let settings: KafkaSettings;

beforeEach(async () => {
  sockets = [];
  server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const brokers = [`127.0.0.1:${(server.address() as AddressInfo).port}`];
  settings = { brokers, clientId: 'test', topicPrefix: '', tls: false, requestTimeoutMs: TIMEOUT_MS };
});
afterEach(() => {
  jest.restoreAllMocks();
  for (const socket of sockets) socket.destroy();
  server.close();
});

/** Sets the clock back as soon as a request has arrived. */
async function setBack(): Promise<void> {
  while (sockets.every(({ bytesRead }) => bytesRead === 0)) await new Promise((resolve) => setTimeout(resolve, 5));
  turnBack();
}

function turnBack(): void {
  const now = Date.now.bind(Date);
  jest.spyOn(Date, 'now').mockImplementation(() => now() - 2 * HOUR_MS);
}

async function closed(socket: Socket | undefined): Promise<boolean> {
  if (socket?.closed === false) await once(socket, 'close');
  return true;
}

test('a request of the log to a broker that is silent, while the clock is set back, ends in time, and its connection is cut', async () => {
  const log = openKafkaLog(settings, new TestLogger());
  const asked = log.bounds('topic', 0);
  asked.catch(() => undefined);
  await setBack();
  await expect(asked).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining(`no answer within ${TIMEOUT_MS} ms`) });
  expect(await closed(sockets[0])).toBe(true);
  await log.close();
});

test('so does one to the coordinator, and the next one makes a new connection', async () => {
  const cluster = kafkaCluster(kafkaClient(settings, new TestLogger()));
  const coordinator = new KafkaCoordinator(cluster, { groupId: 'g', topic: 't' });
  const ask = (): Promise<unknown> =>
    coordinator.ask({ act: 'join' }, (broker) => broker.heartbeat({ groupId: 'g', groupGenerationId: 1, memberId: 'm' }));
  const asked = ask();
  asked.catch(() => undefined);
  await setBack();
  const used = cluster.brokerPool.seedBroker?.connectionPool;
  await expect(asked).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('no answer within') });
  expect(await closed(sockets[0])).toBe(true);
  // A connection of kafkajs keeps half an answer for the next one: it is not used again.
  expect(cluster.brokerPool.seedBroker?.connectionPool).not.toBe(used);
  const before = sockets.length;
  await expect(ask()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(sockets.length).toBeGreaterThan(before);
  await coordinator.close();
});

test('requests that kafkajs makes inside end in time, also when the clock is set back meanwhile', async () => {
  let checked = (): void => undefined;
  const firstCheck = new Promise<void>((resolve) => {
    checked = resolve;
  });
  const isConnected = (): boolean => {
    checked();
    return true;
  };
  const options = { requestTimeout: TIMEOUT_MS, enforceRequestTimeout: true, isConnected, logger: new TestLogger() };
  const queue = new (RequestQueue as unknown as new (given: object) => Queue)(options);
  queue.scheduleRequestTimeoutCheck();
  try {
    const answered = new Promise((resolve, reject) => {
      const entry = { correlationId: 1, apiKey: 3, apiName: 'Metadata', apiVersion: 6, resolve, reject };
      queue.push({ entry, expectResponse: true, requestTimeout: null, sendRequest: () => undefined });
    });
    answered.catch(() => undefined);
    await firstCheck;
    turnBack();
    await expect(answered).rejects.toMatchObject({ name: 'KafkaJSRequestTimeoutError' });
    expect(queue.inflight.size).toBe(0);
  } finally {
    queue.destroy();
  }
});
