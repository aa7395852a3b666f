import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Duplex } from 'node:stream';
import registryApi from '@kafkajs/confluent-schema-registry/dist/api/index.js';
import errorMiddleware from '@kafkajs/confluent-schema-registry/dist/api/middleware/errorMiddleware.js';
import { compileSchema } from '../core/avro/schema.ts';
import { LineproofError } from '../core/base/errors.ts';
import { canonicalJson } from '../core/base/jcs.ts';
import type { SchemaRegistry } from '../core/ports/schema-registry.ts';
import { REFUSALS, refusalError, tlsRefusal } from './refusals.ts';

/** How a Confluent-compatible registry is reached. */
export interface ConfluentRegistrySettings {
  /** `http[s]://[user:password@]host[:port][/path]`: the address to which `/subjects` is appended. */
  readonly url: string;
  /** Basic authentication, if the URL does not contain it. */
  readonly auth?: { readonly username: string; readonly password: string };
  /** With `https://`: authorities and a client's certificate (PEM) instead of the system's and none. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  /** A request without a complete answer after this many milliseconds has failed. */
  readonly requestTimeoutMs: number;
}

/** An answer of the registry, whatever its status. */
interface RegistryAnswer {
  status(): number;
  header(name: string): unknown;
  rawData(): string | null;
  error(): Error | null;
}

type Ask = (parameters: Readonly<Record<string, unknown>>) => Promise<RegistryAnswer>;

/** The part of the library's client that is used. */
interface RegistryApi {
  readonly ['_manifest']: { middleware: readonly unknown[] };
  readonly Schema: { readonly find: Ask };
  readonly Subject: { readonly register: Ask; readonly latestVersion: Ask; readonly version: Ask };
}

/** Larger than any schema that is of use here; an answer that goes on after it is cut off. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
const MAX_VERSIONS = 1_000;
const SUBJECT_MISSING = 40401;
const VERSION_MISSING = 40402;
const SCHEMA_MISSING = 40403;

/** Opens the {@link SchemaRegistry} on a Confluent-compatible registry; sends no request yet. Throws CONFIG_INVALID for settings that are not valid. */
export function openConfluentSchemaRegistry(settings: ConfluentRegistrySettings): SchemaRegistry {
  return new ConfluentSchemaRegistry(parseSettings(settings));
}

class ConfluentSchemaRegistry implements SchemaRegistry {
  readonly #place: RegistryPlace;

  constructor(place: RegistryPlace) {
    this.#place = place;
  }

