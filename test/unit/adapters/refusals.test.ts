import { createServer, type RequestListener } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { openConfluentSchemaRegistry } from '../../../adapters/confluent-schema-registry.ts';
import { kafkaError } from '../../../adapters/kafka-client.ts';
import { redisError } from '../../../adapters/redis-refusals.ts';
import { REFUSALS, type Refusal, refusalsTables } from '../../../adapters/refusals.ts';
import { s3Error } from '../../../adapters/s3-error.ts';
import { refusingRegistry } from '../../../cluster/open-registry.ts';
import type { LineproofError } from '../../../core/base/errors.ts';
import { CLUSTER_SETTINGS } from '../../../settings/cluster-settings.ts';
import { document } from '../docs/table.ts';

/** The errors of kafkajs as it makes them. */
const load = createRequire(import.meta.url);
const { errorCodes } = load('kafkajs/src/protocol/error.js') as { errorCodes: readonly { type: string; message: string }[] };
const { KafkaJSConnectionError, KafkaJSNumberOfRetriesExceeded, KafkaJSSASLAuthenticationError } = load('kafkajs/src/errors.js') as Record<
  'KafkaJSConnectionError' | 'KafkaJSNumberOfRetriesExceeded' | 'KafkaJSSASLAuthenticationError',
  new (
    error: unknown,
    details?: object,
  ) => Error
>;

/** A failure as the client of a server throws it, by the refusal that it is. */
type Samples = Readonly<Record<string, () => unknown>>;

function withCode(code: string): Error {
  return Object.assign(new Error('the socket ended'), { code });
}

const TLS: Samples = {
  CERTIFICATE_UNTRUSTED: () => withCode('SELF_SIGNED_CERT_IN_CHAIN'),
  CERTIFICATE_NAME: () => withCode('ERR_TLS_CERT_ALTNAME_INVALID'),
  CERTIFICATE_EXPIRED: () => withCode('CERT_HAS_EXPIRED'),
  CERTIFICATE_OWN: () => withCode('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'),
  SPEAKS_PLAINTEXT: () => withCode('ERR_SSL_WRONG_VERSION_NUMBER'),
};

/** As kafkajs gives up: the cause is inside. */
function wrapped(cause: Error): Error {
  return new KafkaJSNumberOfRetriesExceeded(cause, { retryCount: 2, retryTime: 50 });
}

function kafkaTls(name: string): () => unknown {
  const failure = TLS[name]?.() as NodeJS.ErrnoException | undefined;
  return () => wrapped(new KafkaJSConnectionError(String(failure?.message), { broker: 'b:1', code: failure?.code }));
}

function kafkaType(type: string): () => unknown {
  const { message } = errorCodes.find((each) => each.type === type) as { message: string };
  return () => Object.assign(new Error(message), { name: 'KafkaJSProtocolError', type });
}

const KAFKA: Samples = {
  SASL_MECHANISM: () => new KafkaJSSASLAuthenticationError('SASL PLAIN mechanism is not supported by the server'),
  NO_SASL_LISTENER: kafkaType('ILLEGAL_SASL_STATE'),
  SASL_REFUSED: () =>
    wrapped(new KafkaJSSASLAuthenticationError('SASL PLAIN authentication failed: Authentication failed: Invalid username or password')),
  SASL_UNANSWERED: () =>
    new KafkaJSSASLAuthenticationError('SASL SCRAM SHA256 authentication failed: Request SaslAuthenticate(key: 36, version: 1) timed out'),
  ...Object.fromEntries(
    ['CERTIFICATE_UNTRUSTED', 'CERTIFICATE_NAME', 'CERTIFICATE_EXPIRED', 'CERTIFICATE_OWN'].map((name) => [name, kafkaTls(name)]),
  ),
  SPEAKS_PLAINTEXT: kafkaTls('SPEAKS_PLAINTEXT'),
  ...Object.fromEntries(
    Object.keys(REFUSALS.Kafka)
      .filter((name) => errorCodes.some(({ type }) => type === name))
      .map((name) => [name, kafkaType(name)]),
  ),
  GROUP_COORDINATOR_NOT_AVAILABLE: () =>
    Object.assign(new Error('Failed to find group coordinator'), { name: 'KafkaJSGroupCoordinatorNotFound' }),
};

const REDIS: Samples = {
  ...TLS,
  ...Object.fromEntries(
    ['WRONGPASS', 'NOAUTH', 'NOPERM', 'READONLY', 'LOADING', 'MASTERDOWN', 'CLUSTERDOWN', 'TRYAGAIN', 'OOM'].map((word) => [
      word,
      () => new Error(`${word} as Redis words it`),
    ]),
  ),
};

const S3: Samples = {
  ...TLS,
  SPEAKS_TLS: () => Object.assign(new Error('Client sent an HTTP request to an HTTPS server.'), { $metadata: { httpStatusCode: 400 } }),
  ...Object.fromEntries(
    Object.keys(REFUSALS.S3)
      .filter((name) => /[a-z]/.test(name))
      .map((name) => [name, () => Object.assign(new Error('no'), { name, $metadata: { httpStatusCode: 400 } })]),
  ),
};

