import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { afterEach, beforeAll, expect, test } from '@jest/globals';
import { plaintextKafka, plaintextRedis, type ServerPlace, speaksTls } from '../../../adapters/transport-probe.ts';
import { type Certificates, newCertificates } from '../../support/certificates.ts';

const servers: Server[] = [];
let certificates: Certificates;
beforeAll(async () => {
  certificates = await newCertificates();
}, 60_000);
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listening(server: Server): Promise<ServerPlace> {
  servers.push(server.listen(0, '127.0.0.1'));
  await new Promise((resolve) => server.once('listening', resolve));
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
}

/** A server that answers the first bytes with these, and ends. */
function answering(bytes: Uint8Array): Promise<ServerPlace> {
  return listening(createServer((socket) => void socket.on('error', () => undefined).once('data', () => socket.end(bytes))));
}

test('a server with TLS is told from one without, whatever it asks of its clients, and from none', async () => {
  const { cert, key } = certificates;
  expect(await speaksTls(await listening(createTlsServer({ cert, key })))).toBe(true);
  expect(await speaksTls(await listening(createTlsServer({ cert, key, requestCert: true, rejectUnauthorized: true })))).toBe(true);
  expect(await speaksTls(await answering(Buffer.from('-ERR Protocol error\r\n')))).toBe(false);
  expect(await speaksTls(await answering(new Uint8Array(0)))).toBe(false);
  expect(await speaksTls({ host: '127.0.0.1', port: 1 })).toBe(false);
}, 30_000);

test('only an answer of Kafka is one, and its code tells a login by SASL from none', async () => {
  const answer = (code: number, correlation = 7): Buffer => {
    const bytes = Buffer.alloc(14);
    bytes.writeInt32BE(10, 0);
    bytes.writeInt32BE(correlation, 4);
    bytes.writeInt16BE(code, 8);
    return bytes;
  };
  expect(await plaintextKafka(await answering(answer(33)))).toBe('sasl');
  expect(await plaintextKafka(await answering(answer(34)))).toBe('open');
  expect(await plaintextKafka(await answering(answer(33, 8)))).toBeUndefined();
  expect(await plaintextKafka(await answering(answer(0)))).toBeUndefined();
  expect(await plaintextKafka(await answering(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')))).toBeUndefined();
  expect(await plaintextKafka(await answering(new Uint8Array(3)))).toBeUndefined();
  expect(await plaintextKafka({ host: '127.0.0.1', port: 1 })).toBeUndefined();
}, 30_000);

test('only an answer of Redis is one, with or without a password', async () => {
  for (const text of ['+PONG\r\n', '-NOAUTH Authentication required.\r\n', '-LOADING Redis is loading the dataset in memory\r\n'])
    expect([text, await plaintextRedis(await answering(Buffer.from(text)))]).toEqual([text, true]);
  for (const text of ['', '-ERR unknown command', 'HTTP/1.1 400 Bad Request\r\n'])
    expect([text, await plaintextRedis(await answering(Buffer.from(text)))]).toEqual([text, false]);
}, 30_000);