  /** Does not change the compatibility level that the operator set for the subject. */
  async register(subject: string, schema: string): Promise<number> {
    const act = `register a schema under ${subject}`;
    const value = parseSchema(act, schema);
    const answer = await askRegistry(this.#place, act, (api) => api.Subject.register({ subject, body: { schema } }));
    if (answer.status === 409 || answer.status === 422) throw refused(act, answer);
    const id = integerOf(act, good(act, answer), 'id');
    const held = await this.get(id);
    if (held === undefined) throw unusable(act, `it answers id ${id}, but holds no schema under that id`);
    checkHeld(act, value, held);
    return id;
  }

  async get(id: number): Promise<string | undefined> {
    if (!Number.isSafeInteger(id) || id < 0) return undefined;
    const act = `get schema ${id}`;
    const answer = await askRegistry(this.#place, act, (api) => api.Schema.find({ id }));
    return isMissing(answer, SCHEMA_MISSING) ? undefined : textOf(act, good(act, answer));
  }

  async list(subject: string): Promise<readonly string[]> {
    const act = `list the schemas of ${subject}`;
    const latest = await askRegistry(this.#place, act, (api) => api.Subject.latestVersion({ subject }));
    if (isMissing(latest, SUBJECT_MISSING, VERSION_MISSING)) return [];
    const last = integerOf(act, good(act, latest), 'version');
    if (last > MAX_VERSIONS) throw unusable(act, `it says that there are ${last} versions, more than ${MAX_VERSIONS}`);
    const texts: string[] = [];
    for (let version = 1; version < last; version++) {
      const answer = await askRegistry(this.#place, act, (api) => api.Subject.version({ subject, version }));
      // Somebody may have deleted a version between others.
      if (!isMissing(answer, SUBJECT_MISSING, VERSION_MISSING)) texts.push(textOf(act, good(act, answer)));
    }
    return [...texts, textOf(act, good(act, latest))];
  }

  async close(): Promise<void> {
    // Nothing is held open between calls.
  }
}

interface RegistryPlace {
  readonly host: string;
  readonly secure: boolean;
  readonly auth: { readonly username: string; readonly password: string } | undefined;
  readonly tls: ConfluentRegistrySettings['tls'];
  readonly requestTimeoutMs: number;
}

function parseSettings({ url, auth, tls, requestTimeoutMs }: ConfluentRegistrySettings): RegistryPlace {
  const invalid = (fact: string): LineproofError => new LineproofError('CONFIG_INVALID', `cannot use the schema registry: ${fact}`);
  // The URL is not shown: it may hold a password.
  if (!URL.canParse(url)) throw invalid('its URL is not http[s]://[user:password@]host[:port][/path]');
  const { protocol, host, pathname, username, password, search, hash } = new URL(url);
  if ((protocol !== 'http:' && protocol !== 'https:') || search !== '' || hash !== '')
    throw invalid('its URL is not http[s]://[user:password@]host[:port][/path]');
  if (username !== '' && auth !== undefined)
    throw invalid('user and password are both in its URL and in separate settings; remove one of them');
  if (tls !== undefined && protocol !== 'https:') throw invalid('authorities or certificates are given, but its URL is not https://');
  const own = username === '' ? undefined : { username: decodeURIComponent(username), password: decodeURIComponent(password) };
  return {
    host: `${protocol}//${host}${pathname.replace(/\/+$/, '')}`,
    secure: protocol === 'https:',
    auth: auth ?? own,
    tls,
    requestTimeoutMs,
  };
}

interface Answer {
  readonly status: number;
  /** The answer's JSON if it is an object, else undefined. */
  readonly json: Readonly<Record<string, unknown>> | undefined;
  /** Its first characters in one line, for a message. */
  readonly start: string;
  readonly location: string | undefined;
}

/**
 * One request on a new connection, sent once, and its answer. The library's client alone would read without bound, wait for ever if an answer
 * ends early, and lose the error's code. So the connection is watched, and the library's translation of errors is taken out.
 */
async function askRegistry(place: RegistryPlace, act: string, ask: (api: RegistryApi) => Promise<RegistryAnswer>): Promise<Answer> {
  let fail: (error: Error) => void = () => undefined;
  const broken = new Promise<never>((_, reject) => {
    fail = reject;
  });
  const agent = watchedAgent(place, fail);
  const timer = setTimeout(() => fail(new Error(`no whole answer after ${place.requestTimeoutMs} ms`)), place.requestTimeoutMs);
  try {
    const asked = ask(clientOf(place, agent)).catch((answer: RegistryAnswer) => answer);
    return judge(act, await Promise.race([asked, broken]));
  } catch (error) {
    if (error instanceof LineproofError) throw error;
    throw unanswered(act, error as NodeJS.ErrnoException);
  } finally {
    clearTimeout(timer);
    agent.destroy();
  }
}

function clientOf({ host, auth }: RegistryPlace, agent: HttpAgent): RegistryApi {
  const options = { host, agent, clientId: 'lineproof', retry: { retries: 0 }, ...(auth === undefined ? {} : { auth }) };
  const api = registryApi.default(options) as unknown as RegistryApi;
  const manifest = api['_manifest'];
  const middleware = manifest.middleware.filter((each) => each !== errorMiddleware.default);
  if (middleware.length + 1 !== manifest.middleware.length)
    throw new LineproofError('INTERNAL', 'cannot use the schema registry: this version of its client is built differently');
  manifest.middleware = middleware;
  return api;
}

/** An agent that calls `broken` when its connection closes, or sends more bytes than an answer may have. */
function watchedAgent({ secure, tls }: RegistryPlace, broken: (error: Error) => void): HttpAgent {
  const agent = secure ? new HttpsAgent({ keepAlive: false, ...tls }) : new HttpAgent({ keepAlive: false });
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (options, callback) => {
    const socket = connect(options, callback) as Duplex;
    let bytes = 0;
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_ANSWER_BYTES) socket.destroy(new Error(`its answer has more than ${MAX_ANSWER_BYTES} bytes`));
    });
    socket.on('error', broken);
    // An answer that is whole has been handed over by then.
    socket.on('close', () => setImmediate(broken, new Error('the connection closed before the answer was whole')));
    return socket;
  };
  return agent;
}

/** Reads an answer. Throws UNAVAILABLE if there was none, REFUSED if it may need an operator. */
function judge(act: string, answer: RegistryAnswer): Answer {
  const failure = answer.error();
  if (failure !== null) throw unanswered(act, failure);
  const status = answer.status();
  if (status === 401 || status === 403) throw refusalError(act, 'registry', 'UNAUTHORISED');
  const text = answer.rawData() ?? '';
  const refusal = tlsRefusal(undefined, text.slice(0, 1_000));
  if (refusal !== undefined) throw refusalError(act, 'registry', refusal);
  const location = answer.header('location');
  return {
    status,
    json: asObject(parseJson(text)),
    start: oneLine(text),
    location: typeof location === 'string' ? oneLine(location) : undefined,
  };
}

/** The error of a request that got no answer. */
function unanswered(act: string, { code, message }: NodeJS.ErrnoException): LineproofError {
  const refusal = tlsRefusal(code, message);
  return refusal === undefined ? unusable(act, oneLine(message)) : refusalError(act, 'registry', refusal);
}

function asObject(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
}

/** Whether the registry itself says that it has none; a 404 from a proxy in between does not count. */
function isMissing({ status, json }: Answer, ...codes: readonly number[]): boolean {
  return status === 404 && codes.some((code) => json?.['error_code'] === code);
}

function good(act: string, { status, json, start, location }: Answer): Readonly<Record<string, unknown>> {
  if (location !== undefined && status >= 300 && status < 400)
    throw unusable(act, `it redirects to ${location}; name that place in its URL`, 'ANSWER_UNUSABLE');
  const answer = `it answers with status ${status}: ${start}`;
  if (status >= 500 || status === 429) throw unusable(act, `${REFUSALS.registry.OVERLOADED.fact}: ${answer}`);
  if (status !== 200) throw unusable(act, answer, 'ANSWER_UNUSABLE');
  if (json === undefined) throw unusable(act, `its answer is not a JSON object: ${start}`, 'ANSWER_UNUSABLE');
  return json;
}

function integerOf(act: string, json: Readonly<Record<string, unknown>>, name: string): number {
  const value = json[name];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw unusable(act, `its answer has no usable ${name}`, 'ANSWER_UNUSABLE');
  return value;
}

function textOf(act: string, { schema }: Readonly<Record<string, unknown>>): string {
  if (typeof schema !== 'string') throw unusable(act, 'its answer has no schema', 'ANSWER_UNUSABLE');
  return schema;
}

/** Checked here first: not every registry refuses a text that is not a schema. */
function parseSchema(act: string, text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new LineproofError('SCHEMA_INVALID', `cannot ${act}: it is not JSON`, {}, cause);
  }
  compileSchema(value);
  return value;
}

