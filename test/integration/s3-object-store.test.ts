import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, request, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import {
  CreateBucketCommand,
  GetObjectRetentionCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { S3Settings } from '../../adapters/s3-bucket.ts';
import { checkObjectStore, openS3ObjectStore } from '../../adapters/s3-object-store.ts';
import { utf8, utf8Text } from '../../core/base/bytes.ts';
import type { ObjectStore } from '../../core/ports/object-store.ts';
import { codeOf } from '../contract/contract.ts';
import { objectStoreContract } from '../contract/object-store-contract.ts';
import { newCertificates } from '../support/certificates.ts';
import { describeOnStack, STACK_TIMEOUT_MS, type StackSettings, testStack } from '../support/stack.ts';
import { openFaultyLink } from '../support/toxiproxy.ts';

interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const IN_PARTS = { fromBytes: 6 * 1024 * 1024, partBytes: 5 * 1024 * 1024 };

// Room for a machine that is busy; nothing is asserted about time.
jest.setTimeout(60_000);

let stack: StackSettings;
/** How its S3 is reached, but for the bucket. */
let server: Omit<S3Settings, 'bucket'> & { readonly endpoint: string; readonly credentials: Credentials };
/** A separate client, to see what is stored. */
let direct: S3Client;

async function newBucket(locked = false): Promise<string> {
  const bucket = `lineproof-test-${randomBytes(6).toString('hex')}`;
  await direct.send(new CreateBucketCommand({ Bucket: bucket, ObjectLockEnabledForBucket: locked }));
  return bucket;
}

/** What becomes of one request: passed on (undefined), passed on without its answer coming back, dropped at once, or answered. */
type Fate =
  | undefined
  | 'lose the answer'
  | 'lose the request'
  | 'cut the answer'
  | 'damage'
  | { readonly status: number; readonly code: string };

let bucket: string;
const servers: Server[] = [];
const stores: ObjectStore[] = [];

function open(settings: Partial<S3Settings> = {}): ObjectStore {
  const store = openS3ObjectStore({ ...server, bucket, ...settings });
  stores.push(store);
  return store;
}

function newKey(): string {
  return `objects/${randomBytes(8).toString('hex')}`;
}

describeOnStack('S3', () => {
  beforeAll(async () => {
    stack = await testStack();
    const { endpoint, region, forcePathStyle, accessKeyId, secretAccessKey } = stack.s3;
    server = { endpoint, region, forcePathStyle, credentials: { accessKeyId, secretAccessKey }, requestTimeoutMs: 10_000 };
    direct = new S3Client({ endpoint, region, forcePathStyle, credentials: server.credentials });
    bucket = await newBucket();
  }, STACK_TIMEOUT_MS);
  afterAll(() => direct.destroy());

  objectStoreContract('S3', async () => {
    const settings = { ...server, bucket: await newBucket() };
    return { open: async () => openS3ObjectStore(settings), release: async () => undefined, prefix: 'contract' };
  });

  objectStoreContract(
    'S3, in parts, below a prefix, in a bucket with versions and object lock',
    async () => {
      const settings: S3Settings = {
        ...server,
        bucket: await newBucket(true),
        prefix: 'some/archive/',
        objectLock: { mode: 'GOVERNANCE', days: 1 },
        multipart: IN_PARTS,
      };
      return { open: async () => openS3ObjectStore(settings), release: async () => undefined, prefix: 'contract' };
    },
    {
      'a deleted object is gone from get and list, and can be created again':
        'versitygw judges conditions on the object under a delete marker',
      'deleting a missing object is not an error, also below an object or above one, and harms neither':
        'versitygw fails to delete a key above an object if there are versions',
    },
  );

  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close();
    for (const made of servers.splice(0)) {
      made.close();
      made.closeAllConnections();
      await once(made, 'close');
    }
  });

  describe('an answer that is lost', () => {
    test('to a create that took effect: it says that it was written', async () => {
      const [key, store] = [newKey(), open({ endpoint: await between(fates('PUT', 'lose the answer')) })];
      expect(await store.create(key, utf8('mine'))).toBe(true);
      expect(await textAt(key)).toBe('mine');
      expect(await store.create(key, utf8('mine'))).toBe(false);
    });

    test('to a create that found something else: it says so', async () => {
      const [key, store] = [newKey(), open({ endpoint: await between(fates('PUT', 'lose the answer')) })];
      await open().create(key, utf8('theirs'));
      expect(await store.create(key, utf8('mine'))).toBe(false);
      expect(await textAt(key)).toBe('theirs');
    });

    test('to a create that found the same bytes, written by somebody else: it says so', async () => {
      const [key, store] = [newKey(), open({ endpoint: await between(fates('PUT', 'lose the answer', 'lose the answer')) })];
      await open().create(key, utf8('same'));
      expect(await store.create(key, utf8('same'))).toBe(false);
      expect(await store.replace(key, utf8('same'), undefined)).toBeUndefined();
    });

    test('to a create that never arrived: it is unknown, and may be repeated', async () => {
      const [key, store] = [newKey(), open({ endpoint: await between(fates('PUT', 'lose the request')) })];
      expect(await codeOf(() => store.create(key, utf8('mine')))).toBe('UNAVAILABLE');
      expect(await store.create(key, utf8('mine'))).toBe(true);
    });

    test('to a replacement that took effect: it gives the new tag', async () => {
      const [key, store] = [newKey(), open({ endpoint: await between(fates('PUT', undefined, 'lose the answer')) })];
      const first = await store.replace(key, utf8('one'), undefined);
      const second = await store.replace(key, utf8('two'), first);
      expect([(await open().get(key))?.etag, await textAt(key)]).toEqual([second, 'two']);
      expect(await store.replace(key, utf8('three'), second)).toEqual(expect.any(String));
    });

    test('to a replacement that never arrived: it is unknown; where somebody else replaced meanwhile, it says so', async () => {
      const [key, store] = [newKey(), open({ endpoint: await between(fates('PUT', 'lose the request', 'lose the request')) })];
      const first = await open().replace(key, utf8('one'), undefined);
      expect(await codeOf(() => store.replace(key, utf8('two'), first))).toBe('UNAVAILABLE');
      await open().replace(key, utf8('theirs'), first);
      expect(await store.replace(key, utf8('two'), first)).toBeUndefined();
      expect(await textAt(key)).toBe('theirs');
    });

    test('to the completion of a multipart upload: it says that it was written, once', async () => {
      const large = new Uint8Array(IN_PARTS.fromBytes + 1).fill(7);
      const lost = (asked: IncomingMessage, nth: number): Fate => (asked.method === 'POST' && nth === 2 ? 'lose the answer' : undefined);
      const [key, store] = [newKey(), open({ endpoint: await between(counted('POST', lost)), multipart: IN_PARTS })];
      expect(await store.create(key, large)).toBe(true);
      expect(Buffer.from(large).equals((await store.get(key))?.bytes as Uint8Array)).toBe(true);
      expect(await store.create(key, large)).toBe(false);
      const { Uploads } = await direct.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
      expect((Uploads ?? []).filter(({ Key }) => Key === key)).toEqual([]);
    });
  });

  describe('a server that fails now and then', () => {
    const CONFLICT = { status: 409, code: 'ConditionalRequestConflict' };
    const DOWN = { status: 503, code: 'SlowDown' };

    test('a conflict with another write is tried again, until it is decided', async () => {
      const store = open({ endpoint: await between(fates('PUT', CONFLICT, CONFLICT, undefined, CONFLICT)) });
      const key = newKey();
      expect(await store.create(key, utf8('mine'))).toBe(true);
      expect(await store.create(key, utf8('again'))).toBe(false);
    });

    test('a write that it refuses to take is unknown', async () => {
      const store = open({ endpoint: await between(fates('PUT', DOWN, { status: 500, code: 'InternalError' })) });
      const key = newKey();
      expect(await codeOf(() => store.create(key, utf8('mine')))).toBe('UNAVAILABLE');
      expect(await codeOf(() => store.replace(key, utf8('mine'), undefined))).toBe('UNAVAILABLE');
      expect(await textAt(key)).toBeUndefined();
    });

    test('bytes that were altered on their way are not stored', async () => {
      const store = open({ endpoint: await between(fates('PUT', 'damage')) });
      const key = newKey();
      expect(await codeOf(() => store.create(key, utf8('as it was')))).toBe('UNAVAILABLE');
      expect(await textAt(key)).toBeUndefined();
    });

    test('reads and lists are tried again, also where the answer breaks off', async () => {
      const key = newKey();
      await open().create(key, utf8('there'));
      const store = open({ endpoint: await between(fates('GET', DOWN, 'lose the answer', 'cut the answer')) });
      expect(utf8Text((await store.get(key))?.bytes as Uint8Array)).toBe('there');
      const listing = open({ endpoint: await between(fates('GET', DOWN)) });
      const keys: string[] = [];
      for await (const listed of listing.list(key)) keys.push(listed.key);
      expect(keys).toEqual([key]);
    });

    test('silence is UNAVAILABLE, in the end', async () => {
      const link = await openFaultyLink(stack.toxiproxy.url, server.endpoint);
      const store = open({ endpoint: link.url, requestTimeoutMs: 150 });
      const fault = { type: 'timeout', stream: 'downstream', attributes: { timeout: 0 } } as const;
      const codes = await link.during(fault, () =>
        Promise.all([codeOf(() => store.get('a')), codeOf(() => store.create(newKey(), utf8('x'))), codeOf(() => store.delete('a'))]),
      );
      expect(codes).toEqual(['UNAVAILABLE', 'UNAVAILABLE', 'UNAVAILABLE']);
      await link.release();
    });
  });

  describe('object lock and versions', () => {
    test('what is created is locked for the time that is set, in parts too; what may be replaced is not', async () => {
      const locked = await newBucket(true);
      const store = open({ bucket: locked, objectLock: { mode: 'COMPLIANCE', days: 3 }, multipart: IN_PARTS });
      await store.create('once', utf8('once'));
      await store.create('large', new Uint8Array(IN_PARTS.fromBytes));
      const etag = await store.replace('often', utf8('one'), undefined);
      await store.replace('often', utf8('two'), etag);
      for (const Key of ['once', 'large']) {
        const { Retention } = await direct.send(new GetObjectRetentionCommand({ Bucket: locked, Key }));
        const days = (Number(Retention?.RetainUntilDate) - Date.now()) / 86_400_000;
        expect([Key, Retention?.Mode, Math.round(days)]).toEqual([Key, 'COMPLIANCE', 3]);
      }
      await expect(direct.send(new GetObjectRetentionCommand({ Bucket: locked, Key: 'often' }))).rejects.toThrow();
      const { Versions } = await direct.send(new ListObjectVersionsCommand({ Bucket: locked, Prefix: 'often' }));
      expect(Versions?.length).toBe(2);
    });
  });

  describe('the check at start', () => {
    async function refusal(settings: Partial<S3Settings>): Promise<unknown> {
      return checkObjectStore({ ...server, bucket, ...settings }).then(
        () => 'fine',
        ({ code, message }: { code: string; message: string }) => `${code} ${message}`,
      );
    }

    test('passes on a bucket that keeps its promises, leaves nothing to be listed, and works again', async () => {
      for (const each of [await newBucket(), await newBucket(true)]) {
        expect(await refusal({ bucket: each, prefix: 'a/' })).toBe('fine');
        expect(await refusal({ bucket: each, prefix: 'a/' })).toBe('fine');
        expect((await direct.send(new ListObjectsV2Command({ Bucket: each }))).Contents).toBeUndefined();
      }
      expect(await refusal({ bucket: await newBucket(true), objectLock: { mode: 'GOVERNANCE', days: 1 } })).toBe('fine');
    });

    test('passes where deleting is denied', async () => {
      expect(await refusal({ endpoint: await between(fates('DELETE', { status: 403, code: 'AccessDenied' })) })).toBe('fine');
      const keys: string[] = [];
      for await (const { key } of open().list('')) keys.push(key);
      expect(keys.filter((key) => key.includes('probe'))).toEqual([]);
    });

    test('refuses a server that ignores If-None-Match or If-Match, with what to do', async () => {
      const ignores =
        (header: string) =>
        (asked: IncomingMessage): Fate =>
          asked.headers[header] === undefined ? undefined : { status: 200, code: 'written' };
      expect(await refusal({ endpoint: await between(ignores('if-none-match')) })).toMatch(
        /^CONFIG_INVALID .*ignores If-None-Match.*use a server/,
      );
      expect(await refusal({ endpoint: await between(ignores('if-match')) })).toMatch(/^CONFIG_INVALID .*ignores If-Match.*use a server/);
      const unknown = (asked: IncomingMessage): Fate =>
        asked.headers['if-match'] === undefined ? undefined : { status: 501, code: 'NotImplemented' };
      expect(await refusal({ endpoint: await between(unknown) })).toMatch(/^REFUSED .*conditional writes/);
      const never = (asked: IncomingMessage): Fate =>
        asked.headers['if-match'] === undefined ? undefined : { status: 412, code: 'PreconditionFailed' };
      expect(await refusal({ endpoint: await between(never) })).toMatch(/^CONFIG_INVALID .*refuses If-Match with the right tag/);
    });

    test('refuses wrong credentials and buckets, with what to do, and shows no secret', async () => {
      const wrong = { ...server.credentials, secretAccessKey: 'wr0ng-secret' };
      expect(await refusal({ credentials: wrong })).toMatch(/^REFUSED .*secret of this access key is wrong/);
      expect(await refusal({ credentials: { accessKeyId: 'nobody', secretAccessKey: 'x' } })).toMatch(
        /^REFUSED .*does not know this access key/,
      );
      expect(await refusal({ bucket: 'lineproof-no-such-bucket' })).toMatch(/^REFUSED .*bucket does not exist; create it/);
      expect(await refusal({ objectLock: { mode: 'GOVERNANCE', days: 1 } })).toMatch(/^REFUSED .*has no object lock/);
      const error = await checkObjectStore({ ...server, bucket, credentials: wrong }).catch((each: unknown) => each);
      expect(inspect(error, { depth: 10 })).not.toContain('wr0ng-secret');
    });

    test('says that it does not know where the server is away', async () => {
      const away = await between(() => 'lose the request');
      expect(await refusal({ endpoint: away })).toMatch(/^UNAVAILABLE cannot write /);
    });

    test('refuses settings that are not valid', async () => {
      const wrong: Partial<S3Settings>[] = [
        { endpoint: 'localhost:9000' },
        { prefix: 'no-slash' },
        { prefix: '/' },
        { prefix: 'a//' },
        { tls: { ca: 'x' } },
        { objectLock: { mode: 'GOVERNANCE', days: 0 } },
        { multipart: { fromBytes: 1, partBytes: 1 } },
      ];
      for (const settings of wrong)
        expect([settings, await refusal(settings)]).toEqual([settings, expect.stringMatching(/^CONFIG_INVALID /)]);
    });
  });

  describe('the way to the server', () => {
    test('TLS with a given authority; another is not trusted', async () => {
      const { ca, cert, key } = await newCertificates();
      const url = await between(
        () => undefined,
        (listener) => createTlsServer({ cert, key }, listener),
      );
      const store = open({ endpoint: url, tls: { ca } });
      const name = newKey();
      expect(await store.create(name, utf8('through TLS'))).toBe(true);
      expect(utf8Text((await store.get(name))?.bytes as Uint8Array)).toBe('through TLS');
      const error = await open({ endpoint: url })
        .create(newKey(), utf8('x'))
        .catch((each: unknown) => each);
      expect(error).toMatchObject({ code: 'REFUSED', details: { setting: 's3Ca' }, message: expect.stringMatching(/certificate/) });
    });

    test('credentials come from the environment where none are given', async () => {
      const { credentials, ...settings } = { ...server, bucket };
      const before = { ...process.env };
      try {
        Object.assign(process.env, { AWS_ACCESS_KEY_ID: credentials.accessKeyId, AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey });
        const store = openS3ObjectStore(settings);
        stores.push(store);
        expect(await store.create(newKey(), utf8('x'))).toBe(true);
      } finally {
        process.env = before;
      }
    });

    test('a closed store is UNAVAILABLE', async () => {
      const store = openS3ObjectStore({ ...server, bucket });
      await store.close();
      for (const call of [() => store.get('a'), () => store.create('a', utf8('a')), () => store.delete('a')])
        expect(await codeOf(call)).toBe('UNAVAILABLE');
    });
  });
});