/** Refusals that no failure of a client shows: a probe finds them, and has tests of its own. */
const PROBED: Readonly<Record<string, readonly string[]>> = { Kafka: ['SASL_LISTENER', 'SPEAKS_TLS'], Redis: ['SPEAKS_TLS'], S3: [] };

const KINDS: readonly [keyof typeof REFUSALS, Samples, (error: unknown) => LineproofError][] = [
  ['Kafka', KAFKA, (error) => kafkaError('ask', error)],
  ['Redis', REDIS, (error) => redisError('ask', error, undefined)],
  ['S3', S3, (error) => s3Error('ask', error)],
];

describe.each(KINDS)('%s', (dependency, samples, translate) => {
  const rows = Object.entries(REFUSALS[dependency] as Readonly<Record<string, Refusal>>);

  test('has a sample of each refusal that its client shows', () => {
    expect([...Object.keys(samples), ...(PROBED[dependency] ?? [])].toSorted()).toEqual(rows.map(([name]) => name).toSorted());
  });

  test.each(rows.filter(([name]) => samples[name] !== undefined))('%s is as the table says', (name, { setting, fact }) => {
    const { code, message, details, retryable } = translate(samples[name]?.());
    expect([message, retryable]).toEqual([`cannot ask: ${fact}`, true]);
    if (setting === undefined) expect([code, details]).toEqual(['UNAVAILABLE', {}]);
    else expect([code, details]).toEqual(['REFUSED', { refusal: `${dependency} ${name}`, setting }]);
  });

  test('what is in no row passes', () => {
    expect(translate(withCode('ECONNREFUSED'))).toMatchObject({ code: 'UNAVAILABLE', details: {} });
  });
});

test('docs/refusals.md has the tables (npm run docs writes them)', () => {
  expect(document('docs/refusals.md').endsWith(`\n${refusalsTables()}`)).toBe(true);
});

test('each setting that a row names is one of the services, or a thing that a server has', () => {
  const named = Object.values(REFUSALS)
    .flatMap((rows) => Object.values(rows as Readonly<Record<string, Refusal>>))
    .flatMap(({ setting }) => setting?.match(/\b(?:kafka|redis|registry|s3)[A-Z]\w*/g) ?? []);
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((name) => !Object.hasOwn(CLUSTER_SETTINGS, name))).toEqual([]);
});

test('of a HEAD, whose answer has no body, 403 is AccessDenied', () => {
  const error = Object.assign(new Error('UnknownError'), { name: 'Unknown', $metadata: { httpStatusCode: 403 } });
  expect(s3Error('ask', error).details['refusal']).toBe('S3 AccessDenied');
});

describe('the registry', () => {
  /** What asking says to a server that answers so. */
  async function answerTo(listener: RequestListener): Promise<LineproofError> {
    const server = createServer(listener).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    const registry = openConfluentSchemaRegistry({ url: `http://127.0.0.1:${port}`, requestTimeoutMs: 2_000 });
    try {
      return await refusingRegistry(() => registry.get(1)).then(
        () => Promise.reject(new Error('it was answered')),
        (error: LineproofError) => error,
      );
    } finally {
      server.close();
    }
  }
  const status =
    (code: number, text = '{}'): RequestListener =>
    (_, response) =>
      void response.writeHead(code, { connection: 'close' }).end(text);

  test.each<[string, RequestListener, string]>([
    ['UNAUTHORISED', status(401), 'REFUSED'],
    ['UNAUTHORISED', status(403), 'REFUSED'],
    ['NOT_A_REGISTRY', status(404, 'no such page'), 'REFUSED'],
    ['SPEAKS_TLS', status(400, 'Client sent an HTTP request to an HTTPS server.\n'), 'REFUSED'],
    ['SPEAKS_TLS', status(400, '<center>The plain HTTP request was sent to HTTPS port</center>'), 'REFUSED'],
    ['', status(429), 'UNAVAILABLE'],
    ['', status(500), 'UNAVAILABLE'],
    ['', status(503), 'UNAVAILABLE'],
    ['', (request) => void request.socket.destroy(), 'UNAVAILABLE'],
  ])('%s: %s', async (refusal, listener, code) => {
    const error = await answerTo(listener);
    expect([error.code, error.details['refusal'] ?? '']).toEqual([code, refusal === '' ? '' : `registry ${refusal}`]);
  });

  test('with TLS on one side only says so', async () => {
    const server = createServer(status(200)).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      const registry = openConfluentSchemaRegistry({ url, requestTimeoutMs: 2_000 });
      await expect(registry.get(1)).rejects.toMatchObject({ code: 'REFUSED', details: { refusal: 'registry SPEAKS_PLAINTEXT' } });
    } finally {
      server.close();
    }
  });
});
