import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { type ConfluentRegistrySettings, openConfluentSchemaRegistry } from '../../adapters/confluent-schema-registry.ts';
import { SCHEMA_TEXTS } from '../../core/avro/schema-texts.ts';
import { canonicalJson } from '../../core/base/jcs.ts';
import { compileEventSchema } from '../../core/formats/event-schema.ts';
import type { SchemaRegistry } from '../../core/ports/schema-registry.ts';
import { codeOf } from '../contract/contract.ts';
import { schemaRegistryContract } from '../contract/schema-registry-contract.ts';
import { type Certificates, newCertificates } from '../support/certificates.ts';
import { EVENT_SCHEMA_V2 } from '../support/event-v2.ts';
import { describeOnStack, STACK_TIMEOUT_MS, type StackSettings, testStack } from '../support/stack.ts';
import { openFaultyLink } from '../support/toxiproxy.ts';

/** Where nobody is asked in a test. */
const NOWHERE = 'http://localhost:9/';
const USER = { username: 'us:er', password: 'pass/wörd' };
const EXCEPTIONS = {
  'the schemas of the product are taken and come back as they are':
    'Apicurio spells the names in Leaf and ArchivedEvent shorter; neither is ever registered',
};
// Room for a machine that is busy; nothing is asserted about time.
jest.setTimeout(60_000);

let registry: StackSettings['registry'];
let toxiproxy: StackSettings['toxiproxy'];
const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await stop(server);
});

function prefix(): string {
  return `contract-${randomBytes(4).toString('hex')}`;
}

function open(settings: Partial<ConfluentRegistrySettings> = {}): SchemaRegistry {
  return openConfluentSchemaRegistry({
    ...settings,
    url: settings.url ?? registry.url,
    requestTimeoutMs: settings.requestTimeoutMs ?? 10_000,
  });
}

describeOnStack('Apicurio', () => {
  beforeAll(async () => {
    ({ registry, toxiproxy } = await testStack());
  }, STACK_TIMEOUT_MS);

  schemaRegistryContract(
    'Apicurio',
    async () => ({ open: async () => open(), release: async () => undefined, prefix: prefix() }),
    EXCEPTIONS,
  );

  schemaRegistryContract(
    'Apicurio behind TLS and basic authentication',
    async () => {
      const certificates = await newCertificates();
      const server = guard(certificates, registry.url);
      const url = await listen(server, 'https');
      return {
        open: async () => open({ url, auth: USER, tls: { ca: certificates.ca } }),
        release: () => stop(server),
        prefix: prefix(),
      };
    },
    EXCEPTIONS,
  );

  describe('schemas that are in force', () => {
    test('come back from Apicurio with the digest that they have in policies and framings', async () => {
      const store = open();
      const subject = `${prefix()}.Event`;
      const versions = [SCHEMA_TEXTS.Event, EVENT_SCHEMA_V2.text];
      for (const text of versions) await store.register(subject, text);
      expect((await store.list(subject)).map((text) => compileEventSchema(text).hex)).toEqual(
        versions.map((text) => compileEventSchema(text).hex),
      );
      for (const text of [SCHEMA_TEXTS.SignedBatch, SCHEMA_TEXTS.Block]) {
        const id = await store.register(`${prefix()}.One`, text);
        expect(canonicalJson(JSON.parse((await store.get(id)) as string))).toBe(text);
      }
    });

    test('are refused where the registry would keep them under another digest', async () => {
      const error = await open()
        .register(`${prefix()}.Leaf`, SCHEMA_TEXTS.Leaf)
        .catch((each: unknown) => each);
      expect(error).toMatchObject({ code: 'SCHEMA_INVALID', message: expect.stringContaining('leave out namespaces') });
    });

    test('leave the compatibility level of their subject as it was set, and are refused where they break it', async () => {
      const subject = `${prefix()}.Level`;
      const config = `${registry.url}/config/${subject}`;
      const headers = { 'content-type': 'application/vnd.schemaregistry.v1+json', connection: 'close' };
      const store = open();
      const record = (fields: readonly object[]): string => JSON.stringify({ type: 'record', name: 'R', fields });
      await store.register(subject, record([{ name: 'a', type: 'string' }]));
      await fetch(config, { method: 'PUT', headers, body: '{"compatibility":"FULL"}' });
      await store.register(
        subject,
        record([
          { name: 'a', type: 'string' },
          { name: 'b', type: 'string', default: '' },
        ]),
      );
      expect(await (await fetch(config, { headers })).json()).toMatchObject({ compatibilityLevel: 'FULL' });
      const error = await store.register(subject, record([{ name: 'c', type: 'string' }])).catch((each: unknown) => each);
      expect(error).toMatchObject({ code: 'SCHEMA_INVALID', message: expect.stringContaining('409') });
    });

    test('whose registration took effect, but whose answer was lost, get the same id when registered again', async () => {
      const link = await openFaultyLink(toxiproxy.url, registry.url);
      const store = open({ url: link.url });
      const subject = `${prefix()}.Lost`;
      const fault = { type: 'limit_data', stream: 'downstream', attributes: { bytes: 10 } } as const;
      const lost = (): Promise<unknown> => store.register(subject, SCHEMA_TEXTS.SignedBatch);
      expect(await link.during(fault, () => codeOf(lost))).toBe('UNAVAILABLE');
      expect(await store.register(subject, SCHEMA_TEXTS.SignedBatch)).toBe(await open().register(subject, SCHEMA_TEXTS.SignedBatch));
      expect((await store.list(subject)).length).toBe(1);
      await link.release();
    });
  });
});

