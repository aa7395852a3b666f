import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { utf8Text } from '../core/base/bytes.ts';
import { LineproofError, messageOf } from '../core/base/errors.ts';
import type { WitnessCore, WitnessReply } from './witness.ts';

/** A question: a note with post-quantum signatures, and a proof. */
const BODY_BYTES = 64 * 1024;
/** Questions that are answered at once. More are told to come again. One whose body is still on its way is none of them: else whoever sends slowly keeps all others out. */
const AT_ONCE = 64;
/** They bound what the bodies on their way can hold: 32 MiB. */
const CONNECTIONS = 512;
/** How often it is looked which connections are too slow. */
const LOOK_MS = 1_000;
const TEXT = 'text/plain; charset=utf-8';

export interface WitnessServer {
  readonly port: number;
  close(): Promise<void>;
}

export interface WitnessServerOptions {
  readonly host: string;
  readonly port: number;
  /** Called with the status of each reply to a question, and with what was thrown, if anything was. */
  readonly answered?: (status: number, error?: unknown) => void;
}

/** Serves POST /add-checkpoint, and GET /<hex SHA-256 of the origin>/checkpoint. Throws CONFIG_INVALID if it cannot listen on the address. */
export async function openWitnessServer(core: WitnessCore, { host, port, answered }: WitnessServerOptions): Promise<WitnessServer> {
  let working = 0;
  const bounds = { requestTimeout: 10_000, headersTimeout: 5_000, connectionsCheckingInterval: LOOK_MS, maxHeaderSize: 8192 };
  const answer = async (body: string): Promise<WitnessReply> => {
    if (working >= AT_ONCE) return plain(429, 'too many questions at once');
    working += 1;
    try {
      return await core.add(body);
    } finally {
      working -= 1;
    }
  };
  const server = createServer(bounds, (request, response) => {
    const path = (request.url ?? '').split('?')[0] ?? '';
    if (path !== '/add-checkpoint') return void monitor(core, request, path.slice(1), response);
    if (request.method !== 'POST') return send(response, plain(405, 'only POST'));
    const tell = (reply: WitnessReply, error?: unknown): void => {
      answered?.(reply.status, error);
      send(response, reply);
    };
    question(request, answer).then(tell, (error: unknown) => tell(plain(503, 'the witness cannot store or sign now; ask again'), error));
  });
  server.maxConnections = CONNECTIONS;
  await listen(server, host, port);
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function question(request: IncomingMessage, answer: (body: string) => Promise<WitnessReply>): Promise<WitnessReply> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const piece of request as AsyncIterable<Uint8Array>) {
      length += piece.length;
      if (length > BODY_BYTES) return plain(413, `a question has at most ${BODY_BYTES} bytes`);
      pieces.push(piece);
    }
  } catch {
    return plain(400, 'the question broke off');
  }
  let body: string;
  try {
    body = utf8Text(Buffer.concat(pieces));
  } catch {
    return plain(400, 'the question is not UTF-8');
  }
  return answer(body);
}

async function monitor(core: WitnessCore, { method }: IncomingMessage, path: string, response: ServerResponse): Promise<void> {
  if (method !== 'GET' && method !== 'HEAD') return send(response, plain(405, 'only GET'));
  try {
    const note = await core.newest(path);
    send(response, note === undefined ? plain(404, 'there is nothing') : { status: 200, type: TEXT, body: note });
  } catch {
    send(response, plain(503, 'the witness cannot read its notes now'));
  }
}

function plain(status: number, text: string): WitnessReply {
  return { status, type: TEXT, body: `${text}\n` };
}

function send(response: ServerResponse, { status, type, body }: WitnessReply): void {
  // What is left of a body that was too long is not read.
  const close = status === 413 ? { connection: 'close' } : {};
  response
    .writeHead(status, { 'content-type': type, 'cache-control': 'no-store', ...close })
    .end(response.req.method === 'HEAD' ? '' : body);
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new LineproofError(
      'CONFIG_INVALID',
      `cannot serve on ${host}:${port}: ${messageOf(error)}; name another address with --listen`,
      {},
      error,
    );
  }
}