/**
 * Whether the registry keeps the registered text unchanged, so that its digest stays the one that policies and batches name.
 * Some registries shorten names as far as Avro's rules allow: write such a schema with short names before you put it in force.
 */
function checkHeld(act: string, schema: unknown, held: string): void {
  const value = parseJson(held);
  if (value !== undefined && canonicalJson(value) === canonicalJson(schema)) return;
  if (value !== undefined && canonicalJson(withShortNames(value)) === canonicalJson(withShortNames(schema))) {
    throw new LineproofError(
      'SCHEMA_INVALID',
      `cannot ${act}: the registry spells its names otherwise, which changes its digest; leave out namespaces wherever the enclosing one is meant`,
    );
  }
  throw unusable(act, 'it holds another schema under the id that it answers');
}

const NAMES: ReadonlySet<string> = new Set(['name', 'type', 'items', 'values']);

/** The schema with every name without its namespace. */
function withShortNames(value: unknown, key = 'type'): unknown {
  if (typeof value === 'string') return NAMES.has(key) ? value.slice(value.lastIndexOf('.') + 1) : value;
  if (Array.isArray(value)) return value.map((each: unknown) => withShortNames(each, key));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => name !== 'namespace')
      .map(([name, each]) => [name, withShortNames(each, name)]),
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refused(act: string, { status, json, start }: Answer): LineproofError {
  const reason = typeof json?.['message'] === 'string' ? oneLine(json['message']) : start;
  return new LineproofError('SCHEMA_INVALID', `cannot ${act}: the registry refuses it (status ${status}): ${reason}`);
}

/** ANSWER_UNUSABLE: a server answered, but not as a registry does, so waiting will hardly help. */
function unusable(act: string, fact: string, code: 'UNAVAILABLE' | 'ANSWER_UNUSABLE' = 'UNAVAILABLE'): LineproofError {
  return new LineproofError(code, `cannot ${act}: the schema registry gives no usable answer: ${fact}`);
}

/** Foreign text as part of a message: one line, bounded, printable. */
function oneLine(text: string): string {
  const line = text
    .slice(0, 400)
    .replaceAll(/[^\x20-\x7e]+/g, ' ')
    .trim();
  return line === '' ? 'nothing' : line.slice(0, 200);
}