/** What an answer is made of; `cut` closes the connection after so many bytes of the body. */
interface Reply {
  readonly status?: number;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cut?: number;
}

const SCHEMA = JSON.stringify({ type: 'record', name: 'R', fields: [{ name: 'a', type: 'string' }] });
const OTHER = JSON.stringify({ type: 'record', name: 'R', fields: [{ name: 'b', type: 'string' }] });

describe('a registry that gives no usable answer', () => {
  /** What each method says to a registry that answers everything so. */
  async function outcomes(reply: Reply | ((request: IncomingMessage) => Reply)): Promise<string[]> {
    const url = await serve(serverOf(reply), 'http');
    const store = open({ url, requestTimeoutMs: 2_000 });
    const calls = [() => store.register('subject', SCHEMA), () => store.get(7), () => store.list('subject')];
    return Promise.all(
      calls.map((call) =>
        call().then(
          (value) => `fine: ${JSON.stringify(value)}`,
          (error: { code: string; message: string }) => `${error.code} ${error.message}`,
        ),
      ),
    );
  }

  const broken: Readonly<Record<string, readonly [Reply, RegExp]>> = {
    HTML: [{ body: '<html>\n<title>Log in</title>' }, /is not a JSON object: <html> <title>Log in/],
    'HTML with status 404': [{ status: 404, body: '<html>no page</html>' }, /status 404: <html>/],
    'a 404 of somebody else': [{ status: 404, body: '{"error_code":404}' }, /status 404/],
    'truncated JSON': [{ body: '{"id": 1, "schema": "{\\"type' }, /not a JSON object/],
    'an answer that ends early': [
      { body: '{"id": 1, "version": 1, "schema": "\\"string\\""}', cut: 20 },
      /before the answer was whole|aborted/,
    ],
    'status 500': [{ status: 500, body: '{"error_code":50001,"message":"down"}' }, /status 500: .*down/],
    'status 500 and null': [{ status: 500, body: 'null' }, /status 500: null/],
    nothing: [{ body: '' }, /not a JSON object: nothing/],
    null: [{ body: 'null' }, /not a JSON object/],
    'a list': [{ body: '[]' }, /not a JSON object/],
    'another object': [{ body: '{"hello":"world"}' }, /has no (usable id|schema|usable version)/],
    'numbers that are not numbers': [{ body: '{"id":"1","version":-1,"schema":7}' }, /has no (usable id|schema|usable version)/],
    'a redirect': [
      { status: 302, headers: { location: 'https://login.example/' } },
      /redirects to https:\/\/login\.example\/; name that place/,
    ],
    'an answer without end': [{ body: 'x'.repeat(5_000_000) }, /more than 4194304 bytes/],
  };

  /** What may be better the next time. */
  const PASSING = ['an answer that ends early', 'status 500', 'status 500 and null', 'an answer without end'];

  test.each(Object.entries(broken))('%s is UNAVAILABLE or ANSWER_UNUSABLE, in one line that says so', async (name, [reply, fact]) => {
    const code = PASSING.includes(name) ? 'UNAVAILABLE' : 'ANSWER_UNUSABLE';
    for (const outcome of await outcomes(reply)) {
      expect(outcome).toMatch(fact);
      expect(outcome).toMatch(new RegExp(`^${code} cannot (register|get|list) .{1,400}$`));
    }
  });

  test('an id under which there is another schema, or none, is not believed', async () => {
    const liar =
      (schema: string) =>
      (asked: IncomingMessage): Reply => ({ body: asked.method === 'POST' ? '{"id":7}' : JSON.stringify({ schema }) });
    expect((await outcomes(liar(OTHER)))[0]).toMatch(/^UNAVAILABLE .*it holds another schema/);
    const none = (asked: IncomingMessage): Reply =>
      asked.method === 'POST' ? { body: '{"id":7}' } : { status: 404, body: '{"error_code":40403}' };
    expect((await outcomes(none))[0]).toMatch(/^UNAVAILABLE .*holds no schema under that id/);
    expect((await outcomes(liar(SCHEMA)))[0]).toBe('fine: 7');
  });

  test('more versions than possible are UNAVAILABLE', async () => {
    const answer = JSON.stringify({ id: 1, version: 1_000_000_000, schema: SCHEMA });
    expect((await outcomes({ body: answer }))[2]).toMatch(/^UNAVAILABLE .*1000000000 versions/);
  });

  test('silence is UNAVAILABLE after the time that was set, also where some of the answer came', async () => {
    for (const start of ['', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{']) {
      const server = createServer();
      server.on('connection', (socket) => socket.write(start));
      const url = await serve(server, 'http');
      const error = await open({ url, requestTimeoutMs: 200 })
        .get(1)
        .catch((each: unknown) => each);
      expect(error).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('no whole answer after 200 ms') });
    }
  });

  test('nobody at its address is UNAVAILABLE', async () => {
    const server = createServer();
    const url = await serve(server, 'http');
    await stop(servers.pop() as Server);
    const error = await open({ url })
      .get(1)
      .catch((each: unknown) => each);
    expect(error).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('ECONNREFUSED') });
  });
});