async function textAt(key: string): Promise<string | undefined> {
  const found = await open().get(key);
  return found === undefined ? undefined : utf8Text(found.bytes);
}

/** The fates of the first requests with this method. */
function fates(method: string, ...list: readonly Fate[]): (asked: IncomingMessage) => Fate {
  return counted(method, (_, nth) => list[nth - 1]);
}

function counted(method: string, fate: (asked: IncomingMessage, nth: number) => Fate): (asked: IncomingMessage) => Fate {
  let count = 0;
  return (asked) => (asked.method === method ? fate(asked, ++count) : undefined);
}

/** A place between client and server where requests meet their fates; passes on what it gets, headers and all, so that signatures hold. */
async function between(
  fate: (asked: IncomingMessage) => Fate,
  make: (listener: RequestListener) => Server = createServer,
): Promise<string> {
  const { hostname, port } = new URL(server.endpoint);
  const made = make((asked, answer) => {
    const what = fate(asked);
    if (what === 'lose the request') {
      asked.socket.destroy();
      return;
    }
    if (typeof what === 'object') {
      asked.resume();
      asked.on('end', () => {
        answer.writeHead(what.status, { 'content-type': 'application/xml', etag: '"a tag of its own"' });
        answer.end(what.status === 200 ? '' : `<?xml version="1.0"?><Error><Code>${what.code}</Code><Message>no</Message></Error>`);
      });
      return;
    }
    const forward = request({ hostname, port, path: asked.url, method: asked.method, headers: asked.headers });
    forward.on('error', () => asked.socket.destroy());
    forward.on('response', (from) => {
      const chunks: Buffer[] = [];
      from.on('data', (chunk: Buffer) => chunks.push(chunk));
      from.on('end', () => {
        const body = Buffer.concat(chunks);
        if (what === 'lose the answer') {
          asked.socket.destroy();
          return;
        }
        answer.writeHead(from.statusCode ?? 502, from.headers);
        if (what === 'cut the answer') answer.write(body.subarray(0, 1), () => answer.destroy());
        else answer.end(body);
      });
    });
    const bytes: Buffer[] = [];
    asked.on('data', (chunk: Buffer) => bytes.push(chunk));
    asked.on('end', () => {
      const body = Buffer.concat(bytes);
      if (what === 'damage') body[0] = (body[0] as number) ^ 1;
      forward.end(body);
    });
  });
  servers.push(made);
  made.listen(0, 'localhost');
  await once(made, 'listening');
  return `${make === createServer ? 'http' : 'https'}://localhost:${(made.address() as AddressInfo).port}`;
}