describe('what only an operator can change', () => {
  let certificates: Certificates;
  beforeAll(async () => {
    certificates = await newCertificates();
  });

  test('a wrong password is REFUSED, and no error holds it', async () => {
    const server = guard(certificates, NOWHERE);
    const url = (await serve(server, 'https')).replace('https://', 'https://someone:wr0ng-pass@');
    const error = await open({ url, tls: { ca: certificates.ca } })
      .get(1)
      .catch((each: unknown) => each);
    expect(error).toMatchObject({ code: 'REFUSED', message: expect.stringContaining('refuses user name or password') });
    expect(inspect(error, { depth: 10 })).not.toContain('wr0ng-pass');
  });

  test('an authority that did not sign its certificate is not trusted', async () => {
    const url = await serve(guard(certificates, NOWHERE), 'https');
    const error = await open({ url, auth: USER })
      .get(1)
      .catch((each: unknown) => each);
    expect(error).toMatchObject({ code: 'REFUSED', details: { setting: 'registryCa' }, message: expect.stringMatching(/certificate/) });
  });

  test('settings that are not valid are CONFIG_INVALID, and no password is shown', () => {
    const wrong: Partial<ConfluentRegistrySettings>[] = [
      { url: 'host:8081' },
      { url: 'ftp://:secret@host' },
      { url: 'http://u:secret@host', auth: USER },
      { url: 'http://host', tls: { ca: 'x' } },
      { url: 'http://u:secret@host/?a=1' },
    ];
    for (const settings of wrong) {
      const refuse = (): unknown => open(settings);
      expect(refuse).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.not.stringContaining('secret') }));
    }
  });
});

/** A server that answers everything so. */
function serverOf(reply: Reply | ((request: IncomingMessage) => Reply)): Server {
  return createServer((asked, response) => {
    asked.resume();
    const { status = 200, body = '', headers = {}, cut } = typeof reply === 'function' ? reply(asked) : reply;
    response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers });
    if (cut === undefined) response.end(body);
    else response.write(body.slice(0, cut), () => response.destroy());
  });
}

/** A registry behind TLS, for one user only. */
function guard({ cert, key }: Certificates, upstream: string): Server {
  const expected = `Basic ${Buffer.from(`${USER.username}:${USER.password}`).toString('base64')}`;
  const { hostname, port, pathname } = new URL(upstream);
  return createTlsServer({ cert, key }, (asked: IncomingMessage, response: ServerResponse) => {
    const { authorization, ...headers } = asked.headers;
    if (authorization !== expected) {
      response.writeHead(401).end('{"error_code":401}');
      return;
    }
    const forward = request({
      hostname,
      port,
      path: `${pathname}${asked.url}`,
      method: asked.method,
      headers: { ...headers, host: hostname },
    });
    forward.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    forward.on('error', () => response.destroy());
    asked.pipe(forward);
  });
}

/** Where the server is found until the test ends. */
async function serve(server: Server, protocol: 'http' | 'https'): Promise<string> {
  servers.push(server);
  return listen(server, protocol);
}

async function listen(server: Server, protocol: 'http' | 'https'): Promise<string> {
  server.listen(0, 'localhost');
  await once(server, 'listening');
  return `${protocol}://localhost:${(server.address() as AddressInfo).port}`;
}

async function stop(server: Server): Promise<void> {
  if (!server.listening) return;
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
}
